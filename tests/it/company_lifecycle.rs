//! What suspending and archiving a company mean for its people.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use huntzen::app;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::PASSWORD;
use crate::support::{Answer, Company, TestApp, User};

/// Ten o'clock UTC, some days ahead: within the hours of the practitioner in Paris.
fn ten(app: &TestApp, days: i64) -> DateTime<Utc> {
    (app.clock.now() + TimeDelta::days(days)).date_naive().and_hms_opt(10, 0, 0).unwrap().and_utc()
}

async fn book(employee: &User, practitioner: &User, at: DateTime<Utc>) -> Answer {
    let wish = json!({"practitionerId": practitioner.id, "startsAt": at, "durationMinutes": 30, "mode": "chat"});
    employee.post("/consultations", wish).await
}

async fn step(platform: &User, company: &Company, to: &str) {
    platform.post(&format!("/companies/{}/{to}", company.id.0), json!({})).await.expect(200);
}

async fn log_in(app: &TestApp, user: &User) -> Answer {
    app.anonymous().post("/auth/login", json!({"email": user.email, "password": PASSWORD})).await
}

#[tokio::test]
async fn a_suspended_companys_people_cannot_book_and_see_why_and_what_is_booked_stays() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (platform, alice, doctor) =
        (app.platform_admin().await, app.employee(&company).await, app.practitioner().await);
    let booked = book(&alice, &doctor, ten(&app, 3)).await.expect(201).str("/id");
    app.settle().await;
    step(&platform, &company, "suspend").await;
    app.settle().await;

    book(&alice, &doctor, ten(&app, 4)).await.refused(403, "company_suspended");
    alice.get(&format!("/practitioners/{}/slots", doctor.id)).await.refused(403, "company_suspended");
    let seen = alice.get(&format!("/companies/{}", company.id.0)).await.expect(200);
    assert_eq!(seen.json["status"], "suspended");
    // everything else is read as before, and nothing is lost
    assert_eq!(alice.get(&format!("/consultations/{booked}")).await.expect(200).json["status"], "confirmed");
    alice.get("/practitioners").await.expect(200);
    alice.get("/me").await.expect(200);
    company.hr.get("/employees").await.expect(200);
    company.admin.get(&format!("/companies/{}/settings", company.id.0)).await.expect(200);
    log_in(&app, &company.hr).await.expect(200);
    assert_eq!(app.mails().len(), 2, "nobody is told that anything was cancelled");

    step(&platform, &company, "activate").await;
    book(&alice, &doctor, ten(&app, 4)).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn an_archived_companys_future_sessions_are_cancelled_with_notice() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let (platform, doctor) = (app.platform_admin().await, app.practitioner().await);
    let (alice, carol) = (app.employee(&acme).await, app.employee(&globex).await);
    let mut own = Vec::new();
    for days in [3, 4] {
        own.push(book(&alice, &doctor, ten(&app, days)).await.expect(201).str("/id"));
    }
    let others = book(&carol, &doctor, ten(&app, 5)).await.expect(201).str("/id");
    app.settle().await;
    assert_eq!((app.mails_to(&alice.email).len(), app.mails_to(&doctor.email).len()), (2, 3));
    step(&platform, &acme, "archive").await;
    app.settle().await;

    // both people of each, once; and all employees of what becomes of accounts
    assert_eq!((app.mails_to(&alice.email).len(), app.mails_to(&doctor.email).len()), (5, 5));
    for id in &own {
        let it = alice.get(&format!("/consultations/{id}")).await.expect(200);
        assert_eq!((&it.json["status"], &it.json["cancelledBy"]), (&json!("cancelled"), &json!("platform")));
    }
    assert_eq!(carol.get(&format!("/consultations/{others}")).await.expect(200).json["status"], "confirmed");
    book(&alice, &doctor, ten(&app, 6)).await.refused(403, "company_archived");

    // it comes back, and what was cancelled stays cancelled
    step(&platform, &acme, "activate").await;
    app.settle().await;
    assert_eq!(alice.get(&format!("/consultations/{}", own[0])).await.expect(200).json["status"], "cancelled");
    book(&alice, &doctor, ten(&app, 6)).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn who_ran_an_archived_company_is_out_at_once_on_every_node_and_its_employees_read_on() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (platform, alice) = (app.platform_admin().await, app.employee(&company).await);
    let refresh = log_in(&app, &company.hr).await.expect(200).str("/refreshToken");
    let (address, other) =
        app::listen(app.platform.clone(), "127.0.0.1:0".parse().unwrap(), std::future::pending()).await.unwrap();
    let other = tokio::spawn(other);
    let elsewhere = company.hr.at(&format!("http://{address}"));
    elsewhere.get("/me").await.expect(200);
    let second = app.person(Role::Hr, Some(company.id)).await;
    let phone = crate::two_factor::enabled(&app, &second).await;
    let company = Company {
        admin: company.admin.with_token(app.session(company.admin.id, Role::CompanyAdmin, Some(company.id)).await),
        ..company
    };

    step(&platform, &company, "archive").await;
    company.hr.get("/me").await.refused(401, "unauthenticated");
    elsewhere.get("/me").await.refused(401, "unauthenticated");
    company.admin.get("/employees").await.refused(401, "unauthenticated");
    let refused = app.anonymous().post("/auth/refresh", json!({"refreshToken": refresh})).await;
    refused.refused(401, "invalid_refresh_token");
    log_in(&app, &company.hr).await.refused(403, "company_archived");
    log_in(&app, &company.admin).await.refused(403, "company_archived");
    // it is on record, though nothing was opened: of who has a second factor as well
    let noted = async |user: &User| -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM app.audit_logs l JOIN app.audit_chain c ON c.entry_id = l.id
             WHERE l.action = 'session.refused' AND l.subject_id = $1 AND l.outcome = 'refused'",
        )
        .bind(user.id)
        .fetch_one(app.db())
        .await
        .unwrap()
    };
    assert_eq!((noted(&company.hr).await, noted(&company.admin).await), (1, 1));
    let ticket = log_in(&app, &second).await.expect(200).str("/ticket");
    let code = json!({"ticket": ticket, "code": phone.code(&app, 0)});
    app.anonymous().post("/auth/login/totp", code).await.refused(403, "company_archived");
    assert_eq!(noted(&second).await, 1);
    // only who knows the password learns it
    let wrong = json!({"email": company.hr.email, "password": "not the password"});
    app.anonymous().post("/auth/login", wrong).await.refused(401, "invalid_credentials");

    alice.get("/consultations").await.expect(200);
    let alice = alice.with_token(log_in(&app, &alice).await.expect(200).str("/accessToken"));
    let seen = alice.get(&format!("/companies/{}", company.id.0)).await.expect(200);
    assert_eq!(seen.json["status"], "archived");

    step(&platform, &company, "activate").await;
    // the pause after a failure
    app.clock.advance(TimeDelta::seconds(10));
    log_in(&app, &company.hr).await.expect(200);
    app.settle().await;
    other.abort();
}

