//! `GET /audit-logs`: each role reads its own part.

use chrono::TimeDelta;
use huntzen::platform::audit::Entry;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{actions, write, write_some};
use crate::support::app::PASSWORD;
use crate::support::{TestApp, User};

async fn log_in(app: &TestApp, user: &User) {
    app.anonymous().post("/auth/login", json!({ "email": user.email, "password": PASSWORD })).await.expect(200);
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

#[tokio::test]
async fn employees_and_practitioners_read_what_they_did_themselves() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob, martin) = (app.employee(&company).await, app.employee(&company).await, app.practitioner().await);
    for (user, role) in [(&alice, Role::Employee), (&bob, Role::Employee), (&martin, Role::Practitioner)] {
        write(&app, user, role, Entry::done("user.profile_changed", "user", user.id.0)).await.unwrap();
    }
    write_some(&app, &company, 2).await;
    for user in [&alice, &martin] {
        let page = user.get("/audit-logs").await.expect(200).json;
        assert_eq!(actions(&page), ["user.profile_changed"]);
        assert_eq!(page["items"][0]["actor"]["id"], user.id.0.to_string());
        assert!(page["items"][0]["actor"]["displayName"].as_str().unwrap().starts_with("Person "));
        // asking for another's is answered with nothing
        let other = user.get(&format!("/audit-logs?actorId={}", bob.id)).await.expect(200).json;
        assert_eq!(actions(&other), [""; 0]);
    }
    alice.get(&format!("/audit-logs?companyId={}", company.id)).await.expect(200);
    alice.get(&format!("/audit-logs?companyId={}", Uuid::nil())).await.refused(404, "not_found");
    martin.get(&format!("/audit-logs?companyId={}", company.id)).await.refused(404, "not_found");
}

#[tokio::test]
async fn employers_read_what_was_done_to_the_directory_and_nothing_of_anybodys_care() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let (alice, martin, staff) = (app.employee(&acme).await, app.practitioner().await, app.platform_admin().await);
    // care: a log-in, a booking, a change of one's own account, a cancelling by a job
    log_in(&app, &alice).await;
    write(&app, &alice, Role::Employee, Entry::done("consultation.booked", "consultation", None)).await.unwrap();
    write(&app, &alice, Role::Employee, Entry::done("user.password_changed", "user", alice.id.0)).await.unwrap();
    write(&app, &alice, Role::Employee, Entry::done("employee.updated", "employee", None)).await.unwrap();
    write(&app, &martin, Role::Practitioner, Entry::done("consultation.ended", "consultation", None)).await.unwrap();
    log_in(&app, &acme.hr).await;
    // the directory: by HR, by the admin, by staff; and another company's
    write_some(&app, &acme, 1).await;
    write_some(&app, &globex, 3).await;
    write(&app, &acme.admin, Role::CompanyAdmin, Entry::done("company.updated", "company", acme.id.0)).await.unwrap();
    staff.get(&format!("/employees?companyId={}", acme.id)).await.expect(200);

    let seen = acme.hr.get("/audit-logs").await.expect(200).json;
    assert_eq!(actions(&seen), ["employee.listed", "company.updated", "employee.updated", "session.opened"]);
    let by_staff = &seen["items"][0]["actor"];
    assert_eq!(*by_staff, json!({ "role": "platform_admin" }), "staff are not named to employers");
    assert!(items(&seen).iter().all(|item| item["companyId"] == acme.id.0.to_string()));
    // their own log-in, and nobody else's
    assert_eq!(seen["items"][3]["actor"]["id"], acme.hr.id.0.to_string());
    let seen = acme.admin.get("/audit-logs").await.expect(200).json;
    assert_eq!(actions(&seen), ["employee.listed", "company.updated", "employee.updated"]);
    assert!(seen["items"][2].get("ip").is_none(), "where a colleague was is theirs");
    acme.hr.get(&format!("/audit-logs?companyId={}", globex.id)).await.refused(404, "not_found");
    let asked = acme.hr.get(&format!("/audit-logs?actorId={}", alice.id)).await.expect(200).json;
    assert_eq!(actions(&asked), [""; 0]);
    let asked = acme.hr.get(&format!("/audit-logs?actorId={}", staff.id)).await.expect(200).json;
    assert_eq!(actions(&asked), [""; 0], "which of the staff it was is not to be asked for");
    let asked = acme.hr.get("/audit-logs?action=session.opened&objectType=session").await.expect(200).json;
    assert_eq!(items(&asked).len(), 1);
}

