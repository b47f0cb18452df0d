//! The sessions that ended while their access tokens may still be valid; and the connection on which a node hears of
//! them, and of signing keys that come and are withdrawn.
//!
//! An end on this node is known at once; those of other nodes arrive over LISTEN, and are read again twice a second
//! in case they do not. What is known counts for a second after it was read: a node that cannot read on, whatever
//! the reason, asks the database for each request instead. So no node takes a session for longer than a second after
//! its end, and a request costs no round trip meanwhile.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgExecutor;
use tokio::sync::watch;

use super::tokens::LEEWAY;
use crate::platform::context::Platform;
use crate::platform::db::{Actor, Arg, DbRole, Once};
use crate::platform::ids::SessionId;
use crate::platform::problem::{Problem, Result};

/// One round trip, for it is asked at every request while nothing can be read.
const IS_LIVE: Once = Once { name: "session_is_live", statement: "SELECT auth.session_is_live($1)" };
/// What was read counts for so long, from before it was asked for.
const FRESH: Duration = Duration::from_secs(1);
/// How often it is read again, notified or not.
const READ_EVERY: Duration = Duration::from_millis(400);
/// Signing keys are published long before they count.
const READ_KEYS_EVERY: Duration = Duration::from_secs(30);
const ENDED: &str = "session_revoked";
const KEYS: &str = "signing_keys";
/// Before the next try to listen again.
const PAUSE: Duration = Duration::from_millis(500);
/// A transaction that ended a session may commit so much later than it noted it.
const LATEST_COMMIT: Duration = Duration::from_mins(1);

#[derive(Default)]
pub struct RevokedSessions {
    revoked: RwLock<HashMap<SessionId, DateTime<Utc>>>,
    /// When the last reading of the table began, if it is being followed.
    read_at: RwLock<Option<Instant>>,
    /// When catching up failed last.
    failed_at: tokio::sync::Mutex<Option<Instant>>,
    /// When everything noted before was known, for the next reading to begin there.
    known_until: Mutex<Option<Instant>>,
    /// Changes with each session that is noted.
    noted: watch::Sender<()>,
}

impl RevokedSessions {
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the end of a session. It can be forgotten once every token of the session has expired.
    pub fn note(&self, session: SessionId, now: DateTime<Utc>, access_ttl: TimeDelta) {
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        revoked.retain(|_, noted| *noted + access_ttl + LEEWAY * 2 > now);
        if let Entry::Vacant(place) = revoked.entry(session) {
            place.insert(now);
            drop(revoked);
            self.noted.send_replace(());
        }
    }

