//! A pool of connections of one log-in role.
//!
//! Of our own settings on `deadpool`, because giving a connection back must cost no round trip: a connection comes
//! back when its transaction has ended, and one that is broken is found out by its next BEGIN.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::time::Duration;

use deadpool::Status;
use deadpool::managed::{self, Metrics, Object, PoolConfig, PoolError, RecycleError, RecycleResult, Timeouts};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

/// How long the server may take to answer what costs it nothing: the beginning of a transaction, its end, a read of
/// one short statement. A server that hangs answers nothing, not even that the time of a statement is up.
const PATIENCE: Duration = Duration::from_secs(4);

/// Waits for such an answer. The connection of one that did not come must be closed: what is left of it would be the
/// next caller's.
pub async fn patiently<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(sqlx::Error::Io(ErrorKind::TimedOut.into())),
    }
}

/// A connection and the statements that were prepared on it by name.
pub struct Connection {
    pub pg: PgConnection,
    pub prepared: HashSet<&'static str>,
}

pub struct Manager {
    options: PgConnectOptions,
    longest_life: Duration,
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Connection, sqlx::Error> {
        Ok(Connection { pg: self.options.connect().await?, prepared: HashSet::new() })
    }

    async fn recycle(&self, _: &mut Connection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        // what a connection gathers on the server goes with it, and a new one finds a server that has moved
        if metrics.age() < self.longest_life { Ok(()) } else { Err(RecycleError::message("it has lived long enough")) }
    }
}

#[derive(Clone)]
pub struct Pool(managed::Pool<Manager>);

impl Pool {
    /// Connects when first asked; a caller waits no longer than `patience`. A connection older than `longest_life` is
    /// closed instead of being given out again.
    pub fn new(options: PgConnectOptions, size: u32, patience: Duration, longest_life: Duration) -> Self {
        let config = PoolConfig {
            max_size: size as usize,
            timeouts: Timeouts { wait: Some(patience), create: Some(patience), recycle: None },
            ..PoolConfig::default()
        };
        let pool = managed::Pool::builder(Manager { options, longest_life })
            .config(config)
            .runtime(deadpool::Runtime::Tokio1)
            .build();
        match pool {
            Ok(pool) => Self(pool),
            // refused only where timeouts are set without a runtime, and one is
            Err(error) => unreachable!("{error}"),
        }
    }

    pub async fn get(&self) -> Result<Object<Manager>, sqlx::Error> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => sqlx::Error::PoolClosed,
            _ => self.timed_out(),
        })
    }

    /// How long a caller waits for a connection.
    pub fn patience(&self) -> Duration {
        self.0.timeouts().wait.unwrap_or(PATIENCE)
    }

    /// What a caller is answered who has waited long enough.
    pub fn timed_out(&self) -> sqlx::Error {
        let role = self.options().get_username().to_owned();
        metrics::counter!("huntzen_database_pool_timeouts_total", "role" => role).increment(1);
        sqlx::Error::PoolTimedOut
    }

    pub fn status(&self) -> Status {
        self.0.status()
    }

    pub fn options(&self) -> &PgConnectOptions {
        &self.0.manager().options
    }

    /// How many connections may be broken at once, after the server was away.
    pub fn max_size(&self) -> usize {
        self.0.status().max_size
    }

    pub fn close(&self) {
        self.0.close();
    }
}

/// Whether the connection itself failed, so that another one may do. Who waited for an answer has waited enough.
pub fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::TimedOut => false,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // the server said good-bye
        sqlx::Error::Database(e) => e.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
        _ => false,
    }
}
