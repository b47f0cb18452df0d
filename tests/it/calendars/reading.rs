//! Calendars that are read.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::json;

use super::{add, again, app_beside, busy, calendar, event, external, first, hour, later, path};
use crate::consultations::{free, instant, wish};
use crate::support::web::{Reply, Web};
use crate::support::{Answer, TestApp, User};

#[tokio::test]
async fn a_calendar_that_is_added_is_read_at_once_and_blocks_its_times() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let martin = app.practitioner().await;
    let (from, to) = (hour(&app, 3), hour(&app, 3) + TimeDelta::hours(1));
    web.answers("/secret", Reply::ok(calendar(&[event("a", from, to), event("b", to, to + TimeDelta::minutes(30))])));
    assert_eq!(martin.get(&path(&martin)).await.expect(200).json, json!({"items": []}));

    let made = martin.post(&path(&martin), external(&web.url("/secret"))).await.expect(201);
    assert_eq!((&made.json["kind"], &made.json["state"]), (&json!("external"), &json!("waiting")));
    app.settle().await;
    // what touches is one time; of what it is, nothing is kept
    assert_eq!(busy(&app).await, [(from, to + TimeDelta::minutes(30))]);
    let it = first(&app, &martin).await;
    assert_eq!((&it["state"], &it["host"], &it["label"]), (&json!("current"), &json!("127.0.0.1"), &json!("Cabinet")));
    assert!(it["readAt"].is_string() && it.get("failure").is_none());
    for told in [&made.json, &it] {
        assert!(!told.to_string().contains("secret"), "the address is never shown: {told}");
    }
    let sealed: Vec<u8> =
        sqlx::query_scalar("SELECT url FROM app.external_calendars").fetch_one(app.db()).await.unwrap();
    assert!(!sealed.windows(6).any(|six| six == b"secret"), "the address is sealed");
    let log: Vec<String> =
        sqlx::query_scalar("SELECT details::text FROM app.audit_logs WHERE action LIKE 'calendar.%'")
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(log, [r#"{"kind": "external"}"#]);

    // what leaves the calendar is free again, and so is everything when the calendar is taken away
    web.answers("/secret", Reply::ok(calendar(&[event("b", to, to + TimeDelta::minutes(30))])));
    later(&app, TimeDelta::minutes(20)).await;
    assert_eq!(busy(&app).await, [(to, to + TimeDelta::minutes(30))]);
    let martin = again(&app, &martin).await;
    martin.delete(&format!("{}/{}", path(&martin), made.str("/id"))).await.expect(204);
    assert_eq!(busy(&app).await, []);
    martin.delete(&format!("{}/{}", path(&martin), made.str("/id"))).await.refused(404, "not_found");
    later(&app, TimeDelta::hours(1)).await;
    assert_eq!(web.requests().len(), 2);
}

#[tokio::test]
async fn a_calendar_is_read_every_quarter_of_an_hour_and_as_a_whole_once_a_day() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let martin = app.practitioner().await;
    let at = hour(&app, 3);
    let body = calendar(&[event("a", at, at + TimeDelta::hours(1))]);
    web.answers("/c", Reply::with("200 OK", "etag: \"one\"\r\nlast-modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n", body));
    add(&app, &martin, &web.url("/c")).await;
    later(&app, TimeDelta::minutes(10)).await;
    assert_eq!(web.requests().len(), 1, "not yet");

    web.answers("/c", Reply::with("304 Not Modified", "etag: \"one\"\r\n", ""));
    later(&app, TimeDelta::minutes(8)).await;
    let asked = web.requests();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].contains("if-none-match: \"one\"") && asked[1].contains("if-modified-since: sat, 21 nov 2026"));
    assert_eq!((busy(&app).await.len(), first(&app, &martin).await["state"].clone()), (1, json!("current")));

    // what recurs without end must be followed further: a day later everything is asked for again
    later(&app, TimeDelta::days(1)).await;
    assert!(!web.requests()[2].contains("if-none-match"));
    // a 304 to who did not ask is no answer
    assert_eq!(first(&app, &martin).await["failure"]["code"], "server_error");
    assert_eq!(busy(&app).await.len(), 1);
}

