//! The sealed forms.

use chrono::{DateTime, Utc};

use super::{About, Session};
use crate::domain::consultations::model::DoneBy;
use crate::platform::ids::{CompanyId, ConsultationId};
use crate::platform::{Result, Tx};

pub async fn insert(
    tx: &mut Tx,
    of: Session,
    about: About,
    sealed: &[u8],
    by: DoneBy,
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.consultation_reasons (company_id, consultation_id, about, sealed, written_by, written_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(of.company_id)
    .bind(of.id)
    .bind(about)
    .bind(sealed)
    .bind(by)
    .bind(at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Two at most.
pub async fn list(tx: &mut Tx, id: ConsultationId) -> Result<Vec<(About, Vec<u8>)>> {
    Ok(sqlx::query_as("SELECT about, sealed FROM app.consultation_reasons WHERE consultation_id = $1")
        .bind(id)
        .fetch_all(tx.conn())
        .await?)
}

pub const PAGE: usize = 100;

#[derive(sqlx::FromRow)]
pub struct OwnRow {
    pub company_id: CompanyId,
    pub consultation_id: ConsultationId,
    pub about: About,
    pub sealed: Vec<u8>,
    pub written_by: String,
    pub written_at: DateTime<Utc>,
}

/// Of the sessions that the caller sees.
pub async fn list_own(tx: &mut Tx, after: Option<(ConsultationId, About)>) -> Result<Vec<OwnRow>> {
    Ok(sqlx::query_as(
        "SELECT company_id, consultation_id, about, sealed, written_by, written_at FROM app.consultation_reasons
         WHERE (consultation_id, about) > (coalesce($1, '00000000-0000-0000-0000-000000000000'), coalesce($2, ''))
         ORDER BY consultation_id, about LIMIT 100",
    )
    .bind(after.map(|(id, _)| id))
    .bind(after.map(|(_, about)| about))
    .fetch_all(tx.conn())
    .await?)
}
