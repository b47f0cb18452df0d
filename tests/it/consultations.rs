//! Slots, booking, and the life of a consultation.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Paris;
use huntzen::platform::auth::Role;
use huntzen::platform::ids::CompanyId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Company, TestApp, User};

/// A company, one of its employees, and a practitioner whom they may book.
pub async fn scene() -> (TestApp, Company, User, User) {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let dr = app.practitioner().await;
    (app, company, alice, dr)
}

/// A day of the practitioner's, from today on.
pub fn in_days(app: &TestApp, days: u64) -> NaiveDate {
    app.clock.now().with_timezone(&Paris).date_naive() + Days::new(days)
}

/// The starts of the free half hours of a day.
pub async fn free(user: &User, dr: &User, day: NaiveDate) -> Vec<String> {
    let answer = user.get(&format!("/practitioners/{}/slots?from={day}&to={day}&duration=30", dr.id)).await.expect(200);
    let items = answer.json["items"].as_array().unwrap();
    items.iter().map(|item| item["startsAt"].as_str().unwrap().to_owned()).collect()
}

pub fn wish(dr: &User, starts_at: &str) -> Value {
    json!({"practitionerId": dr.id, "startsAt": starts_at, "durationMinutes": 30, "mode": "video"})
}

/// Books the first free half hour of a day.
pub async fn book_on(user: &User, dr: &User, day: NaiveDate) -> Answer {
    let starts = free(user, dr, day).await;
    user.post("/consultations", wish(dr, starts.first().expect("a free slot"))).await.expect(201)
}

pub fn instant(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// Moves the clock; tokens of before are out of date then.
pub async fn at<'a>(app: &TestApp, when: DateTime<Utc>, people: impl IntoIterator<Item = (&'a mut User, Role)>) {
    app.clock.advance(when - app.clock.now());
    for (person, role) in people {
        *person = person.with_token(app.session(person.id, role, person.company_id).await);
    }
}

async fn set_company(app: &TestApp, id: CompanyId, change: &'static str) {
    let sql = format!("UPDATE app.companies SET {change} WHERE id = $1");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).execute(app.db()).await.unwrap();
}

#[tokio::test]
async fn an_employee_books_and_both_get_a_mail_with_a_calendar_entry() {
    let (app, _, alice, dr) = scene().await;
    let starts = free(&alice, &dr, in_days(&app, 1)).await;
    assert_eq!(starts.len(), 16, "{starts:?}");
    let booked = alice.post("/consultations", wish(&dr, &starts[2])).await.expect(201);
    assert_eq!(booked.json["status"], "confirmed");
    assert_eq!(booked.json["practitioner"], json!({"id": dr.id, "displayName": "Dr Test"}));
    assert_eq!(booked.json["durationMinutes"], 30);
    assert_eq!(booked.json["mode"], "video");
    assert_eq!(instant(&booked.str("/startsAt")), instant(&starts[2]));
    assert_eq!(instant(&booked.str("/endsAt")), instant(&starts[2]) + TimeDelta::minutes(30));
    assert!(booked.json.get("employee").is_none() && booked.json.get("companyId").is_none());
    assert_eq!(free(&alice, &dr, in_days(&app, 1)).await.len(), 15);

    let id = booked.str("/id");
    app.settle().await;
    for person in [&alice, &dr] {
        let mails = app.mails_to(&person.email);
        assert_eq!(mails.len(), 1, "{mails:?}");
        let mail = &mails[0];
        assert_eq!(mail.subject, "Appointment confirmed");
        let calendar = mail.calendar();
        assert_eq!(calendar["method"], "REQUEST");
        let event = &calendar["events"][0];
        // the id alone: an address of the platform may change while calendars keep the entry
        assert_eq!(event["uid"], id.as_str());
        assert_eq!(event["sequence"], 0);
        assert_eq!(event["class"], "PRIVATE");
        assert_eq!(event["status"], "CONFIRMED");
        assert_eq!(event["summary"], "Appointment");
        assert_eq!(event["attendees"], json!([format!("mailto:{}", person.email)]));
        assert_eq!(instant(event["startsAt"].as_str().unwrap()), instant(&starts[2]));
        // neither the field of care nor the practitioner tells a colleague at the screen why
        let all = format!("{mail:?}").to_lowercase();
        assert!(!all.contains("psychology") && !event.to_string().contains("Dr Test"), "{all}");
    }
    let told = app.mails_to(&dr.email).remove(0).text.unwrap();
    assert!(told.contains("Person "), "the practitioner is told with whom: {told}");

    let events = alice.get(&format!("/consultations/{id}/events")).await.expect(200);
    assert_eq!(events.json["items"][0]["kind"], "BOOKED");
    assert_eq!(events.json["items"][0]["actorRole"], "employee");
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.booked'").await, 1);
    // the mails go out once, however often the event is heard
    app.settle().await;
    assert_eq!(app.mails().len(), 2);
}

