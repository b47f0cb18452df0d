//! One's own account: passwords, addresses, leaving a company.

mod address;
mod leaving;
mod names;
mod passwords;
mod timing;

use chrono::TimeDelta;
use huntzen::platform::ids::EmployeeId;
use serde_json::json;

use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, User};

/// A password that nobody has yet.
const OTHER: &str = "seven calm herons wade";

/// A while after the last attempt, so that it need not wait.
async fn log_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.clock.advance(TimeDelta::seconds(11));
    app.anonymous().post("/auth/login", json!({"email": email, "password": password})).await
}

/// A while after the last request for that address, so that it need not wait.
async fn forgot(app: &TestApp, email: &str) -> Answer {
    app.clock.advance(TimeDelta::seconds(11));
    app.anonymous().post("/auth/forgot-password", json!({"email": email})).await
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    app.anonymous().post("/auth/reset-password", json!({"token": token, "password": password})).await
}

async fn verify(app: &TestApp, token: &str) -> Answer {
    app.anonymous().post("/auth/verify-email", json!({"token": token})).await
}

/// Asks for another address with the right password.
async fn ask(user: &User, address: &str) -> Answer {
    user.patch("/me", json!({"email": address, "currentPassword": PASSWORD})).await
}

/// The token of the last mail to an address whose link opens a page.
#[track_caller]
fn token_to(app: &TestApp, address: &str, page: &str) -> String {
    app.mails_to(address)
        .iter()
        .rfind(|mail| mail.text.as_deref().is_some_and(|text| text.contains(&format!("/{page}#token="))))
        .unwrap_or_else(|| panic!("no link to {page} for {address}"))
        .link_parameter("token")
}

/// The directory's entry of an employee.
pub async fn entry_of(app: &TestApp, user: &User) -> EmployeeId {
    sqlx::query_scalar("SELECT employee_id FROM app.users WHERE id = $1")
        .bind(user.id)
        .fetch_one(app.db())
        .await
        .unwrap()
}

async fn audited(app: &TestApp, action: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM app.audit_logs WHERE action = $1")
        .bind(action)
        .fetch_one(app.db())
        .await
        .unwrap()
}