#[tokio::test]
async fn a_calendar_that_fails_keeps_its_times_says_why_and_is_told_of_once_after_a_day() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let martin = app.practitioner().await;
    let at = hour(&app, 5);
    let good = Reply::ok(calendar(&[event("a", at, at + TimeDelta::hours(1))]));
    web.answers("/c", good.clone());
    add(&app, &martin, &web.url("/c")).await;
    let read_at = first(&app, &martin).await["readAt"].clone();

    web.answers("/c", Reply::with("404 Not Found", "", "gone"));
    later(&app, TimeDelta::minutes(20)).await;
    let it = first(&app, &martin).await;
    assert_eq!(
        (&it["state"], &it["readAt"], &it["failure"]["code"]),
        (&json!("failing"), &read_at, &json!("not_found"))
    );
    assert_eq!(it["failure"]["since"], it["failure"]["at"]);
    let reader = again(&app, &martin).await;
    let french = Answer::of(reader.request(Method::GET, &path(&martin)).header("accept-language", "fr")).await;
    assert_eq!(french.json["items"][0]["failure"]["detail"], "Il n’y a plus d’agenda à cette adresse.");
    assert_eq!(busy(&app).await.len(), 1, "the last known times hold on");

    // 15, 30, 60 minutes: asked less and less often
    let before = web.requests().len();
    for _ in 0..12 {
        later(&app, TimeDelta::minutes(20)).await;
    }
    let asked = web.requests().len() - before;
    assert!((3..=4).contains(&asked), "{asked} times in four hours");
    assert!(app.mails().is_empty());
    for _ in 0..6 {
        later(&app, TimeDelta::hours(7)).await;
    }
    let it = first(&app, &martin).await;
    assert!(it["failure"]["since"].as_str() < it["failure"]["at"].as_str());
    let mails = app.mails_to(&martin.email);
    assert_eq!(mails.len(), 1, "once");
    assert_eq!(mails[0].subject, "A calendar could not be read for a day");
    let words = mails[0].text.as_deref().unwrap();
    assert!(words.contains("There is no calendar at the address any more.") && words.contains("“Cabinet”"), "{words}");
    assert!(!words.contains(&web.host), "the address is a secret");

    web.answers("/c", good);
    later(&app, TimeDelta::hours(7)).await;
    let it = first(&app, &martin).await;
    assert_eq!((&it["state"], it.get("failure")), (&json!("current"), None));
}

#[tokio::test]
async fn our_own_appointments_in_a_calendar_block_nothing_twice() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let martin = app.practitioner().await;
    let at = hour(&app, 3);
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let body = json!({"practitionerId": martin.id, "startsAt": at, "durationMinutes": 60, "mode": "video"});
    let id = alice.post("/consultations", body).await.expect(201).str("/id");
    app.settle().await;
    // moved since, and by whatever address the program had when it sent the invitation
    let later = |hours| at + TimeDelta::hours(hours);
    let ours = [id.clone(), id.to_uppercase(), format!("{id}@care.example"), format!("{id}@127.0.0.1")];
    let ours: Vec<_> = ours.iter().map(|uid| event(uid, later(3), later(4))).collect();
    web.answers("/c", Reply::ok(calendar(&ours)));
    add(&app, &martin, &web.url("/c")).await;
    assert_eq!((busy(&app).await, first(&app, &martin).await["state"].clone()), (vec![], json!("current")));

    // what others write has such names as well; and a colleague's session is not theirs
    let durand = app.practitioner().await;
    let foreign = uuid::Uuid::from_u128(7).to_string();
    let host = format!("{foreign}@127.0.0.1");
    let theirs = [event(&foreign, later(3), later(4)), event(&host, later(5), later(6))];
    web.answers("/d", Reply::ok(calendar(&theirs)));
    add(&app, &martin, &web.url("/d")).await;
    assert_eq!(busy(&app).await, [(later(3), later(4)), (later(5), later(6))]);
    web.answers("/e", Reply::ok(calendar(&ours)));
    add(&app, &durand, &web.url("/e")).await;
    assert_eq!(busy(&app).await.len(), 3);
}

