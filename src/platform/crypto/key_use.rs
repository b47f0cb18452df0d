//! Which master keys a database knows, and how much is sealed under each.
//!
//! A program that starts says which keys it has, by values that are derived from them. It does not start where secrets are
//! sealed under a key that it has not, nor with another key under a name that was used before: either would seal and open
//! the wrong things only later, a secret at a time. An hourly job and every rotation count; `/metrics` shows it on each
//! node, so that operators see when nothing is left under an older key.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnectOptions;

use super::seal::Keyring;
use crate::platform::context::Platform;
use crate::platform::db::{Db, Tx};
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::problem::{Problem, Result};

/// Scrapes within this time show the same figures.
const FRESH: Duration = Duration::from_secs(5);
/// A scrape does not wait longer for the database: the other metrics are asked for most when it is in trouble.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why the program does not start with these keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefusal {
    #[error(
        "MASTER_KEYS: {secrets} secrets of the database are sealed under {id:?}, which is missing; add it behind the others \
         (huntzen keys forget {id} gives up what is sealed under a key that is lost)"
    )]
    Missing { id: String, secrets: i64 },
    #[error(
        "MASTER_KEYS: {id:?} is not the key of that name that this database was used with before (huntzen keys forget {id} \
         takes this one from now on, and gives up what the other one sealed)"
    )]
    Other { id: String },
    #[error("cannot compare MASTER_KEYS with what the database was used with: {0:?}; has it been migrated?")]
    Unknown(Problem),
}

#[derive(sqlx::FromRow)]
struct Misfit {
    master_key: String,
    fault: String,
    secrets: i64,
}

/// Refuses keys that do not fit the database; those that are new to it are noted.
pub async fn verify(db: &Db, keyring: &Keyring) -> Result<(), KeyRefusal> {
    let mut faults = try_with(db, keyring, false).await.map_err(KeyRefusal::Unknown)?;
    if faults.iter().any(|it| it.fault != "other") {
        // a key is not there, and it may be a while ago that was counted what it sealed
        faults = try_with(db, keyring, true).await.map_err(KeyRefusal::Unknown)?;
    }
    match faults.into_iter().next() {
        None => Ok(()),
        Some(Misfit { master_key: id, fault, secrets }) if fault == "missing" => {
            Err(KeyRefusal::Missing { id, secrets })
        }
        Some(Misfit { master_key: id, .. }) => Err(KeyRefusal::Other { id }),
    }
}

async fn try_with(db: &Db, keyring: &Keyring, counting: bool) -> Result<Vec<Misfit>> {
    let mut tx = db.job(None, None).await?;
    if counting {
        sqlx::query("SELECT app.note_master_key_uses(now())").execute(tx.conn()).await?;
    }
    let mut faults = introduce(&mut tx, keyring).await?;
    if counting {
        faults.retain(|it| it.fault != "unsure");
    }
    // what a program had that does not start is no key of this database
    if faults.is_empty() {
        tx.commit().await?;
    }
    Ok(faults)
}

/// Refuses, of the keys of a command, one that has the name of another; which of them it needs it tells itself.
pub async fn verify_names(owner: &PgConnectOptions, keyring: &Keyring) -> Result<(), KeyRefusal> {
    let faults = async {
        let mut tx = Db::as_owner(owner).await?;
        let faults = introduce(&mut tx, keyring).await?;
        let other = faults.into_iter().find(|it| it.fault == "other");
        if other.is_none() {
            tx.commit().await?;
        }
        Ok::<_, Problem>(other)
    };
    match faults.await.map_err(KeyRefusal::Unknown)? {
        None => Ok(()),
        Some(Misfit { master_key: id, .. }) => Err(KeyRefusal::Other { id }),
    }
}

/// Whether the database knew a key of that name. What is sealed under it keeps nobody from starting any more.
pub async fn forget(owner: &PgConnectOptions, id: &str) -> Result<bool> {
    let mut tx = Db::as_owner(owner).await?;
    let known = sqlx::query_scalar("SELECT app.forget_master_key($1)").bind(id).fetch_one(tx.conn()).await?;
    tx.commit().await?;
    Ok(known)
}

async fn introduce(tx: &mut Tx, keyring: &Keyring) -> Result<Vec<Misfit>> {
    let (ids, values): (Vec<_>, Vec<_>) = keyring.check_values().into_iter().unzip();
    Ok(sqlx::query_as("SELECT master_key, fault, secrets FROM app.introduce_master_keys($1, $2)")
        .bind(ids)
        .bind(values)
        .fetch_all(tx.conn())
        .await?)
}

/// Counts what is sealed under which master key.
#[derive(Debug, Serialize, Deserialize)]
pub struct CountKeys {}

impl Job for CountKeys {
    const KIND: &'static str = "keys.count";
    const QUEUE: Queue = Queue::Maintenance;
}

pub fn jobs(registry: &mut Registry) {
    registry.on(count);
    registry.schedule("keys.count", "0 11 * * * *", || CountKeys {});
}

async fn count(cx: JobContext, _: CountKeys) -> Result<()> {
    let mut tx = cx.begin().await?;
    sqlx::query("SELECT app.note_master_key_uses($1)").bind(cx.now()).execute(tx.conn()).await?;
    // and that this program goes on with the keys that it has
    introduce(&mut tx, &cx.platform.keyring).await?;
    tx.commit().await
}

/// What was shown last, and when.
#[derive(Default)]
pub struct Shown(Mutex<Option<(Instant, HashSet<String>)>>);

impl Shown {
    /// Brings the figures of this node up to date: whichever node or command counted. A database that does not answer
    /// leaves them as they were.
    pub async fn renew(&self, platform: &Platform) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH) {
            return;
        }
        let uses = tokio::time::timeout(PATIENCE, read(platform)).await;
        let Ok(Ok(uses)) = uses else { return };
        let newest = platform.keyring.newest();
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shown.take().map(|(_, ids)| ids).unwrap_or_default();
        for id in before.iter().filter(|id| !uses.iter().any(|(it, _)| it == *id)) {
            show(id, 0);
        }
        let older: i64 = uses.iter().filter(|(id, _)| id != newest).map(|(_, secrets)| secrets).sum();
        #[allow(clippy::cast_precision_loss)] // never so many
        metrics::gauge!("huntzen_secrets_under_older_master_keys").set(older as f64);
        for (id, secrets) in &uses {
            show(id, *secrets);
        }
        *shown = Some((Instant::now(), uses.into_iter().map(|(id, _)| id).collect()));
    }
}

fn show(id: &str, secrets: i64) {
    #[allow(clippy::cast_precision_loss)] // never so many
    metrics::gauge!("huntzen_secrets_by_master_key", "key" => id.to_owned()).set(secrets as f64);
}

async fn read(platform: &Platform) -> Result<Vec<(String, i64)>> {
    let mut tx = platform.db.job(None, None).await?;
    let uses = sqlx::query_as("SELECT master_key, secrets FROM app.master_key_uses() WHERE counted_at IS NOT NULL")
        .fetch_all(tx.conn())
        .await?;
    tx.commit().await?;
    Ok(uses)
}
