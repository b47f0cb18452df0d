//! The way to SQL: one small pool for each kind of caller, and the scoped transaction.
//!
//! A transaction runs on the log-in role of its caller and carries the caller's ids in settings that
//! end with it; the policies in `policies/` read those. Nothing outside this folder holds a pool.

pub mod development;
mod gather;
mod instant;
pub mod migrate;
mod once;
mod pool;
mod refusal;
mod tx;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgDatabaseError};
use uuid::Uuid;

pub use instant::Instant;
pub use once::{Arg, Once, Write};
pub use tx::{Actor, Tx};

use gather::Gathering;
use pool::Pool;

use crate::platform::auth::Role;
use crate::platform::config::Config;
use crate::platform::context::Context;
use crate::platform::crypto::derive;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::problem::{Cause, Problem, Result};

/// The log-in roles of the running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DbRole {
    Employee,
    Practitioner,
    Hr,
    CompanyAdmin,
    Platform,
    Worker,
    /// May run the few functions that are needed before anybody is signed in.
    Auth,
}

impl DbRole {
    pub const ALL: [Self; 7] =
        [Self::Employee, Self::Practitioner, Self::Hr, Self::CompanyAdmin, Self::Platform, Self::Worker, Self::Auth];

    pub fn name(self) -> &'static str {
        match self {
            Self::Employee => "huntzen_employee",
            Self::Practitioner => "huntzen_practitioner",
            Self::Hr => "huntzen_hr",
            Self::CompanyAdmin => "huntzen_company_admin",
            Self::Platform => "huntzen_platform",
            Self::Worker => "huntzen_worker",
            Self::Auth => "huntzen_auth",
        }
    }
}

impl From<Role> for DbRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Employee => Self::Employee,
            Role::Practitioner => Self::Practitioner,
            Role::Hr => Self::Hr,
            Role::CompanyAdmin => Self::CompanyAdmin,
            Role::PlatformAdmin => Self::Platform,
        }
    }
}

/// The pools, one for each log-in role. They connect when first used.
#[derive(Clone)]
pub struct Db {
    pools: [Pool; DbRole::ALL.len()],
    gatherings: [Gathering; DbRole::ALL.len()],
}

/// Connections that a pool may open: employees make most of the traffic.
fn pool_size(role: DbRole, config: &Config) -> u32 {
    match role {
        DbRole::Employee => config.database_pool_size,
        // every running job may hold a transaction, a mail even while it is sent
        DbRole::Worker => config.database_pool_size.max(16),
        _ => config.database_pool_size.div_ceil(2),
    }
}

impl Db {
    /// Opens the pools. `base` says where the database is; the roles' passwords are derived.
    pub fn open(base: &PgConnectOptions, config: &Config) -> Self {
        let patience = Duration::from_millis(config.database_acquire_timeout_ms);
        let longest_life = Duration::from_secs(config.database_connection_max_age_seconds);
        Self {
            pools: DbRole::ALL.map(|role| {
                Pool::new(role_options(base, role, config), pool_size(role, config), patience, longest_life)
            }),
            gatherings: Default::default(),
        }
    }

    /// Refuses an unsafe server or unsafe roles, and warms one connection for each role.
    pub async fn verify(&self) -> Result<(), refusal::Refusal> {
        for role in DbRole::ALL {
            let unreachable = |source| refusal::Refusal::Unreachable { role: role.name(), source };
            let mut conn = self.pool(role).get().await.map_err(unreachable)?;
            refusal::check(&mut conn.pg, role).await?;
        }
        Ok(())
    }

    /// How the queue and the listener for revocations connect, which need connections of their own.
    pub(in crate::platform) fn options(&self, role: DbRole) -> &PgConnectOptions {
        self.pool(role).options()
    }

    /// How full the pools are.
    pub(in crate::platform) fn pools(&self) -> impl Iterator<Item = (DbRole, deadpool::Status)> {
        DbRole::ALL.into_iter().map(|role| (role, self.pool(role).status()))
    }

    fn pool(&self, role: DbRole) -> &Pool {
        #[allow(clippy::indexing_slicing)] // the array has one pool for each role
        &self.pools[Self::index(role)]
    }

    fn index(role: DbRole) -> usize {
        match role {
            DbRole::Employee => 0,
            DbRole::Practitioner => 1,
            DbRole::Hr => 2,
            DbRole::CompanyAdmin => 3,
            DbRole::Platform => 4,
            DbRole::Worker => 5,
            DbRole::Auth => 6,
        }
    }

    /// The caller's transaction. Reached through [`Context::begin`], which checks the permission.
    pub(in crate::platform) async fn begin(&self, cx: &Context) -> Result<Tx> {
        self.open_tx(Actor::of(cx), cx.caller().role.into(), false).await
    }

    /// The caller's transaction for reading only. Reached through [`Context::read`].
    pub(in crate::platform) async fn read(&self, cx: &Context) -> Result<Tx> {
        self.open_tx(Actor::of(cx), cx.caller().role.into(), true).await
    }

