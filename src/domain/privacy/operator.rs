//! What the operator does: the ledger of erasures kept outside of backups, and carried out again after a restore.

use std::collections::HashMap;
use std::io::Read;

use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

pub use super::erasure::ledger::Fault;
use super::erasure::ledger::{self, Chain, Line};
use super::erasure::{find_published_until, list_ledger, note_replay, replay as replay_line};
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::seal::Keyring;
use crate::platform::db::Db;
use crate::platform::{Problem, Result};

/// Entries that are read at once.
const PAGE: i32 = 1_000;

/// Goes along the ledger of the database, which has to be whole, and tells each line of it.
async fn walk(owner: &PgConnectOptions, mut tell: impl FnMut(Line) -> Result<()>) -> Result<Result<Chain, Fault>> {
    let (mut chain, mut after) = (Chain::default(), 0);
    loop {
        let mut tx = Db::as_owner(owner).await?;
        let found = list_ledger(&mut tx, after, PAGE).await?;
        drop(tx);
        let Some(last) = found.last() else { return Ok(Ok(chain)) };
        after = last.place;
        for entry in &found {
            let line = Line::from(entry);
            if let Err(fault) = chain.take(&line) {
                return Ok(Err(fault));
            }
            tell(line)?;
        }
    }
}

/// Whether the ledger of the database is whole, and how many erasures it holds.
pub async fn verify(owner: &PgConnectOptions) -> Result<Result<i64, Fault>> {
    Ok(walk(owner, |_| Ok(())).await?.map(|chain| chain.entries()))
}

/// Tells the ledger, as lines of JSON: ids and times, nothing of anybody, and the seal with the last month that is published.
pub async fn ledger(
    owner: &PgConnectOptions,
    keyring: &Keyring,
    mut tell: impl FnMut(&str),
) -> Result<Result<(), Fault>> {
    let told = walk(owner, |line| {
        tell(&serde_json::to_string(&line).map_err(Problem::internal)?);
        Ok(())
    });
    let chain = match told.await? {
        Ok(chain) => chain,
        Err(fault) => return Ok(Err(fault)),
    };
    let published_until = find_published_until(&mut Db::as_owner(owner).await?).await?;
    tell(&chain.seal(published_until, keyring, &Entropy::system())?);
    Ok(Ok(()))
}

/// Which ledger is replayed, and how.
pub struct How<'a> {
    /// What was kept outside; otherwise the database's own is.
    pub from: Option<&'a mut (dyn Read + Send)>,
    /// The keys that its seal is checked with. `None`: it is taken as it is.
    pub keyring: Option<&'a Keyring>,
    /// Nothing is changed.
    pub is_dry: bool,
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
    /// Practitioners who keep notes that the law wants kept.
    pub refused: u64,
    /// Keys that went.
    pub keys: u64,
    /// Erasures of this database that the ledger does not have, or has otherwise.
    pub unlisted: u64,
}

/// Erases again whoever the ledger names. Nothing is begun unless all of it is what it was. It can be stopped and run again.
pub async fn replay(owner: &PgConnectOptions, how: How<'_>) -> Result<Result<Replayed, Fault>> {
    let mut own = HashMap::new();
    let mut in_order = Vec::new();
    let known = walk(owner, |line| {
        own.insert(line.user_id, (line.key_ids.clone(), line.erased_at));
        in_order.push(line);
        Ok(())
    });
    if let Err(fault) = known.await? {
        return Ok(Err(fault));
    }
    let lines = match how.from {
        None => in_order,
        Some(from) => {
            let mut text = String::new();
            from.read_to_string(&mut text).map_err(Problem::internal)?;
            match ledger::read(text.lines(), how.keyring) {
                Ok(lines) => lines,
                Err(fault) => return Ok(Err(fault)),
            }
        }
    };
    let mut done = Replayed { unlisted: unlisted(own, &lines), ..Replayed::default() };
    for line in &lines {
        let mut tx = Db::as_owner(owner).await?;
        let (outcome, keys) = replay_line(&mut tx, line).await?;
        if !how.is_dry {
            tx.commit().await?;
        }
        done.keys += keys.unsigned_abs();
        match outcome.as_str() {
            "erased" => done.erased += 1,
            "unchanged" => done.unchanged += 1,
            "refused" => done.refused += 1,
            _ => done.unknown += 1,
        }
    }
    if !how.is_dry {
        let mut tx = Db::as_owner(owner).await?;
        let counts = [lines.len() as u64, done.erased, done.unchanged, done.refused];
        note_replay(&mut tx, counts.map(|it| i64::try_from(it).unwrap_or(i64::MAX))).await?;
        tx.commit().await?;
    }
    Ok(Ok(done))
}

/// How many erasures of the database are not among the lines.
fn unlisted(mut own: HashMap<Uuid, (Vec<Uuid>, chrono::DateTime<chrono::Utc>)>, lines: &[Line]) -> u64 {
    for line in lines {
        if own.get(&line.user_id).is_some_and(|(keys, at)| *keys == line.key_ids && *at == line.erased_at) {
            own.remove(&line.user_id);
        }
    }
    own.len() as u64
}
