//! Everything a use case may rely on, and nothing it could misuse: no pool, no clock of its own.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::platform::auth::revocation::RevokedSessions;
use crate::platform::auth::tokens::Tokens;
use crate::platform::auth::{Caller, Permission};
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::passwords::Passwords;
use crate::platform::crypto::seal::Keyring;
use crate::platform::db::{Actor, Arg, Db, Once, Tx, Write};
use crate::platform::http::limits::Limits;
use crate::platform::ids::{self, UserId};
use crate::platform::images::Images;
use crate::platform::locale::Locale;
use crate::platform::mail::Mailer;
use crate::platform::maintenance::Maintenance;
use crate::platform::outgoing::Outgoing;
use crate::platform::problem::Result;
use crate::platform::realtime::Wire;
use crate::platform::storage::Storage;
use crate::platform::telemetry::reports::Reports;
use crate::platform::telemetry::traces::Traces;

/// The parts of the running program, shared by every request and job.
pub struct Platform {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub entropy: Entropy,
    pub db: Db,
    pub tokens: Tokens,
    pub sessions: RevokedSessions,
    pub passwords: Passwords,
    /// Seals the secrets that the database keeps.
    pub keyring: Keyring,
    pub storage: Storage,
    /// Writes pictures anew.
    pub images: Images,
    pub mailer: Mailer,
    /// Requests to addresses that people give.
    pub outgoing: Outgoing,
    pub limits: Limits,
    pub maintenance: Maintenance,
    /// To the other nodes.
    pub wire: Wire,
    /// Where it is told how long what took, and what went wrong; nowhere, unless it is set.
    pub traces: Traces,
    pub reports: Reports,
}

impl Platform {
    /// Takes up the signing keys of the database; afterwards they are followed.
    pub async fn read_signing_keys(&self) -> Result<()> {
        let mut tx = self.db.anonymous(Actor::job(None, None)).await?;
        self.tokens.read_withdrawn(tx.conn()).await?;
        self.tokens.read_keys(tx.conn(), &self.keyring).await
    }

    /// The end: what is still to be told of the program is told, within some seconds.
    pub async fn wind_up(&self) {
        tokio::join!(self.traces.close(), self.reports.flush());
        self.db.close();
    }

    /// A new identifier (UUID version 7).
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        T::from(ids::uuid_v7(self.clock.now(), self.entropy.bytes()))
    }
}

/// What is known of a request before anybody is known to have sent it.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// `X-Request-Id`: 1–64 characters of `A-Z a-z 0-9 - _ .`.
    pub id: Arc<str>,
    /// The client's address; a proxy's word is taken only from a configured one.
    pub ip: Option<IpAddr>,
    pub locale: Locale,
    /// The caller, once known, for the log and the limits of rate.
    user: Arc<OnceLock<UserId>>,
}

impl RequestInfo {
    pub fn new(id: impl Into<Arc<str>>, ip: Option<IpAddr>, locale: Locale) -> Self {
        Self { id: id.into(), ip, locale, user: Arc::default() }
    }

    pub fn note_caller(&self, user: UserId) {
        let _ = self.user.set(user);
    }

    pub fn caller(&self) -> Option<UserId> {
        self.user.get().copied()
    }
}

impl Default for RequestInfo {
    fn default() -> Self {
        Self::new("-", None, Locale::En)
    }
}

/// A caller and the request they made.
#[derive(Clone)]
pub struct Context {
    platform: Arc<Platform>,
    caller: Caller,
    request: RequestInfo,
}

impl Context {
    pub fn new(platform: Arc<Platform>, caller: Caller, request: RequestInfo) -> Self {
        Self { platform, caller, request }
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A transaction of the program's own, as its jobs have: for a key that opens something for the caller and says whose it
    /// is, which they may not learn.
    pub async fn begin_as_program(&self) -> Result<Tx> {
        self.platform.db.job(None, None).await
    }

    pub fn request(&self) -> &RequestInfo {
        &self.request
    }

    pub fn locale(&self) -> Locale {
        self.request.locale
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.platform.clock.now()
    }

    pub fn new_id<T: From<Uuid>>(&self) -> T {
        self.platform.new_id()
    }

    pub fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    /// Begins the caller's transaction, for reading and writing: permission and row scope in one step.
    pub async fn begin(&self, permission: Permission) -> Result<Tx> {
        self.allow(permission)?;
        self.platform.db.begin(self).await
    }

    /// Begins the caller's transaction, for reading only. Dropping it ends it.
    pub async fn read(&self, permission: Permission) -> Result<Tx> {
        self.allow(permission)?;
        self.platform.db.read(self).await
    }

    /// Reads with one statement in one round trip; for the busiest routes. The scope is that of [`Context::read`].
    pub async fn read_once<T>(&self, permission: Permission, once: &Once, args: &[Arg<'_>]) -> Result<Vec<T>>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        self.allow(permission)?;
        self.platform.db.read_once(self, once, args).await
    }

    /// Writes with one statement in one round trip, which it shares with those of others that come at the same moment; for
    /// the busiest events. It may be run twice where a connection breaks, so only what is the same once and twice. `row` is
    /// what it locks. The error is the statement's.
    pub async fn write_once<T>(
        &self,
        permission: Permission,
        row: Uuid,
        write: &Write,
        args: &[Arg<'_>],
    ) -> Result<std::result::Result<Vec<T>, sqlx::Error>>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        self.allow(permission)?;
        Ok(self.platform.db.write_once(self, row, write, args).await)
    }

    fn allow(&self, permission: Permission) -> Result<()> {
        permission.check(&self.caller)
    }
}
