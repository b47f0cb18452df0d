//! Setting up, replacing, switching off, recovering.

use chrono::TimeDelta;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::seal::{Keyring, Place, Purpose};
use serde_json::json;

use super::{App, audited, codes, enabled, next_step, password, step, ticket};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

#[tokio::test]
async fn setting_up_needs_the_password_and_a_code_of_the_one_that_counts() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    alice.post("/auth/totp/setup", json!({"password": "not the password"})).await.refused(403, "wrong_password");
    app.clock.advance(TimeDelta::minutes(1));
    let old = enabled(&app, &alice).await;

    let missing = alice.post("/auth/totp/setup", json!({"password": PASSWORD})).await.refused(422, "invalid");
    assert_eq!(missing.json["errors"][0]["pointer"], "/code");
    let wrong = json!({"password": PASSWORD, "code": "000000"});
    alice.post("/auth/totp/setup", wrong).await.refused(403, "wrong_totp_code");
    app.clock.advance(TimeDelta::minutes(1));
    next_step(&app);
    let code = old.code(&app, 0);
    let offer = alice.post("/auth/totp/setup", json!({"password": PASSWORD, "code": code})).await.expect(200);

    // the old one counts until the new one has shown a code
    next_step(&app);
    let between = ticket(&app, &alice).await;
    step(&app, &between, json!({"code": old.code(&app, 0)})).await.expect(200);
    let new = App::of(&offer, Vec::new());
    let done = alice.post("/auth/totp/enable", json!({"code": new.code(&app, 0)})).await.expect(200);
    next_step(&app);
    let after = ticket(&app, &alice).await;
    step(&app, &after, json!({"code": old.code(&app, 0)})).await.refused(401, "invalid_totp_code");
    app.clock.advance(TimeDelta::minutes(1));
    next_step(&app);
    let after = ticket(&app, &alice).await;
    step(&app, &after, json!({"code": new.code(&app, 0)})).await.expect(200);
    // nor do the old recovery codes
    let after = ticket(&app, &alice).await;
    step(&app, &after, json!({"recoveryCode": old.recovery_codes[0]})).await.refused(401, "invalid_totp_code");
    app.clock.advance(TimeDelta::minutes(1));
    let after = ticket(&app, &alice).await;
    step(&app, &after, json!({"recoveryCode": codes(&done)[0]})).await.expect(200);

    app.settle().await;
    let told: Vec<_> = app.mails_to(&alice.email).into_iter().map(|mail| mail.text.unwrap()).collect();
    assert_eq!(told.len(), 3);
    for words in ["switched on", "replaced", "9 codes left"] {
        assert!(told.iter().any(|text| text.contains(words)), "{words}: {told:?}");
    }
    assert_eq!(audited(&app, "two_factor.replaced").await, 1);
}

#[tokio::test]
async fn an_offer_waits_an_hour_and_only_the_newest_counts() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    alice.post("/auth/totp/enable", json!({"code": "123456"})).await.refused(409, "totp_not_set_up");
    let first = alice.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
    let second = alice.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
    assert_ne!(first.str("/secret"), second.str("/secret"));
    next_step(&app);
    let of_first = App::of(&first, Vec::new()).code(&app, 0);
    alice.post("/auth/totp/enable", json!({"code": of_first})).await.refused(403, "wrong_totp_code");
    let alice =
        alice.with_token(app.session(alice.id, huntzen::platform::auth::Role::Employee, alice.company_id).await);
    app.clock.advance(TimeDelta::minutes(10));
    let phone = App::of(&second, Vec::new());
    app.clock.advance(TimeDelta::minutes(51));
    let late = alice.with_token(app.session(alice.id, huntzen::platform::auth::Role::Employee, alice.company_id).await);
    late.post("/auth/totp/enable", json!({"code": phone.code(&app, 0)})).await.refused(409, "totp_not_set_up");
    password(&app, &alice).await.expect(200).str("/accessToken");
}