#[tokio::test]
async fn staff_read_all_but_what_employees_do_with_their_sessions_and_leave_a_trace() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, martin, staff) = (app.employee(&company).await, app.practitioner().await, app.platform_admin().await);
    write(&app, &alice, Role::Employee, Entry::done("consultation.booked", "consultation", None)).await.unwrap();
    write(&app, &martin, Role::Practitioner, Entry::done("consultation.ended", "consultation", None)).await.unwrap();
    write(&app, &alice, Role::Employee, Entry::done("user.password_changed", "user", alice.id.0)).await.unwrap();
    // what nobody listed is nobody's to see
    write(&app, &alice, Role::Employee, Entry::done("journal.written", "journal", None)).await.unwrap();
    let seen = staff.get("/audit-logs").await.expect(200).json;
    assert_eq!(actions(&seen), ["user.password_changed", "consultation.ended"]);
    let of_alice = format!("/audit-logs?actorId={}&companyId={}", alice.id, company.id);
    assert_eq!(actions(&staff.get(&of_alice).await.expect(200).json), ["user.password_changed"]);
    staff.get(&format!("/audit-logs?companyId={}", Uuid::nil())).await.refused(404, "not_found");

    let traces = staff.get("/audit-logs?action=audit_log.read").await.expect(200).json;
    assert_eq!(items(&traces).len(), 2, "{traces}");
    let trace = &traces["items"][0];
    assert_eq!(trace["details"], json!({ "count": 1, "filters": ["company_id", "actor_id"] }));
    assert_eq!(trace["subject"], json!({ "type": "user", "id": alice.id }));
    assert_eq!(trace["companyId"], company.id.0.to_string());
    assert_eq!(trace["ip"], "127.0.0.1");
    // and alice finds out
    let hers = alice.get("/privacy/access-log").await.expect(200).json;
    assert_eq!(actions(&hers), ["audit_log.read"]);
    assert_eq!(hers["items"][0]["by"], "platform_staff");
}

#[tokio::test]
async fn lists_are_narrowed_and_come_in_pages() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    write_some(&app, &company, 5).await;
    write(&app, &company.hr, Role::Hr, Entry::done("employee.created", "employee", Uuid::from_u128(9))).await.unwrap();
    let hr = &company.hr;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = hr.get(&format!("/audit-logs?limit=2{cursor}")).await.expect(200).json;
        assert!(items(&page).len() <= 2);
        let keys = items(&page).iter().map(|item| (item["at"].to_string(), item["id"].to_string()));
        seen.extend(keys.collect::<Vec<_>>());
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 6);
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(seen, sorted, "newest first");
    let count = async |query: &str| items(&hr.get(&format!("/audit-logs?{query}")).await.expect(200).json).len();
    assert_eq!(count("action=employee.created").await, 1);
    assert_eq!(count("action=employee.unknown").await, 0);
    assert_eq!(count("objectType=company").await, 0);
    assert_eq!(count(&format!("objectId={}", Uuid::from_u128(9))).await, 1);
    assert_eq!(count(&format!("actorId={}", hr.id)).await, 6);
    let at = |minutes| (app.clock.now() + TimeDelta::minutes(minutes)).format("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(count(&format!("from={}&to={}", at(-5), at(5))).await, 6);
    assert_eq!(count(&format!("to={}", at(-5))).await, 0);
    assert_eq!(count(&format!("from={}", at(5))).await, 0);
    hr.get(&format!("/audit-logs?from={}&to={}", at(5), at(-5))).await.refused(422, "invalid");
    for (bad, code) in [
        ("limit=0", "invalid_parameter"),
        ("limit=101", "invalid_parameter"),
        ("cursor=x", "invalid_cursor"),
        ("action=anything", "invalid_parameter"),
        ("objectType=a%20b", "invalid_parameter"),
        ("actorId=me", "invalid_parameter"),
        ("from=yesterday", "invalid_parameter"),
    ] {
        hr.get(&format!("/audit-logs?{bad}")).await.refused(400, code);
    }
}