#[tokio::test]
async fn every_slot_that_is_listed_can_be_booked() {
    let (app, company, alice, dr) = scene().await;
    set_company(&app, company.id, "sessions_per_employee = 1000").await;
    sqlx::query("UPDATE app.practitioners SET buffer_after_minutes = 10 WHERE id = $1")
        .bind(dr.id)
        .execute(app.db())
        .await
        .unwrap();
    let day = in_days(&app, 2);
    let mut booked = 0;
    for start in free(&alice, &dr, day).await {
        let open = free(&alice, &dr, day).await.contains(&start);
        let answer = alice.post("/consultations", wish(&dr, &start)).await;
        answer.expect(if open { 201 } else { 409 });
        booked += u32::from(open);
    }
    assert_eq!(booked, 8, "half an hour and ten minutes, on half hours");
    assert!(free(&alice, &dr, day).await.is_empty());
    app.settle().await;
}

#[tokio::test]
async fn on_the_day_on_which_the_clock_changes_a_listed_slot_can_be_booked() {
    let (app, company, alice, dr) = scene().await;
    set_company(&app, company.id, "contract_ends_on = contract_ends_on + 200").await;
    for sql in [
        "UPDATE app.practitioners SET horizon_days = 365",
        "UPDATE app.company_settings SET booking_horizon_days = 365",
        "UPDATE app.availability_rules SET starts_minute = 60, ends_minute = 240",
    ] {
        sqlx::query(sql).execute(app.db()).await.unwrap();
    }
    let hours = |day: NaiveDate| {
        let midnight = |day: NaiveDate| Paris.from_local_datetime(&day.and_hms_opt(0, 0, 0).unwrap()).unwrap();
        (midnight(day + Days::new(1)) - midnight(day)).num_hours()
    };
    let day = (1..300).map(|days| in_days(&app, days)).find(|day| hours(*day) != 24).unwrap();
    let starts = free(&alice, &dr, day).await;
    // from 1 to 4: the skipped hour holds none, the repeated hour holds them once
    assert_eq!(starts.len(), if hours(day) == 23 { 4 } else { 6 }, "{starts:?}");
    for start in &starts {
        alice.post("/consultations", wish(&dr, start)).await.expect(201);
    }
    assert!(free(&alice, &dr, day).await.is_empty());
    app.settle().await;
}

