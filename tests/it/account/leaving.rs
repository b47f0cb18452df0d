//! Who leaves a company keeps the account; the employer's mailbox opens it no longer.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use huntzen::platform::jobs::{Job, Queue};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{OTHER, ask, entry_of, forgot, log_in, reset, token_to, verify};
use crate::support::app::{Company, PASSWORD};
use crate::support::smtp::Mail;
use crate::support::{TestApp, User};

/// HR notes that a person left, or is back.
pub(super) async fn leave(app: &TestApp, company: &Company, user: &User) {
    company.hr.delete(&format!("/employees/{}", entry_of(app, user).await)).await.expect(204);
    app.settle().await;
}

async fn come_back(app: &TestApp, company: &Company, user: &User) {
    let path = format!("/employees/{}/reactivate", entry_of(app, user).await);
    company.hr.post(&path, json!({})).await.expect(200);
    app.settle().await;
}

/// What went to the address that the directory has.
async fn at_work(app: &TestApp, user: &User) -> Vec<Mail> {
    let address: String = sqlx::query_scalar("SELECT email FROM app.employees WHERE id = $1")
        .bind(entry_of(app, user).await)
        .fetch_one(app.db())
        .await
        .unwrap();
    app.mails_to(&address)
}

/// What went to the account's address about the account and its appointments: the directory, in French, tells all alike.
fn of_account(app: &TestApp, user: &User) -> Vec<Mail> {
    app.mails_to(&user.email).into_iter().filter(|mail| !mail.subject.starts_with("Si vous avez un compte")).collect()
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
async fn every_leaver_is_told_the_same_at_work_account_or_not() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let dr = app.practitioner().await;
    let mut stories = Vec::new();
    for (address, has_account) in [("with@acme.test", true), ("without@acme.test", false)] {
        let new = json!({"email": address, "firstName": "Erin", "lastName": "Roux", "locale": "en"});
        let id = company.hr.post("/employees", new).await.expect(201).str("/id");
        app.settle().await;
        if has_account {
            let token = app.mails_to(address)[0].link_parameter("token");
            let accept = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
            let session = app.anonymous().post("/auth/accept-invitation", accept).await.expect(200);
            let erin = app.anonymous().with_token(session.str("/accessToken"));
            let wanted = wish(&app, &erin, &dr).await;
            erin.post("/consultations", wanted).await.expect(201);
            app.settle().await;
        }
        let path = format!("/employees/{id}");
        let mut story = Vec::new();
        for _ in 0..2 {
            let before = app.mails_to(address).len();
            company.hr.delete(&path).await.expect(204);
            app.settle().await;
            company.hr.post(&format!("{path}/reactivate"), json!({})).await.expect(200);
            app.settle().await;
            for mail in &app.mails_to(address)[before..] {
                assert!(mail.attachments.is_empty(), "{}", mail.subject);
                story.push((mail.subject.clone(), mail.text.clone().unwrap(), mail.html.clone().unwrap()));
            }
        }
        assert_eq!(story.len(), 4, "{story:?}");
        assert_eq!(story[0].0, "If you have an account, it stays yours");
        assert!(story[0].1.contains("enter a private address") && story[0].1.contains("Acme"), "{}", story[0].1);
        assert_eq!(story[1].0, "If you have an account: please confirm your address");
        stories.push(story);
    }
    assert_eq!(stories[0], stories[1]);
    // what was booked is cancelled; the practitioner is told, the mailbox at work is not
    let told = app.mails_to(&dr.email);
    assert_eq!(told.last().unwrap().calendar()["method"], "CANCEL");
    let logged = company.hr.get("/employees?status=left").await.expect(200).text();
    assert!(!logged.contains("account") && !logged.contains("private"), "{logged}");
}

#[tokio::test]
async fn who_is_back_before_the_mail_was_written_is_not_told_to_have_left() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let bob = app.employee(&company).await;
    let entry = entry_of(&app, &bob).await;
    let path = format!("/employees/{entry}");
    company.hr.delete(&path).await.expect(204);
    company.hr.post(&format!("{path}/reactivate"), json!({})).await.expect(200);
    app.settle().await;
    let subjects: Vec<_> = at_work(&app, &bob).await.into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects, ["Si vous avez un compte : confirmez votre adresse"]);
    // twice is once
    leave(&app, &company, &bob).await;
    leave(&app, &company, &bob).await;
    assert_eq!(at_work(&app, &bob).await.len(), 2);
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
    let count = of_account(&app, &alice).len();

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
    let alice = alice.with_token(log_in(&app, &alice.email, OTHER).await.expect(200).str("/accessToken"));
    app.settle().await;
    assert_eq!(of_account(&app, &alice).len(), count);
    assert_eq!(app.mails_to("somebody.else@acme.test").len(), 0);

    // that HR writes of a return opens the account no more than that it wrote of a departure: only the person says so
    come_back(&app, &company, &alice).await;
    let back = alice.get("/me").await.expect(200);
    assert_eq!(back.json["mailStopped"], true);
    forgot(&app, &alice.email).await.expect(202);
    let dr = app.practitioner().await;
    let wanted = wish(&app, &alice, &dr).await;
    alice.post("/consultations", wanted).await.expect(201);
    app.settle().await;
    assert_eq!(of_account(&app, &alice).len(), count);
    assert_eq!(app.mails_to(&dr.email).len(), 1);
}

