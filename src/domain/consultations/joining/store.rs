//! What joining needs to know, and the note that somebody was let in.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::domain::consultations::model::Standing;
use crate::domain::consultations::store::word;
use crate::domain::practitioners::Mode;
use crate::platform::ids::ConsultationId;
use crate::platform::{Result, Tx};

/// A session, and the name under which the caller comes.
#[derive(Debug)]
pub struct Joining {
    pub standing: Standing,
    pub mode: Mode,
    pub display_name: String,
}

impl FromRow<'_, PgRow> for Joining {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            standing: Standing::from_row(row)?,
            mode: word(row.try_get("mode")?)?,
            display_name: row.try_get("display_name")?,
        })
    }
}

pub async fn find(tx: &mut Tx, id: ConsultationId) -> Result<Option<Joining>> {
    Ok(sqlx::query_as(
        "SELECT c.company_id, c.status, c.starts_at, c.ends_at, c.expires_at, c.started_at, c.updated_at, c.mode, u.display_name
         FROM app.consultations c JOIN app.users u ON u.id = (SELECT app.user_id())
         WHERE c.id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// `false`: it is not open any more.
pub async fn note_joined(tx: &mut Tx, id: ConsultationId, now: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.join_consultation($1, $2)").bind(id).bind(now).fetch_one(tx.conn()).await?)
}