#[tokio::test]
async fn slots_are_told_in_the_askers_zone() {
    let (app, _, alice, dr) = scene().await;
    let day = in_days(&app, 3);
    let path = |rest: &str| format!("/practitioners/{}/slots?{rest}", dr.id);
    let paris = alice.get(&path(&format!("from={day}&to={day}"))).await.expect(200);
    assert_eq!(paris.json["timeZone"], "Europe/Paris");
    let first = paris.str("/items/0/startsAt");
    let offset = Paris.from_local_datetime(&day.and_hms_opt(9, 0, 0).unwrap()).unwrap().to_rfc3339();
    assert_eq!(first, offset);
    assert_eq!(instant(&paris.str("/items/0/endsAt")) - instant(&first), TimeDelta::minutes(30));

    let tokyo = alice.get(&path(&format!("from={day}&to={day}&tz=Asia/Tokyo&duration=60&mode=chat"))).await.expect(200);
    assert_eq!(tokyo.json["timeZone"], "Asia/Tokyo");
    assert!(tokyo.str("/items/0/startsAt").ends_with("+09:00"));
    // an instant with its offset, unescaped as browsers send it
    let until = (instant(&first) + TimeDelta::seconds(1)).format("%Y-%m-%dT%H:%M:%SZ");
    let one = alice.get(&path(&format!("from={first}&to={until}"))).await.expect(200);
    assert_eq!(one.json["items"].as_array().unwrap().len(), 1);
    // two weeks unless said; the practitioner and the platform see them as well
    let admin = app.platform_admin().await;
    for user in [&alice, &dr, &admin] {
        let items = user.get(&path("")).await.expect(200).json["items"].as_array().unwrap().len();
        assert!((13 * 16..=14 * 16).contains(&items), "{items}");
    }

    for (query, pointer, code) in [
        ("tz=Europe/Atlantis", "query:tz", "time_zone"),
        ("from=yesterday", "query:from", "date_or_time"),
        ("to=2026-02-30", "query:to", "date_or_time"),
        ("from=2026-12-02&to=2026-12-01", "query:to", "order"),
        ("from=2026-12-01&to=2027-02-01", "query:to", "range_too_long"),
        ("from=9999-12-31&to=9999-12-31", "query:from", "date_or_time"),
        ("duration=31", "query:duration", "length"),
        ("duration=-30", "query:duration", "length"),
    ] {
        let refused = alice.get(&path(query)).await.refused(422, "invalid");
        assert_eq!(refused.str("/errors/0/pointer"), pointer, "{query}");
        assert_eq!(refused.str("/errors/0/code"), code, "{query}");
    }
    assert!(alice.get(&path("mode=telepathy")).await.status.is_client_error());
    assert!(alice.get(&path("duration=long")).await.status.is_client_error());
    // 62 days, the last included
    alice.get(&path("from=2026-12-01&to=2027-01-31")).await.expect(200);
    alice.get(&format!("/practitioners/{}/slots", alice.id)).await.refused(404, "not_found");
    app.practitioner().await.get(&path("")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_repeated_booking_gets_the_first_answer() {
    let (app, _, alice, dr) = scene().await;
    let starts = free(&alice, &dr, in_days(&app, 1)).await;
    let send = |start: &str, key: &str| {
        let request = alice.request(Method::POST, "/consultations").header("idempotency-key", key);
        Answer::of(request.json(&wish(&dr, start)))
    };
    // a double click
    let (one, two) = tokio::join!(send(&starts[0], "k-1"), send(&starts[0], "k-1"));
    let (one, two) = (one.expect(201), two.expect(201));
    assert_eq!(one.json, two.json);
    assert_eq!(send(&starts[0], "k-1").await.expect(201).json, one.json);
    send(&starts[1], "k-1").await.refused(422, "idempotency_mismatch");
    // a refusal keeps no key
    send(&starts[0], "k-2").await.refused(409, "already_booked_then");
    send(&starts[1], "k-2").await.expect(201);
    send(&starts[2], "").await.refused(400, "invalid_idempotency_key");
    assert_eq!(app.count("SELECT count(*) FROM app.consultations").await, 2);
    app.settle().await;
    assert_eq!(app.mails().len(), 4);
}

#[tokio::test]
async fn what_was_never_on_offer_is_refused_with_the_reason() {
    let (app, _, alice, dr) = scene().await;
    let noon = instant(&free(&alice, &dr, in_days(&app, 1)).await[6]);
    let far = noon + TimeDelta::days(70);
    for (starts_at, minutes, mode, pointer, code) in [
        (noon - TimeDelta::days(2), 30, "video", "/startsAt", "in_past"),
        (instant("0001-01-01T00:00:00Z"), 30, "video", "/startsAt", "in_past"),
        (instant("9999-12-31T23:30:00Z"), 30, "video", "/startsAt", "horizon"),
        (far, 30, "video", "/startsAt", "horizon"),
        (noon + TimeDelta::hours(10), 30, "video", "/startsAt", "outside_hours"),
        (noon + TimeDelta::minutes(10), 30, "video", "/startsAt", "off_grid"),
        (noon + TimeDelta::microseconds(1), 30, "video", "/startsAt", "off_grid"),
        (noon, 45, "video", "/durationMinutes", "length"),
    ] {
        let body = json!({"practitionerId": dr.id, "startsAt": starts_at, "durationMinutes": minutes, "mode": mode});
        let refused = alice.post("/consultations", body).await.refused(422, "not_offered");
        assert_eq!(refused.str("/errors/0/pointer"), pointer, "{starts_at}");
        assert_eq!(refused.str("/errors/0/code"), code, "{starts_at}");
    }
    sqlx::query("UPDATE app.practitioners SET modes = '{audio}', min_notice_minutes = 4320")
        .execute(app.db())
        .await
        .unwrap();
    let refused = alice.post("/consultations", wish(&dr, &noon.to_rfc3339())).await.refused(422, "not_offered");
    assert_eq!(refused.str("/errors/0/code"), "mode");
    let mut audio = wish(&dr, &noon.to_rfc3339());
    audio["mode"] = json!("audio");
    let refused = alice.post("/consultations", audio).await.refused(422, "not_offered");
    assert_eq!(refused.str("/errors/0/code"), "notice");

    // what is no booking at all
    let mut reason = wish(&dr, &noon.to_rfc3339());
    reason["reason"] = json!("secret ".repeat(300));
    let refused = alice.post("/consultations", reason).await.refused(422, "invalid");
    assert_eq!(refused.str("/errors/0/pointer"), "/reason");
    assert!(!refused.text().contains("secret"));
    for (member, value) in [
        ("startsAt", json!("tomorrow")),
        ("startsAt", json!("2026-02-30T10:00:00Z")),
        ("startsAt", Value::Null),
        ("durationMinutes", json!("30")),
        ("durationMinutes", json!(1e9)),
        ("mode", json!("telepathy")),
        ("practitionerId", json!("dr-martin")),
    ] {
        let mut body = wish(&dr, &noon.to_rfc3339());
        body[member] = value;
        let refused = alice.post("/consultations", body).await.refused(422, "invalid");
        assert_eq!(refused.str("/errors/0/pointer"), format!("/{member}"));
    }
    assert_eq!(app.count("SELECT count(*) FROM app.consultations").await, 0);
}

#[tokio::test]
async fn of_somebody_who_is_booked_out_the_first_free_ones_after_that_are_named() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob, dr) = (app.employee(&company).await, app.employee(&company).await, app.practitioner().await);
    let starts = free(&alice, &dr, in_days(&app, 3)).await;
    let booked = alice.post("/consultations", wish(&dr, &starts[4])).await.expect(201);
    // nothing but that time, for three weeks
    let (from, to) = (instant(&starts[4]), instant(&starts[5]));
    for (starts_at, ends_at) in [(from - chrono::TimeDelta::days(4), from), (to, to + chrono::TimeDelta::days(21))] {
        sqlx::query(
            "INSERT INTO app.availability_overrides (id, practitioner_id, kind, starts_at, ends_at)
             VALUES (gen_random_uuid(), $1, 'closed', $2 AT TIME ZONE 'Europe/Paris', $3 AT TIME ZONE 'Europe/Paris')",
        )
        .bind(dr.id)
        .bind(starts_at)
        .bind(ends_at)
        .execute(app.db())
        .await
        .unwrap();
    }
    let after = free(&bob, &dr, in_days(&app, 25)).await;
    let refused = bob.post("/consultations", wish(&dr, &starts[4])).await.refused(409, "slot_taken");
    let nearest: Vec<_> = refused.json["nearest"].as_array().unwrap().iter().map(|it| it["startsAt"].clone()).collect();
    assert_eq!(nearest.len(), 5, "{nearest:?}");
    let first = free(&bob, &dr, in_days(&app, 24)).await;
    let expected: Vec<_> = first.iter().chain(&after).take(5).map(|text| instant(text)).collect();
    assert_eq!(nearest.iter().map(|it| instant(it.as_str().unwrap())).collect::<Vec<_>>(), expected);

    // so does whoever wants to move there
    let mine = bob.post("/consultations", wish(&dr, &after[0])).await.expect(201).str("/id");
    let to = json!({"startsAt": starts[4]});
    let refused = bob.post(&format!("/consultations/{mine}/reschedule"), to).await.refused(409, "slot_taken");
    assert_eq!(instant(&refused.str("/nearest/0/startsAt")), expected[0]);
    assert_eq!(booked.json["status"], "confirmed");
    app.settle().await;
}