    /// Tells when further sessions are noted; for those who keep a connection.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.noted.subscribe()
    }

    /// Whether the session is known to have ended; asks nobody.
    pub fn is_known_revoked(&self, session: SessionId) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }

    pub async fn is_revoked(&self, session: SessionId, platform: &Platform) -> Result<bool> {
        if self.is_known_revoked(session) {
            return Ok(true);
        }
        if self.is_fresh() {
            return Ok(false);
        }
        let live: Vec<(bool,)> = platform.db.anonymous_once(&IS_LIVE, &[Arg::Id(Some(session.0))]).await?;
        Ok(live != [(true,)])
    }

    /// Whether what is known is recent enough to go by.
    pub fn is_fresh(&self) -> bool {
        let read_at = *self.read_at.read().unwrap_or_else(PoisonError::into_inner);
        read_at.is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Reads what ended since the last reading; to be called after a commit that ended sessions, so that this node
    /// refuses them at once. What was committed is done in any case: where this fails, [`RevokedSessions::follow`]
    /// hears of it a moment later.
    pub async fn refresh(&self, platform: &Platform) {
        let read = async {
            let mut tx = platform.db.anonymous(Actor::job(None, None)).await?;
            self.read(platform, tx.conn()).await
        };
        if let Err(problem) = read.await {
            tracing::warn!(code = problem.code(), "ended sessions are refused when the notification is here");
        }
    }

    /// Reads what ended where nothing is heard of it: once for all who ask at the same time, for sockets are many. False:
    /// that cannot be done now, and nobody is known to go on.
    pub async fn catch_up(&self, platform: &Platform) -> bool {
        let mut failed_at = self.failed_at.lock().await;
        if self.is_fresh() {
            return true;
        }
        if failed_at.is_some_and(|at| at.elapsed() < FRESH) {
            return false;
        }
        let began = Instant::now();
        let read = async {
            let mut tx = platform.db.anonymous(Actor::job(None, None)).await?;
            self.read(platform, tx.conn()).await
        };
        if let Err(problem) = read.await {
            tracing::warn!(code = problem.code(), "cannot read which sessions ended: sockets are shown nothing");
            *failed_at = Some(Instant::now());
            return false;
        }
        *self.read_at.write().unwrap_or_else(PoisonError::into_inner) = Some(began);
        true
    }

    async fn read(&self, platform: &Platform, conn: impl PgExecutor<'_>) -> Result<()> {
        let (began, access_ttl) = (Instant::now(), platform.tokens.access_ttl);
        let known_until = *self.known_until.lock().unwrap_or_else(PoisonError::into_inner);
        // tokens from before then have expired
        let all = (access_ttl + LEEWAY * 2).to_std().unwrap_or_default() + LATEST_COMMIT;
        let within = known_until.map_or(all, |until| all.min(until.elapsed() + LATEST_COMMIT));
        let ended: Vec<SessionId> = sqlx::query_scalar("SELECT * FROM auth.sessions_ended($1)")
            .bind(within.as_secs_f64())
            .fetch_all(conn)
            .await?;
        let now = platform.clock.now();
        for session in ended {
            self.note(session, now, access_ttl);
        }
        let mut known_until = self.known_until.lock().unwrap_or_else(PoisonError::into_inner);
        *known_until = Some(known_until.map_or(began, |until| until.max(began)));
        Ok(())
    }

    /// Keeps the set up to date until the future is dropped; reconnects by itself.
    pub async fn follow(&self, platform: &Platform) {
        loop {
            if let Err(error) = self.listen(platform).await {
                tracing::warn!(%error, "lost the list of ended sessions; asking the database meanwhile");
            }
            *self.read_at.write().unwrap_or_else(PoisonError::into_inner) = None;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn listen(&self, platform: &Platform) -> Result<()> {
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(platform.db.options(DbRole::Auth).clone().application_name("huntzen listens"));
        let mut listener = sqlx::postgres::PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen_all([ENDED, KEYS]).await?;
        let mut keys_read: Option<Instant> = None;
        loop {
            // as often as the sessions are read, for a key that leaked must not wait for a notification
            if platform.tokens.read_withdrawn(&mut listener).await? {
                keys_read = None;
            }
            if keys_read.is_none_or(|at| at.elapsed() > READ_KEYS_EVERY) {
                // a key that does not open is no reason to stop listening: the others go on
                if let Err(error) = platform.tokens.read_keys(&mut listener, &platform.keyring).await {
                    tracing::error!(%error, source = ?error.source_error(), "cannot read the signing keys");
                }
                keys_read = Some(Instant::now());
            }
            let began = Instant::now();
            // a notification can be forged and carries nothing: the table is read again, on this connection, which
            // shows that it lives
            tokio::time::timeout(FRESH, self.read(platform, &mut listener)).await.map_err(|_| lost())??;
            *self.read_at.write().unwrap_or_else(PoisonError::into_inner) = Some(began);
            match tokio::time::timeout(READ_EVERY, listener.try_recv()).await {
                Err(_elapsed) => {}
                Ok(received) => match received? {
                    Some(news) if news.channel() == KEYS => keys_read = None,
                    Some(_) => {}
                    // lost connection; fall back to asking
                    None => return Err(lost()),
                },
            }
        }
    }
}

fn lost() -> Problem {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()).into()
}