#[tokio::test]
async fn enabling_and_disabling_end_the_other_sessions() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let before = password(&app, &alice).await.expect(200);
    let other = alice.with_token(before.str("/accessToken"));
    let phone = enabled(&app, &alice).await;
    other.get("/me").await.refused(401, "unauthenticated");
    let refresh = json!({"refreshToken": before.str("/refreshToken")});
    app.anonymous().post("/auth/refresh", refresh).await.refused(401, "invalid_refresh_token");
    alice.get("/me").await.expect(200);

    let again = ticket(&app, &alice).await;
    let other = step(&app, &again, json!({"code": phone.code(&app, 0)})).await.expect(200);
    let other = alice.with_token(other.str("/accessToken"));
    other.get("/me").await.expect(200);
    next_step(&app);
    let code = phone.code(&app, 0);
    for (body, status, problem) in [
        (json!({"password": PASSWORD}), 422, "invalid"),
        (json!({"password": "not the password", "code": code}), 403, "wrong_password"),
        (json!({"password": PASSWORD, "code": "000000"}), 403, "wrong_totp_code"),
    ] {
        alice.post("/auth/totp/disable", body).await.refused(status, problem);
        app.clock.advance(TimeDelta::seconds(5));
    }
    next_step(&app);
    let body = json!({"password": PASSWORD, "code": phone.code(&app, 0)});
    alice.post("/auth/totp/disable", body).await.expect(204);
    other.get("/me").await.refused(401, "unauthenticated");
    assert_eq!(alice.get("/me").await.expect(200).json["totpEnabled"], false);
    password(&app, &alice).await.expect(200).str("/accessToken");
    let again = json!({"password": PASSWORD, "code": phone.code(&app, 1)});
    alice.post("/auth/totp/disable", again).await.refused(409, "totp_not_enabled");
    alice
        .post("/auth/totp/recovery-codes", json!({"password": PASSWORD, "code": "000000"}))
        .await
        .refused(409, "totp_not_enabled");
    assert_eq!(app.count("SELECT count(*) FROM app.recovery_codes").await, 0);
    assert_eq!(audited(&app, "two_factor.disabled").await, 1);
    app.settle().await;
    let told = app.mails_to(&alice.email);
    assert!(told.iter().any(|mail| mail.text.as_deref().unwrap().contains("switched off")));
}

#[tokio::test]
async fn a_recovery_code_opens_the_account_once_however_it_is_written() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let code = &phone.recovery_codes[0];
    for (n, written) in [code.clone(), phone.recovery_codes[1].to_lowercase().replace('-', " ")].iter().enumerate() {
        let ticket = ticket(&app, &admin).await;
        step(&app, &ticket, json!({"recoveryCode": written})).await.expect(200);
        assert_eq!(audited(&app, "recovery_code.used").await, i64::try_from(n).unwrap() + 1);
    }
    let again = ticket(&app, &admin).await;
    step(&app, &again, json!({"recoveryCode": code})).await.refused(401, "invalid_totp_code");
    app.clock.advance(TimeDelta::minutes(1));

    // a new set ends the old one
    let renew = async |body: serde_json::Value| admin.post("/auth/totp/recovery-codes", body).await;
    renew(json!({})).await.refused(422, "invalid");
    // whoever has the password alone, or the app alone, gets nothing that replaces the second factor
    renew(json!({"password": PASSWORD})).await.refused(422, "invalid");
    renew(json!({"code": phone.code(&app, 0)})).await.refused(422, "invalid");
    renew(json!({"password": "not it", "code": phone.code(&app, 0)})).await.refused(403, "wrong_password");
    app.clock.advance(TimeDelta::minutes(1));
    renew(json!({"password": PASSWORD, "code": "000000"})).await.refused(403, "wrong_totp_code");
    app.clock.advance(TimeDelta::minutes(1));
    let body = json!({"password": PASSWORD, "recoveryCode": phone.recovery_codes[2]});
    let new = renew(body).await.expect(200);
    assert!(codes(&new).iter().all(|code| !phone.recovery_codes.contains(code)));
    let old = ticket(&app, &admin).await;
    step(&app, &old, json!({"recoveryCode": phone.recovery_codes[5]})).await.refused(401, "invalid_totp_code");
    app.clock.advance(TimeDelta::minutes(1));
    next_step(&app);
    let code = phone.code(&app, 0);
    let newer = renew(json!({"password": PASSWORD, "code": code})).await.expect(200);
    let last = ticket(&app, &admin).await;
    step(&app, &last, json!({"recoveryCode": codes(&newer)[9]})).await.expect(200);
    app.settle().await;
    let told: Vec<_> = app.mails_to(&admin.email).into_iter().map(|mail| mail.text.unwrap()).collect();
    let times = |words: &str| told.iter().filter(|text| text.contains(words)).count();
    assert_eq!(
        (times("switched on"), times("new recovery codes"), times("9 codes left"), times("8 codes left")),
        (1, 2, 2, 1)
    );
}

