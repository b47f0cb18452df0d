//! Extra hours, closed time, time off.

use chrono::{Datelike, NaiveDate, TimeDelta, TimeZone};
use chrono_tz::Europe::Paris;
use reqwest::Method;
use serde_json::{Value, json};

use crate::consultations::{free, in_days, wish};
use crate::support::{Answer, TestApp, User};

fn path(dr: &User) -> String {
    format!("/practitioners/{}/overrides", dr.id)
}

#[allow(clippy::needless_pass_by_value)] // dates and texts alike
fn change(kind: &str, from: impl ToString, to: impl ToString) -> Value {
    json!({"kind": kind, "from": from.to_string(), "to": to.to_string()})
}

/// A wall-clock time of a day.
fn wall(day: NaiveDate, time: &str) -> String {
    format!("{day}T{time}")
}

async fn scene() -> (TestApp, User, User) {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    (app, alice, dr)
}

#[tokio::test]
async fn dated_changes_decide_what_is_listed_and_booked_and_can_be_taken_back() {
    let (app, alice, dr) = scene().await;
    let day = in_days(&app, 5);
    let usual = free(&alice, &dr, day).await;
    assert_eq!(usual.len(), 16);

    let closed = dr.post(&path(&dr), change("closed", day, day)).await.expect(201);
    assert_eq!(closed.json["booked"], json!({"count": 0, "sessions": []}));
    assert_eq!((closed.str("/from"), closed.str("/to")), (day.to_string(), day.to_string()));
    let midnight = Paris.from_local_datetime(&day.and_hms_opt(0, 0, 0).unwrap()).unwrap();
    assert_eq!(closed.str("/startsAt"), midnight.to_rfc3339());
    assert!(free(&alice, &dr, day).await.is_empty());
    let refused = alice.post("/consultations", wish(&dr, &usual[0])).await.refused(422, "not_offered");
    // nobody else learns why
    assert_eq!(refused.str("/errors/0/code"), "outside_hours");

    // special hours on the closed day, and a break in them
    let evening = dr.post(&path(&dr), change("open", wall(day, "18:00"), wall(day, "21:00"))).await.expect(201);
    let starts = free(&alice, &dr, day).await;
    assert_eq!(starts.len(), 6);
    assert!(starts[0].contains("T18:00"), "{starts:?}");
    dr.post(&path(&dr), change("time_off", wall(day, "19:00"), wall(day, "19:30"))).await.expect(201);
    assert_eq!(free(&alice, &dr, day).await.len(), 5);
    // quarters, where the extra hours begin between
    let next = day + TimeDelta::days(1);
    dr.post(&path(&dr), change("open", wall(next, "18:15"), wall(next, "19:15"))).await.expect(201);
    let starts = free(&alice, &dr, next).await;
    assert!(
        starts.iter().any(|it| it.contains("T18:15")) && starts.iter().any(|it| it.contains("T09:15")),
        "{starts:?}"
    );

    let listed = dr.get(&path(&dr)).await.expect(200);
    let kinds: Vec<_> =
        listed.json["items"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["closed", "open", "time_off", "open"]);
    for gone in [&closed, &evening] {
        let at = format!("{}/{}", path(&dr), gone.str("/id"));
        assert_eq!(dr.delete(&at).await.expect(200).json["booked"]["count"], 0);
        dr.delete(&at).await.refused(404, "not_found");
    }
    assert_eq!(free(&alice, &dr, day).await, usual);

    let entries = "SELECT count(*) FROM app.audit_logs WHERE action IN ('availability.override_added', 'availability.override_removed')";
    assert_eq!(app.count(entries).await, 6);
}

