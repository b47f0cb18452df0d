//! Reads of what the caller may see.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::domain::consultations::model::Status;
use crate::domain::consultations::store::word;
use crate::domain::practitioners::Mode;
use crate::platform::ids::{ConsultationId, WaitlistOfferId};
use crate::platform::{Result, Tx};

/// A session of the caller's, in short.
#[derive(Clone, Debug)]
pub struct Glance {
    pub id: ConsultationId,
    pub status: Status,
    pub mode: Mode,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// In which zone the caller reads times.
    pub time_zone: String,
}

impl FromRow<'_, PgRow> for Glance {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            status: row.try_get("status")?,
            mode: word(row.try_get("mode")?)?,
            starts_at: row.try_get("starts_at")?,
            ends_at: row.try_get("ends_at")?,
            updated_at: row.try_get("updated_at")?,
            time_zone: row.try_get("time_zone")?,
        })
    }
}

/// Those of these that are the calling employee's or practitioner's.
pub async fn find(tx: &mut Tx, ids: &[ConsultationId]) -> Result<Vec<Glance>> {
    Ok(sqlx::query_as(
        "SELECT c.id, c.status, c.mode, c.starts_at, c.ends_at, c.updated_at, u.time_zone
         FROM app.consultations c CROSS JOIN (SELECT time_zone FROM app.users WHERE id = (SELECT app.user_id())) u
         WHERE c.id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(tx.conn())
    .await?)
}

/// Those of these to which the other one has come, and has not left since.
pub async fn find_joined(tx: &mut Tx, ids: &[ConsultationId]) -> Result<Vec<ConsultationId>> {
    Ok(sqlx::query_scalar(
        "SELECT c.id FROM app.consultations c
         WHERE c.id = ANY ($1) AND c.status IN ('confirmed', 'in_progress') AND 'JOINED' = (
             SELECT e.kind FROM app.consultation_events e
             WHERE e.consultation_id = c.id AND e.kind IN ('JOINED', 'LEFT') AND e.at >= c.starts_at - interval '10 minutes'
               AND e.actor_role = CASE (SELECT app.user_id()) WHEN c.user_id THEN 'practitioner' ELSE 'employee' END
             ORDER BY e.at DESC, e.id DESC LIMIT 1)",
    )
    .bind(ids)
    .fetch_all(tx.conn())
    .await?)
}

/// What the database's clock says: versions carry its times.
pub async fn clock(tx: &mut Tx) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(tx.conn()).await?)
}

/// Those of the calling employee or practitioner that have changed since, by the database's clock; at most so many.
pub async fn list_changed_since(tx: &mut Tx, since: DateTime<Utc>, most: i64) -> Result<Vec<ConsultationId>> {
    Ok(sqlx::query_scalar(
        "SELECT id FROM app.consultations WHERE updated_at >= $1 ORDER BY updated_at DESC, id LIMIT $2",
    )
    .bind(since)
    .bind(most)
    .fetch_all(tx.conn())
    .await?)
}

/// When those of these offers begin that are the calling employee's, and in which zone they read times.
pub async fn find_offers(
    tx: &mut Tx,
    ids: &[WaitlistOfferId],
) -> Result<Vec<(WaitlistOfferId, DateTime<Utc>, String)>> {
    Ok(sqlx::query_as(
        "SELECT o.id, o.starts_at, u.time_zone
         FROM app.waitlist_offers o CROSS JOIN (SELECT time_zone FROM app.users WHERE id = (SELECT app.user_id())) u
         WHERE o.id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(tx.conn())
    .await?)
}
