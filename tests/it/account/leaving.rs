//! Who leaves a company keeps the account; the employer's mailbox opens it no longer.

use chrono::TimeDelta;
use serde_json::json;

use super::{OTHER, ask, entry_of, forgot, log_in, reset, token_to, verify};
use crate::support::app::{Company, PASSWORD};
use crate::support::{TestApp, User};

/// HR notes that a person left, or is back.
async fn leave(app: &TestApp, company: &Company, user: &User) {
    company.hr.delete(&format!("/employees/{}", entry_of(app, user).await)).await.expect(204);
    app.settle().await;
}

async fn come_back(app: &TestApp, company: &Company, user: &User) {
    let path = format!("/employees/{}/reactivate", entry_of(app, user).await);
    company.hr.post(&path, json!({})).await.expect(200);
    app.settle().await;
}

/// The first free slot of the day after tomorrow.
async fn wish(app: &TestApp, user: &User, dr: &User) -> serde_json::Value {
    let day = (app.clock.now() + TimeDelta::days(2)).date_naive();
    let slots = user.get(&format!("/practitioners/{}/slots?from={day}&to={day}", dr.id)).await.expect(200);
    json!({
        "practitionerId": dr.id, "startsAt": slots.str("/items/0/startsAt"), "durationMinutes": 30, "mode": "video",
    })
}

#[tokio::test]
async fn a_leaver_logs_in_and_reads_but_does_not_book() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let wanted = wish(&app, &alice, &dr).await;
    let id = alice.post("/consultations", wanted).await.expect(201).str("/id");
    let next = wish(&app, &alice, &dr).await;
    app.settle().await;
    leave(&app, &company, &alice).await;

    let session = log_in(&app, &alice.email, PASSWORD).await.expect(200);
    let alice = alice.with_token(session.str("/accessToken"));
    alice.get("/me").await.expect(200);
    let own = alice.get("/consultations").await.expect(200);
    assert_eq!(own.str("/items/0/id"), id);
    assert_eq!(own.str("/items/0/status"), "cancelled");
    alice.get(&format!("/consultations/{id}/events")).await.expect(200);
    alice.post("/consultations", next.clone()).await.refused(403, "not_covered");
    alice.patch("/me", json!({"displayName": "Alice"})).await.expect(200);

    come_back(&app, &company, &alice).await;
    alice.post("/consultations", next).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn a_leaver_is_told_once_at_the_accounts_address_and_nobody_else_is() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob) = (app.employee(&company).await, app.employee(&company).await);
    // back before the mail was written: nothing to tell
    let path = format!("/employees/{}", entry_of(&app, &bob).await);
    company.hr.delete(&path).await.expect(204);
    company.hr.post(&format!("{path}/reactivate"), json!({})).await.expect(200);
    app.settle().await;
    assert!(app.mails_to(&bob.email).is_empty());

    leave(&app, &company, &alice).await;
    let mails = app.mails_to(&alice.email);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "Your account stays yours");
    let text = mails[0].text.as_deref().unwrap();
    assert!(text.contains("enter a private address") && text.contains("Acme"), "{text}");
    // twice is once
    leave(&app, &company, &alice).await;
    assert_eq!(app.mails_to(&alice.email).len(), 1);

    // who never had an account hears nothing, and HR sees no difference
    let never = company
        .hr
        .post("/employees", json!({"email": "erin@acme.test", "firstName": "Erin", "lastName": "Roux"}))
        .await
        .expect(201)
        .str("/id");
    app.settle().await;
    let before = app.mails().len();
    company.hr.delete(&format!("/employees/{never}")).await.expect(204);
    app.settle().await;
    assert_eq!(app.mails().len(), before);
    let logged = company.hr.get("/employees?status=left").await.expect(200).text();
    assert!(!logged.contains("account") && !logged.contains("private"), "{logged}");
}

#[tokio::test]
async fn no_link_for_a_password_goes_to_a_mailbox_that_is_the_employers() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    forgot(&app, &alice.email).await.expect(202);
    app.settle().await;
    let before_leaving = token_to(&app, &alice.email, "reset-password");
    leave(&app, &company, &alice).await;
    let count = app.mails_to(&alice.email).len();

    // a link that lies in the mailbox from before opens nothing any more
    reset(&app, &before_leaving, OTHER).await.refused(410, "invalid_reset_token");
    forgot(&app, &alice.email).await.expect(202);
    app.settle().await;
    // nor does it help the employer to say that the address is another one by now
    let path = format!("/employees/{}", entry_of(&app, &alice).await);
    company.hr.patch(&path, json!({"email": "somebody.else@acme.test"})).await.expect(200);
    forgot(&app, &alice.email).await.expect(202);
    app.settle().await;
    assert_eq!(alice.get("/me").await.str("/email"), alice.email);
    // news of the account do not go there either
    let body = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
    alice.post("/auth/change-password", body).await.expect(204);
    app.settle().await;
    assert_eq!(app.mails_to(&alice.email).len(), count);
    assert_eq!(app.mails_to("somebody.else@acme.test").len(), 0);

    // back at work, it is theirs again
    come_back(&app, &company, &alice).await;
    forgot(&app, &alice.email).await.expect(202);
    app.settle().await;
    reset(&app, &token_to(&app, &alice.email, "reset-password"), "another quiet heron").await.expect(204);
    app.settle().await;
}

