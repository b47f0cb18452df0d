//! `/admin/users`.

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi, Tags};

use super::service::{self, Account, Filter, Status, Suspended};
use crate::platform::Result;
use crate::platform::auth::{Authorized, Role, perm};
use crate::platform::http::{IdempotencyKey, Page, PageQuery};
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::locale::Locale;

#[derive(Tags)]
enum Tag {
    /// What the platform's staff run.
    Administration,
}

/// An account. Nothing of its secrets, its sessions, or what is done with it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct AccountAnswer {
    id: UserId,
    email: String,
    role: Role,
    status: Status,
    display_name: String,
    locale: Locale,
    company_id: Option<CompanyId>,
    created_at: DateTime<Utc>,
    /// Whether log-in asks for a code as well.
    totp_enabled: bool,
    /// Of a practitioner who is suspended by this request: how many sessions are booked with them …
    sessions_ahead: Option<i64>,
    /// … and whether they are being cancelled.
    cancelling: Option<bool>,
}

impl From<Account> for AccountAnswer {
    fn from(it: Account) -> Self {
        Self {
            id: it.id,
            email: it.email,
            role: it.role,
            status: it.status,
            display_name: it.display_name,
            locale: it.locale,
            company_id: it.company_id,
            created_at: it.created_at,
            totp_enabled: it.totp_enabled,
            sessions_ahead: None,
            cancelling: None,
        }
    }
}

impl From<Suspended> for AccountAnswer {
    fn from(it: Suspended) -> Self {
        let cancelling = it.sessions_ahead.map(|_| it.is_cancelling);
        Self { sessions_ahead: it.sessions_ahead, cancelling, ..it.account.into() }
    }
}

impl Example for AccountAnswer {
    fn example() -> Self {
        Self {
            id: UserId(uuid::Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a12)),
            email: "dr.martin@huntzen.test".into(),
            role: Role::Practitioner,
            status: Status::Active,
            display_name: "Dr Martin".into(),
            locale: Locale::Fr,
            company_id: None,
            created_at: DateTime::from_timestamp(1_763_542_800, 0).unwrap_or_default(),
            totp_enabled: true,
            sessions_ahead: None,
            cancelling: None,
        }
    }
}

pub struct AdministrationApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Administration")]
impl AdministrationApi {
    /// List accounts
    ///
    /// Newest first. Each reading is in the audit log.
    #[oai(path = "/admin/users", method = "get", operation_id = "listUsers")]
    #[allow(clippy::too_many_arguments)] // each filter is one
    async fn list(
        &self,
        cx: Authorized<perm::ManageUsers>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
        /// Only accounts of this role.
        role: Query<Option<Role>>,
        /// Only accounts of this status.
        status: Query<Option<Status>>,
        /// Only accounts of this company.
        #[oai(name = "companyId")]
        company_id: Query<Option<CompanyId>>,
        /// What the address begins with.
        #[oai(validator(max_length = 254))]
        q: Query<Option<String>>,
    ) -> Result<Json<Page<AccountAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let filter = Filter { role: role.0, status: status.0, company_id: company_id.0, address: q.0 };
        let accounts = service::list(&cx, filter, &page).await?;
        Ok(Json(Page::new(&page, accounts, |it| it.id, AccountAnswer::from)))
    }

    /// Suspend an account
    ///
    /// Ends its sessions at once, and the log-ins, links and invitations that wait. Suspending it again changes nothing.
    /// Nobody suspends themselves (`409 own_account`), nor the last platform admin (`409 last_platform_admin`).
    ///
    /// What an employee has booked is cancelled. What is booked with a practitioner, who cannot come either, stays unless
    /// `cancelSessions` is set: then it is cancelled, and both people of each session are told by mail. Asked again with it,
    /// what was kept is cancelled. Nobody is reminded of what is kept.
    #[oai(path = "/admin/users/:id/suspend", method = "post", operation_id = "suspendUser")]
    async fn suspend(
        &self,
        cx: Authorized<perm::ManageUsers>,
        id: Path<UserId>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        /// Of a practitioner: whether what is booked with them is cancelled.
        #[oai(name = "cancelSessions", default)]
        cancel_sessions: Query<bool>,
    ) -> Result<Json<AccountAnswer>> {
        let key = IdempotencyKey::new(idempotency_key.0, "suspendUser", &(id.0, cancel_sessions.0))?;
        Ok(Json(service::suspend(&cx, key.as_ref(), id.0, cancel_sessions.0).await?.into()))
    }

    /// Activate a suspended account
    ///
    /// Its person logs in as before. One who had not accepted the invitation gets another. Activating it again changes
    /// nothing. Somebody whom their company removed does not come back this way (`409 account_removed`): the company
    /// invites them again, which makes a new account.
    #[oai(path = "/admin/users/:id/activate", method = "post", operation_id = "activateUser")]
    async fn activate(
        &self,
        cx: Authorized<perm::ManageUsers>,
        id: Path<UserId>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Json<AccountAnswer>> {
        let key = IdempotencyKey::new(idempotency_key.0, "activateUser", &id.0)?;
        Ok(Json(service::activate(&cx, key.as_ref(), id.0).await?.into()))
    }
}
