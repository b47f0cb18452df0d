//! A pool of connections of one log-in role.
//!
//! Of our own settings on `deadpool`, because giving a connection back must cost no round trip: a connection comes
//! back when its transaction has ended, and one that is broken is found out by its next BEGIN.

use std::collections::HashSet;
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolConfig, PoolError, RecycleResult, Timeouts};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

/// A connection and the statements that were prepared on it by name.
pub struct Connection {
    pub pg: PgConnection,
    pub prepared: HashSet<&'static str>,
}

pub struct Manager {
    options: PgConnectOptions,
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Connection, sqlx::Error> {
        Ok(Connection { pg: self.options.connect().await?, prepared: HashSet::new() })
    }

    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<sqlx::Error> {
        Ok(())
    }
}

#[derive(Clone)]
pub struct Pool(managed::Pool<Manager>);

impl Pool {
    /// Connects when first asked; a caller waits no longer than `patience`.
    pub fn new(options: PgConnectOptions, size: u32, patience: Duration) -> Self {
        let config = PoolConfig {
            max_size: size as usize,
            timeouts: Timeouts { wait: Some(patience), create: Some(patience), recycle: None },
            ..PoolConfig::default()
        };
        let pool =
            managed::Pool::builder(Manager { options }).config(config).runtime(deadpool::Runtime::Tokio1).build();
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
            _ => sqlx::Error::PoolTimedOut,
        })
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

/// Whether the connection itself failed, so that another one may do.
pub fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // the server said good-bye
        sqlx::Error::Database(e) => e.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
        _ => false,
    }
}
