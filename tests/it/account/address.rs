//! A new address is taken once its mailbox proved it.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{OTHER, ask, audited, forgot, log_in, reset, token_to, verify};
use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp};

#[tokio::test]
async fn an_address_changes_once_the_new_mailbox_proved_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    for (n, user) in
        [app.employee(&company).await, company.hr.clone(), app.practitioner().await, app.platform_admin().await]
            .into_iter()
            .enumerate()
    {
        let new = format!("new{n}@home.test");
        let before = user.get("/me").await.header("etag").to_owned();
        let asked = ask(&user, &format!("  New{n}@Home.TEST ")).await.expect(200);
        assert_eq!(asked.str("/pendingEmail"), new);
        assert_eq!(asked.str("/email"), user.email);
        assert_ne!(asked.header("etag"), before);
        app.settle().await;

        // nothing is different yet; both mailboxes know
        log_in(&app, &user.email, PASSWORD).await.expect(200);
        log_in(&app, &new, PASSWORD).await.refused(401, "invalid_credentials");
        assert_eq!(app.mails_to(&new)[0].subject, "Confirm your new address");
        let warned = app.mails_to(&user.email);
        assert_eq!(warned[0].subject, "A change of your address was asked for");
        // the old mailbox may be the employer's: it does not learn the private address
        for part in [&warned[0].text, &warned[0].html] {
            assert!(!part.as_deref().unwrap().contains("home.test"));
        }

        verify(&app, &token_to(&app, &new, "verify-email")).await.expect(204);
        app.settle().await;
        let me = user.get("/me").await.expect(200);
        assert_eq!(me.str("/email"), new);
        assert!(me.json.get("pendingEmail").is_none());
        log_in(&app, &user.email, PASSWORD).await.refused(401, "invalid_credentials");
        log_in(&app, &new.to_uppercase(), PASSWORD).await.expect(200);
        let told = app.mails_to(&user.email);
        assert_eq!(told.len(), 2);
        assert_eq!(told[1].subject, "Your address was changed");
        assert!(!told[1].text.as_deref().unwrap().contains("home.test"));
    }
    for action in ["user.email_change_asked", "user.email_changed"] {
        assert_eq!(audited(&app, action).await, 4, "{action}");
    }
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE email_verified_at IS NOT NULL").await, 4);
}

#[tokio::test]
async fn an_address_changes_with_the_password_and_the_version_only() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let missing = admin.patch("/me", json!({"email": "new@home.test"})).await.refused(422, "invalid");
    assert_eq!(
        (missing.str("/errors/0/pointer"), missing.str("/errors/0/code")),
        ("/currentPassword".into(), "required".into())
    );
    let wrong = json!({"email": "new@home.test", "currentPassword": "not the password"});
    admin.patch("/me", wrong).await.refused(403, "wrong_password");
    let body = json!({"email": "new@home.test", "currentPassword": PASSWORD});
    Answer::of(admin.request(Method::PATCH, "/me").json(&body)).await.refused(428, "precondition_required");
    Answer::of(admin.request(Method::PATCH, "/me").header("if-match", "\"0\"").json(&body)).await.refused(412, "stale");
    for bad in [
        "nobody",
        "a@b",
        "two@at@home.test",
        "\u{212a}im@home.test",
        "zo\u{e9}@home.test",
        "x@home.test\r\nBcc: y@z.test",
    ] {
        let refused = ask(&admin, bad).await.refused(422, "invalid");
        assert_eq!(refused.str("/errors/0/pointer"), "/email", "{bad}");
    }
    assert!(admin.get("/me").await.json.get("pendingEmail").is_none());
    assert_eq!(app.count("SELECT count(*) FROM app.one_time_tokens").await, 0);
    // the other fields need no password
    admin.patch("/me", json!({"displayName": "Ada"})).await.expect(200);
}

