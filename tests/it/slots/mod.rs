//! What can be booked, by whom, and why not.

mod cases;
mod explain;
mod outside;
mod overrides;
mod properties;
mod reference;

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::domain::consultations::slots::{self, FirstFree, Search};
use huntzen::domain::practitioners::Whose;
use huntzen::platform::Context;
use huntzen::platform::auth::{Caller, Permission, Role};
use huntzen::platform::context::RequestInfo;
use huntzen::platform::ids::PractitionerId;
use huntzen::platform::locale::Locale;
use serde_json::json;

use crate::consultations::{free, in_days, wish};
use crate::support::{TestApp, User};

fn context(app: &TestApp, user: &User, role: Role) -> Context {
    let caller = Caller {
        user_id: user.id,
        role,
        company_id: user.company_id,
        session_id: app.platform.new_id(),
        totp_setup_required: false,
    };
    Context::new(app.platform.clone(), caller, RequestInfo::new("slots", None, Locale::En))
}

async fn change(app: &TestApp, dr: &User, sql: &'static str) {
    sqlx::query(sql).bind(dr.id).execute(app.db()).await.unwrap();
}

/// The first start that the list has for a person, in the coming 60 days.
async fn first_listed(app: &TestApp, person: &User, dr: &User) -> Option<DateTime<Utc>> {
    let (from, to) = (in_days(app, 0), in_days(app, 60));
    let answer = person.get(&format!("/practitioners/{}/slots?from={from}&to={to}", dr.id)).await;
    let first = answer.json.pointer("/items/0/startsAt")?.as_str().unwrap().to_owned();
    Some(DateTime::parse_from_rfc3339(&first).unwrap().to_utc())
}

#[tokio::test]
async fn the_first_free_slot_over_a_network_is_the_first_one_that_is_listed() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let mut team = Vec::new();
    for _ in 0..5 {
        team.push(app.practitioner().await);
    }
    // on one weekday, in three weeks, never, inactive
    change(&app, &team[1], "DELETE FROM app.availability_rules WHERE practitioner_id = $1 AND weekday <> 3").await;
    change(&app, &team[2], "UPDATE app.practitioners SET min_notice_minutes = 20160 WHERE id = $1").await;
    change(&app, &team[3], "DELETE FROM app.availability_rules WHERE practitioner_id = $1").await;
    change(&app, &team[4], "UPDATE app.practitioners SET status = 'inactive' WHERE id = $1").await;
    let first = first_listed(&app, &alice, &team[0]).await.unwrap();
    alice.post("/consultations", wish(&team[0], &first.to_rfc3339())).await.expect(201);
    app.settle().await;

    let cx = context(&app, &alice, Role::Employee);
    let mut tx = cx.read(Permission::ReadSlots).await.unwrap();
    let coverage = slots::find_coverage(&cx, &mut tx).await.unwrap();
    let now = app.clock.now();
    let search = Search { whose: Whose::All, from: now, to: now + TimeDelta::days(60), but_for: None };
    let found = slots::find_first_free(&cx, &mut tx, coverage.as_ref(), &search, FirstFree::default()).await.unwrap();
    for (n, dr) in team.iter().enumerate() {
        let id: PractitionerId = dr.id.into();
        let listed = first_listed(&app, &alice, dr).await;
        assert_eq!(found.get(&id).map(|slot| slot.starts_at), listed, "practitioner {n}");
        assert_eq!(listed.is_some(), n < 3, "practitioner {n}");
    }
    // those who are asked for alone, and nobody who has no such session
    let ids = [PractitionerId::from(team[1].id)];
    let two = Search { whose: Whose::These(&ids), ..search };
    let found = slots::find_first_free(&cx, &mut tx, coverage.as_ref(), &two, FirstFree::default()).await.unwrap();
    assert_eq!(found.len(), 1);
    let long = FirstFree { length: Some(TimeDelta::minutes(45)), mode: None };
    assert!(slots::find_first_free(&cx, &mut tx, coverage.as_ref(), &search, long).await.unwrap().is_empty());
}