#[tokio::test]
async fn a_taken_slot_comes_with_the_nearest_free_ones() {
    let (app, company, alice, dr) = scene().await;
    let bob = app.employee(&company).await;
    let starts = free(&alice, &dr, in_days(&app, 1)).await;
    alice.post("/consultations", wish(&dr, &starts[4])).await.expect(201);
    let refused = bob.post("/consultations", wish(&dr, &starts[4])).await.refused(409, "slot_taken");
    let nearest: Vec<DateTime<Utc>> = refused.json["nearest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| instant(slot["startsAt"].as_str().unwrap()))
        .collect();
    let expected: Vec<_> = [3, 5, 2, 6, 1].map(|n: usize| instant(&starts[n])).to_vec();
    assert_eq!(nearest, expected);
    bob.post("/consultations", wish(&dr, &starts[3])).await.expect(201);

    // a person is in one place at a time, and is not offered more
    let other = app.practitioner().await;
    alice.post("/consultations", wish(&other, &starts[4])).await.refused(409, "already_booked_then");
    assert!(!free(&alice, &other, in_days(&app, 1)).await.contains(&starts[4]));
    assert!(free(&bob, &other, in_days(&app, 1)).await.contains(&starts[4]));
    app.settle().await;
}

#[tokio::test]
async fn nobody_else_sees_or_touches_a_consultation() {
    let (app, company, alice, dr) = scene().await;
    let id = book_on(&alice, &dr, in_days(&app, 3)).await.str("/id");
    let globex = app.company("Globex").await;
    let strangers = [app.employee(&globex).await, app.employee(&company).await, app.practitioner().await];
    for stranger in &strangers {
        for path in ["", "/events", "/calendar.ics"] {
            stranger.get(&format!("/consultations/{id}{path}")).await.refused(404, "not_found");
        }
        stranger.post(&format!("/consultations/{id}/cancel"), json!({})).await.refused(404, "not_found");
        assert_eq!(stranger.get("/consultations").await.expect(200).json["items"], json!([]));
    }
    for action in ["start", "end"] {
        strangers[2].post(&format!("/consultations/{id}/{action}"), json!({})).await.refused(404, "not_found");
        alice.post(&format!("/consultations/{id}/{action}"), json!({})).await.refused(403, "forbidden");
    }
    for user in [&company.hr, &company.admin] {
        user.get("/consultations").await.refused(403, "forbidden");
        user.get(&format!("/consultations/{id}")).await.refused(403, "forbidden");
        user.post("/consultations", wish(&dr, "2027-01-01T10:00:00Z")).await.refused(403, "forbidden");
    }
    dr.post("/consultations", wish(&dr, "2027-01-01T10:00:00Z")).await.refused(403, "forbidden");
    app.anonymous().get("/consultations").await.refused(401, "unauthenticated");

    let theirs = dr.get(&format!("/consultations/{id}")).await.expect(200);
    assert!(theirs.str("/employee/displayName").starts_with("Person "));
    let platforms = app.platform_admin().await.get(&format!("/consultations/{id}")).await.expect(200);
    assert_eq!(platforms.json["companyId"], company.id.to_string());
    assert!(!platforms.text().contains(&alice.id.to_string()) && platforms.json.get("employee").is_none());
    app.settle().await;
}

#[tokio::test]
async fn who_is_not_covered_cannot_book_and_sees_why() {
    let (app, company, alice, dr) = scene().await;
    let start = free(&alice, &dr, in_days(&app, 3)).await.remove(0);
    let slots = format!("/practitioners/{}/slots", dr.id);
    for (change, back, code) in [
        ("status = 'suspended'", "status = 'active'", "company_suspended"),
        ("status = 'archived'", "status = 'active'", "company_archived"),
        ("contract_ends_on = current_date - 2", "contract_ends_on = current_date + 200", "contract_ended"),
    ] {
        set_company(&app, company.id, change).await;
        alice.post("/consultations", wish(&dr, &start)).await.refused(403, code);
        alice.get(&slots).await.refused(403, code);
        set_company(&app, company.id, back).await;
    }
    // a contract that runs, and ends before the session
    set_company(&app, company.id, "contract_ends_on = current_date + 1").await;
    alice.post("/consultations", wish(&dr, &start)).await.refused(403, "contract_ended");
    assert!(free(&alice, &dr, in_days(&app, 3)).await.is_empty());
    set_company(&app, company.id, "contract_ends_on = current_date + 200").await;

    // outside of the network a practitioner is not there
    set_company(&app, company.id, "network = 'restricted'").await;
    alice.post("/consultations", wish(&dr, &start)).await.refused(404, "not_found");
    alice.get(&slots).await.refused(404, "not_found");
    sqlx::query("INSERT INTO app.company_networks VALUES ($1, $2)")
        .bind(company.id)
        .bind(dr.id)
        .execute(app.db())
        .await
        .unwrap();
    let id = alice.post("/consultations", wish(&dr, &start)).await.expect(201).str("/id");
    // whom one has met stays to be seen, and takes no more bookings
    sqlx::query("DELETE FROM app.company_networks").execute(app.db()).await.unwrap();
    alice.get(&slots).await.refused(404, "not_found");
    assert_eq!(
        alice.get(&format!("/consultations/{id}")).await.expect(200).str("/practitioner/displayName"),
        "Dr Test"
    );
    set_company(&app, company.id, "network = 'open'").await;
    sqlx::query("UPDATE app.practitioners SET status = 'inactive'").execute(app.db()).await.unwrap();
    alice.get(&slots).await.refused(404, "not_found");
    sqlx::query("UPDATE app.practitioners SET status = 'active'").execute(app.db()).await.unwrap();

    sqlx::query("UPDATE app.employees SET status = 'left', left_at = now()").execute(app.db()).await.unwrap();
    alice.post("/consultations", wish(&dr, &start)).await.refused(403, "not_covered");
    alice.get("/consultations").await.expect(200);
    app.settle().await;
}

#[tokio::test]
async fn cancelling_in_time_frees_the_slot_and_withdraws_the_calendar_entry() {
    let (app, _, alice, dr) = scene().await;
    let day = in_days(&app, 3);
    let booked = book_on(&alice, &dr, day).await;
    let path = format!("/consultations/{}", booked.str("/id"));
    app.settle().await;
    assert_eq!(free(&alice, &dr, day).await.len(), 15);

    let cancelled = alice.post(&format!("{path}/cancel"), json!({})).await.expect(200);
    assert_eq!(cancelled.json["status"], "cancelled");
    assert_eq!(cancelled.json["cancelledBy"], "employee");
    assert_eq!(free(&alice, &dr, day).await.len(), 16);
    for user in [&alice, &dr] {
        let again = user.post(&format!("{path}/cancel"), json!({})).await.refused(409, "illegal_transition");
        assert_eq!(again.json["current"], "cancelled");
    }
    app.settle().await;
    for person in [&alice, &dr] {
        let mails = app.mails_to(&person.email);
        assert_eq!(mails.len(), 2);
        assert_eq!(mails[1].subject, "Appointment cancelled");
        let (before, after) = (mails[0].calendar(), mails[1].calendar());
        assert_eq!(after["method"], "CANCEL");
        assert_eq!(after["events"][0]["uid"], before["events"][0]["uid"]);
        assert_eq!(after["events"][0]["sequence"], 1);
        assert_eq!(after["events"][0]["status"], "CANCELLED");
    }
    let file = alice.get(&format!("{path}/calendar.ics")).await.expect(200);
    assert!(file.header("content-type").starts_with("text/calendar"));
    assert!(file.header("content-disposition").starts_with("attachment"));
    assert!(file.text().contains("METHOD:CANCEL\r\n"));
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.cancelled'").await, 1);
}

#[tokio::test]
async fn a_booking_that_is_cancelled_before_anybody_was_told_is_not_told() {
    let (app, _, alice, dr) = scene().await;
    let id = book_on(&alice, &dr, in_days(&app, 3)).await.str("/id");
    dr.post(&format!("/consultations/{id}/cancel"), json!({})).await.expect(200);
    app.settle().await;
    for person in [&alice, &dr] {
        let subjects: Vec<_> = app.mails_to(&person.email).into_iter().map(|mail| mail.subject).collect();
        assert_eq!(subjects, ["Appointment cancelled"]);
    }
}

#[tokio::test]
async fn both_can_cancel_until_the_start() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    let again = book_on(&alice, &dr, in_days(&app, 3)).await;
    let path = |answer: &Answer| format!("/consultations/{}/cancel", answer.str("/id"));
    let starts_at = instant(&booked.str("/startsAt"));
    at(&app, starts_at - TimeDelta::seconds(30), [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner)]).await;
    assert_eq!(alice.post(&path(&booked), json!({})).await.expect(200).json["cancelledBy"], "employee");
    let starts_at = instant(&again.str("/startsAt"));
    at(&app, starts_at - TimeDelta::seconds(30), [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner)]).await;
    assert_eq!(dr.post(&path(&again), json!({})).await.expect(200).json["cancelledBy"], "practitioner");
    app.settle().await;
}

