//! SQL of passwords and their resets.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::jobs::MailPasswordReset;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::jobs::Job;
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// Enqueues the job of a forgotten password, for whatever address. Whose account it is, for the audit log.
pub async fn ask_for_reset(
    tx: &mut Tx,
    address: &str,
    at: DateTime<Utc>,
) -> Result<Option<(UserId, Option<CompanyId>)>> {
    let (person, company): (Option<UserId>, Option<CompanyId>) =
        sqlx::query_as("SELECT person, company FROM auth.ask_for_password_reset($1, $2, $3, $4, $5)")
            .bind(address)
            .bind(MailPasswordReset::QUEUE.name())
            .bind(MailPasswordReset::KIND)
            .bind(MailPasswordReset::MAX_ATTEMPTS)
            .bind(at)
            .fetch_one(tx.conn())
            .await?;
    Ok(person.map(|person| (person, company)))
}

/// How to write to a person.
#[derive(sqlx::FromRow)]
pub struct Addressee {
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
}

/// Keeps a reset's hash and ends earlier ones; `None` where no link is to be sent.
pub async fn open_reset(
    tx: &mut Tx,
    person: UserId,
    token: Uuid,
    hash: &[u8],
    asked_at: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<Addressee>> {
    Ok(sqlx::query_as("SELECT * FROM app.open_password_reset($1, $2, $3, $4, $5)")
        .bind(person)
        .bind(token)
        .bind(hash)
        .bind(asked_at)
        .bind(until)
        .fetch_optional(tx.conn())
        .await?)
}

/// `None` where the person may not be mailed any more.
pub async fn find_person_to_tell(tx: &mut Tx, person: UserId) -> Result<Option<Addressee>> {
    Ok(sqlx::query_as("SELECT * FROM app.find_person_to_tell($1)").bind(person).fetch_optional(tx.conn()).await?)
}

/// Uses a token up; false where it opens nothing.
pub async fn reset(tx: &mut Tx, hash: &[u8], password_hash: &str, at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT auth.reset_password($1, $2, $3)")
        .bind(hash)
        .bind(password_hash)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}

/// What a present password is checked against; `None` where the person may not log in at all.
pub async fn password_of(tx: &mut Tx, person: UserId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("SELECT auth.password_of($1)").bind(person).fetch_one(tx.conn()).await?)
}

/// Sets the caller's password where it still is the one that was checked.
pub async fn change_own(tx: &mut Tx, checked: &str, password_hash: &str, at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.change_own_password($1, $2, $3)")
        .bind(checked)
        .bind(password_hash)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}