    /// A transaction before anybody is signed in: it can run the functions of schema `auth` and nothing else.
    pub async fn anonymous(&self, actor: Actor) -> Result<Tx> {
        self.open_tx(actor, DbRole::Auth, false).await
    }

    /// A job's transaction, scoped to the company and the person whose doing the job is.
    pub(in crate::platform) async fn job(&self, company: Option<CompanyId>, user: Option<UserId>) -> Result<Tx> {
        self.open_tx(Actor::job(company, user), DbRole::Worker, false).await
    }

    /// A read of one statement in one round trip. Reached through [`Context::read_once`].
    pub(in crate::platform) async fn read_once<T>(&self, cx: &Context, once: &Once, args: &[Arg<'_>]) -> Result<Vec<T>>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        Ok(once::read(self.pool(cx.caller().role.into()), &Actor::of(cx), once, args).await?)
    }

    /// A statement that needs nothing before or after it. Reached through [`Context::write_once`].
    pub(in crate::platform) async fn write_once<T>(
        &self,
        cx: &Context,
        row: Uuid,
        write: &Write,
        args: &[Arg<'_>],
    ) -> std::result::Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        let role = cx.caller().role.into();
        #[allow(clippy::indexing_slicing)] // the array has one for each role
        let gathering = &self.gatherings[Self::index(role)];
        gathering.write(self.pool(role), &Actor::of(cx), row, write, args).await
    }

    /// As [`Db::anonymous`], of one statement that only reads, in one round trip.
    pub(in crate::platform) async fn anonymous_once<T>(&self, once: &Once, args: &[Arg<'_>]) -> Result<Vec<T>>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        Ok(once::read(self.pool(DbRole::Auth), &Actor::job(None, None), once, args).await?)
    }

    /// A transaction of the owner of the database, for the commands of an operator. What serves never begins one.
    pub async fn as_owner(owner: &PgConnectOptions) -> Result<Tx> {
        Owner::new(owner).begin().await
    }

    async fn open_tx(&self, actor: Actor, role: DbRole, read_only: bool) -> Result<Tx> {
        Tx::open(self.pool(role), actor, read_only).await
    }

    /// Gives out no connection any more; those in use end with their transactions.
    pub fn close(&self) {
        for role in DbRole::ALL {
            self.pool(role).close();
        }
    }
}

/// The connection of the owner of the database, for a command of many transactions.
pub struct Owner(Pool);

impl Owner {
    /// Connects when first asked.
    pub fn new(owner: &PgConnectOptions) -> Self {
        let options = owner.clone().application_name("huntzen admin").options([("timezone", "UTC")]);
        Self(Pool::new(options, 1, Duration::from_secs(10), Duration::from_hours(1)))
    }

    pub async fn begin(&self) -> Result<Tx> {
        Tx::open(&self.0, Actor::job(None, None), false).await
    }
}

/// How to connect as a runtime role.
pub fn role_options(base: &PgConnectOptions, role: DbRole, config: &Config) -> PgConnectOptions {
    use secrecy::ExposeSecret;

    let password = derive::database_password(&config.database_roles_secret, role.name());
    base.clone()
        .username(role.name())
        .password(password.expose_secret())
        .application_name("huntzen")
        .statement_cache_capacity(256)
        .options([
            ("search_path", "app,pg_temp"),
            ("timezone", "UTC"),
            ("statement_timeout", if role == DbRole::Worker { "120000" } else { "10000" }),
            ("idle_in_transaction_session_timeout", "30000"),
            // compiling a report of many joins takes a hundred times as long as running it
            ("jit", "off"),
        ])
}

/// Whether the database could not be reached, as against having refused a statement.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        // class 08: connection; 57P: operator intervention; 53300: too many connections
        sqlx::Error::Database(e) => {
            e.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P") || code == "53300")
        }
        _ => false,
    }
}

/// Whether a statement gave way to others: its time was up, or it waited in a circle. Nothing of it was kept, and the
/// same request may succeed a moment later.
pub fn is_contended(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // statement_timeout (or cancelled), deadlock, serialization failure, lock_timeout
    code.is_some_and(|code| ["57014", "40P01", "40001", "55P03"].contains(&code.as_ref()))
}

/// Whether a client named a time that is none to the database: they are read in a wider range than it keeps.
pub fn is_out_of_time(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "22008")
}

/// The name of the constraint that a statement broke.
pub fn broken_constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::constraint)
}

/// What a trigger says of the constraint that a statement broke, such as how many there are.
pub fn broken_detail(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(|it| it.try_downcast_ref::<PgDatabaseError>()).and_then(PgDatabaseError::detail)
}

/// Turns a broken constraint into the cause that a client understands.
pub trait OrConstraint<T> {
    fn or_constraint<C: Cause>(self, constraint: &str, cause: C) -> Result<T, Problem>;
}

impl<T> OrConstraint<T> for std::result::Result<T, sqlx::Error> {
    fn or_constraint<C: Cause>(self, constraint: &str, cause: C) -> Result<T, Problem> {
        self.map_err(|error| if broken_constraint(&error) == Some(constraint) { cause.into() } else { error.into() })
    }
}

/// A UUID as the text of a setting; unset is the empty string.
fn setting(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
