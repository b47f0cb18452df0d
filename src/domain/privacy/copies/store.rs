//! Copies in the database, and what the database hands out for one.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::model::{Copy, Status};
use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, PrivacyRequestId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

macro_rules! copies {
    ($rest:literal) => {
        concat!(
            "SELECT id, status, created_at, finished_at, expires_at, size_bytes, done_steps, all_steps
             FROM app.privacy_requests WHERE user_id = (SELECT app.user_id()) AND kind = 'export' AND ",
            $rest
        )
    };
}

/// What came of asking.
#[derive(sqlx::FromRow)]
pub struct Asked {
    pub asked: Option<PrivacyRequestId>,
    /// `new`, `same`, `too_many`
    pub outcome: String,
}

pub async fn ask(tx: &mut Tx, id: PrivacyRequestId, locale: Locale, at: DateTime<Utc>) -> Result<Asked> {
    Ok(sqlx::query_as("SELECT asked, outcome FROM app.ask_for_export($1, $2, $3)")
        .bind(id)
        .bind(locale.as_str())
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}

pub async fn find(tx: &mut Tx, id: PrivacyRequestId) -> Result<Option<Copy>> {
    Ok(sqlx::query_as(copies!("id = $1")).bind(id).fetch_optional(tx.conn()).await?)
}

/// Newest first.
pub async fn list(tx: &mut Tx, after: Option<(DateTime<Utc>, PrivacyRequestId)>, fetch: i64) -> Result<Vec<Copy>> {
    Ok(sqlx::query_as(copies!(
        "(created_at, id) < (coalesce($1, 'infinity'), coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         ORDER BY created_at DESC, id DESC LIMIT $3"
    ))
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// The file of a copy, with what opens it.
#[derive(sqlx::FromRow)]
pub struct Stored {
    pub object_key: String,
    pub wrapped_key: Vec<u8>,
    pub sealed_key: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

pub async fn find_file(tx: &mut Tx, id: PrivacyRequestId, at: DateTime<Utc>) -> Result<Option<Stored>> {
    Ok(sqlx::query_as("SELECT object_key, wrapped_key, sealed_key, created_at FROM app.export_file($1, $2)")
        .bind(id)
        .bind(at)
        .fetch_optional(tx.conn())
        .await?)
}

/// Whose copy it is, for the worker that takes it up.
#[derive(sqlx::FromRow)]
pub struct Begun {
    pub role: Role,
    pub company_id: Option<CompanyId>,
    pub locale: Locale,
    pub time_zone: String,
    /// What a worker before left.
    pub left_object: Option<String>,
}

/// `None`: nobody waits for it.
pub async fn begin(tx: &mut Tx, id: PrivacyRequestId, object: &str) -> Result<Option<Begun>> {
    Ok(sqlx::query_as("SELECT role, company_id, locale, time_zone, left_object FROM app.begin_export($1, $2)")
        .bind(id)
        .bind(object)
        .fetch_optional(tx.conn())
        .await?)
}

/// False: it is to stop.
pub async fn note_progress(tx: &mut Tx, id: PrivacyRequestId, object: &str, done: i32, all: i32) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.note_export($1, $2, $3, $4)")
        .bind(id)
        .bind(object)
        .bind(done)
        .bind(all)
        .fetch_one(tx.conn())
        .await?)
}

/// A file that has been written.
pub struct Written<'a> {
    pub object: &'a str,
    pub bytes: i64,
    pub wrapped_key: &'a [u8],
    pub sealed_key: &'a [u8],
    pub at: DateTime<Utc>,
}

/// False: nobody waits for it any more.
pub async fn finish(tx: &mut Tx, id: PrivacyRequestId, it: &Written<'_>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.finish_export($1, $2, $3, $4, $5, $6)")
        .bind(id)
        .bind(it.object)
        .bind(it.bytes)
        .bind(it.wrapped_key)
        .bind(it.sealed_key)
        .bind(it.at)
        .fetch_one(tx.conn())
        .await?)
}

pub async fn fail(tx: &mut Tx, id: PrivacyRequestId, at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.fail_export($1, $2)").bind(id).bind(at).fetch_one(tx.conn()).await?)
}

/// Whom to tell what became of their copy.
#[derive(sqlx::FromRow)]
pub struct Reader {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
    pub expires_at: Option<DateTime<Utc>>,
}

pub async fn find_reader(tx: &mut Tx, id: PrivacyRequestId, status: Status) -> Result<Option<Reader>> {
    Ok(sqlx::query_as(
        "SELECT id, email, display_name, locale, time_zone, expires_at FROM app.reader_of_export($1, $2)",
    )
    .bind(id)
    .bind(status)
    .fetch_optional(tx.conn())
    .await?)
}

/// Whether somebody wants to be told of a kind by mail, as they say now.
pub async fn wants_mail(tx: &mut Tx, person: UserId, kind: &'static str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.wants_notice($1, $2, 'email')")
        .bind(person)
        .bind(kind)
        .fetch_one(tx.conn())
        .await?)
}

pub async fn list_to_collect(tx: &mut Tx, at: DateTime<Utc>, most: i32) -> Result<Vec<(Uuid, String)>> {
    Ok(sqlx::query_as("SELECT id, object_key FROM app.exports_to_collect($1, $2)")
        .bind(at)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

pub async fn forget(tx: &mut Tx, gone: &[Uuid]) -> Result<()> {
    sqlx::query("SELECT app.forget_exported($1)").bind(gone).execute(tx.conn()).await?;
    Ok(())
}

pub async fn list_unknown(tx: &mut Tx, object_keys: &[String]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT * FROM app.unknown_exported($1)").bind(object_keys).fetch_all(tx.conn()).await?)
}

/// Opens the rows of a section, but for the first `skipped`, for reading some at a time.
pub async fn open_rows(tx: &mut Tx, section: &'static str, skipped: i64) -> Result<()> {
    let statement = format!(
        "DECLARE own_rows NO SCROLL CURSOR FOR
         SELECT it, octet_length(it::text) FROM app.own_data('{section}') it OFFSET {skipped}"
    );
    sqlx::query(AssertSqlSafe(statement)).execute(tx.conn()).await?;
    Ok(())
}

/// The next ones, and how long each is.
pub async fn fetch_rows(tx: &mut Tx) -> Result<Vec<(Value, i32)>> {
    Ok(sqlx::query_as("FETCH 200 FROM own_rows").fetch_all(tx.conn()).await?)
}

/// What others did with the caller's data, the newest first, and where that goes on.
pub async fn list_accesses(
    tx: &mut Tx,
    after: Option<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<(Uuid, DateTime<Utc>, Value)>> {
    Ok(sqlx::query_as(
        "SELECT id, at, jsonb_build_object('at', at, 'by', actor_role, 'practitioner', practitioner_name, 'action', action,
                    'about', object_type, 'is_read', is_read, 'is_list', is_list, 'outcome', outcome)
         FROM app.access_log($1, $2, 100)",
    )
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .fetch_all(tx.conn())
    .await?)
}