#[tokio::test]
async fn whose_account_is_suspended_takes_no_bookings_and_keeps_those_there_are() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob) = (app.employee(&company).await, app.employee(&company).await);
    let (dr, admin) = (app.practitioner().await, app.platform_admin().await);
    let starts = free(&alice, &dr, in_days(&app, 1)).await;
    let booked = alice.post("/consultations", wish(&dr, &starts[0])).await.expect(201).str("/id");
    admin.post(&format!("/admin/users/{}/suspend", dr.id), json!({})).await.expect(200);

    for person in [&alice, &bob, &company.hr, &company.admin] {
        assert_eq!(person.get("/practitioners").await.expect(200).json["items"], json!([]));
    }
    for person in [&alice, &bob] {
        person.get(&format!("/practitioners/{}/slots", dr.id)).await.refused(404, "not_found");
        person.post("/consultations", wish(&dr, &starts[1])).await.refused(404, "not_found");
    }
    let theirs = admin.get(&format!("/practitioners/{}/slots", dr.id)).await.expect(200);
    assert_eq!(theirs.json["items"], json!([]));
    // whom one has met, and what is booked, stays
    alice.get(&format!("/practitioners/{}", dr.id)).await.expect(200);
    bob.get(&format!("/practitioners/{}", dr.id)).await.refused(404, "not_found");
    assert_eq!(alice.get(&format!("/consultations/{booked}")).await.expect(200).json["status"], "confirmed");

    // the database refuses a booking that began before
    let refused = sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at,
                                        busy_from, busy_until, specialty)
         SELECT gen_random_uuid(), company_id, user_id, practitioner_id, mode, 'confirmed', starts_at + '1 day',
                ends_at + '1 day', busy_from + '1 day', busy_until + '1 day', specialty FROM app.consultations",
    )
    .execute(app.db())
    .await
    .unwrap_err();
    let constraint = refused.as_database_error().and_then(|error| error.constraint()).map(ToOwned::to_owned);
    assert_eq!(constraint.as_deref(), Some("consultations_practitioner_active"));

    admin.post(&format!("/admin/users/{}/activate", dr.id), json!({})).await.expect(200);
    assert_eq!(alice.get("/practitioners").await.expect(200).json["items"].as_array().unwrap().len(), 1);
    bob.post("/consultations", wish(&dr, &starts[1])).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn slots_are_asked_for_with_sense() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    change(&app, &dr, "UPDATE app.practitioners SET modes = '{audio}' WHERE id = $1").await;
    for (query, status, pointer, code) in [
        ("from=2026-12-01&to=2036-12-01", 422, "query:to", "range_too_long"),
        ("from=2026-12-01T00:00:00Z&to=2036-12-01T00:00:00Z", 422, "query:to", "range_too_long"),
        ("from=2027-12-01&to=2026-12-01", 422, "query:to", "order"),
        ("from=2026-12-01T10:00:00Z&to=2026-12-01T10:00:00Z", 422, "query:to", "order"),
        ("from=0000-01-01&to=0000-01-02", 422, "query:from", "date_or_time"),
        ("from=2026-12-01T10:00", 422, "query:from", "date_or_time"),
        ("to=999999999-01-01", 422, "query:to", "date_or_time"),
        ("tz=Mars/Olympus", 422, "query:tz", "time_zone"),
        ("tz=", 422, "query:tz", "time_zone"),
        ("tz=..%2F..%2Fetc%2Fpasswd", 422, "query:tz", "time_zone"),
        ("duration=0", 422, "query:duration", "length"),
        ("duration=2147483647", 422, "query:duration", "length"),
        ("mode=video", 422, "query:mode", "mode"),
    ] {
        let path = format!("/practitioners/{}/slots?{query}", dr.id);
        for person in [&alice, &dr] {
            let refused = person.get(&path).await.refused(status, "invalid");
            assert_eq!(refused.str("/errors/0/pointer"), pointer, "{query}");
            assert_eq!(refused.str("/errors/0/code"), code, "{query}");
        }
    }
    // all faults at once
    let path = format!("/practitioners/{}/slots?from=x&tz=y&duration=7&mode=chat", dr.id);
    let refused = alice.get(&path).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"].as_array().unwrap().len(), 4);
    for query in ["duration=99999999999", "duration=1.5", "mode=", "mode=VIDEO"] {
        let answer = alice.get(&format!("/practitioners/{}/slots?{query}", dr.id)).await;
        assert_eq!(answer.status.as_u16(), 400, "{query}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    // an empty practice is an empty list
    change(&app, &dr, "DELETE FROM app.availability_rules WHERE practitioner_id = $1").await;
    let none = alice.get(&format!("/practitioners/{}/slots", dr.id)).await.expect(200);
    assert_eq!(none.json["items"], json!([]));
}
