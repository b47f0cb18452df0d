//! SQL of sessions and refresh tokens.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::super::error::Error;
use crate::platform::auth::Role;
use crate::platform::db::OrConstraint;
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// What a log-in is checked against.
#[derive(sqlx::FromRow)]
pub struct Login {
    pub id: UserId,
    pub password_hash: Option<String>,
    pub role: Role,
    pub company_id: Option<CompanyId>,
    pub status: String,
    pub display_name: String,
    pub locale: Locale,
}

pub async fn find_login(tx: &mut Tx, email: &str) -> Result<Option<Login>> {
    Ok(sqlx::query_as("SELECT * FROM auth.find_login($1)").bind(email).fetch_optional(tx.conn()).await?)
}

/// Locks the account until the transaction ends; `None` where `checked` is not its hash any more. A hash that was made
/// anew of the same password takes the place of the one that was checked.
pub async fn hold_login(tx: &mut Tx, id: UserId, checked: &str, renewed: Option<&str>) -> Result<Option<Login>> {
    Ok(sqlx::query_as("SELECT * FROM auth.hold_login($1, $2, $3)")
        .bind(id)
        .bind(checked)
        .bind(renewed)
        .fetch_optional(tx.conn())
        .await?)
}

pub struct NewSession<'a> {
    pub id: SessionId,
    pub user_id: UserId,
    pub token_id: Uuid,
    pub token_hash: &'a [u8],
    pub device: Option<&'a str>,
    pub at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Whether it was opened: not for a person who is not active any more.
pub async fn insert_session(tx: &mut Tx, new: &NewSession<'_>) -> Result<bool> {
    let ip = tx.actor().ip.map(|ip| ip.to_string());
    let opened = sqlx::query_scalar("SELECT auth.open_session($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(new.id)
        .bind(new.user_id)
        .bind(new.token_id)
        .bind(new.token_hash)
        .bind(new.device)
        .bind(ip)
        .bind(new.at)
        .bind(new.expires_at)
        .fetch_one(tx.conn())
        .await
        .or_constraint("user_sessions_company_archived", Error::CompanyArchived)?;
    Ok(opened)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RenewalOutcome {
    Renewed,
    /// It had been used before, or given up: the session is over.
    Reused,
    /// The session was over already.
    Ended,
    Unknown,
}

/// What became of a presented refresh token; the person's data only where the session was renewed.
#[derive(sqlx::FromRow)]
pub struct Renewal {
    pub outcome: RenewalOutcome,
    pub user_id: Option<UserId>,
    pub session_id: Option<SessionId>,
    pub role: Option<Role>,
    pub company_id: Option<CompanyId>,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub locale: Option<Locale>,
    pub expires_at: Option<DateTime<Utc>>,
}

pub async fn renew_session(
    tx: &mut Tx,
    presented: &[u8],
    token_id: Uuid,
    token_hash: &[u8],
    at: DateTime<Utc>,
) -> Result<Renewal> {
    let ip = tx.actor().ip.map(|ip| ip.to_string());
    Ok(sqlx::query_as("SELECT * FROM auth.renew_session($1, $2, $3, $4, $5)")
        .bind(presented)
        .bind(token_id)
        .bind(token_hash)
        .bind(ip)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}

/// A session, for its person to recognise.
#[derive(Debug, sqlx::FromRow)]
pub struct SessionRow {
    pub id: SessionId,
    pub device: Option<String>,
    pub ip: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub async fn list_sessions(
    tx: &mut Tx,
    user: UserId,
    now: DateTime<Utc>,
    before: Option<SessionId>,
    limit: i64,
) -> Result<Vec<SessionRow>> {
    Ok(sqlx::query_as(
        "SELECT id, device, host(ip) AS ip, created_at, last_used_at, expires_at FROM app.user_sessions
         WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
    )
    .bind(user)
    .bind(now)
    .bind(before)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?)
}

pub async fn is_own_session(tx: &mut Tx, session: SessionId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM app.user_sessions WHERE id = $1)")
        .bind(session)
        .fetch_one(tx.conn())
        .await?)
}

/// Ends one of the caller's own sessions; whether it was still open.
pub async fn revoke_session(tx: &mut Tx, session: SessionId, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query("UPDATE app.user_sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
        .bind(session)
        .bind(at)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a person's sessions, but for one that may stay; how many. After the commit, have this node hear of it at
/// once: `platform.sessions.refresh(&platform)`.
pub async fn end_sessions_of(tx: &mut Tx, person: UserId, except: Option<SessionId>, at: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT app.end_sessions_of($1, $2, $3)")
        .bind(person)
        .bind(except)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}

pub struct NewDevice<'a> {
    pub id: Uuid,
    pub user_id: UserId,
    pub presented: Option<Vec<u8>>,
    pub fresh: &'a [u8],
    pub at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Whether the presented token stays the device's; otherwise it is the fresh one.
pub async fn remember_device(tx: &mut Tx, it: &NewDevice<'_>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT auth.remember_device($1, $2, $3, $4, $5, $6)")
        .bind(it.id)
        .bind(it.user_id)
        .bind(it.presented.as_deref())
        .bind(it.fresh)
        .bind(it.at)
        .bind(it.expires_at)
        .fetch_one(tx.conn())
        .await?)
}

/// Whom a warning about their account goes to.
#[derive(sqlx::FromRow)]
pub struct Reader {
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
}

/// `None` where the person may not be mailed any more.
pub async fn find_reader(tx: &mut Tx, id: UserId) -> Result<Option<Reader>> {
    Ok(sqlx::query_as("SELECT * FROM app.find_person_to_tell($1)").bind(id).fetch_optional(tx.conn()).await?)
}

/// Removes what is over; whether there may be more.
pub async fn purge(tx: &mut Tx, at: DateTime<Utc>, batch: i32) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.purge_sessions($1, $2)").bind(at).bind(batch).fetch_one(tx.conn()).await?)
}
