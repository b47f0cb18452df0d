//! Moves secrets to the newest master key, so that an older one can be taken out of `MASTER_KEYS`.
//!
//! Every node must know the new key before anything is sealed under it; then `huntzen keys rewrap` opens and seals
//! anew what older keys sealed, some rows in a transaction. It can be stopped and run again: what is done is not done
//! twice, and what is left is counted.

use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::entropy::Entropy;
use super::seal::{Keyring, Place, Purpose, SealError};
use crate::platform::audit::{Detail, Entry};
use crate::platform::db::{Db, Tx};
use crate::platform::problem::Result;

/// Secrets that move in one transaction.
const BATCH: i32 = 500;

/// A column whose values are sealed; `app.list_sealed` knows the same ones.
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

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    person: Option<Uuid>,
    company: Option<Uuid>,
    sealed: Vec<u8>,
}

/// Seals anew what is under older keys. `owner` is the connection of the database's owner.
pub async fn rewrap(
    owner: &PgConnectOptions,
    keyring: &Keyring,
    entropy: &Entropy,
    columns: &[Sealed],
) -> Result<Vec<Rewrapped>> {
    let mut all = Vec::with_capacity(columns.len());
    for column in columns {
        let mut it = Rewrapped { column: column.name(), ..Rewrapped::default() };
        let mut after = None;
        loop {
            let mut tx = Db::as_owner(owner).await?;
            let (moved, last) = move_some(&mut tx, keyring, entropy, column, after, &mut it.fault).await?;
            if moved > 0 {
                tx.audit(Entry::done("secrets.rewrapped", "secret", None).with(Detail::Count, moved)).await?;
            }
            tx.commit().await?;
            it.moved += moved;
            after = last;
            if after.is_none() {
                break;
            }
        }
        all.push(it);
    }
    let mut tx = Db::as_owner(owner).await?;
    for (name, left) in count(&mut tx, keyring).await? {
        if let Some(it) = all.iter_mut().find(|it| it.column == name) {
            it.left = left;
        }
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

/// How many moved, and the last that was looked at; `None` at the end.
async fn move_some(
    tx: &mut Tx,
    keyring: &Keyring,
    entropy: &Entropy,
    column: &Sealed,
    after: Option<Uuid>,
    fault: &mut Option<SealError>,
) -> Result<(i64, Option<Uuid>)> {
    let rows: Vec<Row> = sqlx::query_as("SELECT id, person, company, sealed FROM app.list_sealed($1, $2, $3, $4)")
        .bind(column.name())
        .bind(keyring.newest())
        .bind(after)
        .bind(BATCH)
        .fetch_all(tx.conn())
        .await?;
    let mut moved = 0;
    for row in &rows {
        let place = Place {
            purpose: column.purpose,
            table: column.table,
            column: column.column,
            row: row.id,
            person: row.person,
            company: row.company,
        };
        match keyring.open(&place, &row.sealed).and_then(|secret| keyring.seal(&place, &secret, entropy)) {
            Ok(renewed) => {
                let replaced: bool = sqlx::query_scalar("SELECT app.replace_sealed($1, $2, $3, $4)")
                    .bind(column.name())
                    .bind(row.id)
                    .bind(&row.sealed)
                    .bind(renewed)
                    .fetch_one(tx.conn())
                    .await?;
                moved += i64::from(replaced);
            }
            // the others go on; it is counted as left
            Err(error) => *fault = fault.or(Some(error)),
        }
    }
    Ok((moved, rows.last().map(|row| row.id)))
}
