//! The sessions to come of a practitioner.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::domain::consultations::slots::store::Session;
use crate::domain::consultations::store::word;
use crate::domain::practitioners::Mode;
use crate::platform::ids::PractitionerId;
use crate::platform::{Result, Tx};

pub struct Ahead {
    pub session: Session,
    pub mode: Mode,
}

impl FromRow<'_, PgRow> for Ahead {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self { session: Session::from_row(row)?, mode: word(row.try_get("mode")?)? })
    }
}

/// In order; bounded, because they do not overlap and nobody books more than a year ahead.
pub async fn list_ahead(tx: &mut Tx, practitioner: PractitionerId, now: DateTime<Utc>) -> Result<Vec<Ahead>> {
    Ok(sqlx::query_as(
        "SELECT id, starts_at, ends_at, mode FROM app.consultations
         WHERE practitioner_id = $1 AND status IN ('pending', 'confirmed') AND starts_at > $2
         ORDER BY starts_at",
    )
    .bind(practitioner)
    .bind(now)
    .fetch_all(tx.conn())
    .await?)
}
