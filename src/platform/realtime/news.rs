//! What is told between nodes, as a module hears it.
//!
//! Functions of the database notify some things when they are committed, whoever did them; nodes announce the rest to each
//! other ([`super::wire`]). Anybody who reaches the database can forge a notification, and some are lost with their
//! connection: it is a reason to look, never more.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::broadcast::error::RecvError;

use super::wire::{self, Redis, Word};
use crate::platform::context::Platform;
use crate::platform::db::DbRole;
use crate::platform::problem::{Problem, Result};

/// Before the next try to listen again.
const PAUSE: Duration = Duration::from_millis(500);
/// A connection that says nothing for so long is asked whether it lives …
const QUIET: Duration = Duration::from_secs(5);
/// … and has so long to say so.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    Told {
        channel: &'a str,
        about: &'a str,
    },
    /// Some may have been missed: everything is to be looked at again.
    Missed,
}

/// Hears what is told on some channels until the future is dropped; reconnects by itself.
pub async fn follow(platform: &Platform, channels: &[&str], heard: impl FnMut(News<'_>) + Send) {
    let heard = Mutex::new(heard);
    let hear = |news: News<'_>| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard(news);
    };
    let database = async {
        loop {
            if let Err(error) = listen(platform, channels, &hear).await {
                tracing::warn!(%error, "lost what the database tells of changes; listening again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let redis = async {
        let Some(redis) = platform.wire.redis() else { return };
        loop {
            if let Err(error) = subscribe(redis, channels, &hear).await {
                tracing::warn!(%error, "lost what Redis tells of changes; the database tells them meanwhile");
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::join!(database, redis, here(platform, channels, &hear));
}

async fn listen(platform: &Platform, channels: &[&str], hear: &(impl Fn(News<'_>) + Sync)) -> Result<()> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(platform.db.options(DbRole::Auth).clone().application_name("huntzen hears"));
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen_all(channels.iter().copied()).await?;
    hear(News::Missed);
    loop {
        match tokio::time::timeout(QUIET, listener.try_recv()).await {
            Ok(received) => match received? {
                Some(news) => hear(News::Told { channel: news.channel(), about: news.payload() }),
                None => return Err(lost()),
            },
            Err(_elapsed) => {
                let asked = sqlx::query("SELECT 1").execute(&mut listener);
                tokio::time::timeout(PATIENCE, asked).await.map_err(|_| lost())??;
            }
        }
    }
}

async fn subscribe(redis: &Redis, channels: &[&str], hear: &(impl Fn(News<'_>) + Sync)) -> redis::RedisResult<()> {
    let (mut sink, mut stream) = redis.subscribe(channels).await?.split();
    hear(News::Missed);
    loop {
        match tokio::time::timeout(QUIET, stream.next()).await {
            Ok(Some(message)) => {
                // anybody on the server may say anything
                let Ok(about) = message.get_payload::<String>() else { continue };
                hear(News::Told { channel: redis.channel(message.get_channel_name()), about: &about });
            }
            Ok(None) => return Err(wire::late()),
            Err(_elapsed) => {
                let asked = sink.ping::<redis::Value>();
                tokio::time::timeout(PATIENCE, asked).await.map_err(|_| wire::late())??;
            }
        }
    }
}

/// What this node announces, without a way around.
async fn here(platform: &Platform, channels: &[&str], hear: &(impl Fn(News<'_>) + Sync)) {
    let mut announced = platform.wire.hear();
    loop {
        match announced.recv().await {
            Ok(Word { channel, about }) if channels.contains(&channel) => hear(News::Told { channel, about: &about }),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => hear(News::Missed),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Tells something that is kept nowhere, such as that somebody is writing, to every node: ids only. Returns when it is
/// told; where that need not be known, [`super::Wire::say`] takes less.
pub async fn tell(platform: &Platform, channel: &'static str, about: &str) -> Result<()> {
    wire::tell(platform, &[Word { channel, about: about.to_owned() }]).await
}

fn lost() -> Problem {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()).into()
}
