//! What is written: by the database's own knowledge of who is connected.

use huntzen::platform::audit::{Detail, Entry};
use huntzen::platform::auth::Role;
use huntzen::platform::ids::{CompanyId, EmployeeId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::write;
use crate::support::TestApp;
use crate::support::app::PASSWORD;

type Row = (Option<Uuid>, Option<String>, Option<Uuid>, String, Option<String>, Option<Uuid>, Value);

async fn last(app: &TestApp) -> Row {
    sqlx::query_as(
        "SELECT actor_id, actor_role, company_id, outcome, subject_type, subject_id, details FROM app.audit_logs
         ORDER BY at DESC LIMIT 1",
    )
    .fetch_one(app.db())
    .await
    .unwrap()
}

#[tokio::test]
async fn an_entry_says_who_for_whom_and_about_whom() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let subject: EmployeeId = app.platform.new_id();
    let day = app.clock.now().date_naive();
    let entry = Entry::done("employee.updated", "employee", subject.0)
        .about(subject)
        .with(Detail::Fields, vec!["department", "site"])
        .with(Detail::Count, 2_i64)
        .with(Detail::Partial, false)
        .with(Detail::Of, subject.0)
        .with(Detail::From, day);
    write(&app, &company.hr, Role::Hr, entry).await.unwrap();
    let (actor, role, of, outcome, kind, whom, details) = last(&app).await;
    assert_eq!((actor, role.as_deref(), of), (Some(company.hr.id.0), Some("hr"), Some(company.id.0)));
    assert_eq!((outcome.as_str(), kind.as_deref(), whom), ("success", Some("employee"), Some(subject.0)));
    let expected =
        json!({ "fields": ["department", "site"], "count": 2, "partial": false, "of": subject.0, "from": day });
    assert_eq!(details, expected);

    let entry = Entry::refused("two_factor.refused", "user", company.hr.id.0).about(company.hr.id);
    write(&app, &company.hr, Role::Hr, entry).await.unwrap();
    let (_, _, _, outcome, kind, whom, details) = last(&app).await;
    assert_eq!((outcome.as_str(), kind.as_deref(), whom), ("refused", Some("user"), Some(company.hr.id.0)));
    assert_eq!(details, json!({}));
}

#[tokio::test]
async fn nobody_signs_with_a_role_or_a_company_that_is_not_theirs() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let employee = app.employee(&acme).await;
    let practitioner = app.practitioner().await;
    let staff = app.platform_admin().await;
    let entry = || Entry::done("user.profile_changed", "user", None);
    // each pair: an account, and a connection of another role
    for (user, role) in [
        (&acme.hr, Role::Employee),
        (&employee, Role::Hr),
        (&employee, Role::CompanyAdmin),
        (&practitioner, Role::PlatformAdmin),
        (&staff, Role::Practitioner),
    ] {
        let refused = write(&app, user, role, entry()).await.unwrap_err();
        assert_eq!(refused.code(), "internal", "{role:?}");
    }
    for user in [&employee, &practitioner] {
        let role = if user.id == employee.id { Role::Employee } else { Role::Practitioner };
        write(&app, user, role, entry()).await.unwrap();
        let other = entry().of_company(globex.id);
        if role == Role::Employee {
            assert!(write(&app, user, role, other).await.is_err());
        } else {
            // belongs to none, and names none
            write(&app, user, role, other).await.unwrap();
            assert_eq!(last(&app).await.2, None);
        }
    }
    assert!(write(&app, &acme.admin, Role::CompanyAdmin, entry().of_company(globex.id)).await.is_err());
    // staff serve every company
    write(&app, &staff, Role::PlatformAdmin, entry().of_company(globex.id)).await.unwrap();
    assert_eq!(last(&app).await.2, Some(globex.id.0));
}

#[tokio::test]
async fn a_job_is_the_system_whatever_it_says() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let cx = huntzen::platform::jobs::JobContext {
        platform: app.platform.clone(),
        company_id: Some(company.id),
        user_id: Some(company.hr.id),
        job_id: "a job".into(),
        attempt: 1,
    };
    let mut tx = cx.begin().await.unwrap();
    tx.audit_done("consultation.cancelled", "consultation", None).await.unwrap();
    tx.commit().await.unwrap();
    let (actor, role, of, ..) = last(&app).await;
    assert_eq!((actor, role.as_deref(), of), (Some(company.hr.id.0), Some("system"), Some(company.id.0)));
    // HR learns nothing of what a job did because of it
    let seen = company.hr.get("/audit-logs").await.expect(200);
    assert_eq!(seen.json["items"], json!([]));
}

#[tokio::test]
async fn whoever_logs_in_is_named_with_the_role_and_company_that_they_have() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let employee = app.employee(&company).await;
    let body = json!({ "email": employee.email, "password": PASSWORD });
    app.anonymous().post("/auth/login", body).await.expect(200);
    let found: (Option<Uuid>, Option<String>, Option<CompanyId>) =
        sqlx::query_as("SELECT actor_id, actor_role, company_id FROM app.audit_logs WHERE action = 'session.opened'")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(found, (Some(employee.id.0), Some("employee".into()), Some(company.id)));
    let body = json!({ "email": "nobody@nowhere.test", "password": PASSWORD });
    app.anonymous().post("/auth/login", body).await.refused(401, "invalid_credentials");
    let (actor, role, company, ..) = last(&app).await;
    assert_eq!((actor, role.as_deref(), company), (None, Some("visitor"), None));
}

#[tokio::test]
async fn an_entry_stands_or_falls_with_its_transaction() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let mut tx = super::context(&app, &company.hr, Role::Hr)
        .begin(huntzen::platform::auth::Permission::ManageSelf)
        .await
        .unwrap();
    tx.audit_done("employee.updated", "employee", None).await.unwrap();
    drop(tx);
    write(&app, &company.hr, Role::Hr, Entry::done("employee.created", "employee", None)).await.unwrap();
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_chain").await, 1);
}
