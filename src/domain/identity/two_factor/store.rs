//! SQL of the second factor. Everything is about the person whose transaction it is.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// What a person has. The secrets are sealed.
#[derive(Default, sqlx::FromRow)]
pub struct TwoFactor {
    pub secret: Option<Vec<u8>>,
    pub pending_secret: Option<Vec<u8>>,
    pub pending_at: Option<DateTime<Utc>>,
    pub activated_at: Option<DateTime<Utc>>,
}

pub async fn find_own(tx: &mut Tx) -> Result<TwoFactor> {
    let own = sqlx::query_as("SELECT secret, pending_secret, pending_at, activated_at FROM app.own_two_factor()")
        .fetch_optional(tx.conn())
        .await?;
    Ok(own.unwrap_or_default())
}

pub async fn save_offer(tx: &mut Tx, sealed: &[u8], at: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.offer_totp($1, $2)").bind(sealed).bind(at).execute(tx.conn()).await?;
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Enabled {
    Enabled,
    /// Another one counted until now.
    Replaced,
}

/// `None`: the offer is not there any more.
pub async fn enable(
    tx: &mut Tx,
    offered: &[u8],
    sealed: &[u8],
    step: i64,
    at: DateTime<Utc>,
) -> Result<Option<Enabled>> {
    Ok(sqlx::query_scalar("SELECT app.enable_totp($1, $2, $3, $4)")
        .bind(offered)
        .bind(sealed)
        .bind(step)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}

/// Whether the step was still free.
pub async fn take_step(tx: &mut Tx, step: i64, checked: &[u8], resealed: Option<&[u8]>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.take_totp_step($1, $2, $3)")
        .bind(step)
        .bind(checked)
        .bind(resealed)
        .fetch_one(tx.conn())
        .await?)
}

/// How many are left; `None`: it opens nothing.
pub async fn take_recovery_code(tx: &mut Tx, hash: &[u8], at: DateTime<Utc>) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar("SELECT app.take_recovery_code($1, $2)").bind(hash).bind(at).fetch_one(tx.conn()).await?)
}

/// Whether there was a second factor to recover.
pub async fn renew_recovery_codes(tx: &mut Tx, ids: &[Uuid], hashes: &[Vec<u8>], at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.renew_recovery_codes($1, $2, $3)")
        .bind(ids)
        .bind(hashes)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}

/// Whether there was something to switch off.
pub async fn disable(tx: &mut Tx) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.disable_totp()").fetch_one(tx.conn()).await?)
}

pub struct NewTicket<'a> {
    pub id: Uuid,
    pub hash: &'a [u8],
    pub in_cookie: bool,
    pub device: Option<&'a str>,
    pub at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Whether a ticket was made: only where the account asks for a code.
pub async fn insert_ticket(tx: &mut Tx, new: &NewTicket<'_>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT auth.open_login_ticket($1, $2, $3, $4, $5, $6)")
        .bind(new.id)
        .bind(new.hash)
        .bind(new.in_cookie)
        .bind(new.device)
        .bind(new.at)
        .bind(new.expires_at)
        .fetch_one(tx.conn())
        .await?)
}

/// A ticket that still opens something, and whose it is.
#[derive(sqlx::FromRow)]
pub struct Ticket {
    pub id: Uuid,
    pub in_cookie: bool,
    pub device: Option<String>,
    pub user_id: UserId,
    pub email: String,
    pub role: Role,
    pub company_id: Option<CompanyId>,
    pub display_name: String,
    pub locale: Locale,
}

/// Counts a try; `None` where the ticket opens nothing (any more).
pub async fn try_ticket(tx: &mut Tx, hash: &[u8], at: DateTime<Utc>) -> Result<Option<Ticket>> {
    Ok(sqlx::query_as("SELECT * FROM auth.try_login_ticket($1, $2)")
        .bind(hash)
        .bind(at)
        .fetch_optional(tx.conn())
        .await?)
}

/// Whether this use was the first.
pub async fn use_ticket(tx: &mut Tx, id: Uuid, at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT auth.use_login_ticket($1, $2)").bind(id).bind(at).fetch_one(tx.conn()).await?)
}

/// Since when an account is in use, and whether it has a second factor.
pub async fn find_of(tx: &mut Tx, person: UserId) -> Result<Option<(Option<DateTime<Utc>>, bool)>> {
    Ok(sqlx::query_as("SELECT activated_at, enabled FROM auth.two_factor_of($1)")
        .bind(person)
        .fetch_optional(tx.conn())
        .await?)
}
