//! Erasures in the database. What becomes of them its functions decide.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::types::Json;

use super::ledger::{Entry, Line};
use super::model::{AskedBy, Facts, Obstacle, Request, Status};
use crate::platform::ids::{CompanyId, PrivacyRequestId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// What came of asking: the request, or why not.
#[derive(sqlx::FromRow)]
#[allow(clippy::struct_field_names)]
pub struct Asked {
    pub asked: Option<PrivacyRequestId>,
    pub obstacle: Option<Obstacle>,
    pub is_new: bool,
}

pub async fn ask(tx: &mut Tx, id: PrivacyRequestId, at: DateTime<Utc>, due: DateTime<Utc>) -> Result<Asked> {
    Ok(sqlx::query_as("SELECT asked, obstacle, is_new FROM app.ask_for_erasure($1, $2, $3)")
        .bind(id)
        .bind(at)
        .bind(due)
        .fetch_one(tx.conn())
        .await?)
}

/// The caller's last request.
pub async fn find_last(tx: &mut Tx) -> Result<Option<Request>> {
    Ok(sqlx::query_as(
        "SELECT id, status, created_at, due_at, finished_at, reason, asked_by FROM app.privacy_requests
         WHERE user_id = (SELECT app.user_id()) AND kind = 'erasure'
         ORDER BY (finished_at IS NULL) DESC, created_at DESC, id DESC LIMIT 1",
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub async fn find_own_facts(tx: &mut Tx) -> Result<Facts> {
    let Json(facts) = sqlx::query_scalar("SELECT app.own_erasure_facts()").fetch_one(tx.conn()).await?;
    Ok(facts)
}

/// `None`: nothing waits.
pub async fn withdraw(tx: &mut Tx, at: DateTime<Utc>) -> Result<Option<Status>> {
    Ok(sqlx::query_scalar("SELECT app.withdraw_erasure($1)").bind(at).fetch_one(tx.conn()).await?)
}

/// Whose time has come.
#[derive(sqlx::FromRow)]
pub struct Due {
    pub id: PrivacyRequestId,
    pub user_id: UserId,
    pub company_id: Option<CompanyId>,
}

pub async fn list_due(tx: &mut Tx, at: DateTime<Utc>, most: i32) -> Result<Vec<Due>> {
    Ok(sqlx::query_as("SELECT id, user_id, company_id FROM app.due_erasures($1, $2)")
        .bind(at)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

/// `None`: there is nothing (any more) to do.
pub async fn begin(tx: &mut Tx, id: PrivacyRequestId, at: DateTime<Utc>) -> Result<Option<Status>> {
    Ok(sqlx::query_scalar("SELECT app.begin_erasure($1, $2)").bind(id).bind(at).fetch_one(tx.conn()).await?)
}

pub async fn carry_out(tx: &mut Tx, id: PrivacyRequestId, at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.carry_out_erasure($1, $2)").bind(id).bind(at).fetch_one(tx.conn()).await?)
}

/// To whom a mail about an erasure goes.
#[derive(sqlx::FromRow)]
pub struct Reader {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
    pub status: Status,
    pub reason: Option<Obstacle>,
    pub due_at: DateTime<Utc>,
    pub facts: Option<Json<Facts>>,
    /// Whether the mailbox is no employer's.
    pub is_private: bool,
    pub asked_by: AskedBy,
}

pub async fn find_reader(tx: &mut Tx, id: PrivacyRequestId) -> Result<Option<Reader>> {
    Ok(sqlx::query_as(
        "SELECT id, email, display_name, locale, time_zone, status, reason, due_at, facts, is_private, asked_by
         FROM app.reader_of_receipt($1)",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// In their order, after a place; with the owner's connection.
pub async fn list_ledger(tx: &mut Tx, after: i64, most: i32) -> Result<Vec<Entry>> {
    Ok(sqlx::query_as("SELECT place, user_id, key_ids, erased_at, digest FROM app.list_erasures($1, $2)")
        .bind(after)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

/// The last month of usage that is published of any company; with the owner's connection.
pub async fn find_published_until(tx: &mut Tx) -> Result<Option<NaiveDate>> {
    Ok(sqlx::query_scalar("SELECT stats.last_told()").fetch_one(tx.conn()).await?)
}

/// What came of a line: `erased`, `unchanged`, `refused`, or `unknown` where there is no such account; and how many keys went.
pub async fn replay(tx: &mut Tx, entry: &Line) -> Result<(String, i64)> {
    Ok(sqlx::query_as("SELECT outcome, destroyed FROM app.replay_erasure($1, $2, $3)")
        .bind(entry.user_id)
        .bind(&entry.key_ids)
        .bind(entry.erased_at)
        .fetch_one(tx.conn())
        .await?)
}

pub async fn note_replay(tx: &mut Tx, [lines, erased, unchanged, refused]: [i64; 4]) -> Result<()> {
    sqlx::query("SELECT app.note_replay($1, $2, $3, $4)")
        .bind(lines)
        .bind(erased)
        .bind(unchanged)
        .bind(refused)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The caller's clock.
pub async fn find_time_zone(tx: &mut Tx) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT u.time_zone FROM app.users u WHERE u.id = app.user_id()")
        .fetch_one(tx.conn())
        .await?)
}
