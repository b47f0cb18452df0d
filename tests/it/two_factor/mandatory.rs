//! Who must have a second factor, from when, and what they may do until then.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::json;

use super::{App, enabled, everybody, next_step, password, step, ticket};
use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, User};

const MUST: [Role; 2] = [Role::Practitioner, Role::PlatformAdmin];

async fn with_grace(days: &'static str) -> TestApp {
    TestApp::start_with(move |name| (name == "TOTP_GRACE_DAYS").then(|| days.to_owned())).await
}

/// What a role may read beside its own account.
fn elsewhere(role: Role) -> &'static str {
    match role {
        Role::Employee | Role::Practitioner => "/consultations",
        Role::Hr | Role::CompanyAdmin => "/employees",
        Role::PlatformAdmin => "/companies",
    }
}

async fn log_in(app: &TestApp, user: &User) -> User {
    user.with_token(password(app, user).await.expect(200).str("/accessToken"))
}

/// Whether the person's session is told to set up a second factor.
async fn is_held(role: Role, user: &User) -> bool {
    let answer = user.get(elsewhere(role)).await;
    user.get("/me").await.expect(200);
    if answer.status.as_u16() == 200 {
        return false;
    }
    answer.refused(403, "totp_setup_required");
    true
}

#[tokio::test]
async fn practitioners_and_platform_admins_must_have_one_after_the_grace_period_and_nobody_else() {
    let app = with_grace("14").await;
    let everybody = everybody(&app).await;
    // who, when, with or without: what a log-in opens
    for (days, over) in [(0, false), (13, false), (2, true), (3000, true)] {
        app.clock.advance(TimeDelta::days(days));
        for (role, user) in &everybody {
            let held = is_held(*role, &log_in(&app, user).await).await;
            assert_eq!(held, over && MUST.contains(role), "{role:?}, {days} days later");
        }
    }
    for (role, user) in &everybody {
        let user = log_in(&app, user).await;
        let phone = enabled(&app, &user).await;
        let again = ticket(&app, &user).await;
        let answer = step(&app, &again, json!({"code": phone.code(&app, 0)})).await.expect(200);
        assert!(!is_held(*role, &user.with_token(answer.str("/accessToken"))).await, "{role:?} with a second factor");
    }
    app.settle().await;
}

#[tokio::test]
async fn the_grace_period_begins_when_the_invitation_is_accepted() {
    let app = with_grace("14").await;
    let id: huntzen::platform::ids::UserId = app.platform.new_id();
    sqlx::query(
        "INSERT INTO app.users (id, email, role, display_name, status, locale)
         VALUES ($1, 'paz@people.test', 'platform_admin', 'Paz', 'invited', 'en')",
    )
    .bind(id)
    .execute(app.db())
    .await
    .unwrap();
    app.clock.advance(TimeDelta::days(100));
    sqlx::query(
        "INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, created_at, expires_at)
         VALUES (gen_random_uuid(), 'invitation', sha256('opensesame'), $1, $2, $2 + interval '7 days')",
    )
    .bind(id)
    .bind(app.clock.now())
    .execute(app.db())
    .await
    .unwrap();
    let body = json!({"token": "opensesame", "password": PASSWORD, "acceptTerms": true});
    let accepted = app.anonymous().post("/auth/accept-invitation", body).await.expect(200);
    let paz = app.anonymous().with_token(accepted.str("/accessToken"));
    let me = paz.get("/me").await.expect(200);
    let required: chrono::DateTime<chrono::Utc> = me.str("/totpRequiredAt").parse().unwrap();
    assert!((required - app.clock.now() - TimeDelta::days(14)).abs() < TimeDelta::minutes(1), "{required}");
    paz.get("/companies").await.expect(200);
}

#[tokio::test]
async fn with_no_grace_the_very_first_session_is_held() {
    let app = with_grace("0").await;
    for (role, user) in everybody(&app).await {
        let me = user.get("/me").await.expect(200);
        assert_eq!(me.json.get("totpRequiredAt").is_some(), MUST.contains(&role), "{role:?}");
        assert_eq!(is_held(role, &log_in(&app, &user).await).await, MUST.contains(&role), "{role:?}");
    }
}

#[tokio::test]
async fn a_held_session_manages_its_own_account_and_nothing_else() {
    let app = with_grace("0").await;
    for role in MUST {
        let user = if role == Role::Practitioner { app.practitioner().await } else { app.platform_admin().await };
        let opened = password(&app, &user).await.expect(200);
        let held = user.with_token(opened.str("/accessToken"));
        held.get("/me").await.expect(200);
        held.patch("/me", json!({"locale": "fr"})).await.expect(200);
        held.get("/auth/sessions").await.expect(200);
        // every other operation that the role has, whatever is sent with it
        let document = huntzen::app::openapi().unwrap();
        let mut refused = 0;
        for operation in huntzen::platform::http::openapi::operations(&document) {
            let permission = operation.permission.as_deref();
            if permission.is_none() || permission == Some("ManageSelf") {
                continue;
            }
            let path = operation.path.strip_prefix("/api/v1").unwrap();
            let mut path = path.to_owned();
            while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
                path.replace_range(from..=to, &uuid::Uuid::new_v4().to_string());
            }
            let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
            let answer = Answer::of(held.request(method, &path).json(&json!({}))).await;
            assert_eq!(answer.status, 403, "{} {path}: {}", operation.method, answer.json);
            let code =
                if operation.roles.iter().any(|it| it == role.as_str()) { "totp_setup_required" } else { "forbidden" };
            assert_eq!(answer.json["code"], code, "{} {path}", operation.method);
            refused += 1;
        }
        assert!(refused > 30, "{refused}");

        // a refresh changes nothing, until there is a second factor
        let refreshed = app
            .anonymous()
            .post("/auth/refresh", json!({"refreshToken": opened.str("/refreshToken")}))
            .await
            .expect(200);
        let held = user.with_token(refreshed.str("/accessToken"));
        assert!(is_held(role, &held).await);
        next_step(&app);
        let offer = held.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
        let phone = App::of(&offer, Vec::new());
        held.post("/auth/totp/enable", json!({"code": phone.code(&app, 0)})).await.expect(200);
        assert!(is_held(role, &held).await, "the token that was there says what it said");
        let refresh = json!({"refreshToken": refreshed.str("/refreshToken")});
        let free = app.anonymous().post("/auth/refresh", refresh).await.expect(200);
        assert!(!is_held(role, &user.with_token(free.str("/accessToken"))).await);
        held.post("/auth/logout", json!({})).await.expect(204);
    }
    app.settle().await;
}

#[tokio::test]
async fn who_must_have_one_cannot_switch_it_off() {
    let app = with_grace("14").await;
    for (role, user) in everybody(&app).await {
        // still within the grace period: their choice
        let phone = enabled(&app, &user).await;
        let body = |phone: &App| json!({"password": PASSWORD, "code": phone.code(&app, 0)});
        user.post("/auth/totp/disable", body(&phone)).await.expect(204);
        let phone = enabled(&app, &user).await;
        app.clock.advance(TimeDelta::days(20));
        let late = user.with_token(app.session(user.id, role, user.company_id).await);
        next_step(&app);
        let answer = late.post("/auth/totp/disable", body(&phone)).await;
        if MUST.contains(&role) {
            answer.refused(409, "totp_mandatory");
            // but replaced by another one
            late.post("/auth/totp/setup", body(&phone)).await.expect(200);
        } else {
            answer.expect(204);
        }
        app.clock.advance(TimeDelta::days(-20));
    }
    app.settle().await;
}
