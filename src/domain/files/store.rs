//! Files in the database. What changes goes through its functions.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::model::{MOST_AT_ONCE, MOST_FILES, MediaType, Purpose};
use crate::platform::db::broken_constraint;
use crate::platform::ids::{CompanyId, ConsultationId, FileId, UserId};
use crate::platform::{Problem, Result, Tx};

/// A file that is about to come.
pub struct Coming<'a> {
    pub id: FileId,
    pub purpose: Purpose,
    pub conversation: Option<ConsultationId>,
    pub object_key: &'a str,
    /// The most that it may have.
    pub reserved: u64,
    pub at: DateTime<Utc>,
    pub quota: u64,
}

/// False: the conversation is not the caller's.
pub async fn open(tx: &mut Tx, it: &Coming<'_>) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT app.open_upload($1, $2, $3, $4, $5, $6, $6 + app.kept_for('unfinished_upload'), $7, $8, $9)",
    )
    .bind(it.id)
    .bind(it.purpose.name())
    .bind(it.conversation)
    .bind(it.object_key)
    .bind(number(it.reserved)?)
    .bind(it.at)
    .bind(number(it.quota)?)
    .bind(MOST_FILES)
    .bind(MOST_AT_ONCE)
    .fetch_one(tx.conn())
    .await
    .map_err(refused)
}

/// Until when something is kept that is made now, by its rule.
pub async fn kept_until(tx: &mut Tx, record: &'static str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("SELECT $2 + app.kept_for($1)").bind(record).bind(now).fetch_one(tx.conn()).await?)
}

/// What is known of a file once its object is in its place.
pub struct Kept<'a> {
    pub id: FileId,
    pub media: MediaType,
    pub bytes: u64,
    pub digest: &'a [u8],
    pub sealed_key: Option<&'a [u8]>,
    pub sealed_name: Option<&'a [u8]>,
    pub at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub quota: u64,
}

/// False: it took too long, and was given up.
pub async fn finish(tx: &mut Tx, it: &Kept<'_>) -> Result<bool> {
    sqlx::query_scalar("SELECT app.finish_upload($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(it.id)
        .bind(it.media.name())
        .bind(number(it.bytes)?)
        .bind(it.digest)
        .bind(it.sealed_key)
        .bind(it.sealed_name)
        .bind(it.at)
        .bind(it.expires_at)
        .bind(number(it.quota)?)
        .fetch_one(tx.conn())
        .await
        .map_err(refused)
}

/// False: it is ready, or was given up before.
pub async fn give_up(tx: &mut Tx, id: FileId, at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.give_up_upload($1, $2)").bind(id).bind(at).fetch_one(tx.conn()).await?)
}

/// A file that the caller may fetch, with the key that opens it.
#[derive(sqlx::FromRow)]
pub struct Readable {
    pub id: FileId,
    pub company_id: Option<CompanyId>,
    pub owner_id: UserId,
    pub purpose: Purpose,
    pub object_key: String,
    pub media_type: String,
    pub size_bytes: i64,
    pub sealed_key: Option<Vec<u8>>,
    pub sealed_name: Option<Vec<u8>>,
    pub conversation_id: Option<ConsultationId>,
    pub key_id: Option<Uuid>,
    pub key_wrapped: Option<Vec<u8>>,
    pub key_person: Option<UserId>,
}

pub async fn find(tx: &mut Tx, id: FileId, at: DateTime<Utc>) -> Result<Option<Readable>> {
    Ok(sqlx::query_as("SELECT * FROM app.readable_file($1, $2)").bind(id).bind(at).fetch_optional(tx.conn()).await?)
}

/// The key of the caller's own documents, as it is kept: empty where it was destroyed.
pub async fn find_own_key(tx: &mut Tx) -> Result<Option<(Uuid, Option<Vec<u8>>)>> {
    Ok(sqlx::query_as("SELECT id, wrapped FROM app.own_file_key()").fetch_optional(tx.conn()).await?)
}

/// Keeps the caller's own key, unless there is one; the one that there is then. `None`: the caller was erased.
pub async fn keep_own_key(
    tx: &mut Tx,
    id: Uuid,
    wrapped: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<(Uuid, Option<Vec<u8>>)>> {
    sqlx::query("SELECT app.keep_own_file_key($1, $2, $3)").bind(id).bind(wrapped).bind(now).execute(tx.conn()).await?;
    find_own_key(tx).await
}

/// What was deleted, and whose it was; `None` where there is none for the caller.
pub async fn delete(tx: &mut Tx, id: FileId, at: DateTime<Utc>) -> Result<Option<(Purpose, UserId)>> {
    sqlx::query_as("SELECT file_purpose, file_owner FROM app.delete_file($1, $2)")
        .bind(id)
        .bind(at)
        .fetch_optional(tx.conn())
        .await
        .map_err(refused)
}

/// The caller's own avatar.
pub async fn find_avatar(tx: &mut Tx, person: UserId) -> Result<Option<FileId>> {
    let found = sqlx::query_scalar("SELECT avatar_id FROM app.users WHERE id = $1").bind(person);
    Ok(found.fetch_optional(tx.conn()).await?.flatten())
}

/// Some of those whose objects are to go, with their keys in the storage.
pub async fn list_to_collect(tx: &mut Tx, at: DateTime<Utc>, most: i32) -> Result<Vec<(FileId, String)>> {
    Ok(sqlx::query_as("SELECT id, object_key FROM app.files_to_collect($1, $2)")
        .bind(at)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

pub async fn forget(tx: &mut Tx, gone: &[FileId]) -> Result<()> {
    sqlx::query("SELECT app.forget_files($1)").bind(gone).execute(tx.conn()).await?;
    Ok(())
}

/// Of some objects, those that no file knows.
pub async fn list_unknown(tx: &mut Tx, object_keys: &[String]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT * FROM app.unknown_objects($1)").bind(object_keys).fetch_all(tx.conn()).await?)
}

fn number(bytes: u64) -> Result<i64> {
    i64::try_from(bytes).map_err(Problem::internal)
}

fn refused(error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("files_quota") => Error::FileQuotaExceeded.into(),
        Some("files_of_conversation") => Error::ConversationFilesExceeded.into(),
        Some("files_at_once") => Problem::from(Error::TooManyUploads).with_header("Retry-After", "5"),
        Some("files_not_sent") => Error::AttachmentSent.into(),
        Some("files_of_erased") => Error::FileErased.into(),
        _ => error.into(),
    }
}

/// The caller's own files, with those that came in their conversations where `received`; a hundred after one.
pub async fn list_own(tx: &mut Tx, after: Option<FileId>, received: bool) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar(
        "SELECT id FROM app.files
         WHERE state = 'ready' AND id > coalesce($1, '00000000-0000-0000-0000-000000000000')
           AND (owner_id = (SELECT app.user_id()) OR $2 AND message_seq IS NOT NULL)
         ORDER BY id LIMIT 100",
    )
    .bind(after)
    .bind(received)
    .fetch_all(tx.conn())
    .await?)
}
