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
pub enum RotationOutcome {
    Rotated,
    /// It had been used before: the session is over.
    Reused,
    /// The session was over already.
    Ended,
    Unknown,
}

/// What became of a presented refresh token; the person's data only where it was rotated.
#[derive(sqlx::FromRow)]
pub struct Rotation {
    pub outcome: RotationOutcome,
    pub user_id: Option<UserId>,
    pub session_id: Option<SessionId>,
    pub role: Option<Role>,
    pub company_id: Option<CompanyId>,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub locale: Option<Locale>,
}

pub async fn rotate_refresh_token(
    tx: &mut Tx,
    presented: &[u8],
    token_id: Uuid,
    token_hash: &[u8],
    at: DateTime<Utc>,
) -> Result<Rotation> {
    Ok(sqlx::query_as("SELECT * FROM auth.rotate_refresh_token($1, $2, $3, $4)")
        .bind(presented)
        .bind(token_id)
        .bind(token_hash)
        .bind(at)
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
