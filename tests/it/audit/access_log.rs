//! `GET /privacy/access-log`: each person sees who opened their data.

use chrono::TimeDelta;
use huntzen::platform::audit::Entry;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{actions, write};
use crate::support::app::PASSWORD;
use crate::support::{Company, TestApp, User};

async fn entry_of(app: &TestApp, user: &User) -> Uuid {
    sqlx::query_scalar("SELECT employee_id FROM app.users WHERE id = $1")
        .bind(user.id)
        .fetch_one(app.db())
        .await
        .unwrap()
}

/// A session of theirs, as it stands in the database.
async fn consultation(app: &TestApp, company: &Company, employee: &User, practitioner: &User) -> Uuid {
    let id: Uuid = app.platform.new_id();
    sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                                        busy_until, specialty)
         SELECT $1, $2, $3, $4, 'chat', 'confirmed', at, at + interval '1 hour', at, at + interval '1 hour', 'sleep'
         FROM date_trunc('hour', now() + interval '3 days') at",
    )
    .bind(id)
    .bind(company.id)
    .bind(employee.id)
    .bind(practitioner.id)
    .execute(app.db())
    .await
    .unwrap();
    id
}

async fn accesses(user: &User) -> Value {
    user.get("/privacy/access-log").await.expect(200).json
}

#[tokio::test]
async fn an_employee_sees_who_opened_their_entry_of_the_directory() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob, staff) = (app.employee(&company).await, app.employee(&company).await, app.platform_admin().await);
    assert_eq!(accesses(&alice).await, json!({ "items": [] }));
    let (hers, his) = (entry_of(&app, &alice).await, entry_of(&app, &bob).await);
    company.hr.get(&format!("/employees/{hers}")).await.expect(200);
    company.hr.get(&format!("/employees/{his}")).await.expect(200);
    staff.get(&format!("/employees/{hers}")).await.expect(200);
    company.hr.patch(&format!("/employees/{hers}"), json!({ "site": "Lyon" })).await.expect(200);
    company.admin.get("/employees?limit=1").await.expect(200);

    let seen = accesses(&alice).await;
    assert_eq!(
        actions(&seen),
        ["employee.listed", "employee.updated", "employee.read", "employee.read", "employee.read"]
    );
    let said = |n: usize, what: &str| seen["items"][n][what].as_str().unwrap_or_default().to_owned();
    assert_eq!([said(0, "by"), said(0, "kind"), said(0, "scope")], ["employer", "read", "list"]);
    assert_eq!([said(1, "by"), said(1, "kind"), said(1, "scope")], ["employer", "change", "own"]);
    assert_eq!([said(3, "by"), said(3, "kind"), said(3, "objectId")], ["platform_staff", "read", &hers.to_string()]);
    assert_eq!(said(4, "by"), "employer");
    let text = seen.to_string();
    for hidden in [company.hr.id.0, company.admin.id.0, staff.id.0, his] {
        assert!(!text.contains(&hidden.to_string()), "{hidden} is named");
    }
    // a list that was read before Bob was in the directory was not about him
    let late = app.employee(&company).await;
    assert_eq!(actions(&accesses(&late).await), [""; 0]);
    assert_eq!(actions(&accesses(&bob).await), ["employee.listed", "employee.read"]);
}

#[tokio::test]
async fn an_employee_sees_who_opened_their_sessions_and_the_log_names_them_to_nobody() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob) = (app.employee(&company).await, app.employee(&company).await);
    let (martin, staff) = (app.practitioner().await, app.platform_admin().await);
    let id = consultation(&app, &company, &alice, &martin).await;
    alice.get(&format!("/consultations/{id}")).await.expect(200);
    martin.get(&format!("/consultations/{id}")).await.expect(200);
    staff.get(&format!("/consultations/{id}")).await.expect(200);
    staff.get(&format!("/consultations/{id}/events")).await.expect(200);
    staff.get("/consultations").await.expect(200);

    let seen = accesses(&alice).await;
    assert_eq!(actions(&seen), ["consultation.read"; 3]);
    assert_eq!(seen["items"][2]["by"], "practitioner");
    assert_eq!(seen["items"][2]["practitioner"], json!({ "id": martin.id, "displayName": "Dr Test" }));
    assert_eq!(seen["items"][0]["by"], "platform_staff");
    assert!(seen["items"][0].get("practitioner").is_none());
    assert_eq!(actions(&accesses(&bob).await), [""; 0]);
    // whose it is stands nowhere in the log
    let named = "SELECT count(*) FROM app.audit_logs WHERE action LIKE 'consultation.%' AND (subject_id IS NOT NULL OR actor_role = 'employee')";
    assert_eq!(app.count(named).await, 0);
    let read = staff.get("/audit-logs?objectType=consultation").await.expect(200);
    assert!(!read.text().contains(&alice.id.to_string()));
}