#[tokio::test]
async fn staff_who_ask_why_a_time_is_taken_see_that_the_reading_fails_and_not_of_what() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let (martin, staff) = (app.practitioner().await, app.platform_admin().await);
    let at = hour(&app, 5);
    let why = format!("/practitioners/{}/slots/explain?at={}", martin.id, at.format("%Y-%m-%dT%H:%M:%SZ"));
    let told = staff.get(&why).await.expect(200);
    assert_eq!((&told.json["free"], &told.json["calendars"]), (&json!(true), &json!([])));
    web.answers("/secret", Reply::ok(calendar(&[event("a", at, at + TimeDelta::hours(1))])));
    add(&app, &martin, &web.url("/secret")).await;
    let read_at = first(&app, &martin).await["readAt"].clone();
    let told = staff.get(&why).await.expect(200);
    assert_eq!(told.json["reasons"][0]["code"], "external_calendar");
    assert_eq!(told.json["calendars"], json!([{"state": "current", "readAt": read_at}]));

    web.answers("/secret", Reply::with("404 Not Found", "", "gone"));
    later(&app, TimeDelta::minutes(20)).await;
    let failure = first(&app, &martin).await["failure"].clone();
    let staff = staff.with_token(app.session(staff.id, Role::PlatformAdmin, None).await);
    for who in [&staff, &again(&app, &martin).await] {
        let told = who.get(&why).await.expect(200);
        assert_eq!(told.json["calendars"], json!([{"state": "failing", "readAt": read_at, "failure": failure}]));
        assert!(!told.text().contains("Cabinet") && !told.text().contains("127.0.0.1"), "{}", told.text());
    }
    assert_eq!(failure["code"], "not_found");
    staff.get(&path(&martin)).await.refused(403, "forbidden");
}

#[tokio::test]
async fn whole_days_are_the_days_of_the_practitioners_zone_also_when_it_changes() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let martin = app.practitioner().await;
    let day = (app.clock.now() + TimeDelta::days(9)).date_naive();
    let all_day = format!("BEGIN:VEVENT\r\nUID:d\r\nDTSTART;VALUE=DATE:{}\r\nEND:VEVENT\r\n", day.format("%Y%m%d"));
    web.answers("/c", Reply::with("200 OK", "etag: \"d\"\r\n", calendar(&[all_day])));
    add(&app, &martin, &web.url("/c")).await;
    let paris = busy(&app).await;
    assert_eq!(paris.len(), 1);

    let change = json!({"timeZone": "America/Martinique"});
    martin.patch(&format!("/practitioners/{}", martin.id), change).await.expect(200);
    later(&app, TimeDelta::minutes(20)).await;
    assert!(!web.requests()[1].contains("if-none-match"), "read anew");
    let martinique = busy(&app).await;
    assert_eq!(martinique[0].0, day.and_hms_opt(4, 0, 0).unwrap().and_utc());
    assert!(martinique[0].0 > paris[0].0);
    app.settle().await;
}

#[tokio::test]
async fn calendars_are_their_practitioners_own() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    web.answers("/c", Reply::ok(calendar(&[])));
    let (martin, durand) = (app.practitioner().await, app.practitioner().await);
    let id = add(&app, &martin, &web.url("/c")).await;
    durand.get(&path(&martin)).await.refused(404, "not_found");
    durand.post(&path(&martin), external(&web.url("/c"))).await.refused(404, "not_found");
    durand.delete(&format!("{}/{id}", path(&martin))).await.refused(404, "not_found");
    durand.delete(&format!("{}/{id}", path(&durand))).await.refused(404, "not_found");
    let company = app.company("Acme").await;
    for other in [app.employee(&company).await, company.hr.clone(), company.admin.clone(), app.platform_admin().await] {
        other.get(&path(&martin)).await.refused(403, "forbidden");
    }
    app.anonymous().get(&path(&martin)).await.refused(401, "unauthenticated");
    assert_eq!(first(&app, &martin).await["id"], json!(id));
}