#[tokio::test]
async fn what_has_begun_cannot_be_cancelled() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    let path = format!("/consultations/{}/cancel", booked.str("/id"));
    let late = instant(&booked.str("/startsAt")) + TimeDelta::seconds(1);
    at(&app, late, [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner)]).await;
    for person in [&alice, &dr] {
        person.post(&path, json!({})).await.refused(409, "too_late");
    }
    assert_eq!(app.count("SELECT count(*) FROM app.consultations WHERE status = 'confirmed'").await, 1);
    app.settle().await;
}

#[tokio::test]
async fn the_practitioner_starts_and_ends_and_the_time_between_counts() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 1)).await;
    let path = format!("/consultations/{}", booked.str("/id"));
    let starts_at = instant(&booked.str("/startsAt"));
    let early = dr.post(&format!("{path}/start"), json!({})).await.refused(403, "not_open_yet");
    assert_eq!(instant(&early.str("/opensAt")), starts_at - TimeDelta::minutes(10));
    dr.post(&format!("{path}/end"), json!({})).await.refused(409, "illegal_transition");

    at(&app, starts_at - TimeDelta::minutes(5), [(&mut dr, Role::Practitioner), (&mut alice, Role::Employee)]).await;
    let started = dr.post(&format!("{path}/start"), json!({})).await.expect(200);
    assert_eq!(started.json["status"], "in_progress");
    assert!(started.json.get("actualMinutes").is_none());
    dr.post(&format!("{path}/start"), json!({})).await.refused(409, "illegal_transition");
    alice.post(&format!("{path}/cancel"), json!({})).await.refused(409, "illegal_transition");

    at(&app, starts_at + TimeDelta::minutes(25), [(&mut dr, Role::Practitioner), (&mut alice, Role::Employee)]).await;
    let end = format!("{path}/end");
    let (one, two) = tokio::join!(dr.post(&end, json!({})), dr.post(&end, json!({})));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let ended = alice.get(&path).await.expect(200);
    assert_eq!(ended.json["status"], "completed");
    assert!((30..=31).contains(&ended.json["actualMinutes"].as_i64().unwrap()), "{}", ended.json);
    let kinds: Vec<_> = dr.get(&format!("{path}/events")).await.expect(200).json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["BOOKED", "STARTED", "ENDED"]);
    // the database refuses what the program would not ask for
    let back = sqlx::query("UPDATE app.consultations SET status = 'confirmed'").execute(app.db()).await.unwrap_err();
    assert_eq!(back.as_database_error().unwrap().constraint(), Some("consultations_state_machine"));
    let forged = sqlx::query("UPDATE app.consultation_events SET at = now()").execute(app.db()).await.unwrap_err();
    assert_eq!(forged.as_database_error().unwrap().constraint(), Some("consultation_events_append_only"));
    app.settle().await;
}