#[tokio::test]
async fn who_is_back_proves_the_mailbox_at_work_and_is_reached_there_again() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    assert_eq!(alice.get("/me").await.json["mailStopped"], false);
    leave(&app, &company, &alice).await;
    assert_eq!(alice.get("/me").await.json["mailStopped"], true);
    // of who has left, the present address is not asked for a proof: the mailbox is the employer's
    ask(&alice, &alice.email).await.expect(200);
    app.settle().await;
    assert!(of_account(&app, &alice).is_empty());

    come_back(&app, &company, &alice).await;
    // the password alone says whose account it is, not whose the mailbox
    log_in(&app, &alice.email, PASSWORD).await.expect(200);
    forgot(&app, &alice.email).await.expect(202);
    app.settle().await;
    assert!(of_account(&app, &alice).is_empty());
    let asked = ask(&alice, &alice.email).await.expect(200);
    assert_eq!(asked.str("/pendingEmail"), alice.email);
    app.settle().await;
    let proof = token_to(&app, &alice.email, "verify-email");
    // gone again meanwhile: the proof does not count
    leave(&app, &company, &alice).await;
    verify(&app, &proof).await.expect(204);
    assert_eq!(alice.get("/me").await.json["mailStopped"], true);

    come_back(&app, &company, &alice).await;
    ask(&alice, &alice.email).await.expect(200);
    app.settle().await;
    verify(&app, &token_to(&app, &alice.email, "verify-email")).await.expect(204);
    let me = alice.get("/me").await.expect(200);
    assert_eq!((&me.json["mailStopped"], &me.json["privateAddress"]), (&json!(false), &json!(false)));
    forgot(&app, &alice.email).await.expect(202);
    app.settle().await;
    reset(&app, &token_to(&app, &alice.email, "reset-password"), OTHER).await.expect(204);
    app.settle().await;
}

#[tokio::test]
async fn a_link_that_stops_a_change_works_in_no_mailbox_that_became_the_employers() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    // nor is a warning of a change sent there that was asked for before: nobody works on jobs yet
    let bob = app.employee(&company).await;
    ask(&bob, "bob@home.example").await.expect(200);
    leave(&app, &company, &bob).await;
    assert!(of_account(&app, &bob).is_empty());

    let alice = app.employee(&company).await;
    ask(&alice, "alice@home.example").await.expect(200);
    app.settle().await;
    let stop = token_to(&app, &alice.email, "stop-email-change");
    leave(&app, &company, &alice).await;
    app.anonymous().post("/auth/stop-email-change", json!({"token": stop})).await.refused(410, "invalid_email_token");
    verify(&app, &token_to(&app, "alice@home.example", "verify-email")).await.expect(204);
    app.settle().await;
    assert_eq!(alice.get("/me").await.str("/email"), "alice@home.example");
}

/// As the schedule does every night.
#[derive(Serialize, Deserialize)]
struct CloseWorkMailboxes {}

impl Job for CloseWorkMailboxes {
    const KIND: &'static str = "identity.close_work_mailboxes";
    const QUEUE: Queue = Queue::Maintenance;
}

