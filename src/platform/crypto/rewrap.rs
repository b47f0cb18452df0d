//! Moves secrets to the newest master key, so that an older one can be taken out of `MASTER_KEYS`.
//!
//! ```text
//! every node reads the new key → every node seals under it → huntzen keys rotate → none is left → the older key goes
//! MASTER_KEYS=old,new            MASTER_KEYS=new,old         opens, seals anew     key_use        MASTER_KEYS=new
//! ```
//!
//! Some rows in a transaction, by id, which stay locked until it ends; rows that somebody else is changing (a log-in, an
//! erasure, another rotation) are stepped over and taken one by one afterwards. A row is replaced only while it is what was
//! read, so that a key that was destroyed meanwhile stays destroyed. What is committed is done: a rotation that was killed
//! goes on where it was when it is run again, and two beside each other share the work. What is left is counted.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::entropy::Entropy;
use super::seal::{Keyring, Place, Purpose, SealError};
use crate::platform::audit::{Detail, Entry};
use crate::platform::db::{Owner, Tx};
use crate::platform::problem::Result;

/// Secrets that move in one transaction.
const BATCH: i32 = 500;
/// Secrets may be sealed under an older key meanwhile, and rows be somebody else's: the places are gone through again,
/// so often at most.
const ROUNDS: usize = 5;
/// How often the figures of the metrics are renewed meanwhile.
const COUNTED_EVERY: Duration = Duration::from_secs(15);

/// A column whose values are sealed; `app.sealed_places` knows the same ones.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    pub purpose: Purpose,
    pub table: &'static str,
    pub column: &'static str,
}

impl Sealed {
    /// As the database names it.
    pub fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    fn place(&self, row: &Row) -> Place {
        Place {
            purpose: self.purpose,
            table: self.table,
            column: self.column,
            row: row.id,
            person: row.person,
            company: row.company,
        }
    }
}

/// What became of the secrets of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    pub column: String,
    pub moved: i64,
    /// Still under an older key.
    pub left: i64,
    /// Why the first of those that do not open does not.
    pub fault: Option<SealError>,
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    pub column: &'a str,
    /// Of all columns.
    pub moved: i64,
    /// Under older keys when it began.
    pub total: i64,
}

/// How much of the time a rotation works; the rest it leaves to requests.
#[derive(Clone, Copy, Debug)]
pub struct Pace(u8);

impl Pace {
    pub const FULL: Self = Self(100);

    /// `percent` of the time, 1 to 100.
    pub fn of(percent: u8) -> Self {
        Self(percent.clamp(1, 100))
    }

    pub(super) async fn rest_after(self, work: Duration) {
        let rest = work * u32::from(100 - self.0) / u32::from(self.0);
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    person: Option<Uuid>,
    company: Option<Uuid>,
    sealed: Vec<u8>,
}

/// A secret that was sealed anew, not yet in its place.
struct Renewed {
    id: Uuid,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Seals anew what is under older keys. `owner` is the connection of the database's owner.
pub async fn rewrap(
    owner: &PgConnectOptions,
    keyring: &Keyring,
    entropy: &Entropy,
    columns: &[Sealed],
) -> Result<Vec<Rewrapped>> {
    rewrap_at(owner, keyring, entropy, columns, Pace::FULL, &mut |_| ()).await
}

/// As [`rewrap`], beside others who use the database; `tell` hears of each step.
pub async fn rewrap_at(
    owner: &PgConnectOptions,
    keyring: &Keyring,
    entropy: &Entropy,
    columns: &[Sealed],
    pace: Pace,
    tell: &mut (dyn FnMut(Progress<'_>) + Send + Sync),
) -> Result<Vec<Rewrapped>> {
    let owner = Owner::new(owner);
    let mut tx = owner.begin().await?;
    let total = count(&mut tx, keyring).await?.into_iter().map(|(_, older)| older).sum();
    if total > 0 {
        tx.audit(Entry::done("secrets.rotation_begun", "secret", None).with(Detail::Count, total)).await?;
    }
    tx.commit().await?;
    let mut rotation = Rotation { owner, keyring, entropy, pace, total, moved: 0, counted: Instant::now(), tell };
    rotation.run(columns).await
}

/// What became of opening some secrets of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    pub column: String,
    pub opened: usize,
    /// Those that stayed closed, and why the first of them did.
    pub closed: usize,
    pub fault: Option<SealError>,
}

/// Opens so many of each column, the first by id: whether the keys are those of this database, as after a restore.
pub async fn try_open(
    owner: &PgConnectOptions,
    keyring: &Keyring,
    columns: &[Sealed],
    most: i32,
) -> Result<Vec<Tried>> {
    let mut tx = Owner::new(owner).begin().await?;
    let mut all = Vec::with_capacity(columns.len());
    for column in columns {
        let mut it = Tried { column: column.name(), ..Tried::default() };
        // under whichever key
        for row in list(&mut tx, column, "", None, most, false).await? {
            match keyring.open(&column.place(&row), &row.sealed) {
                Ok(_) => it.opened += 1,
                Err(error) => {
                    it.closed += 1;
                    it.fault = it.fault.or(Some(error));
                }
            }
        }
        all.push(it);
    }
    Ok(all)
}

/// How many secrets of each column are under older keys.
pub async fn count(tx: &mut Tx, keyring: &Keyring) -> Result<Vec<(String, i64)>> {
    Ok(sqlx::query_as("SELECT place, older FROM app.count_sealed($1)")
        .bind(keyring.newest())
        .fetch_all(tx.conn())
        .await?)
}

struct Rotation<'a> {
    owner: Owner,
    keyring: &'a Keyring,
    entropy: &'a Entropy,
    pace: Pace,
    total: i64,
    moved: i64,
    counted: Instant,
    tell: &'a mut (dyn FnMut(Progress<'_>) + Send + Sync),
}

