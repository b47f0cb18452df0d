//! Reads of what rings for the caller.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use crate::platform::ids::{CallId, ConsultationId};
use crate::platform::{Result, Tx};

/// A call that rings for the calling person.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Ringing {
    pub call_id: CallId,
    pub consultation_id: ConsultationId,
    pub rings_until: DateTime<Utc>,
}

/// The one that rings for the calling employee or practitioner: nobody is in two.
pub async fn find_ringing(tx: &mut Tx, now: DateTime<Utc>) -> Result<Option<Ringing>> {
    Ok(sqlx::query_as(
        "SELECT c.id AS call_id, c.consultation_id, c.rings_until
         FROM app.call_parties p JOIN app.call_sessions c ON c.company_id = p.company_id AND c.id = p.call_id
         WHERE p.person_id = (SELECT app.user_id()) AND p.is_live AND c.status = 'ringing' AND c.caller <> p.side
           AND c.rings_until > $1",
    )
    .bind(now)
    .fetch_optional(tx.conn())
    .await?)
}
