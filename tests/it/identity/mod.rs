//! Log in, refresh, log out, invitations, one's own account.

mod enumeration;
mod keys;
mod master_keys;
mod overtaken;
mod rotation;
mod sessions;
mod throttle;
mod token_attacks;

use chrono::TimeDelta;
use huntzen::platform::auth::{Caller, Role};
use huntzen::platform::ids::SessionId;
use huntzen::platform::jobs::Job;
use reqwest::Method;
use serde_json::json;

use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, User};

async fn log_in(app: &TestApp, user: &User) -> Answer {
    app.anonymous().post("/auth/login", json!({"email": user.email, "password": PASSWORD})).await
}

#[tokio::test]
async fn a_person_logs_in_and_is_known() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;

    let answer = app
        .anonymous()
        .post("/auth/login", json!({"email": alice.email.to_uppercase(), "password": PASSWORD, "device": "phone"}))
        .await
        .expect(200);
    assert_eq!(answer.json["user"]["id"], alice.id.to_string());
    assert_eq!(answer.json["user"]["role"], "employee");
    assert_eq!(answer.json["user"]["companyId"], company.id.to_string());
    assert_eq!(answer.json["expiresIn"], 900);

    let alice = alice.with_token(answer.str("/accessToken"));
    let me = alice.get("/me").await.expect(200);
    assert_eq!(me.json["email"], alice.email.as_str());
    assert!(me.headers.contains_key("etag"));
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'session.opened'").await, 1);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let mut bodies = Vec::new();
    for email in [alice.email.as_str(), "nobody@people.test"] {
        let mut it = app
            .anonymous()
            .post("/auth/login", json!({"email": email, "password": "not the password"}))
            .await
            .refused(401, "invalid_credentials");
        it.json["requestId"] = json!(null);
        bodies.push(it.json);
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'session.refused'").await, 2);
}

#[tokio::test]
async fn a_suspended_person_is_told_so_only_with_the_right_password() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1")
        .bind(alice.id)
        .execute(app.db())
        .await
        .unwrap();
    log_in(&app, &alice).await.refused(403, "account_suspended");
    app.anonymous()
        .post("/auth/login", json!({"email": alice.email, "password": "not the password"}))
        .await
        .refused(401, "invalid_credentials");
}

#[tokio::test]
async fn tokens_that_were_tampered_with_open_nothing() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let company = app.company("Acme").await;
    let parts: Vec<&str> = admin.token.split('.').collect();
    let none = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0";
    let forged = [
        format!("{none}.{}.", parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)),
        format!("{}.{}", parts[0], parts[1]),
        "garbage".to_owned(),
        String::from("é"),
    ];
    for token in forged {
        admin.with_token(token).get("/me").await.refused(401, "unauthenticated");
    }
    // a platform admin who claims a company is nobody
    let caller = Caller {
        user_id: admin.id,
        role: Role::PlatformAdmin,
        company_id: Some(company.id),
        session_id: app.platform.new_id::<SessionId>(),
        totp_setup_required: false,
    };
    let token = app.platform.tokens.sign_access(&caller, app.clock.now()).unwrap();
    admin.with_token(token).get("/me").await.refused(401, "unauthenticated");
}

/// A practitioner's account that waits for its owner, and the job that invites them.
async fn invited(app: &TestApp, email: &str) {
    let id: huntzen::platform::ids::UserId = app.platform.new_id();
    sqlx::query(
        "INSERT INTO app.users (id, email, role, display_name, status, locale) VALUES ($1, $2, 'platform_admin', 'Paz', 'invited', 'en')",
    )
    .bind(id)
    .bind(email)
    .execute(app.db())
    .await
    .unwrap();
    sqlx::query("SELECT app.enqueue($1, $2, ARRAY[$3], ARRAY[NULL::text], NULL, 8)")
        .bind("mail")
        .bind(huntzen::domain::identity::invitation::InviteUser::KIND)
        .bind(json!({"user_id": id}))
        .execute(app.db())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_invitation_is_mailed_opens_an_account_once_and_expires() {
    let app = TestApp::start().await;
    invited(&app, "paz@people.test").await;
    app.settle().await;
    let mails = app.mails_to("paz@people.test");
    assert_eq!(mails.len(), 1);
    assert!(mails[0].html.as_deref().unwrap().contains("Paz"));
    let token = mails[0].link_parameter("token");
    let nobody = app.anonymous();
    let accept = |body: serde_json::Value| {
        let nobody = nobody.clone();
        async move { nobody.post("/auth/accept-invitation", body).await }
    };
    let weak = accept(json!({"token": token, "password": "short", "acceptTerms": false, "timeZone": "Mars/Olympus"}))
        .await
        .refused(422, "invalid");
    let codes: Vec<_> = weak.json["errors"].as_array().unwrap().iter().map(|e| e["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["password_too_short", "terms_not_accepted", "time_zone"]);

    // the address and the name that were invited, and the name that the person goes by
    for personal in ["paz@people.test", "Paz@people.test!", "PAZ-paz-paz-12", "pazvega-12345"] {
        let refused =
            accept(json!({"token": token, "password": personal, "acceptTerms": true, "displayName": "Paz Vega"}))
                .await
                .refused(422, "invalid");
        assert_eq!(refused.str("/errors/0/code"), "password_personal", "{personal}");
    }
    let answer =
        accept(json!({"token": token, "password": "four quiet words", "acceptTerms": true, "displayName": "Paz Vega"}))
            .await
            .expect(200);
    assert_eq!(answer.json["user"]["displayName"], "Paz Vega");
    accept(json!({"token": token, "password": "four quiet words", "acceptTerms": true}))
        .await
        .refused(410, "invalid_invitation");
    nobody.post("/auth/login", json!({"email": "paz@people.test", "password": "four quiet words"})).await.expect(200);

    invited(&app, "late@people.test").await;
    app.settle().await;
    let token = app.mails_to("late@people.test")[0].link_parameter("token");
    app.clock.advance(TimeDelta::days(8));
    accept(json!({"token": token, "password": "four quiet words", "acceptTerms": true}))
        .await
        .refused(410, "invalid_invitation");
    assert_eq!(app.count("SELECT count(*) FROM app.one_time_tokens WHERE length(hash) <> 32").await, 0);
}

#[tokio::test]
async fn a_change_to_ones_own_account_needs_the_version_it_was_made_on() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let body = json!({"locale": "fr", "timeZone": "America/Martinique"});
    Answer::of(admin.request(Method::PATCH, "/me").json(&body)).await.refused(428, "precondition_required");
    Answer::of(admin.request(Method::PATCH, "/me").header("if-match", "\"0\"").json(&body)).await.refused(412, "stale");
    let answer = admin.patch("/me", body).await.expect(200);
    assert_eq!(answer.json["timeZone"], "America/Martinique");
    let etag = answer.header("etag").to_owned();
    assert_eq!(admin.get("/me").await.header("etag"), etag);
    let fresh = Answer::of(admin.request(Method::GET, "/me").header("if-none-match", etag)).await;
    assert_eq!(fresh.status, 304);
    admin.patch("/me", json!({"timeZone": "Paris"})).await.refused(422, "invalid");
}
