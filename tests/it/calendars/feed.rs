//! The feed of a practitioner's own consultations.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::{path, text};
use crate::support::{Answer, TestApp, User, tools};

async fn feed(user: &User) -> (String, String) {
    let made = user.post(&path(user), json!({"kind": "feed", "label": "Phone"})).await.expect(201);
    let url = made.str("/url");
    (made.str("/id"), url[url.find("/calendars/").unwrap()..].to_owned())
}

async fn book(app: &TestApp, alice: &User, martin: &User, at: DateTime<Utc>) -> String {
    let body = json!({"practitionerId": martin.id, "startsAt": at, "durationMinutes": 60, "mode": "video"});
    let id = alice.post("/consultations", body).await.expect(201).str("/id");
    app.settle().await;
    id
}

fn parse(answer: &Answer) -> Value {
    serde_json::from_str(&tools::run("parse-ics.mjs", &[], &answer.bytes)).unwrap()
}

#[tokio::test]
async fn a_feed_shows_appointments_and_nothing_of_with_whom() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (martin, alice) = (app.practitioner().await, app.employee(&company).await);
    let (_, at) = feed(&martin).await;
    let nobody = app.anonymous();
    let empty = nobody.get(&at).await.expect(200);
    assert_eq!(parse(&empty)["events"], json!([]));

    let starts_at = super::hour(&app, 3);
    let id = book(&app, &alice, &martin, starts_at).await;
    let read = nobody.get(&at).await.expect(200);
    assert_eq!(read.header("content-type"), "text/calendar; charset=utf-8");
    assert_eq!(read.header("cache-control"), "private, no-store");
    let parsed = parse(&read);
    assert_eq!(parsed["method"], "PUBLISH");
    let event = &parsed["events"][0];
    assert_eq!(event["uid"], json!(id), "as in the mails");
    assert_eq!((&event["summary"], &event["class"]), (&json!("Appointment"), &json!("PRIVATE")));
    assert_eq!(event["startsAt"], json!(starts_at.format("%Y-%m-%dT%H:%M:%S.000Z").to_string()));
    assert_eq!((&event["organizer"], &event["attendees"]), (&Value::Null, &json!([])));
    let name: String = sqlx::query_scalar("SELECT display_name FROM app.users WHERE id = $1")
        .bind(alice.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    for hidden in [name.as_str(), &alice.email, "Acme", "psychology", "video", "ORGANIZER", "ATTENDEE", "DESCRIPTION"] {
        assert!(!text(&read).contains(hidden), "{hidden} in {}", text(&read));
    }
    for line in text(&read).split("\r\n") {
        assert!(line.len() <= 75 && !line.contains('\n'), "{line}");
    }

    // a reader that has it is told so; one change and it is another
    let tag = read.header("etag").to_owned();
    let known = || Answer::of(nobody.request(Method::GET, &at).header("if-none-match", &tag));
    assert_eq!(known().await.expect(304).header("cache-control"), "private, no-store");
    alice.post(&format!("/consultations/{id}/cancel"), json!({})).await.expect(200);
    app.settle().await;
    let read = known().await.expect(200);
    assert_eq!(parse(&read)["events"], json!([]), "what is cancelled is gone");
}

#[tokio::test]
async fn a_feed_ends_when_it_is_deleted_and_when_its_practitioner_is_suspended() {
    let app = TestApp::start().await;
    let (martin, admin) = (app.practitioner().await, app.platform_admin().await);
    let ((id, at), (_, other)) = (feed(&martin).await, feed(&martin).await);
    let nobody = app.anonymous();
    nobody.get(&at).await.expect(200);
    let listed = martin.get(&path(&martin)).await.expect(200);
    assert!(listed.json["items"].as_array().unwrap().iter().all(|it| it.get("url").is_none()), "shown once");
    assert_eq!(app.count("SELECT count(*) FROM app.calendar_feeds WHERE octet_length(hash) = 32").await, 2);

    martin.delete(&format!("{}/{id}", path(&martin))).await.expect(204);
    let gone = nobody.get(&at).await.refused(404, "not_found");
    let never =
        nobody.get("/calendars/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.ics").await.refused(404, "not_found");
    assert_eq!(gone.json["detail"], never.json["detail"]);
    for odd in ["/calendars/x", "/calendars/.ics", "/calendars/%F0%9F%92%A9.ics"] {
        nobody.get(odd).await.refused(404, "not_found");
    }
    nobody.get(&other).await.expect(200);
    admin.post(&format!("/admin/users/{}/suspend", martin.id), json!({})).await.expect(200);
    nobody.get(&other).await.refused(404, "not_found");
    app.settle().await;
}

#[tokio::test]
async fn a_feed_reaches_thirty_days_back_and_a_year_ahead() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (martin, alice) = (app.practitioner().await, app.employee(&company).await);
    let (_, at) = feed(&martin).await;
    let now = app.clock.now();
    sqlx::query("UPDATE app.companies SET contract_ends_on = contract_ends_on + 1000").execute(app.db()).await.unwrap();
    for days in [-31, -29, 364, 366] {
        sqlx::query(
            "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at,
                                            busy_from, busy_until, specialty)
             VALUES (gen_random_uuid(), $1, $2, $3, 'video', 'confirmed', $4, $5, $4, $5, 'psychology')",
        )
        .bind(company.id)
        .bind(alice.id)
        .bind(martin.id)
        .bind(now + TimeDelta::days(days))
        .bind(now + TimeDelta::days(days) + TimeDelta::hours(1))
        .execute(app.db())
        .await
        .unwrap();
    }
    let read = app.anonymous().get(&at).await.expect(200);
    assert_eq!(parse(&read)["events"].as_array().unwrap().len(), 2);
}
