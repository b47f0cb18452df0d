//! Journals in the database, each read and written as its own person.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::error::Error;
use super::model::{Filter, Kept, KeptFacts, StoredKey};
use crate::platform::db::broken_constraint;
use crate::platform::ids::JournalEntryId;
use crate::platform::{Problem, Result, Tx};

/// More entries than a journal has.
const ALL: i64 = 5001;

macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT id, day, version, sealed, facts, private_key_id, created_at, updated_at FROM app.journal_entries
             WHERE user_id = (SELECT app.user_id()) AND ",
            $rest
        )
    };
}

/// The statement that finds the key of the caller's journal, and the one that lists its entries. Benchmarks send them as
/// well.
pub const KEY: &str = "SELECT id, wrapped FROM app.journal_key()";
pub const LIST: &str = entries!(
    "day BETWEEN coalesce($1, '1900-01-01') AND coalesce($2, '2200-01-01')
       AND (day, id) < (coalesce($3, '2200-01-02'), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
     ORDER BY day DESC, id DESC LIMIT $5"
);

pub async fn find_key(tx: &mut Tx) -> Result<Option<StoredKey>> {
    let found: Option<(Uuid, Option<Vec<u8>>)> = sqlx::query_as(KEY).fetch_optional(tx.conn()).await?;
    Ok(found.map(|(id, wrapped)| StoredKey { id, wrapped }))
}

/// Keeps the key of the journal, unless it has one; the one that it has then. `None`: the caller was erased.
pub async fn keep_key(tx: &mut Tx, id: Uuid, wrapped: &[u8], now: DateTime<Utc>) -> Result<Option<StoredKey>> {
    sqlx::query("SELECT app.keep_journal_key($1, $2, $3)").bind(id).bind(wrapped).bind(now).execute(tx.conn()).await?;
    find_key(tx).await
}

/// Where a page goes on: the last entry of the one before.
pub type After = Option<(NaiveDate, JournalEntryId)>;

/// The latest day first.
pub async fn list(tx: &mut Tx, filter: &Filter, after: After, fetch: i64) -> Result<Vec<Kept>> {
    Ok(sqlx::query_as(LIST)
        .bind(filter.from)
        .bind(filter.to)
        .bind(after.map(|(day, _)| day))
        .bind(after.map(|(_, id)| id))
        .bind(fetch)
        .fetch_all(tx.conn())
        .await?)
}

/// The facts of all entries in question, private ones included, the latest day first.
pub async fn list_facts(tx: &mut Tx, filter: &Filter, after: After) -> Result<Vec<KeptFacts>> {
    Ok(sqlx::query_as(
        "SELECT id, day, version, facts FROM app.journal_entries
         WHERE user_id = (SELECT app.user_id()) AND day BETWEEN coalesce($1, '1900-01-01') AND coalesce($2, '2200-01-01')
           AND (day, id) < (coalesce($3, '2200-01-02'), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         ORDER BY day DESC, id DESC LIMIT $5",
    )
    .bind(filter.from)
    .bind(filter.to)
    .bind(after.map(|(day, _)| day))
    .bind(after.map(|(_, id)| id))
    .bind(ALL)
    .fetch_all(tx.conn())
    .await?)
}

/// These entries, the latest day first.
pub async fn list_by_ids(tx: &mut Tx, ids: &[JournalEntryId]) -> Result<Vec<Kept>> {
    Ok(sqlx::query_as(entries!("id = ANY($1) ORDER BY day DESC, id DESC")).bind(ids).fetch_all(tx.conn()).await?)
}

pub async fn find(tx: &mut Tx, id: JournalEntryId) -> Result<Option<Kept>> {
    Ok(sqlx::query_as(entries!("id = $1")).bind(id).fetch_optional(tx.conn()).await?)
}

/// An entry to keep, sealed.
pub struct Sealing {
    /// The person's own day, unless they say one.
    pub day: NaiveDate,
    pub sealed: Vec<u8>,
    pub facts: Option<Vec<u8>>,
    pub private_key: Option<Uuid>,
    pub at: DateTime<Utc>,
}

/// The day on the person's clock.
pub async fn find_today(tx: &mut Tx, now: DateTime<Utc>) -> Result<NaiveDate> {
    Ok(sqlx::query_scalar("SELECT ($1 AT TIME ZONE u.time_zone)::date FROM app.users u WHERE u.id = app.user_id()")
        .bind(now)
        .fetch_one(tx.conn())
        .await?)
}

pub async fn insert(tx: &mut Tx, id: JournalEntryId, it: &Sealing) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.journal_entries (id, company_id, user_id, day, sealed, facts, private_key_id, created_at, updated_at)
         VALUES ($1, app.company_id(), app.user_id(), $2, $3, $4, $5, $6, $6)",
    )
    .bind(id)
    .bind(it.day)
    .bind(&it.sealed)
    .bind(&it.facts)
    .bind(it.private_key)
    .bind(it.at)
    .execute(tx.conn())
    .await
    .map_err(refused)?;
    Ok(())
}