#[tokio::test]
async fn what_is_booked_in_closed_time_stays_and_is_told_to_the_practitioner() {
    let (app, alice, dr) = scene().await;
    let day = in_days(&app, 4);
    let starts = free(&alice, &dr, day).await;
    let mut booked = Vec::new();
    for start in [&starts[0], &starts[6]] {
        booked.push(alice.post("/consultations", wish(&dr, start)).await.expect(201).str("/id"));
    }
    // extra hours in closed time hold what is booked in them
    dr.post(&path(&dr), change("open", wall(day, "12:00"), wall(day, "13:00"))).await.expect(201);
    let closed = dr.post(&path(&dr), change("closed", day, day)).await.expect(201);
    let session = json!({"consultationId": booked[0], "startsAt": starts[0], "endsAt": closed.json["booked"]["sessions"][0]["endsAt"]});
    assert_eq!(closed.json["booked"], json!({"count": 1, "sessions": [session]}));
    assert!(!closed.text().contains("Person"), "{}", closed.text());

    let away = dr.post(&path(&dr), change("time_off", day, day + TimeDelta::days(2))).await.expect(201);
    assert_eq!(away.json["booked"]["count"], 2);
    let items = away.json["booked"]["sessions"].as_array().unwrap();
    assert_eq!(items.iter().map(|it| it["consultationId"].as_str().unwrap()).collect::<Vec<_>>(), booked);
    for id in &booked {
        assert_eq!(alice.get(&format!("/consultations/{id}")).await.expect(200).json["status"], "confirmed");
    }
    assert!(free(&alice, &dr, day).await.is_empty());

    // extra hours that go leave what is booked in them outside
    dr.delete(&format!("{}/{}", path(&dr), away.str("/id"))).await.expect(200);
    let listed = dr.get(&path(&dr)).await.expect(200);
    let open = listed.json["items"].as_array().unwrap().iter().find(|it| it["kind"] == "open").unwrap();
    let gone = dr.delete(&format!("{}/{}", path(&dr), open["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(gone.json["booked"]["sessions"][0]["consultationId"], booked[1].as_str());
    app.settle().await;
}

#[tokio::test]
async fn closing_time_and_booking_it_see_one_another() {
    let (app, alice, dr) = scene().await;
    for day in (2..12).map(|days| in_days(&app, days)) {
        let starts = free(&alice, &dr, day).await;
        let overrides = path(&dr);
        let (closed, booked) = tokio::join!(
            dr.post(&overrides, change("closed", day, day)),
            alice.post("/consultations", wish(&dr, &starts[3]))
        );
        let told = closed.expect(201).json["booked"]["count"].as_i64().unwrap();
        match booked.status.as_u16() {
            201 => assert_eq!(told, 1, "a session in closed time that the practitioner was not told of"),
            _ => assert_eq!(booked.refused(422, "not_offered").str("/errors/0/code"), "outside_hours"),
        }
    }
    app.settle().await;
}

#[tokio::test]
async fn what_is_no_change_of_hours_is_refused_where_it_is_wrong() {
    let (app, _, dr) = scene().await;
    let day = in_days(&app, 3);
    let later = day + TimeDelta::days(400);
    for (body, pointer, code) in [
        (change("closed", day, day - TimeDelta::days(1)), "/to", "ends_before_start"),
        (change("open", wall(day, "10:00"), wall(day, "10:00")), "/to", "ends_before_start"),
        (change("open", day, day + TimeDelta::days(1)), "/to", "override_too_long"),
        (change("time_off", day, later), "/to", "override_too_long"),
        (change("closed", "2020-01-01", "2020-01-02"), "/to", "in_past"),
        (change("closed", "2027-02-29", "2027-03-01"), "/from", "date_or_wall_clock"),
        (change("closed", day, wall(day, "25:00")), "/to", "date_or_wall_clock"),
        (change("closed", "tomorrow", day), "/from", "pattern"),
        (change("closed", day, "2027-01-01T10:00:00+01:00"), "/to", "pattern"),
        (change("holiday", day, day), "/kind", "one_of"),
        (json!({"kind": "closed", "from": day}), "/to", "required"),
        (json!({"kind": "closed", "from": day, "to": day, "why": "ill"}), "/why", "unknown"),
    ] {
        let refused = dr.post(&path(&dr), body.clone()).await.refused(422, "invalid");
        assert_eq!(refused.str("/errors/0/pointer"), pointer, "{body}");
        let said = refused.str("/errors/0/code");
        // the schema's own codes are its affair
        assert!(said == code || matches!(code, "pattern" | "one_of" | "required" | "unknown"), "{body}: {said}");
    }
    assert_eq!(app.count("SELECT count(*) FROM app.availability_overrides").await, 0);

    dr.post(&path(&dr), change("closed", day, day)).await.expect(201);
    dr.post(&path(&dr), change("closed", wall(day, "23:00"), wall(day + TimeDelta::days(1), "02:00")))
        .await
        .refused(409, "override_overlaps");
    // touching, and another kind
    dr.post(&path(&dr), change("closed", day + TimeDelta::days(1), day + TimeDelta::days(1))).await.expect(201);
    dr.post(&path(&dr), change("time_off", day, day)).await.expect(201);

    sqlx::query(
        "INSERT INTO app.availability_overrides (id, practitioner_id, kind, starts_at, ends_at, created_at)
         SELECT gen_random_uuid(), $1, 'open', $2::date + n * interval '1 hour', $2::date + n * interval '1 hour' + '30 minutes', $3
         FROM generate_series(1, 497) n",
    )
    .bind(dr.id)
    .bind(day)
    .bind(app.clock.now())
    .execute(app.db())
    .await
    .unwrap();
    let far = day + TimeDelta::days(90);
    dr.post(&path(&dr), change("open", far, far)).await.refused(409, "too_many_overrides");
}

#[tokio::test]
async fn a_practitioner_changes_their_own_hours_alone() {
    let (app, alice, dr) = scene().await;
    let (other, admin) = (app.practitioner().await, app.platform_admin().await);
    let day = in_days(&app, 3);
    let made = dr.post(&path(&dr), change("time_off", day, day)).await.expect(201).str("/id");
    let own = other.post(&path(&other), change("time_off", day, day)).await.expect(201).str("/id");
    other.get(&path(&dr)).await.refused(404, "not_found");
    other.post(&path(&dr), change("closed", day, day)).await.refused(404, "not_found");
    other.delete(&format!("{}/{made}", path(&dr))).await.refused(404, "not_found");
    other.delete(&format!("{}/{made}", path(&other))).await.refused(404, "not_found");
    dr.delete(&format!("{}/{own}", path(&dr))).await.refused(404, "not_found");
    alice.get(&path(&dr)).await.refused(403, "forbidden");
    alice.post(&path(&dr), change("closed", day, day)).await.refused(403, "forbidden");
    assert_eq!(admin.get(&path(&dr)).await.expect(200).json["items"].as_array().unwrap().len(), 1);
    admin.post(&path(&dr), change("closed", day, day)).await.refused(403, "forbidden");
    admin.delete(&format!("{}/{made}", path(&dr))).await.refused(403, "forbidden");
    assert_eq!(app.count("SELECT count(*) FROM app.availability_overrides").await, 2);
}

#[tokio::test]
async fn a_repeated_request_adds_one_and_pages_show_all() {
    let (app, _, dr) = scene().await;
    let day = in_days(&app, 3);
    let ask = |body: Value| {
        Answer::of(dr.request(Method::POST, &path(&dr)).header("idempotency-key", "holidays").json(&body))
    };
    let first = ask(change("time_off", day, day)).await.expect(201);
    assert_eq!(ask(change("time_off", day, day)).await.expect(201).json, first.json);
    ask(change("closed", day, day)).await.refused(422, "idempotency_mismatch");
    for days in 1..25 {
        let day = day + TimeDelta::days(days * 2);
        dr.post(&path(&dr), change("closed", day, day)).await.expect(201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = dr.get(&format!("{}?limit=10{cursor}", path(&dr))).await.expect(200);
        seen.extend(page.json["items"].as_array().unwrap().iter().map(|it| it["from"].as_str().unwrap().to_owned()));
        let Some(next) = page.json["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted() && seen[0] == day.to_string());
    // what is over is not shown
    app.clock.advance(TimeDelta::days(10));
    let dr = dr.with_token(app.session(dr.id, huntzen::platform::auth::Role::Practitioner, None).await);
    let left = dr.get(&format!("{}?limit=100", path(&dr))).await.expect(200);
    let today = in_days(&app, 0);
    let first: NaiveDate = left.str("/items/0/to").parse().unwrap();
    assert!(first >= today && left.json["items"].as_array().unwrap().len() < 25, "{first} {today}");
    assert!(today.year() > 2000);
}