#[tokio::test]
async fn an_archiving_that_is_taken_back_before_its_job_ran_cancels_nothing() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (platform, alice, doctor) =
        (app.platform_admin().await, app.employee(&company).await, app.practitioner().await);
    let id = book(&alice, &doctor, ten(&app, 3)).await.expect(201).str("/id");
    step(&platform, &company, "archive").await;
    step(&platform, &company, "activate").await;
    app.settle().await;
    assert_eq!(alice.get(&format!("/consultations/{id}")).await.expect(200).json["status"], "confirmed");
}

#[tokio::test]
async fn no_booking_slips_in_beside_an_archiving_or_a_departure() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, doctor) = (app.employee(&company).await, app.practitioner().await);
    for (change, broken) in [
        ("UPDATE app.companies SET status = 'archived'", "consultations_company_archived"),
        ("UPDATE app.companies SET status = 'suspended'", "consultations_company_active"),
        ("UPDATE app.employees SET status = 'left', left_at = now()", "consultations_employee_active"),
    ] {
        // the change is under way and not committed when the booking arrives, past every check of the program
        let mut changing = app.db().begin().await.unwrap();
        sqlx::query(change).execute(&mut *changing).await.unwrap();
        let (pool, company, alice, doctor) = (app.db().clone(), company.id, alice.id, doctor.id);
        let booking = tokio::spawn(async move {
            sqlx::query(
                "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at,
                                                busy_from, busy_until, specialty)
                 SELECT gen_random_uuid(), $1, $2, $3, 'chat', 'confirmed', at, at + interval '1 hour', at,
                        at + interval '1 hour', 'sleep'
                 FROM (SELECT now() + interval '3 days') AS it (at)",
            )
            .bind(company)
            .bind(alice)
            .bind(doctor)
            .execute(&pool)
            .await
        });
        let waiting = async {
            let blocked =
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
            while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut *changing).await.unwrap() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.expect("the booking waits");
        changing.commit().await.unwrap();
        let refused = booking.await.unwrap().unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().constraint(), Some(broken));
        sqlx::query("UPDATE app.companies SET status = 'active'").execute(app.db()).await.unwrap();
    }
}

