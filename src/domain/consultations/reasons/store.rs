//! The sealed forms.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{About, Session};
use crate::domain::consultations::model::DoneBy;
use crate::platform::ids::{CompanyId, ConsultationId, UserId};
use crate::platform::{Result, Tx};

pub async fn insert(
    tx: &mut Tx,
    of: Session,
    about: About,
    kept: &Kept<'_>,
    by: DoneBy,
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.consultation_reasons (company_id, consultation_id, about, sealed, key_id, written_by, written_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(of.company_id)
    .bind(of.id)
    .bind(about)
    .bind(kept.sealed)
    .bind(kept.key_id)
    .bind(by)
    .bind(at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A text, and the key that it names.
pub struct Kept<'a> {
    pub sealed: &'a [u8],
    pub key_id: Uuid,
}

/// The key of what is written about a session, where there is one, and whose it is.
#[derive(sqlx::FromRow)]
pub struct StoredKey {
    pub session: ConsultationId,
    pub company_id: CompanyId,
    pub person_id: UserId,
    pub id: Option<Uuid>,
    /// `None`: it was destroyed, or there is none yet.
    pub wrapped: Option<Vec<u8>>,
}

/// `None`: the session is not the caller's.
pub async fn find_key(tx: &mut Tx, session: ConsultationId) -> Result<Option<StoredKey>> {
    Ok(sqlx::query_as("SELECT session, company_id, person_id, id, wrapped FROM app.reason_keys(ARRAY[$1::uuid])")
        .bind(session)
        .fetch_optional(tx.conn())
        .await?)
}

pub async fn keep_key(tx: &mut Tx, session: ConsultationId, id: Uuid, wrapped: &[u8], at: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.keep_reason_key($1, $2, $3, $4)")
        .bind(session)
        .bind(id)
        .bind(wrapped)
        .bind(at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A text of a session of the caller's.
#[derive(sqlx::FromRow)]
pub struct Text {
    pub about: About,
    pub sealed: Vec<u8>,
    pub key_id: Option<Uuid>,
    #[sqlx(flatten)]
    pub key: StoredKey,
}

/// Two at most.
pub async fn list(tx: &mut Tx, id: ConsultationId) -> Result<Vec<Text>> {
    Ok(sqlx::query_as(
        "SELECT r.about, r.sealed, r.key_id, k.session, k.company_id, k.person_id, k.id, k.wrapped
         FROM app.consultation_reasons r JOIN app.reason_keys(ARRAY[$1::uuid]) k ON k.session = r.consultation_id
         WHERE r.consultation_id = $1",
    )
    .bind(id)
    .fetch_all(tx.conn())
    .await?)
}

pub const PAGE: usize = 100;

#[derive(sqlx::FromRow)]
pub struct OwnRow {
    pub consultation_id: ConsultationId,
    pub about: About,
    pub sealed: Vec<u8>,
    pub key_id: Option<Uuid>,
    pub written_by: String,
    pub written_at: DateTime<Utc>,
    #[sqlx(flatten)]
    pub key: StoredKey,
}

/// Of the sessions that the caller sees.
pub async fn list_own(tx: &mut Tx, after: Option<(ConsultationId, About)>) -> Result<Vec<OwnRow>> {
    Ok(sqlx::query_as(
        "WITH page AS MATERIALIZED (
             SELECT r.consultation_id, r.about, r.sealed, r.key_id, r.written_by, r.written_at
             FROM app.consultation_reasons r
             WHERE (r.consultation_id, r.about) > (coalesce($1, '00000000-0000-0000-0000-000000000000'), coalesce($2, ''))
             ORDER BY r.consultation_id, r.about LIMIT 100)
         SELECT p.consultation_id, p.about, p.sealed, p.key_id, p.written_by, p.written_at, k.session, k.company_id,
                k.person_id, k.id, k.wrapped
         FROM page p JOIN app.reason_keys(ARRAY(SELECT DISTINCT consultation_id FROM page)) k ON k.session = p.consultation_id
         ORDER BY p.consultation_id, p.about",
    )
    .bind(after.map(|(id, _)| id))
    .bind(after.map(|(_, about)| about))
    .fetch_all(tx.conn())
    .await?)
}