#[tokio::test]
async fn people_of_an_archived_company_have_a_month_to_give_a_private_address() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (platform, alice, bob) =
        (app.platform_admin().await, app.employee(&company).await, app.employee(&company).await);
    sqlx::query("UPDATE app.employees SET locale = 'en'").execute(app.db()).await.unwrap();
    let never = json!({"email": "erin@acme.test", "firstName": "Erin", "lastName": "Roux", "locale": "fr"});
    company.hr.post("/employees", never).await.expect(201);
    leave(&app, &company, &bob).await;
    let step = async |to: &str| {
        let platform = platform.with_token(app.session(platform.id, Role::PlatformAdmin, None).await);
        platform.post(&format!("/companies/{}/{to}", company.id.0), json!({})).await.expect(200);
        app.settle().await;
    };
    step("archive").await;
    // everybody who works there is told, account or not; who left was told so
    let told = |mails: Vec<Mail>, words: &str| mails.iter().filter(|mail| mail.subject.contains(words)).count();
    assert_eq!(told(at_work(&app, &alice).await, "private address"), 1);
    assert_eq!(told(app.mails_to("erin@acme.test"), "adresse privée"), 1);
    assert_eq!(told(at_work(&app, &bob).await, "private address"), 0);
    let text = at_work(&app, &alice).await.last().unwrap().text.clone().unwrap();
    let until = (app.clock.now() + TimeDelta::days(30))
        .with_timezone(&chrono_tz::Europe::Paris)
        .format("%-d %B %Y")
        .to_string();
    assert!(text.contains(&until), "{until}: {text}");

    // the mailbox is theirs for the time being
    let refused = |answer: serde_json::Value| answer["mailStopped"].as_bool().unwrap();
    app.clock.advance(TimeDelta::days(29));
    app.enqueue(&CloseWorkMailboxes {}).await;
    app.settle().await;
    let session = log_in(&app, &alice.email, PASSWORD).await.expect(200);
    let alice = alice.with_token(session.str("/accessToken"));
    assert!(!refused(alice.get("/me").await.expect(200).json));
    app.clock.advance(TimeDelta::days(2));
    app.enqueue(&CloseWorkMailboxes {}).await;
    app.settle().await;
    let session = log_in(&app, &alice.email, PASSWORD).await.expect(200);
    let alice = alice.with_token(session.str("/accessToken"));
    assert!(refused(alice.get("/me").await.expect(200).json));
    let before = app.mails_to(&alice.email).len();
    forgot(&app, &alice.email).await.expect(202);
    app.settle().await;
    assert_eq!(app.mails_to(&alice.email).len(), before);
    // a private address mends it, now as before
    ask(&alice, "alice@home.example").await.expect(200);
    app.settle().await;
    verify(&app, &token_to(&app, "alice@home.example", "verify-email")).await.expect(204);
    assert!(!refused(alice.get("/me").await.expect(200).json));
    // a company that is active again has its directory back, not its people's mailboxes
    let erins = told(app.mails_to("erin@acme.test"), "confirmez votre adresse");
    step("activate").await;
    assert_eq!(app.count("SELECT count(*) FROM app.companies WHERE archived_at IS NOT NULL").await, 0);
    // everybody who works there is told how mail reaches them again, account or not; who left is not
    assert_eq!(told(at_work(&app, &alice).await, "please confirm your address"), 1);
    assert_eq!(told(app.mails_to("erin@acme.test"), "confirmez votre adresse") - erins, 1);
    assert_eq!(told(at_work(&app, &bob).await, "please confirm your address"), 0);
    // of an archiving that was taken back in time nobody lost anything
    step("archive").await;
    app.clock.advance(TimeDelta::days(29));
    step("activate").await;
    assert_eq!(told(app.mails_to("erin@acme.test"), "confirmez votre adresse") - erins, 1);
    let session = log_in(&app, &bob.email, PASSWORD).await.expect(200);
    assert!(refused(bob.with_token(session.str("/accessToken")).get("/me").await.expect(200).json));
}

#[tokio::test]
async fn hr_of_a_suspended_company_notes_who_leaves() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let wanted = wish(&app, &alice, &dr).await;
    let id = alice.post("/consultations", wanted).await.expect(201).str("/id");
    app.settle().await;
    app.platform_admin().await.post(&format!("/companies/{}/suspend", company.id.0), json!({})).await.expect(200);
    leave(&app, &company, &alice).await;
    assert_eq!(alice.get(&format!("/consultations/{id}")).await.expect(200).str("/status"), "cancelled");
    let before = app.mails_to(&alice.email).len();
    forgot(&app, &alice.email).await.expect(202);
    app.settle().await;
    assert_eq!(app.mails_to(&alice.email).len(), before);
    // taking them back waits until the company is active
    let path = format!("/employees/{}/reactivate", entry_of(&app, &alice).await);
    company.hr.post(&path, json!({})).await.refused(403, "company_suspended");
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
    let before = of_account(&app, &alice).len();
    leave(&app, &company, &alice).await;
    assert_eq!(of_account(&app, &alice).len(), before);
    // at work as everybody, and at home for certain
    assert_eq!(at_work(&app, &alice).await.last().unwrap().subject, "Si vous avez un compte, il reste le vôtre");
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
        ("b@acme.test", "b@sub.acme.test", false),
        ("d@paris.acme.test", "d@acme.test", false),
        ("e@acme.test", "e@notacme.test", true),
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