#[tokio::test]
async fn a_leaver_moves_to_a_private_address_without_the_employer_hearing_of_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    assert_eq!(alice.get("/me").await.json["privateAddress"], false);
    leave(&app, &company, &alice).await;
    let at_work = app.mails_to(&alice.email).len();
    ask(&alice, "alice@home.example").await.expect(200);
    app.settle().await;
    verify(&app, &token_to(&app, "alice@home.example", "verify-email")).await.expect(204);
    app.settle().await;
    assert_eq!(app.mails_to(&alice.email).len(), at_work);
    assert_eq!(alice.get("/me").await.json["privateAddress"], true);
    forgot(&app, "alice@home.example").await.expect(202);
    app.settle().await;
    reset(&app, &token_to(&app, "alice@home.example", "reset-password"), OTHER).await.expect(204);
    app.settle().await;
    assert_eq!(app.mails_to(&alice.email).len(), at_work);
    log_in(&app, "alice@home.example", OTHER).await.expect(200);
    // the directory says what it said
    let entry = company.hr.get(&format!("/employees/{}", entry_of(&app, &alice).await)).await.expect(200);
    assert_eq!(entry.str("/email"), alice.email);
    assert!(!entry.text().contains("home.example"));
}

#[tokio::test]
async fn who_has_a_private_address_leaves_with_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    ask(&alice, "alice@home.example").await.expect(200);
    app.settle().await;
    verify(&app, &token_to(&app, "alice@home.example", "verify-email")).await.expect(204);
    app.settle().await;
    let at_work = app.mails_to(&alice.email).len();
    leave(&app, &company, &alice).await;
    assert_eq!(app.mails_to(&alice.email).len(), at_work);
    let told = app.mails_to("alice@home.example");
    assert!(told.last().unwrap().text.as_deref().unwrap().contains("goes on under this address"));
    // even where HR writes that very address into the directory: the person proved that the mailbox is theirs
    let path = format!("/employees/{}", entry_of(&app, &alice).await);
    company.hr.patch(&path, json!({"email": "alice@home.example"})).await.expect(200);
    forgot(&app, "alice@home.example").await.expect(202);
    app.settle().await;
    reset(&app, &token_to(&app, "alice@home.example", "reset-password"), OTHER).await.expect(204);
    app.settle().await;
}

#[tokio::test]
async fn another_mailbox_of_the_employers_is_no_private_address() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    for (entry, new, private) in [
        ("a@acme.test", "a.martin@acme.test", false),
        ("b@acme.test", "b@sub.acme.test", true),
        ("c@gmail.com", "c.private@gmail.com", true),
    ] {
        let user = app.employee(&company).await;
        sqlx::query("UPDATE app.employees SET email = $1 WHERE id = $2")
            .bind(entry)
            .bind(entry_of(&app, &user).await)
            .execute(app.db())
            .await
            .unwrap();
        ask(&user, new).await.expect(200);
        app.settle().await;
        verify(&app, &token_to(&app, new, "verify-email")).await.expect(204);
        app.settle().await;
        assert_eq!(user.get("/me").await.json["privateAddress"], private, "{new}");
    }
    // for people who are not in a directory the question does not arise
    for other in [&company.hr, &app.platform_admin().await] {
        assert!(other.get("/me").await.json.get("privateAddress").is_none());
    }
}

#[tokio::test]
async fn a_correction_of_the_directory_moves_no_account() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let path = format!("/employees/{}", entry_of(&app, &alice).await);
    company.hr.patch(&path, json!({"email": "corrected@acme.test"})).await.expect(200);
    app.settle().await;
    assert_eq!(alice.get("/me").await.str("/email"), alice.email);
    log_in(&app, &alice.email, PASSWORD).await.expect(200);
    log_in(&app, "corrected@acme.test", PASSWORD).await.refused(401, "invalid_credentials");
    assert_eq!(alice.get("/me").await.json["privateAddress"], false);
}