impl Rotation<'_> {
    async fn run(&mut self, columns: &[Sealed]) -> Result<Vec<Rewrapped>> {
        let mut all: Vec<Rewrapped> =
            columns.iter().map(|it| Rewrapped { column: it.name(), ..Rewrapped::default() }).collect();
        for round in 0..ROUNDS {
            let mut broken = 0;
            for (column, it) in columns.iter().zip(&mut all).filter(|(_, it)| round == 0 || it.left > 0) {
                broken += self.go_through(column, round > 0, it).await?;
            }
            let mut tx = self.owner.begin().await?;
            let left = count(&mut tx, self.keyring).await?;
            tx.commit().await?;
            for it in &mut all {
                it.left = left.iter().find(|(name, _)| *name == it.column).map_or(0, |(_, left)| *left);
            }
            if all.iter().map(|it| it.left).sum::<i64>() <= broken {
                break;
            }
        }
        // what was committed before is on the disk when this is
        let mut tx = self.owner.begin().await?;
        note_uses(&mut tx).await?;
        if self.moved > 0 {
            tx.audit(Entry::done("secrets.rewrapped", "secret", None).with(Detail::Count, self.moved)).await?;
        }
        tx.commit().await?;
        Ok(all)
    }

    /// From the first row to the last; how many do not open. `waiting`: for whoever holds a row, too.
    async fn go_through(&mut self, column: &Sealed, waiting: bool, it: &mut Rewrapped) -> Result<i64> {
        let (mut broken, mut after) = (0, None);
        loop {
            let begun = Instant::now();
            let mut tx = self.owner.begin().await?;
            let rows = list(&mut tx, column, self.keyring.newest(), after, BATCH, !waiting).await?;
            let Some(last) = rows.last().map(|row| row.id) else { return Ok(broken) };
            let mut renewed = Vec::with_capacity(rows.len());
            for row in rows {
                match self.seal_anew(column, row) {
                    Ok(row) => renewed.push(row),
                    // the others go on; it is counted as left
                    Err(error) => {
                        broken += 1;
                        it.fault = it.fault.or(Some(error));
                    }
                }
            }
            if waiting {
                // one at a time: who waits for a row holds none
                for row in renewed {
                    let moved = replace(&mut tx, column, vec![row]).await?;
                    tx.commit().await?;
                    self.have_moved(it, moved);
                    tx = self.owner.begin().await?;
                }
                tx.commit().await?;
            } else {
                let moved = replace(&mut tx, column, renewed).await?;
                tx.commit().await?;
                self.have_moved(it, moved);
            }
            after = Some(last);
            self.pace.rest_after(begun.elapsed()).await;
            if self.counted.elapsed() > COUNTED_EVERY {
                let mut tx = self.owner.begin().await?;
                note_uses(&mut tx).await?;
                tx.commit().await?;
                self.counted = Instant::now();
            }
        }
    }

    fn have_moved(&mut self, it: &mut Rewrapped, moved: i64) {
        it.moved += moved;
        self.moved += moved;
        (self.tell)(Progress { column: &it.column, moved: self.moved, total: self.total });
    }

    fn seal_anew(&self, column: &Sealed, row: Row) -> Result<Renewed, SealError> {
        let place = column.place(&row);
        let secret = self.keyring.open(&place, &row.sealed)?;
        let after = self.keyring.seal(&place, &secret, self.entropy)?;
        Ok(Renewed { id: row.id, before: row.sealed, after })
    }
}

/// What is not sealed under `newest`.
async fn list(
    tx: &mut Tx,
    column: &Sealed,
    newest: &str,
    after: Option<Uuid>,
    most: i32,
    locking: bool,
) -> Result<Vec<Row>> {
    Ok(sqlx::query_as("SELECT id, person, company, sealed FROM app.list_sealed($1, $2, $3, $4, $5)")
        .bind(column.name())
        .bind(newest)
        .bind(after)
        .bind(most)
        .bind(locking)
        .fetch_all(tx.conn())
        .await?)
}

/// How many were still what was read.
async fn replace(tx: &mut Tx, column: &Sealed, renewed: Vec<Renewed>) -> Result<i64> {
    let (mut ids, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for row in renewed {
        ids.push(row.id);
        before.push(row.before);
        after.push(row.after);
    }
    Ok(sqlx::query_scalar("SELECT app.replace_sealed($1, $2, $3, $4)")
        .bind(column.name())
        .bind(ids)
        .bind(before)
        .bind(after)
        .fetch_one(tx.conn())
        .await?)
}

async fn note_uses(tx: &mut Tx) -> Result<()> {
    sqlx::query("SELECT app.note_master_key_uses(now())").execute(tx.conn()).await?;
    Ok(())
}
