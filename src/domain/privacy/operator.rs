//! What the operator does: the ledger of erasures kept outside of backups, and carried out again after a restore.

use std::io::BufRead;

use sqlx::postgres::PgConnectOptions;

use super::erasure::{LedgerEntry, list_ledger, replay as replay_entry};
use crate::platform::db::Db;
use crate::platform::{Problem, Result};

/// Entries that are read at once.
const PAGE: i32 = 1_000;

/// Tells every entry of the ledger, as a line of JSON: ids and a time, nothing of anybody.
pub async fn ledger(owner: &PgConnectOptions, mut tell: impl FnMut(&str)) -> Result<()> {
    let mut after = None;
    loop {
        let mut tx = Db::as_owner(owner).await?;
        let found = list_ledger(&mut tx, after, PAGE).await?;
        drop(tx);
        let Some(last) = found.last() else { return Ok(()) };
        after = Some(last.user_id);
        for entry in &found {
            tell(&serde_json::to_string(entry).map_err(Problem::internal)?);
        }
    }
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Accounts that were there again, or keys of theirs.
    pub erased: u64,
    /// Those that were erased in this database already.
    pub unchanged: u64,
    /// Those that this database does not know.
    pub unknown: u64,
}

/// Erases again whoever the ledger names: that of `lines`, which was kept outside, or else the database's own. It can be
/// stopped and run again.
pub async fn replay(owner: &PgConnectOptions, lines: Option<&mut (dyn BufRead + Send)>) -> Result<Replayed> {
    let mut done = Replayed::default();
    if let Some(lines) = lines {
        for line in lines.lines() {
            let line = line.map_err(Problem::internal)?;
            if !line.trim().is_empty() {
                let entry = serde_json::from_str(&line).map_err(Problem::internal)?;
                replay_one(owner, &entry, &mut done).await?;
            }
        }
        return Ok(done);
    }
    let mut after = None;
    loop {
        let mut tx = Db::as_owner(owner).await?;
        let found = list_ledger(&mut tx, after, PAGE).await?;
        drop(tx);
        let Some(last) = found.last() else { return Ok(done) };
        after = Some(last.user_id);
        for entry in &found {
            replay_one(owner, entry, &mut done).await?;
        }
    }
}

async fn replay_one(owner: &PgConnectOptions, entry: &LedgerEntry, done: &mut Replayed) -> Result<()> {
    let mut tx = Db::as_owner(owner).await?;
    let outcome = replay_entry(&mut tx, entry).await?;
    tx.commit().await?;
    match outcome.as_str() {
        "erased" => done.erased += 1,
        "unchanged" => done.unchanged += 1,
        _ => done.unknown += 1,
    }
    Ok(())
}
