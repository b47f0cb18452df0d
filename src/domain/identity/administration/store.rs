//! SQL of accounts, for the platform's staff and for the operator.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::service::{Account, Filter, Status};
use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

macro_rules! select_account {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.email, u.role, u.status, u.display_name, u.locale, u.company_id, u.created_at,
                    EXISTS (SELECT FROM app.two_factor t WHERE t.user_id = u.id AND t.enabled_at IS NOT NULL) AS totp_enabled
             FROM app.users u ",
            $rest
        )
    };
}

/// Newest first.
pub async fn list(tx: &mut Tx, filter: &Filter, after: Option<UserId>, limit: i64) -> Result<Vec<Account>> {
    Ok(sqlx::query_as(select_account!(
        "WHERE ($1::uuid IS NULL OR u.id < $1) AND ($2::text IS NULL OR u.role = $2)
           AND ($3::text IS NULL OR u.status = $3) AND ($4::uuid IS NULL OR u.company_id = $4)
           AND ($5::text IS NULL OR u.email LIKE $5)
         ORDER BY u.id DESC LIMIT $6"
    ))
    .bind(after)
    .bind(filter.role.map(Role::as_str))
    .bind(filter.status.map(Status::as_str))
    .bind(filter.company_id)
    .bind(filter.address.as_deref().map(beginning))
    .bind(limit)
    // planned for the filters that are there, so that each finds its index
    .persistent(false)
    .fetch_all(tx.conn())
    .await?)
}

/// What begins with a text.
fn beginning(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

pub async fn find(tx: &mut Tx, id: UserId) -> Result<Option<Account>> {
    Ok(sqlx::query_as(select_account!("WHERE u.id = $1")).bind(id).fetch_optional(tx.conn()).await?)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    Changed,
    /// It was so already.
    Unchanged,
    NotFound,
    Own,
    LastAdmin,
    /// Their company removed them.
    Removed,
}

pub async fn suspend(tx: &mut Tx, id: UserId, at: DateTime<Utc>) -> Result<Outcome> {
    Ok(sqlx::query_scalar("SELECT app.suspend_account($1, $2)").bind(id).bind(at).fetch_one(tx.conn()).await?)
}

/// How many sessions a practitioner has before them.
pub async fn count_sessions_ahead(tx: &mut Tx, id: UserId, now: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT app.sessions_ahead($1, $2)").bind(id).bind(now).fetch_one(tx.conn()).await?)
}

pub async fn activate(tx: &mut Tx, id: UserId) -> Result<Outcome> {
    Ok(sqlx::query_scalar("SELECT app.activate_account($1)").bind(id).fetch_one(tx.conn()).await?)
}

pub struct NewAdmin<'a> {
    pub id: UserId,
    pub email: &'a str,
    /// The part of the address before the @ unless said.
    pub display_name: Option<&'a str>,
    pub locale: Locale,
    pub token_id: Uuid,
    pub token_hash: &'a [u8],
    pub at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MadeAdmin {
    Created,
    /// The account waited already.
    Renewed,
    /// Somebody has the address.
    Taken,
}

#[derive(sqlx::FromRow)]
pub struct Admin {
    pub outcome: MadeAdmin,
    pub account: Option<UserId>,
}

pub async fn insert_admin(tx: &mut Tx, new: &NewAdmin<'_>) -> Result<Admin> {
    Ok(sqlx::query_as("SELECT outcome, account FROM app.create_platform_admin($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(new.id)
        .bind(new.email)
        .bind(new.display_name)
        .bind(new.locale.as_str())
        .bind(new.token_id)
        .bind(new.token_hash)
        .bind(new.at)
        .bind(new.expires_at)
        .fetch_one(tx.conn())
        .await?)
}

/// Whose second factor was taken away.
pub async fn reset_two_factor(
    tx: &mut Tx,
    email: &str,
    at: DateTime<Utc>,
) -> Result<Option<(UserId, Option<CompanyId>)>> {
    Ok(sqlx::query_as("SELECT id, company_id FROM app.reset_two_factor($1, $2)")
        .bind(email)
        .bind(at)
        .fetch_optional(tx.conn())
        .await?)
}