#[tokio::test]
async fn there_are_five_of_a_kind_at_most_however_many_are_added_at_once() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    web.answers("/c", Reply::ok(calendar(&[])));
    let martin = app.practitioner().await;
    let (at, body) = (path(&martin), external(&web.url("/c")));
    let answers = futures_util::future::join_all((0..8).map(|_| martin.post(&at, body.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 5);
    for refused in answers.into_iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "too_many_calendars");
    }
    for _ in 0..5 {
        martin.post(&path(&martin), json!({"kind": "feed", "label": "Phone"})).await.expect(201);
    }
    martin.post(&path(&martin), json!({"kind": "feed", "label": "Phone"})).await.refused(409, "too_many_calendars");
    app.settle().await;
    let items = martin.get(&path(&martin)).await.expect(200).json["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 10);
    // a place that is free again is taken again
    let id = items[2]["id"].as_str().unwrap();
    martin.delete(&format!("{}/{id}", path(&martin))).await.expect(204);
    add(&app, &martin, &web.url("/c")).await;
}

#[tokio::test]
async fn a_repeated_request_adds_one_calendar() {
    let app = TestApp::start().await;
    let martin = app.practitioner().await;
    let ask = |label: &str| {
        let body = json!({"kind": "feed", "label": label});
        Answer::of(martin.request(Method::POST, &path(&martin)).header("idempotency-key", "one").json(&body))
    };
    let first = ask("Phone").await.expect(201);
    assert_eq!(ask("Phone").await.expect(201).json, first.json);
    ask("Tablet").await.refused(422, "idempotency_mismatch");
    assert_eq!(app.count("SELECT count(*) FROM app.calendar_feeds").await, 1);
}

#[tokio::test]
async fn a_time_that_leaves_the_feed_is_listed_again_and_can_be_booked() {
    let web = Web::start().await;
    let app = app_beside(&web).await;
    let company = app.company("Acme").await;
    let (alice, martin) = (app.employee(&company).await, app.practitioner().await);
    let at = hour(&app, 3);
    let listed = async |alice: &User| {
        let starts = free(alice, &martin, at.date_naive()).await;
        starts.iter().filter(|start| (at..at + TimeDelta::hours(1)).contains(&instant(start))).count()
    };
    assert_eq!(listed(&alice).await, 2);
    web.answers("/c", Reply::ok(calendar(&[event("a", at, at + TimeDelta::hours(1))])));
    add(&app, &martin, &web.url("/c")).await;
    assert_eq!(listed(&alice).await, 0);
    let body = wish(&martin, &at.to_rfc3339());
    let refused = alice.post("/consultations", body.clone()).await.refused(409, "slot_taken");
    let nearest = refused.json["nearest"].as_array().unwrap();
    assert!(!nearest.is_empty() && nearest.iter().all(|slot| instant(slot["startsAt"].as_str().unwrap()) != at));

    // it is free as soon as we know of it, and no sooner
    web.answers("/c", Reply::ok(calendar(&[])));
    assert_eq!(listed(&alice).await, 0);
    later(&app, TimeDelta::minutes(20)).await;
    let alice = alice.with_token(app.session(alice.id, Role::Employee, alice.company_id).await);
    assert_eq!(first(&app, &martin).await["state"], "current");
    assert_eq!(listed(&alice).await, 2);
    let booked = alice.post("/consultations", body).await.expect(201);
    assert_eq!(instant(&booked.str("/startsAt")), at);
    assert_eq!(listed(&alice).await, 1);
    app.settle().await;
}
