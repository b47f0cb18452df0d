//! The scoped transaction.

use std::net::IpAddr;
use std::sync::Arc;

use deadpool::managed::Object;
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};
use uuid::Uuid;

use super::pool::{Manager, Pool, is_broken, patiently};
use super::{is_unavailable, setting};
use crate::platform::auth::Role;
use crate::platform::context::{Context, RequestInfo};
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::problem::Result;
use crate::platform::telemetry::traces;

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
    /// `None` once it was given back.
    conn: Option<Object<Manager>>,
    actor: Actor,
    /// From the wait for a connection to the end.
    _span: traces::Child,
}

impl Tx {
    pub(super) async fn open(pool: &Pool, actor: Actor, read_only: bool) -> Result<Self> {
        // one message, one round trip; UUIDs hold no quote
        let begin = format!(
            "BEGIN{}; SET LOCAL app.user_id = '{}'; SET LOCAL app.company_id = '{}'",
            if read_only { " READ ONLY" } else { "" },
            setting(actor.user_id.map(|id| id.0)),
            setting(actor.company_id.map(|id| id.0)),
        );
        let mut broken = 0;
        let mut span = traces::database("postgresql transaction", pool.options().get_username(), None);
        loop {
            // from here on a drop, also of this very future, rolls back
            let conn = pool.get().await?;
            let mut tx = Self { conn: Some(conn), actor: actor.clone(), _span: std::mem::take(&mut span) };
            match patiently(raw_sql(AssertSqlSafe(begin.as_str())).execute(tx.conn())).await {
                Ok(_) => return Ok(tx),
                Err(error) => {
                    tx.discard();
                    // connections of a server that was away are found out one by one
                    if !is_broken(&error) || broken > pool.max_size() {
                        return Err(error.into());
                    }
                    broken += 1;
                }
            }
        }
    }

    /// What a store runs its statements on.
    #[allow(clippy::expect_used)] // taken only by what consumes the transaction
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.conn.as_mut().expect("a transaction has its connection until it ends").pg
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// An error does not tell that nothing was kept: a server that hung may still commit when it goes on. Whoever
    /// repeats a request with its key then gets the first answer.
    pub async fn commit(mut self) -> Result<()> {
        // a future that is dropped here leaves it to the roll-back
        if let Err(error) = patiently(raw_sql("COMMIT").execute(self.conn())).await {
            if is_unavailable(&error) {
                self.discard();
            }
            return Err(error.into());
        }
        drop(self.conn.take());
        Ok(())
    }

    /// Closes the connection instead of giving it back.
    fn discard(&mut self) {
        if let Some(conn) = self.conn.take() {
            drop(Object::take(conn));
        }
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

impl Drop for Tx {
    /// Ends what was not committed; only then does the connection go back.
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            drop(Object::take(conn));
            return;
        };
        runtime.spawn(async move {
            if patiently(raw_sql("ROLLBACK").execute(&mut conn.pg)).await.is_err() {
                drop(Object::take(conn));
            }
        });
    }
}