#[tokio::test]
async fn a_failed_log_in_with_ones_address_is_seen_and_ones_own_actions_are_not() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    app.anonymous().post("/auth/login", json!({ "email": alice.email, "password": PASSWORD })).await.expect(200);
    write(&app, &alice, Role::Employee, Entry::done("user.profile_changed", "user", alice.id.0).about(alice.id))
        .await
        .unwrap();
    assert_eq!(actions(&accesses(&alice).await), [""; 0]);
    // somebody who is not signed in guesses, and asks for a link
    for _ in 0..3 {
        app.clock.advance(TimeDelta::seconds(11));
        app.anonymous()
            .post("/auth/login", json!({ "email": alice.email.to_uppercase(), "password": "not the password" }))
            .await
            .refused(401, "invalid_credentials");
    }
    app.anonymous().post("/auth/forgot-password", json!({ "email": alice.email })).await.expect(202);
    let seen = accesses(&alice).await;
    assert_eq!(actions(&seen), ["user.password_reset_asked", "session.refused", "session.refused", "session.refused"]);
    assert_eq!([&seen["items"][1]["by"], &seen["items"][1]["outcome"]], ["visitor", "refused"]);
    assert_eq!(seen["items"][1]["objectId"], json!(alice.id));
    // the platform's staff can tell which account is guessed at; an address without one names nobody
    let staff = app.platform_admin().await;
    let log = staff.get(&format!("/audit-logs?subjectId={}&action=session.refused", alice.id)).await.expect(200);
    assert_eq!(log.json["items"].as_array().unwrap().len(), 3);
    app.anonymous()
        .post("/auth/login", json!({ "email": "nobody@people.test", "password": "not the password" }))
        .await
        .refused(401, "invalid_credentials");
    let nobodys = "SELECT count(*) FROM app.audit_logs WHERE action = 'session.refused' AND subject_id IS NULL";
    assert_eq!(app.count(nobodys).await, 1);
    // and the employer sees nothing of it
    assert!(!company.hr.get("/audit-logs").await.expect(200).text().contains("session.refused"));
    app.settle().await;
}

#[tokio::test]
async fn hr_learns_from_it_what_was_done_to_hr_and_nothing_else() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, staff) = (app.employee(&company).await, app.platform_admin().await);
    let hers = entry_of(&app, &alice).await;
    staff.get(&format!("/employees/{hers}")).await.expect(200);
    staff.get(&format!("/employees?companyId={}", company.id)).await.expect(200);
    write(&app, &alice, Role::Employee, Entry::done("consultation.booked", "consultation", None)).await.unwrap();
    assert_eq!(actions(&accesses(&company.hr).await), [""; 0]);
    let about = Entry::done("member.removed", "member", company.hr.id.0).about(company.hr.id);
    write(&app, &company.admin, Role::CompanyAdmin, about).await.unwrap();
    let seen = accesses(&company.hr).await;
    assert_eq!(actions(&seen), ["member.removed"]);
    assert_eq!(seen["items"][0]["by"], "employer");
}

#[tokio::test]
async fn it_comes_in_pages_without_gaps_or_repetitions() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, martin) = (app.employee(&company).await, app.practitioner().await);
    let (hers, session) = (entry_of(&app, &alice).await, consultation(&app, &company, &alice, &martin).await);
    for _ in 0..3 {
        company.hr.get(&format!("/employees/{hers}")).await.expect(200);
        martin.get(&format!("/consultations/{session}")).await.expect(200);
        company.hr.get("/employees").await.expect(200);
    }
    let whole: Vec<_> = accesses(&alice).await["items"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(whole.len(), 9);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = alice.get(&format!("/privacy/access-log?limit=2{cursor}")).await.expect(200).json;
        seen.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, whole);
    alice.get("/privacy/access-log?limit=101").await.refused(400, "invalid_parameter");
    alice.get("/privacy/access-log?cursor=%7B").await.refused(400, "invalid_cursor");
}
