//! What is read of a person is seen by that person, and what HR compares leaves a trace.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use uuid::Uuid;

use super::actions;
use crate::support::{Answer, Company, TestApp, User};

async fn entry_of(app: &TestApp, user: &User) -> Uuid {
    sqlx::query_scalar("SELECT employee_id FROM app.users WHERE id = $1")
        .bind(user.id)
        .fetch_one(app.db())
        .await
        .unwrap()
}

async fn accesses(user: &User) -> Value {
    user.get("/privacy/access-log").await.expect(200).json
}

async fn import(hr: &User, query: &str, file: String) -> Answer {
    let request = hr.request(Method::POST, &format!("/employees/import{query}"));
    Answer::of(request.header(CONTENT_TYPE, "text/csv").body(file)).await.expect(200)
}

async fn logged(who: &User, company: &Company, action: &str) -> Value {
    who.get(&format!("/audit-logs?companyId={}&action={action}", company.id)).await.expect(200).json
}

#[tokio::test]
async fn a_person_sees_that_staff_looked_their_account_up() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob, staff) = (app.employee(&company).await, app.employee(&company).await, app.platform_admin().await);
    staff.get(&format!("/admin/users?q={}", alice.email)).await.expect(200);
    let seen = accesses(&alice).await;
    assert_eq!(actions(&seen), ["user.listed"]);
    let first = &seen["items"][0];
    assert_eq!([&first["by"], &first["kind"], &first["scope"]], ["platform_staff", "read", "own"]);
    assert_eq!(actions(&accesses(&bob).await), [""; 0], "who was not on the page is not told so");
    // a page tells exactly those that it showed
    staff.get("/admin/users?limit=2").await.expect(200);
    let shown = "SELECT count(*) FROM app.audit_logs WHERE action = 'user.listed' AND subject_id IS NOT NULL";
    assert_eq!(app.count(shown).await, 1 + 2);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'user.listed'").await, 5);
}

#[tokio::test]
async fn a_person_sees_that_staff_read_what_the_log_says_of_them() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob, staff) = (app.employee(&company).await, app.employee(&company).await, app.platform_admin().await);
    let hers = entry_of(&app, &alice).await;
    staff.get(&format!("/audit-logs?subjectId={}", alice.id)).await.expect(200);
    staff.get(&format!("/audit-logs?objectId={hers}")).await.expect(200);
    staff.get(&format!("/audit-logs?actorId={}&subjectId={}", alice.id, bob.id)).await.expect(200);
    staff.get(&format!("/audit-logs?subjectId={}", Uuid::nil())).await.expect(200);
    assert_eq!(actions(&accesses(&alice).await), ["audit_log.read"; 3]);
    assert_eq!(actions(&accesses(&bob).await), ["audit_log.read"]);
}

#[tokio::test]
async fn members_and_practitioners_see_that_staff_read_about_them() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, martin, staff) = (app.employee(&company).await, app.practitioner().await, app.platform_admin().await);
    staff.get(&format!("/companies/{}/members", company.id)).await.expect(200);
    for member in [&company.hr, &company.admin] {
        let seen = accesses(member).await;
        assert_eq!(actions(&seen), ["member.read_by_platform"]);
        assert_eq!(seen["items"][0]["by"], "platform_staff");
    }
    staff.get(&format!("/practitioners/{}", martin.id)).await.expect(200);
    staff.get(&format!("/practitioners/{}/availability", martin.id)).await.expect(200);
    // who looks for a practitioner reads a public profile
    alice.get(&format!("/practitioners/{}", martin.id)).await.expect(200);
    martin.get(&format!("/practitioners/{}", martin.id)).await.expect(200);
    assert_eq!(actions(&accesses(&martin).await), ["practitioner.read_by_platform"; 2]);
    // nor their time off, or why they are not free, without a trace
    let day = (app.clock.now() + chrono::TimeDelta::days(3)).date_naive();
    for what in ["overrides".to_owned(), format!("slots/explain?at={day}T10:00"), format!("slots?from={day}&to={day}")]
    {
        let before = actions(&accesses(&martin).await).len();
        let at = format!("/practitioners/{}/{what}", martin.id);
        martin.get(&at).await.expect(200);
        assert_eq!(actions(&accesses(&martin).await).len(), before, "{what}: one's own");
        staff.get(&at).await.expect(200);
        assert_eq!(actions(&accesses(&martin).await), vec!["practitioner.read_by_platform"; before + 1], "{what}");
    }
    alice.get(&format!("/practitioners/{}/slots", martin.id)).await.expect(200);
    assert_eq!(actions(&accesses(&martin).await).len(), 5);
}

#[tokio::test]
async fn who_reads_the_counters_leaves_a_trace() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let staff = app.platform_admin().await;
    company.hr.get("/reports/usage?from=2026-01&to=2026-03&by=mode").await.expect(200);
    staff.get(&format!("/reports/usage?from=2026-01&to=2026-01&companyId={}", company.id)).await.expect(200);
    let seen = logged(&company.admin, &company, "usage.read").await;
    assert_eq!(actions(&seen), ["usage.read"; 2]);
    assert_eq!(seen["items"][0]["actor"], json!({ "role": "platform_admin" }));
    assert_eq!(seen["items"][1]["details"], json!({ "from": "2026-01-01", "to": "2026-03-01", "by": "mode" }));
}

#[tokio::test]
async fn a_file_that_brings_people_back_says_whom_and_a_dry_run_leaves_a_trace() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob) = (app.employee(&company).await, app.employee(&company).await);
    let hers = entry_of(&app, &alice).await;
    company.hr.delete(&format!("/employees/{hers}")).await.expect(204);
    app.settle().await;
    let file = format!("email,first name,last name\n{},Ana,Silva\n", alice.email);
    import(&company.hr, "?dryRun=true", file.clone()).await;
    let checked = logged(&company.admin, &company, "employee.import_checked").await;
    assert_eq!(checked["items"][0]["details"]["reactivated"], 1);
    let before = app.mails_to(&alice.email).len();
    import(&company.hr, "", file).await;
    app.settle().await;
    assert_eq!(logged(&company.admin, &company, "employee.imported").await["items"][0]["details"]["reactivated"], 1);
    let back = logged(&company.admin, &company, "employee.reactivated").await;
    assert_eq!(back["items"][0]["objectId"], json!(hers));
    assert_eq!(
        actions(&accesses(&alice).await),
        ["employee.imported", "employee.reactivated", "employee.import_checked", "employee.deactivated"]
    );
    assert_eq!(actions(&accesses(&bob).await), ["employee.imported", "employee.import_checked"]);
    // told as one by one, and the mailbox at work is not theirs for that
    assert_eq!(app.mails_to(&alice.email)[before..].len(), 1);
    assert_eq!(alice.get("/me").await.json["mailStopped"], true);
}

#[tokio::test]
async fn a_change_of_an_entry_says_which_fields() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let hers = entry_of(&app, &alice).await;
    let change = json!({"email": "other@acme.test", "site": "Lyon", "lastName": "Silva"});
    company.hr.patch(&format!("/employees/{hers}"), change).await.expect(200);
    let seen = logged(&company.admin, &company, "employee.updated").await;
    assert_eq!(seen["items"][0]["details"], json!({ "fields": ["email", "site"] }));
    app.settle().await;
}
