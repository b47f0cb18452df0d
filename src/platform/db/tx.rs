//! The scoped transaction.

use std::net::IpAddr;
use std::sync::Arc;

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::setting;
use crate::platform::auth::Role;
use crate::platform::context::{Context, RequestInfo};
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::problem::Result;

/// In whose name a transaction runs.
#[derive(Clone, Debug)]
pub struct Actor {
    pub user_id: Option<UserId>,
    pub role: Option<Role>,
    pub company_id: Option<CompanyId>,
    pub session_id: Option<SessionId>,
    pub ip: Option<IpAddr>,
    pub request_id: Option<Arc<str>>,
}

impl Actor {
    pub fn of(cx: &Context) -> Self {
        let caller = cx.caller();
        Self {
            user_id: Some(caller.user_id),
            role: Some(caller.role),
            company_id: caller.company_id,
            session_id: Some(caller.session_id),
            ip: cx.request().ip,
            request_id: Some(cx.request().id.clone()),
        }
    }

    /// Somebody who is not signed in.
    pub fn nobody(request: &RequestInfo) -> Self {
        Self {
            user_id: None,
            role: None,
            company_id: None,
            session_id: None,
            ip: request.ip,
            request_id: Some(request.id.clone()),
        }
    }

    pub fn job(company_id: Option<CompanyId>, user_id: Option<UserId>) -> Self {
        Self { user_id, role: None, company_id, session_id: None, ip: None, request_id: None }
    }
}

/// A transaction on the log-in role of its actor, with the actor's ids in its settings.
///
/// Dropping it rolls it back.
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    actor: Actor,
}

impl Tx {
    pub(super) async fn open(pool: &PgPool, actor: Actor, read_only: bool) -> Result<Self> {
        // one message, one round trip; UUIDs hold no quote
        let statement = format!(
            "BEGIN{}; SELECT set_config('app.user_id', '{}', true), set_config('app.company_id', '{}', true)",
            if read_only { " READ ONLY" } else { "" },
            setting(actor.user_id.map(|id| id.0)),
            setting(actor.company_id.map(|id| id.0)),
        );
        let inner = pool.begin_with(AssertSqlSafe(statement)).await?;
        Ok(Self { inner, actor })
    }

    /// What a store runs its statements on.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await?;
        Ok(())
    }

    /// Changes the company that this transaction is about. For the platform's staff, who belong to none.
    pub async fn enter_company(&mut self, company: CompanyId) -> Result<()> {
        sqlx::query("SELECT set_config('app.company_id', $1, true)")
            .bind(setting(Some::<Uuid>(company.0)))
            .execute(self.conn())
            .await?;
        self.actor.company_id = Some(company);
        Ok(())
    }
}