#[tokio::test]
async fn who_lost_the_app_replaces_it_with_a_recovery_code() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let lost = enabled(&app, &admin).await;
    let body = json!({"password": PASSWORD, "recoveryCode": lost.recovery_codes[0]});
    let offer = admin.post("/auth/totp/setup", body).await.expect(200);
    let phone = App::of(&offer, Vec::new());
    admin.post("/auth/totp/enable", json!({"code": phone.code(&app, 0)})).await.expect(200);
    next_step(&app);
    let ticket = ticket(&app, &admin).await;
    step(&app, &ticket, json!({"code": phone.code(&app, 0)})).await.expect(200);
    app.settle().await;
}

#[tokio::test]
async fn a_secret_under_an_older_master_key_opens_and_moves_to_the_newest() {
    use base64::Engine;
    let key = |byte: u8| base64::engine::general_purpose::STANDARD.encode([byte; 32]);
    let app =
        TestApp::start_with(|name| (name == "MASTER_KEYS").then(|| format!("new:{},old:{}", key(2), key(1)))).await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let place = Place {
        purpose: Purpose::new("identity.totp"),
        table: "two_factor",
        column: "secret",
        row: admin.id.0,
        person: Some(admin.id.0),
        company: None,
    };
    let old = Keyring::new(&[("old".into(), key(1).into())]).unwrap();
    let sealed = old.seal(&place, phone.totp.secret().as_bytes(), &Entropy::system()).unwrap();
    sqlx::query("UPDATE app.two_factor SET secret = $1").bind(&sealed).execute(app.db()).await.unwrap();
    for _ in 0..2 {
        let ticket = ticket(&app, &admin).await;
        step(&app, &ticket, json!({"code": phone.code(&app, 0)})).await.expect(200);
        next_step(&app);
        let kept: Vec<u8> = sqlx::query_scalar("SELECT secret FROM app.two_factor").fetch_one(app.db()).await.unwrap();
        assert!(kept[3..].starts_with(b"new"));
    }
    app.settle().await;
}

#[tokio::test]
async fn a_second_factor_stays_after_a_password_reset() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    app.anonymous().post("/auth/forgot-password", json!({"email": admin.email})).await.expect(202);
    app.settle().await;
    let link = app.mails_to(&admin.email).into_iter().rfind(|mail| mail.text.as_deref().unwrap().contains("#token="));
    let body = json!({"token": link.unwrap().link_parameter("token"), "password": "seven calm herons wade"});
    app.anonymous().post("/auth/reset-password", body).await.expect(204);
    // the new password alone opens nothing
    let log_in = json!({"email": admin.email, "password": "seven calm herons wade"});
    let answer = app.anonymous().post("/auth/login", log_in).await.expect(200);
    assert_eq!(answer.json["totpRequired"], true);
    assert!(answer.json.get("accessToken").is_none() && answer.json.get("refreshToken").is_none());
    let ticket = answer.str("/ticket");
    step(&app, &ticket, json!({"code": "000000"})).await.refused(401, "invalid_totp_code");
    next_step(&app);
    let opened = step(&app, &ticket, json!({"code": phone.code(&app, 0)})).await.expect(200);
    let me = admin.with_token(opened.str("/accessToken")).get("/me").await.expect(200);
    assert_eq!(me.json["totpEnabled"], true);
    app.settle().await;
}