/// Also to who reads the mailbox: to a free address, to one of an account, and to one whose account lost it.
#[tokio::test]
async fn the_letter_to_a_new_address_does_not_tell_whether_somebody_has_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob, left) = (app.employee(&company).await, app.platform_admin().await, app.employee(&company).await);
    super::leaving::leave(&app, &company, &left).await;
    let mut seen = Vec::new();
    for address in ["free@home.test", &bob.email, &left.email] {
        let before = app.mails_to(address).len();
        let mut answer = ask(&alice, address).await.expect(200);
        assert_eq!(answer.str("/pendingEmail"), address);
        answer.json["pendingEmail"] = json!(null);
        app.settle().await;
        let sent = app.mails_to(address).split_off(before);
        assert_eq!(sent.len(), 1, "{address}");
        let token = sent[0].link_parameter("token");
        let words = |part: &Option<String>| part.as_deref().unwrap().replace(&token, "…");
        seen.push((answer.json, sent[0].subject.clone(), words(&sent[0].text), words(&sent[0].html)));
        // the old mailbox hears the same in all cases
        assert_eq!(app.mails_to(&alice.email).last().unwrap().subject, "A change of your address was asked for");
        if address != "free@home.test" {
            verify(&app, &token).await.refused(410, "invalid_email_token");
        }
    }
    assert_eq!((&seen[0], &seen[0]), (&seen[1], &seen[2]));
    assert_eq!(alice.get("/me").await.str("/email"), alice.email);
    // it was not done unseen: whose address it is finds that in their access log
    for holder in [&bob, &left] {
        let holder = holder.with_token(log_in(&app, &holder.email, PASSWORD).await.expect(200).str("/accessToken"));
        let log = holder.get("/privacy/access-log").await.expect(200).json;
        let found: Vec<_> =
            log["items"].as_array().unwrap().iter().filter(|it| it["action"] == "user.address_claimed").collect();
        assert_eq!(found.len(), 1, "{log}");
    }
    assert_eq!(audited(&app, "user.address_claimed").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_who_prove_one_address_at_once_one_gets_it() {
    let app = TestApp::start().await;
    let people = [app.platform_admin().await, app.platform_admin().await];
    for person in &people {
        ask(person, "one@home.test").await.expect(200);
    }
    app.settle().await;
    let tokens: Vec<String> = app.mails_to("one@home.test").iter().map(|mail| mail.link_parameter("token")).collect();
    assert_eq!(tokens.len(), 2);
    // each of them five times
    let tries = join_all((0..10).map(|n| verify(&app, &tokens[n % 2]))).await;
    assert_eq!(tries.iter().filter(|it| it.status == 204).count(), 1, "{tries:?}");
    for lost in tries.into_iter().filter(|it| it.status != 204) {
        lost.refused(410, "invalid_email_token");
    }
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE email = 'one@home.test'").await, 1);
    assert_eq!(audited(&app, "user.email_changed").await, 1);
}

#[tokio::test]
async fn the_old_address_stops_a_change() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    ask(&admin, "thief@home.test").await.expect(200);
    app.settle().await;
    let stop = token_to(&app, &admin.email, "stop-email-change");
    let nobody = app.anonymous();
    nobody.post("/auth/stop-email-change", json!({"token": stop})).await.expect(204);
    assert!(admin.get("/me").await.json.get("pendingEmail").is_none());
    verify(&app, &token_to(&app, "thief@home.test", "verify-email")).await.refused(410, "invalid_email_token");
    nobody.post("/auth/stop-email-change", json!({"token": stop})).await.refused(410, "invalid_email_token");
    log_in(&app, &admin.email, PASSWORD).await.expect(200);
    assert_eq!(audited(&app, "user.email_change_stopped").await, 1);
}

#[tokio::test]
async fn a_proof_expires_after_a_day_and_the_last_one_counts() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    ask(&admin, "first@home.test").await.expect(200);
    ask(&admin, "second@home.test").await.expect(200);
    app.settle().await;
    // the first had ended before its mail was written
    assert!(app.mails_to("first@home.test").is_empty());
    let second = token_to(&app, "second@home.test", "verify-email");
    app.clock.advance(TimeDelta::hours(24));
    verify(&app, &second).await.refused(410, "invalid_email_token");
    let admin = admin.with_token(log_in(&app, &admin.email, PASSWORD).await.str("/accessToken"));
    assert!(admin.get("/me").await.expect(200).json.get("pendingEmail").is_none());
    // nightly, what nobody proved is forgotten
    sqlx::query("SELECT app.enqueue('maintenance', 'identity.forget_pending_addresses', ARRAY['{}'::jsonb], ARRAY[NULL], NULL, 8)")
        .execute(app.db())
        .await
        .unwrap();
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE pending_email IS NOT NULL").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE pending_email_until IS NOT NULL").await, 0);
}

#[tokio::test]
async fn the_present_address_again_withdraws_a_change() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    ask(&admin, "new@home.test").await.expect(200);
    app.settle().await;
    let kept = ask(&admin, &admin.email).await.expect(200);
    assert!(kept.json.get("pendingEmail").is_none());
    verify(&app, &token_to(&app, "new@home.test", "verify-email")).await.refused(410, "invalid_email_token");
    app.settle().await;
    assert_eq!(audited(&app, "user.email_change_withdrawn").await, 1);
}

