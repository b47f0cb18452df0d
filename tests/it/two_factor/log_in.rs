//! From the password to the session.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use super::{App, audited, enabled, everybody, next_step, password, step, ticket};
use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, tools};

#[tokio::test]
async fn everybody_logs_in_with_a_code_once_they_enabled_it() {
    let app = TestApp::start().await;
    for (role, user) in everybody(&app).await {
        assert_eq!(user.get("/me").await.expect(200).json["totpEnabled"], false);
        next_step(&app);
        let offer = user.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
        assert_eq!(offer.str("/secret").len(), 32);
        assert_eq!((&offer.json["digits"], &offer.json["period"]), (&json!(6), &json!(30)));
        let uri = offer.str("/uri");
        assert!(uri.starts_with("otpauth://totp/HuntZen:") && !uri.to_lowercase().contains("care"), "{uri}");
        // an offer asks for nothing
        password(&app, &user).await.expect(200).str("/accessToken");

        let phone = App::of(&offer, Vec::new());
        let before = user.get("/me").await.header("etag").to_owned();
        let done = user.post("/auth/totp/enable", json!({"code": phone.code(&app, 0)})).await.expect(200);
        let codes = super::codes(&done);
        assert_eq!(codes.len(), 10);
        assert!(codes.iter().all(|code| code.len() == 19 && codes.iter().filter(|it| *it == code).count() == 1));
        let me = user.get("/me").await.expect(200);
        assert_eq!(me.json["totpEnabled"], true, "{role:?}");
        assert_ne!(me.header("etag"), before, "the account that is told of has changed");

        next_step(&app);
        let ticket = ticket(&app, &user).await;
        let answer = step(&app, &ticket, json!({"code": phone.code(&app, 0)})).await.expect(200);
        assert_eq!(answer.json["user"]["id"], user.id.to_string());
        let user = user.with_token(answer.str("/accessToken"));
        user.get("/me").await.expect(200);
        app.anonymous()
            .post("/auth/refresh", json!({"refreshToken": answer.str("/refreshToken")}))
            .await
            .expect(200)
            .str("/accessToken");

        app.settle().await;
        let mails = app.mails_to(&user.email);
        assert_eq!(mails.len(), 1);
        assert!(mails[0].text.as_deref().unwrap().contains("second step was switched on"), "{:?}", mails[0].text);
    }
    assert_eq!(audited(&app, "two_factor.enabled").await, 5);
    // nothing in the database opens an account
    let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT secret, pending_secret FROM app.two_factor").fetch_all(app.db()).await.unwrap();
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|(sealed, pending)| sealed.len() > 20 + 12 + 16 && pending.is_none()));
    assert_eq!(app.count("SELECT count(*) FROM app.recovery_codes WHERE length(hash) = 32").await, 50);
}

#[tokio::test]
async fn the_session_is_the_one_that_the_password_asked_for() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let asked = app
        .anonymous()
        .post(
            "/auth/login",
            json!({"email": admin.email, "password": PASSWORD, "transport": "cookie", "device": "the blue laptop"}),
        )
        .await
        .expect(200);
    assert!(asked.headers.get("set-cookie").is_none());
    let body = json!({"ticket": asked.str("/ticket"), "code": phone.code(&app, 0)});
    let from = |origin: &'static str| {
        Answer::of(app.anonymous().request(Method::POST, "/auth/login/totp").header("origin", origin).json(&body))
    };
    // a page that is not ours gets nothing, and spends nothing
    from("https://evil.test").await.refused(403, "origin_refused");
    let done = from("http://127.0.0.1:3000").await.expect(200);
    assert!(done.json.get("refreshToken").is_none());
    assert!(done.header("set-cookie").starts_with("huntzen_refresh="));
    let admin = admin.with_token(done.str("/accessToken"));
    let sessions = admin.get("/auth/sessions").await.expect(200);
    assert_eq!(sessions.json["items"][0]["device"], "the blue laptop");
    app.settle().await;
}

#[tokio::test]
async fn nothing_of_the_account_opens_with_a_ticket() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    enabled(&app, &admin).await;
    let answer = password(&app, &admin).await.expect(200);
    let keys: Vec<_> = answer.json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["totpRequired", "ticket", "expiresAt"]);
    assert!(answer.headers.get("set-cookie").is_none());
    let ticket = answer.str("/ticket");
    admin.with_token(ticket.clone()).get("/me").await.refused(401, "unauthenticated");
    let nobody = app.anonymous();
    nobody.post("/auth/refresh", json!({"refreshToken": ticket})).await.refused(401, "invalid_refresh_token");
    for path in ["/auth/reset-password", "/auth/accept-invitation"] {
        let body = json!({"token": ticket, "password": "four other quiet words", "acceptTerms": true});
        let body = if path.ends_with("password") {
            json!({"token": body["token"], "password": body["password"]})
        } else {
            body
        };
        assert_eq!(nobody.post(path, body).await.status, 410, "{path}");
    }
    assert_eq!(audited(&app, "session.opened").await, 0);
    app.settle().await;
    // it is kept as a hash
    assert_eq!(
        app.count("SELECT count(*) FROM app.one_time_tokens WHERE purpose = 'login_ticket' AND length(hash) = 32")
            .await,
        1
    );
}

