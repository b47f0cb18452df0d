//! List, suspend, activate.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::events::{EmployeeSuspended, PractitionerSuspended};
use super::store::{self, Outcome};
use crate::domain::identity::invitation::invite_user;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{IdempotencyKey, PageQuery};
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Result};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "AccountStatus", rename_all = "snake_case")]
pub enum Status {
    /// Waits for its owner, who has not accepted the invitation.
    Invited,
    Active,
    /// Nobody logs in with it.
    Suspended,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// What staff may know of an account: nothing of its secrets, its sessions, or what is done with it.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
pub struct Account {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    pub status: Status,
    pub display_name: String,
    pub locale: Locale,
    pub company_id: Option<CompanyId>,
    pub created_at: DateTime<Utc>,
    pub totp_enabled: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub role: Option<Role>,
    pub status: Option<Status>,
    pub company_id: Option<CompanyId>,
    /// What the address begins with.
    pub address: Option<String>,
}

/// A page of accounts. The reading is audited: once with its filters, and about each account on the page, whose person
/// finds it in their access log.
pub async fn list(cx: &Context, mut filter: Filter, page: &PageQuery<UserId>) -> Result<Vec<Account>> {
    filter.address = filter.address.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
    let mut tx = cx.begin(Permission::ManageUsers).await?;
    let accounts = store::list(&mut tx, &filter, page.after, page.fetch()).await?;
    let mut filters = Vec::new();
    filters.extend(filter.role.map(|_| "role"));
    filters.extend(filter.status.map(|_| "status"));
    filters.extend(filter.company_id.map(|_| "company"));
    filters.extend(filter.address.as_ref().map(|_| "address"));
    let shown = accounts.iter().take(page.limit as usize);
    let listed = Entry::done("user.listed", "user", None);
    tx.audit(listed.clone().with(Detail::Filters, filters).with(Detail::Count, shown.len())).await?;
    tx.audit_each(listed, shown.map(|account| account.id)).await?;
    tx.commit().await?;
    Ok(accounts)
}

/// An account that was suspended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Suspended {
    pub account: Account,
    /// Of a practitioner: how many sessions are booked with them …
    pub sessions_ahead: Option<i64>,
    /// … and whether they are being cancelled.
    pub is_cancelling: bool,
}

/// Suspends an account; its sessions end at once and on every node. Twice is once, but what is booked with a practitioner
/// can be cancelled by asking again.
pub async fn suspend(
    cx: &Context,
    key: Option<&IdempotencyKey>,
    id: UserId,
    cancel_sessions: bool,
) -> Result<Suspended> {
    let mut tx = cx.begin(Permission::ManageUsers).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    let outcome = store::suspend(&mut tx, id, cx.now()).await?;
    match outcome {
        Outcome::Changed | Outcome::Unchanged => {}
        Outcome::NotFound | Outcome::Removed => return Err(Refusal::NotFound.into()),
        Outcome::Own => return Err(Error::OwnAccount.into()),
        Outcome::LastAdmin => return Err(Error::LastPlatformAdmin.into()),
    }
    let account = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let has_changed = outcome == Outcome::Changed;
    // a booking that goes on holds the account: it is counted here, or it finds the account suspended
    let sessions_ahead = match account.role {
        Role::Practitioner => Some(store::count_sessions_ahead(&mut tx, id, cx.now()).await?),
        _ => None,
    };
    let is_cancelling = cancel_sessions && sessions_ahead.is_some_and(|count| count > 0);
    if has_changed || is_cancelling {
        let mut entry = Entry::done("user.suspended", "user", id.0).about(id);
        if let Some(count) = sessions_ahead {
            let mode = if cancel_sessions { "cancel_sessions" } else { "keep_sessions" };
            entry = entry.with(Detail::Sessions, count).with(Detail::Mode, mode);
        }
        tx.audit(entry).await?;
    }
    if is_cancelling {
        tx.enqueue(&PractitionerSuspended { user_id: id }, None, None).await?;
    }
    let may_have_booked = has_changed && account.role == Role::Employee;
    if let Some(company) = account.company_id.filter(|_| may_have_booked) {
        tx.enter_company(company).await?;
        tx.enqueue(&EmployeeSuspended { user_id: id }, None, None).await?;
    }
    let suspended = Suspended { account, sessions_ahead, is_cancelling };
    tx.remember(key, &suspended).await?;
    tx.commit().await?;
    cx.platform().sessions.refresh(cx.platform()).await;
    Ok(suspended)
}

/// Gives an account back. One that was never accepted is invited again.
pub async fn activate(cx: &Context, key: Option<&IdempotencyKey>, id: UserId) -> Result<Account> {
    let mut tx = cx.begin(Permission::ManageUsers).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    let outcome = store::activate(&mut tx, id).await?;
    if outcome == Outcome::Removed {
        return Err(Error::AccountRemoved.into());
    }
    let account = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    if outcome == Outcome::Changed {
        tx.audit(Entry::done("user.activated", "user", id.0).about(id)).await?;
        if account.status == Status::Invited {
            invite_user(cx, &mut tx, id, &account.email).await?;
        }
    }
    tx.remember(key, &account).await?;
    tx.commit().await?;
    Ok(account)
}
