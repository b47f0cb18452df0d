//! SQL of addresses.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::platform::ids::{EmployeeId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// A token to be kept.
pub struct NewToken<'a> {
    pub id: Uuid,
    pub hash: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Wish {
    /// The old address is to be told.
    Asked,
    /// The old mailbox is not the person's any more.
    AskedQuietly,
    /// Five in an hour are enough.
    TooMany,
    /// The person cannot log in any more.
    Unknown,
}

/// Keeps the caller's wish for another address; earlier ones end.
pub async fn ask_for_change(
    tx: &mut Tx,
    address: &str,
    proof: NewToken<'_>,
    stop: NewToken<'_>,
    at: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Wish> {
    Ok(sqlx::query_scalar("SELECT app.ask_for_email_change($1, $2, $3, $4, $5, $6, $7)")
        .bind(address)
        .bind(proof.id)
        .bind(proof.hash)
        .bind(stop.id)
        .bind(stop.hash)
        .bind(at)
        .bind(until)
        .fetch_one(tx.conn())
        .await?)
}

/// The caller keeps their address.
pub async fn withdraw_change(tx: &mut Tx, at: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.withdraw_email_change($1)").bind(at).execute(tx.conn()).await?;
    Ok(())
}

/// A letter about a change of address, from the person who asked for it.
#[derive(sqlx::FromRow)]
pub struct Letter {
    pub address: String,
    /// Whose account has the address already: the link opens nothing.
    pub holder: Option<UserId>,
    pub hash: Vec<u8>,
    pub expires_at: DateTime<Utc>,
    pub user_id: UserId,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
}

/// The letter that goes with a token; `None` where there is nobody to tell.
pub async fn find_letter(tx: &mut Tx, token: Uuid, at: DateTime<Utc>) -> Result<Option<Letter>> {
    Ok(sqlx::query_as("SELECT * FROM app.letter_of_email_change($1, $2)")
        .bind(token)
        .bind(at)
        .fetch_optional(tx.conn())
        .await?)
}

/// Where a person could be reached before their address changed.
#[derive(sqlx::FromRow)]
pub struct Former {
    pub address: String,
    pub user_id: UserId,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
}

pub async fn find_former(tx: &mut Tx, token: Uuid) -> Result<Option<Former>> {
    Ok(sqlx::query_as("SELECT * FROM app.former_address($1)").bind(token).fetch_optional(tx.conn()).await?)
}

/// What became of a proof.
#[derive(sqlx::FromRow)]
pub struct Verified {
    pub done: bool,
    /// The token whose address is to be told that it was the person's.
    pub notice: Option<Uuid>,
}

/// Uses a proof up.
pub async fn verify(tx: &mut Tx, hash: &[u8], at: DateTime<Utc>) -> Result<Verified> {
    Ok(sqlx::query_as("SELECT * FROM auth.verify_email($1, $2)").bind(hash).bind(at).fetch_one(tx.conn()).await?)
}

/// The old address says no; whether that stopped anything.
pub async fn stop_change(tx: &mut Tx, hash: &[u8], at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT auth.stop_email_change($1, $2)").bind(hash).bind(at).fetch_one(tx.conn()).await?)
}

/// What is told to people of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum News {
    /// The person left.
    Left,
    /// The person is back.
    Back,
    /// The company was archived.
    Archived,
}

/// Somebody of the directory, as it says; account or not.
#[derive(sqlx::FromRow)]
pub struct DirectoryEntry {
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub company_name: String,
    pub time_zone: String,
    pub archived_at: Option<DateTime<Utc>>,
}

/// `None` where the news are old.
pub async fn find_entry(tx: &mut Tx, entry: EmployeeId, news: News) -> Result<Option<DirectoryEntry>> {
    Ok(sqlx::query_as("SELECT * FROM app.find_entry_to_tell($1, $2)")
        .bind(entry)
        .bind(news)
        .fetch_optional(tx.conn())
        .await?)
}

/// Somebody who left their company and has an account with a private address.
#[derive(sqlx::FromRow)]
pub struct PrivateLeaver {
    pub user_id: UserId,
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub company_name: String,
}

pub async fn find_private_leaver(tx: &mut Tx, entry: EmployeeId) -> Result<Option<PrivateLeaver>> {
    Ok(sqlx::query_as("SELECT * FROM app.find_private_leaver($1)").bind(entry).fetch_optional(tx.conn()).await?)
}

/// Some of the people of the transaction's company who are to be told the news, in order.
pub async fn list_people_to_tell(
    tx: &mut Tx,
    news: News,
    after: Option<EmployeeId>,
    most: usize,
) -> Result<Vec<EmployeeId>> {
    Ok(sqlx::query_scalar("SELECT * FROM app.list_people_to_tell($1, $2, $3)")
        .bind(news)
        .bind(after)
        .bind(i32::try_from(most).unwrap_or(i32::MAX))
        .fetch_all(tx.conn())
        .await?)
}

/// Notes that the people of companies archived for so long have lost their mailboxes there; how many.
pub async fn close_work_mailboxes(tx: &mut Tx, at: DateTime<Utc>, archived_before: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT app.close_work_mailboxes($1, $2)")
        .bind(at)
        .bind(archived_before)
        .fetch_one(tx.conn())
        .await?)
}

/// Forgets addresses that nobody proved in time; how many.
pub async fn forget_pending(tx: &mut Tx, at: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT app.forget_pending_addresses($1)").bind(at).fetch_one(tx.conn()).await?)
}
