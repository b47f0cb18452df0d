//! When practitioners and the caller are taken.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Span;
use crate::domain::practitioners::Window;
use crate::platform::ids::{ConsultationId, PractitionerId};
use crate::platform::{Result, Tx};

/// The caller's own zone.
pub async fn find_time_zone(tx: &mut Tx) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT time_zone FROM app.users WHERE id = (SELECT app.user_id())")
        .fetch_one(tx.conn())
        .await?)
}

/// When each practitioner is taken, buffers included, in order, and nothing else about it. `but_for` is left out.
pub async fn list_taken(
    tx: &mut Tx,
    practitioners: &[PractitionerId],
    reach: Span,
    but_for: Option<ConsultationId>,
) -> Result<HashMap<PractitionerId, Vec<Span>>> {
    let rows: Vec<(PractitionerId, DateTime<Utc>, DateTime<Utc>)> =
        sqlx::query_as("SELECT practitioner_id, busy_from, busy_until FROM app.busy_times($1, $2, $3, $4)")
            .bind(practitioners)
            .bind(reach.from)
            .bind(reach.until)
            .bind(but_for)
            .fetch_all(tx.conn())
            .await?;
    let mut found: HashMap<_, Vec<Span>> = HashMap::with_capacity(practitioners.len());
    for (practitioner, from, until) in rows {
        found.entry(practitioner).or_default().push(Span { from, until });
    }
    Ok(found)
}

/// When each practitioner is busy by calendars that they keep elsewhere: in order, what touches joined.
pub async fn list_elsewhere(
    tx: &mut Tx,
    practitioners: &[PractitionerId],
    reach: Span,
) -> Result<HashMap<PractitionerId, Vec<Span>>> {
    let rows: Vec<(PractitionerId, DateTime<Utc>, DateTime<Utc>)> =
        sqlx::query_as("SELECT practitioner_id, starts_at, ends_at FROM app.external_busy($1, $2, $3)")
            .bind(practitioners)
            .bind(reach.from)
            .bind(reach.until)
            .fetch_all(tx.conn())
            .await?;
    let mut found: HashMap<_, Vec<Span>> = HashMap::new();
    for (practitioner, from, until) in rows {
        let spans = found.entry(practitioner).or_default();
        match spans.last_mut() {
            // of two calendars
            Some(last) if from <= last.until => last.until = last.until.max(until),
            _ => spans.push(Span { from, until }),
        }
    }
    Ok(found)
}

/// When the calling employee has consultations. `but_for` is left out.
pub async fn list_own_times(tx: &mut Tx, reach: Span, but_for: Option<ConsultationId>) -> Result<Vec<Span>> {
    Ok(sqlx::query_as(
        r#"SELECT starts_at AS "from", ends_at AS "until" FROM app.consultations
           WHERE user_id = (SELECT app.user_id()) AND status IN ('pending', 'confirmed', 'in_progress')
             AND tstzrange(starts_at, ends_at) && tstzrange($1, $2) AND id IS DISTINCT FROM $3
           ORDER BY starts_at"#,
    )
    .bind(reach.from)
    .bind(reach.until)
    .bind(but_for)
    .fetch_all(tx.conn())
    .await?)
}

/// A session that will take place, or takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Session {
    pub id: ConsultationId,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// The sessions of a practitioner that share any time with a window, in order.
pub async fn list_booked(tx: &mut Tx, practitioner: PractitionerId, window: Window) -> Result<Vec<Session>> {
    // no session lasts longer than eight hours: one index finds them
    Ok(sqlx::query_as(
        "SELECT id, starts_at, ends_at FROM app.consultations
         WHERE practitioner_id = $1 AND status IN ('pending', 'confirmed', 'in_progress')
           AND starts_at > $2 - interval '8 hours' AND starts_at < $3 AND ends_at > $2
         ORDER BY starts_at",
    )
    .bind(practitioner)
    .bind(window.start)
    .bind(window.end)
    .fetch_all(tx.conn())
    .await?)
}

/// The first time within a span that is kept for those who wait.
pub async fn find_kept(tx: &mut Tx, practitioner: PractitionerId, span: Span) -> Result<Option<Span>> {
    // nothing is kept for longer than a day: one index finds it
    Ok(sqlx::query_as(
        r#"SELECT busy_from AS "from", busy_until AS "until" FROM app.waitlist_holds
           WHERE practitioner_id = $1 AND status = 'held' AND busy_from > $2 - interval '24 hours' AND busy_from < $3
             AND busy_until > $2
           ORDER BY busy_from LIMIT 1"#,
    )
    .bind(practitioner)
    .bind(span.from)
    .bind(span.until)
    .fetch_optional(tx.conn())
    .await?)
}
