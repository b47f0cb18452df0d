//! What functions of the database notify when something is committed, on whichever node.
//!
//! Anybody who reaches the database can forge a notification, and some are lost with their connection: it is a reason to
//! look, never more.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::platform::context::Platform;
use crate::platform::db::{Actor, DbRole};
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
pub async fn follow(platform: &Platform, channels: &[&str], mut heard: impl FnMut(News<'_>)) {
    loop {
        if let Err(error) = listen(platform, channels, &mut heard).await {
            tracing::warn!(%error, "lost what the database tells of changes; listening again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(platform: &Platform, channels: &[&str], heard: &mut impl FnMut(News<'_>)) -> Result<()> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(platform.db.options(DbRole::Auth).clone().application_name("huntzen hears"));
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen_all(channels.iter().copied()).await?;
    heard(News::Missed);
    loop {
        match tokio::time::timeout(QUIET, listener.try_recv()).await {
            Ok(received) => match received? {
                Some(news) => heard(News::Told { channel: news.channel(), about: news.payload() }),
                None => return Err(lost()),
            },
            Err(_elapsed) => {
                let asked = sqlx::query("SELECT 1").execute(&mut listener);
                tokio::time::timeout(PATIENCE, asked).await.map_err(|_| lost())??;
            }
        }
    }
}

/// Tells something that is kept nowhere, such as that somebody is writing: ids only.
pub async fn tell(platform: &Platform, channel: &str, about: &str) -> Result<()> {
    let mut tx = platform.db.anonymous(Actor::job(None, None)).await?;
    sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(about).execute(tx.conn()).await?;
    tx.commit().await
}

fn lost() -> Problem {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()).into()
}
