//! Addresses and servers that mean no good.

use std::time::Instant;

use chrono::TimeDelta;
use serde_json::json;

use super::{app_beside, busy, calendar, event, external, hour, path};
use crate::support::TestApp;
use crate::support::web::{Reply, Web};

#[tokio::test]
async fn addresses_that_lead_inside_or_are_no_addresses_are_refused() {
    let app = TestApp::start().await;
    let martin = app.practitioner().await;
    for url in [
        "calendar.example/a.ics",
        "http://calendar.example/a.ics",
        "https://calendar.example:8443/a.ics",
        "https://me:secret@calendar.example/a.ics",
        "file:///etc/passwd",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00::1]/",
        "https://169.254.169.254/latest/meta-data",
        "webcal://localhost:3000/",
        " ",
    ] {
        let refused = martin.post(&path(&martin), external(url)).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], "/url", "{url}");
        assert_eq!(refused.json["errors"][0]["code"], "calendar_address", "{url}");
        assert!(!refused.text().contains("169.254"), "nothing of it comes back");
    }
    let codes = |answer: crate::support::Answer| answer.refused(422, "invalid").json["errors"][0]["code"].clone();
    assert_eq!(codes(martin.post(&path(&martin), json!({"kind": "external", "label": "x"})).await), "required");
    let url = "https://calendar.example/a.ics";
    assert_eq!(
        codes(martin.post(&path(&martin), json!({"kind": "feed", "label": "x", "url": url})).await),
        "calendar_address_of_feed"
    );
    let nothing = json!({"kind": "external", "label": " \u{7} ", "url": url});
    assert_eq!(codes(martin.post(&path(&martin), nothing).await), "text");
    assert_eq!(app.count("SELECT count(*) FROM app.external_calendars").await, 0);
}

#[tokio::test]
async fn whatever_a_server_answers_ends_soon_with_a_reason_and_the_times_of_before() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let at = hour(&app, 3);
    let good = calendar(&[event("a", at, at + TimeDelta::hours(1))]);
    let inside = format!("location: http://{}/good\r\n", web.host);
    let cases = [
        // not even to where it may go otherwise
        ("/redirects", Reply::with("302 Found", &inside, ""), "redirected"),
        ("/inside", Reply::with("301 Moved", "location: https://169.254.169.254/\r\n", ""), "redirected"),
        ("/lies", Reply::with("200 OK", "content-encoding: gzip\r\n", good.clone()), "compressed"),
        ("/bomb", Reply::with("200 OK", "content-encoding: br\r\n", vec![0; 100]), "compressed"),
        ("/huge", Reply::Stream(50), "too_large"),
        ("/announced", Reply::with("200 OK", "", vec![b'A'; 6 << 20]), "too_large"),
        ("/hangs", Reply::Hang, "timeout"),
        ("/login", Reply::ok("<!doctype html><title>Log in</title>"), "not_a_calendar"),
        ("/cut", Reply::ok(good[..good.len() - 20].to_owned()), "cut_off"),
        (
            "/short",
            Reply::Whole(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\nBEGIN:VCALENDAR".to_vec()),
            "unreachable",
        ),
        ("/noise", Reply::Whole(b"\x16\x03\x01 this is no answer\r\n\r\n".to_vec()), "unreachable"),
        ("/secret", Reply::with("403 Forbidden", "", ""), "unauthorized"),
        ("/broken", Reply::with("500 Oops", "", ""), "server_error"),
        ("/endless", Reply::ok(calendar(&[swarm()])), "too_much"),
    ];
    let mut people = Vec::new();
    for some in cases.chunks(5) {
        let martin = app.practitioner().await;
        for (path_, _, _) in some {
            web.answers(path_, Reply::ok(good.clone()));
            let body = json!({"kind": "external", "label": path_, "url": web.url(path_)});
            martin.post(&path(&martin), body).await.expect(201);
        }
        people.push(martin);
    }
    app.settle().await;
    assert_eq!(busy(&app).await.len(), cases.len());

    for (path, reply, _) in &cases {
        web.answers(path, reply.clone());
    }
    let started = Instant::now();
    super::later(&app, TimeDelta::minutes(20)).await;
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    for (martin, some) in people.iter().zip(cases.chunks(5)) {
        let martin = super::again(&app, martin).await;
        let items = martin.get(&path(&martin)).await.expect(200).json["items"].clone();
        for (item, (path, _, code)) in items.as_array().unwrap().iter().zip(some) {
            assert_eq!((&item["label"], &item["failure"]["code"]), (&json!(path), &json!(code)), "{item}");
            assert_ne!(item["failure"]["detail"], json!(format!("calendar_failure.{code}")));
        }
    }
    assert_eq!(busy(&app).await.len(), cases.len(), "the last known times hold on");
    assert!(web.requests().iter().all(|head| !head.starts_with("get /good")), "no redirection is followed");
    assert!(web.requests().iter().all(|head| head.contains("accept-encoding: identity")));
}

/// One event a minute, for ever.
fn swarm() -> String {
    "BEGIN:VEVENT\r\nUID:m\r\nDTSTART:20200101T000000Z\r\nDURATION:PT1S\r\nRRULE:FREQ=MINUTELY\r\nEND:VEVENT\r\n".into()
}

#[tokio::test]
async fn a_calendar_in_latin_1_with_endless_recurrences_is_read() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let martin = app.practitioner().await;
    let body = b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nSUMMARY:R\xe9union \xff\nDTSTART;TZID=Romance Standard Time:20200101T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR".to_vec();
    web.answers("/c", Reply::with("200 OK", "content-type: text/calendar; charset=utf-8\r\n", body));
    super::add(&app, &martin, &web.url("/c")).await;
    let busy = busy(&app).await.len();
    assert!((360..=372).contains(&busy), "{busy} days");
}
