//! The second factor: set up, log in, recover, and who must have one.

mod attacks;
mod changes;
mod log_in;
mod mandatory;

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};
use totp_rs::Totp;

use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, User};

/// A person's authenticator app, and their recovery codes.
pub struct App {
    totp: Totp,
    pub recovery_codes: Vec<String>,
}

impl App {
    /// The code that is shown so many steps from now. What it is of stays the same for 25 seconds: see [`next_step`].
    pub fn code(&self, app: &TestApp, steps: i64) -> String {
        let at = app.clock.now().timestamp() + steps * 30;
        self.totp.generate(at.unsigned_abs()).to_string()
    }

    pub fn of(offer: &Answer, recovery_codes: Vec<String>) -> Self {
        Self { totp: Totp::from_url(offer.str("/uri")).unwrap(), recovery_codes }
    }
}

/// Moves to the first seconds of the next step, so that a test is not overtaken by one.
pub fn next_step(app: &TestApp) {
    let into = app.clock.now().timestamp_millis().rem_euclid(30_000);
    app.clock.advance(TimeDelta::milliseconds(30_500 - into));
}

/// A second factor, enabled in the step before this one.
pub async fn enabled(app: &TestApp, user: &User) -> App {
    next_step(app);
    let offer = user.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
    let mut it = App::of(&offer, Vec::new());
    let done = user.post("/auth/totp/enable", json!({"code": it.code(app, 0)})).await.expect(200);
    it.recovery_codes = codes(&done);
    next_step(app);
    it
}

pub fn codes(answer: &Answer) -> Vec<String> {
    answer.json["recoveryCodes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

pub async fn password(app: &TestApp, user: &User) -> Answer {
    app.anonymous().post("/auth/login", json!({"email": user.email, "password": PASSWORD})).await
}

pub async fn ticket(app: &TestApp, user: &User) -> String {
    let answer = password(app, user).await.expect(200);
    assert_eq!(answer.json["totpRequired"], true, "{}", answer.json);
    answer.str("/ticket")
}

/// The second step: `{code}` or `{recoveryCode}`.
pub async fn step(app: &TestApp, ticket: &str, mut shown: Value) -> Answer {
    shown["ticket"] = json!(ticket);
    app.anonymous().post("/auth/login/totp", shown).await
}

pub async fn audited(app: &TestApp, action: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM app.audit_logs WHERE action = $1")
        .bind(action)
        .fetch_one(app.db())
        .await
        .unwrap()
}

/// Somebody of each role.
pub async fn everybody(app: &TestApp) -> Vec<(Role, User)> {
    let company = app.company("Acme").await;
    vec![
        (Role::Employee, app.employee(&company).await),
        (Role::Practitioner, app.practitioner().await),
        (Role::Hr, company.hr.clone()),
        (Role::CompanyAdmin, company.admin.clone()),
        (Role::PlatformAdmin, app.platform_admin().await),
    ]
}