#[tokio::test]
async fn a_booking_beside_an_archiving_or_a_suspension_is_told_which_it_was() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, doctor) = (app.employee(&company).await, app.practitioner().await);
    for (status, code) in [("suspended", "company_suspended"), ("archived", "company_archived")] {
        let mut changing = app.db().begin().await.unwrap();
        sqlx::query("UPDATE app.companies SET status = $1").bind(status).execute(&mut *changing).await.unwrap();
        let (alice, doctor, at) = (alice.clone(), doctor.clone(), ten(&app, 3));
        let booking = tokio::spawn(async move { book(&alice, &doctor, at).await });
        app.until_one_waits().await;
        changing.commit().await.unwrap();
        booking.await.unwrap().refused(403, code);
        sqlx::query("UPDATE app.companies SET status = 'active'").execute(app.db()).await.unwrap();
    }
}

#[tokio::test]
async fn the_database_itself_knows_the_steps_of_a_companys_life() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let set = async |status: &str| {
        sqlx::query("UPDATE app.companies SET status = $2 WHERE id = $1")
            .bind(company.id)
            .bind(status)
            .execute(app.db())
            .await
    };
    for status in ["suspended", "archived", "archived", "active", "archived"] {
        set(status).await.unwrap();
    }
    let broken = set("suspended").await.unwrap_err();
    assert_eq!(broken.as_database_error().unwrap().constraint(), Some("companies_state_machine"));
}

#[tokio::test]
async fn bookings_end_with_the_contract() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (platform, alice, doctor) =
        (app.platform_admin().await, app.employee(&company).await, app.practitioner().await);
    let last = ten(&app, 5);
    let end = json!({"contract": {"endsOn": last.date_naive()}});
    platform.patch(&format!("/companies/{}", company.id.0), end).await.expect(200);
    book(&alice, &doctor, last + TimeDelta::days(1)).await.refused(403, "contract_ended");
    book(&alice, &doctor, last).await.expect(201);
    let slots = alice.get(&format!("/practitioners/{}/slots", doctor.id)).await.expect(200);
    let days: Vec<u32> = slots.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| slot["startsAt"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap().ordinal())
        .collect();
    assert!(days.contains(&last.ordinal()) && !days.contains(&(last + TimeDelta::days(1)).ordinal()), "{days:?}");
    app.settle().await;
}

#[tokio::test]
async fn a_company_says_what_late_cancellations_and_no_shows_cost() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = format!("/companies/{}/settings", company.id.0);
    let now: Value = company.admin.get(&path).await.expect(200).json;
    assert_eq!((&now["lateCancellationCounts"], &now["noShowCounts"]), (&json!(true), &json!(true)));
    let changed = company.admin.patch(&path, json!({"noShowCounts": false})).await.expect(200).json;
    assert_eq!((&changed["lateCancellationCounts"], &changed["noShowCounts"]), (&json!(true), &json!(false)));
    company.admin.patch(&path, json!({"noShowCounts": "no"})).await.refused(422, "invalid");
    let acme: Uuid = company.id.0;
    let other = app.company("Globex").await;
    assert_ne!(other.id.0, acme);
    assert_eq!(
        other.admin.get(&format!("/companies/{}/settings", other.id.0)).await.expect(200).json["noShowCounts"],
        true
    );
    let role = app.person(Role::Hr, Some(company.id)).await;
    role.get(&path).await.refused(403, "forbidden");
}
