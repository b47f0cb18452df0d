//! The audit log: what is written, who reads what of it, and whether it is whole.

mod access_log;
mod acknowledge;
pub mod chain;
mod log;

mod reads;
mod record;
mod retention;

use huntzen::platform::audit::{Detail, Entry};
use huntzen::platform::auth::{Permission, Role};
use huntzen::platform::{Context, RequestInfo};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{Company, TestApp, User};

/// Somebody's context, without a request.
fn context(app: &TestApp, user: &User, role: Role) -> Context {
    let caller = huntzen::platform::auth::Caller {
        user_id: user.id,
        role,
        company_id: user.company_id,
        session_id: app.platform.new_id(),
        totp_setup_required: false,
    };
    Context::new(app.platform.clone(), caller, RequestInfo::default())
}

/// Writes an entry in somebody's name, as a use case would.
async fn write(app: &TestApp, user: &User, role: Role, entry: Entry<'_>) -> huntzen::platform::Result<()> {
    let mut tx = context(app, user, role).begin(Permission::ManageSelf).await.unwrap();
    tx.audit(entry).await?;
    tx.commit().await
}

/// So many entries of a company's HR.
async fn write_some(app: &TestApp, company: &Company, count: usize) {
    for n in 0..count {
        let entry = Entry::done("employee.updated", "employee", Uuid::from_u128(n as u128)).with(Detail::Count, n);
        write(app, &company.hr, Role::Hr, entry).await.unwrap();
    }
}

/// The actions of a page, newest first.
fn actions(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect()
}