#[tokio::test]
async fn a_ticket_lasts_five_minutes_five_tries_and_one_success() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;

    let late = ticket(&app, &admin).await;
    app.clock.advance(TimeDelta::minutes(5));
    step(&app, &late, json!({"code": phone.code(&app, 0)})).await.refused(401, "invalid_login_ticket");

    let tried = ticket(&app, &admin).await;
    for _ in 0..5 {
        step(&app, &tried, json!({"code": "000000"})).await.refused(401, "invalid_totp_code");
        // as long as the throttle wants
        app.clock.advance(TimeDelta::seconds(35));
    }
    step(&app, &tried, json!({"code": phone.code(&app, 0)})).await.refused(401, "invalid_login_ticket");

    next_step(&app);
    let used = ticket(&app, &admin).await;
    step(&app, &used, json!({"code": phone.code(&app, 0)})).await.expect(200);
    next_step(&app);
    step(&app, &used, json!({"code": phone.code(&app, 0)})).await.refused(401, "invalid_login_ticket");
    step(&app, "no such ticket", json!({"code": "123456"})).await.refused(401, "invalid_login_ticket");
    assert_eq!(audited(&app, "session.opened").await, 1);
    app.settle().await;
}

#[tokio::test]
async fn a_ticket_ends_with_the_password_and_with_the_account() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let ended = [
        "UPDATE app.users SET password_hash = password_hash || 'x' WHERE id = $1",
        "UPDATE app.users SET status = 'suspended' WHERE id = $1",
    ];
    for ending in ended {
        let ticket = ticket(&app, &admin).await;
        sqlx::query(ending).bind(admin.id).execute(app.db()).await.unwrap();
        step(&app, &ticket, json!({"code": phone.code(&app, 0)})).await.refused(401, "invalid_login_ticket");
        sqlx::query("UPDATE app.users SET password_hash = rtrim(password_hash, 'x'), status = 'active' WHERE id = $1")
            .bind(admin.id)
            .execute(app.db())
            .await
            .unwrap();
    }
    app.settle().await;
}

#[tokio::test]
async fn a_code_of_a_neighbouring_step_is_taken_and_no_other() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    for (steps, fits) in [(-2, false), (2, false), (-1, true), (0, true), (1, true)] {
        app.clock.advance(TimeDelta::minutes(2));
        next_step(&app);
        let ticket = ticket(&app, &admin).await;
        let answer = step(&app, &ticket, json!({"code": phone.code(&app, steps)})).await;
        assert_eq!(answer.status.as_u16(), if fits { 200 } else { 401 }, "{steps}: {}", answer.json);
    }
    // the code of the step that is coming was used: it opens nothing when it has come
    next_step(&app);
    let now = ticket(&app, &admin).await;
    step(&app, &now, json!({"code": phone.code(&app, 0)})).await.refused(401, "invalid_totp_code");
    // a clock that is put right finds the codes of the time before used, and goes on from there
    app.clock.advance(TimeDelta::days(400));
    next_step(&app);
    let ahead = ticket(&app, &admin).await;
    step(&app, &ahead, json!({"code": phone.code(&app, 0)})).await.expect(200);
    app.clock.advance(TimeDelta::days(-1));
    let back = ticket(&app, &admin).await;
    step(&app, &back, json!({"code": phone.code(&app, 0)})).await.refused(401, "invalid_totp_code");
    // until a recovery code lets its person in, who then has another secret made
    app.clock.advance(TimeDelta::minutes(1));
    let recovered = ticket(&app, &admin).await;
    step(&app, &recovered, json!({"recoveryCode": phone.recovery_codes[0]})).await.expect(200);
    app.settle().await;
}

#[tokio::test]
async fn an_independent_program_makes_the_codes_from_the_uri() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    next_step(&app);
    let offer = alice.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
    let code = |app: &TestApp| {
        let at = app.clock.now().timestamp_millis().to_string();
        let made = tools::run("totp.mjs", &[&at], offer.str("/uri").as_bytes());
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        assert_eq!((&made["issuer"], &made["label"]), (&json!("HuntZen"), &json!(alice.email)));
        assert_eq!((&made["algorithm"], &made["digits"], &made["period"]), (&json!("SHA1"), &json!(6), &json!(30)));
        assert_eq!(made["secret"], offer.str("/secret"));
        made["code"].as_str().unwrap().to_owned()
    };
    alice.post("/auth/totp/enable", json!({"code": code(&app)})).await.expect(200);
    next_step(&app);
    let ticket = ticket(&app, &alice).await;
    step(&app, &ticket, json!({"code": code(&app)})).await.expect(200);
    app.settle().await;
}