#[tokio::test]
async fn nobody_has_more_than_five_strangers_mailed_in_an_hour() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    for n in 0..5 {
        ask(&admin, &format!("n{n}@home.test")).await.expect(200);
        app.settle().await;
    }
    let refused = ask(&admin, "n5@home.test").await.refused(429, "too_many_requests");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(admin.get("/me").await.str("/pendingEmail"), "n4@home.test");
}

#[tokio::test]
async fn who_accepts_an_invitation_may_log_in_with_an_address_of_their_own() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let choose = async |token: &str, email: &str| {
        app.anonymous().post("/auth/invitation-address", json!({"token": token, "email": email})).await
    };
    let accept = async |token: &str| {
        let body = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
        app.anonymous().post("/auth/accept-invitation", body).await
    };
    // somebody of HR has an account under the work address, and gets one for care besides
    let new = json!({"email": company.hr.email, "firstName": "Hugo", "lastName": "Petit", "locale": "en"});
    let id = company.hr.post("/employees", new).await.expect(201).str("/id");
    app.settle().await;
    let first = token_to(&app, &company.hr.email, "accept-invitation");
    accept(&first).await.refused(409, "account_exists");
    for bad in ["nobody", "a@b", "x@home.test\r\nBcc: y@z.test"] {
        let refused = choose(&first, bad).await.refused(422, "invalid");
        assert_eq!(refused.str("/errors/0/pointer"), "/email", "{bad}");
    }
    choose("unknown", "hugo@home.example").await.refused(410, "invalid_invitation");

    // the last one counts; a link to an address accepts and cannot be sent on for longer than it holds
    choose(&first, "one@home.example").await.expect(202);
    app.settle().await;
    let one = token_to(&app, "one@home.example", "accept-invitation");
    choose(&first, "hugo@home.example").await.expect(202);
    app.settle().await;
    accept(&one).await.refused(410, "invalid_invitation");
    let own = token_to(&app, "hugo@home.example", "accept-invitation");
    let session = accept(&own).await.expect(200);
    assert_eq!(
        (session.str("/user/email"), session.str("/user/role")),
        ("hugo@home.example".into(), "employee".into())
    );
    let hugo = app.anonymous().with_token(session.str("/accessToken"));
    assert_eq!(hugo.get("/me").await.json["privateAddress"], true);
    for used in [&first, &own] {
        accept(used).await.refused(410, "invalid_invitation");
        choose(used, "other@home.example").await.refused(410, "invalid_invitation");
    }
    // HR is who it was, and the directory says what it said
    log_in(&app, &company.hr.email, PASSWORD).await.expect(200);
    let entry = company.hr.get(&format!("/employees/{id}")).await.expect(200);
    assert_eq!(entry.str("/email"), company.hr.email);
    assert!(!entry.text().contains("home.example"));
    assert_eq!(audited(&app, "invitation.address_asked").await, 2);

    // another mailbox of the employer's is none of one's own
    let new = json!({"email": "erin@acme.test", "firstName": "Erin", "lastName": "Roux"});
    company.hr.post("/employees", new).await.expect(201);
    app.settle().await;
    let token = token_to(&app, "erin@acme.test", "accept-invitation");
    for _ in 0..4 {
        choose(&token, "nobody@people.test").await.expect(202);
    }
    choose(&token, "e.roux@acme.test").await.expect(202);
    let refused = choose(&token, "e.roux@acme.test").await.refused(429, "too_many_requests");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    app.settle().await;
    let session = accept(&token_to(&app, "e.roux@acme.test", "accept-invitation")).await.expect(200);
    let erin = app.anonymous().with_token(session.str("/accessToken"));
    assert_eq!(erin.get("/me").await.json["privateAddress"], false);

    // a practitioner's account has the address that the platform gave it
    let staff = app.platform_admin().await;
    let dr = json!({
        "email": "dr@people.test", "displayName": "Dr", "specialties": ["sleep"], "languages": ["fr"], "modes": ["chat"],
        "timeZone": "Europe/Paris", "sessionLengths": [30], "hourlyRate": {"amount": 9000, "currency": "EUR"},
    });
    staff.post("/practitioners", dr).await.expect(201);
    app.settle().await;
    let token = token_to(&app, "dr@people.test", "accept-invitation");
    choose(&token, "dr@home.example").await.refused(410, "invalid_invitation");
}

#[tokio::test]
async fn a_reset_link_that_went_to_the_old_address_ends_with_it() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    forgot(&app, &admin.email).await.expect(202);
    ask(&admin, "new@home.test").await.expect(200);
    app.settle().await;
    let old = token_to(&app, &admin.email, "reset-password");
    verify(&app, &token_to(&app, "new@home.test", "verify-email")).await.expect(204);
    app.settle().await;
    reset(&app, &old, OTHER).await.refused(410, "invalid_reset_token");
}