#[tokio::test]
async fn a_session_whose_time_is_over_is_not_started() {
    let (app, _, alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 1)).await;
    at(&app, instant(&booked.str("/endsAt")) + TimeDelta::minutes(31), [(&mut dr, Role::Practitioner)]).await;
    dr.post(&format!("/consultations/{}/start", booked.str("/id")), json!({})).await.refused(410, "closed");
    app.settle().await;
}

#[tokio::test]
async fn the_list_has_pages_and_filters_for_both_sides() {
    let (app, _, alice, dr) = scene().await;
    let mut ids = Vec::new();
    for days in 3..8 {
        ids.push(book_on(&alice, &dr, in_days(&app, days)).await.str("/id"));
    }
    alice.post(&format!("/consultations/{}/cancel", ids[1]), json!({})).await.expect(200);
    ids.reverse();
    let admin = app.platform_admin().await;
    for user in [&alice, &dr, &admin] {
        let mut found = Vec::new();
        let mut path = "/consultations?limit=2".to_owned();
        loop {
            let page = user.get(&path).await.expect(200);
            found.extend(page.json["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
            match page.json.get("nextCursor") {
                Some(cursor) => path = format!("/consultations?limit=2&cursor={}", cursor.as_str().unwrap()),
                None => break,
            }
        }
        assert_eq!(found, ids);
    }
    let of = |answer: Answer| answer.json["items"].as_array().unwrap().len();
    assert_eq!(of(alice.get("/consultations?status=cancelled").await.expect(200)), 1);
    assert_eq!(of(dr.get("/consultations?status=confirmed").await.expect(200)), 4);
    let from = in_days(&app, 4).and_hms_opt(0, 0, 0).unwrap().and_utc().format("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(of(alice.get(&format!("/consultations?from={from}")).await.expect(200)), 4);
    assert_eq!(of(alice.get(&format!("/consultations?to={from}")).await.expect(200)), 1);
    for bad in ["limit=0", "limit=101", "limit=x", "cursor=x", "status=lost", "from=yesterday"] {
        let status = alice.get(&format!("/consultations?{bad}")).await.status;
        assert!(status.is_client_error(), "{bad}: {status}");
    }

    let path = format!("/consultations/{}", ids[0]);
    let etag = alice.get(&path).await.expect(200).header("etag").to_owned();
    let request = |etag: &str| alice.request(Method::GET, &path).header("if-none-match", etag);
    Answer::of(request(&etag)).await.expect(304);
    alice.post(&format!("{path}/cancel"), json!({})).await.expect(200);
    Answer::of(request(&etag)).await.expect(200);
    app.settle().await;
}

#[tokio::test]
async fn what_a_person_who_leaves_had_booked_is_cancelled_and_told_where_the_mailbox_is_not_the_employers() {
    let (app, company, alice, dr) = scene().await;
    let id = book_on(&alice, &dr, in_days(&app, 3)).await.str("/id");
    let bob = app.employee(&company).await;
    // bob's mailbox is his own
    sqlx::query("UPDATE app.users SET private_address = true WHERE id = $1")
        .bind(bob.id)
        .execute(app.db())
        .await
        .unwrap();
    book_on(&bob, &dr, in_days(&app, 4)).await.expect(201);
    app.settle().await;
    let entry: uuid::Uuid = sqlx::query_scalar("SELECT employee_id FROM app.users WHERE id = $1")
        .bind(alice.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    company.hr.delete(&format!("/employees/{entry}")).await.expect(204);
    let other: uuid::Uuid = sqlx::query_scalar("SELECT employee_id FROM app.users WHERE id = $1")
        .bind(bob.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    company.hr.delete(&format!("/employees/{other}")).await.expect(204);
    app.settle().await;
    let cancelled = dr.get(&format!("/consultations/{id}")).await.expect(200);
    assert_eq!(cancelled.str("/status"), "cancelled");
    // who leaves is also told how to keep the account: a mail without a calendar
    let appointments = |person: &User| -> Vec<_> {
        app.mails_to(&person.email).into_iter().filter(|mail| !mail.attachments.is_empty()).collect()
    };
    let told = appointments(&bob);
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].calendar()["method"], "CANCEL");
    assert_eq!(told[1].calendar()["events"][0]["uid"], told[0].calendar()["events"][0]["uid"]);
    // the next reader of a mailbox at work learns of no appointment
    assert_eq!(appointments(&alice).len(), 1);
    let told = appointments(&dr);
    assert_eq!(told.len(), 4);
    assert!(told[2..].iter().all(|mail| mail.calendar()["method"] == "CANCEL"));
    // the entry is in nobody's name: HR learns nothing, not even from what it set off itself
    let in_a_name =
        "SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.cancelled' AND actor_id IS NOT NULL";
    assert_eq!(app.count(in_a_name).await, 0);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.cancelled'").await, 2);
    // the time is free again, though not for whom has left
    let start = cancelled.str("/startsAt");
    alice.post("/consultations", wish(&dr, &start)).await.refused(403, "not_covered");
}

#[tokio::test]
async fn years_beyond_the_calendar_and_forged_cursors_are_no_failure() {
    let (_app, _company, alice, _dr) = scene().await;
    for from in ["0000-01-01T00:00:00Z", "-0044-03-15T00:00:00Z", "%2B12345-01-01T00:00:00Z"] {
        let answer = alice.get(&format!("/consultations?from={from}")).await;
        assert!(answer.status.as_u16() < 500, "{from}: {}", answer.text());
    }
    // ["+99999-01-01T00:00:00Z","00000000-0000-0000-0000-000000000000"]
    let far = "WyIrOTk5OTktMDEtMDFUMDA6MDA6MDBaIiwiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwIl0";
    assert!(alice.get(&format!("/consultations?cursor={far}")).await.status.as_u16() < 500);
    // ["\u0000","00000000-0000-0000-0000-000000000000"]
    let nul = "WyJcdTAwMDAiLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXQ";
    alice.get(&format!("/practitioners?cursor={nul}")).await.refused(400, "invalid_cursor");
}

#[tokio::test]
async fn requests_that_are_given_up_leave_nothing_to_the_next() {
    // one connection for everybody
    let app = TestApp::start_with(|name| match name {
        "DATABASE_POOL_SIZE" => Some("1".into()),
        "DATABASE_ACQUIRE_TIMEOUT_MS" => Some("20000".into()),
        _ => None,
    })
    .await;
    let company = app.company("Acme").await;
    let (alice, bob, dr) = (app.employee(&company).await, app.employee(&company).await, app.practitioner().await);
    let id = book_on(&alice, &dr, in_days(&app, 3)).await.str("/id");
    for wait in (0..60).map(|n| std::time::Duration::from_micros(n * 150)) {
        for path in ["/consultations", "/me"] {
            let _ = tokio::time::timeout(wait, alice.get(path)).await;
        }
    }
    for _ in 0..5 {
        let own = alice.get("/consultations").await.expect(200);
        assert_eq!(own.str("/items/0/id"), id);
        assert_eq!(bob.get("/consultations").await.expect(200).json["items"], json!([]));
        assert_eq!(bob.get("/me").await.expect(200).str("/email"), bob.email);
    }
    app.settle().await;
}