/// False: it has another version by now.
pub async fn save(tx: &mut Tx, known: &Kept, it: &Sealing) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE app.journal_entries
         SET day = $3, version = version + 1, sealed = $4, facts = $5, private_key_id = $6, updated_at = $7
         WHERE id = $1 AND version = $2",
    )
    .bind(known.id)
    .bind(known.version)
    .bind(it.day)
    .bind(&it.sealed)
    .bind(&it.facts)
    .bind(it.private_key)
    .bind(it.at)
    .execute(tx.conn())
    .await
    .map_err(refused)?;
    Ok(done.rows_affected() == 1)
}

/// False: it has another version by now.
pub async fn delete(tx: &mut Tx, known: &Kept) -> Result<bool> {
    let done = sqlx::query("DELETE FROM app.journal_entries WHERE id = $1 AND version = $2")
        .bind(known.id)
        .bind(known.version)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The wraps of the key of private entries as they are kept.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct KeptWraps {
    pub key_id: Uuid,
    pub version: i32,
    pub by_passphrase: Vec<u8>,
    pub by_recovery_code: Vec<u8>,
    pub updated_at: DateTime<Utc>,
}

pub async fn find_wraps(tx: &mut Tx) -> Result<Option<KeptWraps>> {
    Ok(sqlx::query_as(
        "SELECT key_id, version, by_passphrase, by_recovery_code, updated_at FROM app.journal_keys
         WHERE company_id = (SELECT app.company_id()) AND user_id = (SELECT app.user_id())",
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Those that were replaced, as long as they are kept.
#[derive(sqlx::FromRow)]
pub struct WrapsBefore {
    #[sqlx(flatten)]
    pub wraps: KeptWraps,
    pub until: DateTime<Utc>,
}

pub async fn find_wraps_before(tx: &mut Tx, now: DateTime<Utc>) -> Result<Option<WrapsBefore>> {
    Ok(sqlx::query_as(
        "SELECT j.before_key_id AS key_id, j.before_version AS version, j.before_passphrase AS by_passphrase,
                j.before_recovery_code AS by_recovery_code, j.replaced_at AS updated_at, j.replaced_at + k.time AS until
         FROM app.journal_keys j, app.kept_for('journal_wrap_before') AS k (time)
         WHERE j.company_id = (SELECT app.company_id()) AND j.user_id = (SELECT app.user_id()) AND j.replaced_at + k.time > $1",
    )
    .bind(now)
    .fetch_optional(tx.conn())
    .await?)
}

/// Keeps the first ones. False: there are some by now.
pub async fn insert_wraps(tx: &mut Tx, it: &KeptWraps) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO app.journal_keys (company_id, user_id, key_id, by_passphrase, by_recovery_code, created_at, updated_at)
         VALUES (app.company_id(), app.user_id(), $1, $2, $3, $4, $4) ON CONFLICT DO NOTHING",
    )
    .bind(it.key_id)
    .bind(&it.by_passphrase)
    .bind(&it.by_recovery_code)
    .bind(it.updated_at)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps others in their place: `it.version` is one more than the known one. False: there are others by now.
pub async fn save_wraps(tx: &mut Tx, it: &KeptWraps) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE app.journal_keys SET key_id = $1, version = $2, by_passphrase = $3, by_recovery_code = $4, updated_at = $5
         WHERE company_id = (SELECT app.company_id()) AND user_id = (SELECT app.user_id()) AND version = $2 - 1",
    )
    .bind(it.key_id)
    .bind(it.version)
    .bind(&it.by_passphrase)
    .bind(&it.by_recovery_code)
    .bind(it.updated_at)
    .execute(tx.conn())
    .await
    .map_err(refused)?;
    Ok(done.rows_affected() == 1)
}

fn refused(error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("journal_entries_enough") => Error::JournalFull.into(),
        Some("journal_entries_key_fkey") => Error::JournalKeyDiffers.into(),
        _ => error.into(),
    }
}
