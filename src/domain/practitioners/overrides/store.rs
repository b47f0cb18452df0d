//! SQL of overrides.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::model::{Kept, Override};
use crate::domain::practitioners::error::Error;
use crate::platform::db::broken_constraint;
use crate::platform::ids::{OverrideId, PractitionerId};
use crate::platform::{Problem, Result, Tx};

/// Wall clocks are less than a day away from UTC, and hours are laid out from the day before to the day after.
const MARGIN: TimeDelta = TimeDelta::days(3);

#[derive(sqlx::FromRow)]
struct Of {
    practitioner_id: PractitionerId,
    #[sqlx(flatten)]
    it: Override,
}

/// The overrides of each that can touch the hours of `from..to`.
pub async fn list_of(
    tx: &mut Tx,
    ids: &[PractitionerId],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<HashMap<PractitionerId, Vec<Override>>> {
    let rows: Vec<Of> = sqlx::query_as(
        "SELECT practitioner_id, kind, starts_at, ends_at FROM app.availability_overrides
         WHERE practitioner_id = ANY ($1) AND ends_at > $2 AND starts_at < $3 ORDER BY practitioner_id, starts_at",
    )
    .bind(ids)
    .bind((from - MARGIN).naive_utc())
    .bind((to + MARGIN).naive_utc())
    .fetch_all(tx.conn())
    .await?;
    let mut found: HashMap<_, Vec<Override>> = HashMap::new();
    for row in rows {
        found.entry(row.practitioner_id).or_default().push(row.it);
    }
    Ok(found)
}

/// Those of a practitioner that are not over at a time, from the first to begin on.
pub async fn list(
    tx: &mut Tx,
    id: PractitionerId,
    since: NaiveDateTime,
    after: Option<&(NaiveDateTime, OverrideId)>,
    limit: i64,
) -> Result<Vec<Kept>> {
    Ok(sqlx::query_as(
        "SELECT id, kind, starts_at, ends_at FROM app.availability_overrides
         WHERE practitioner_id = $1 AND ends_at > $2
           AND (starts_at, id) > (coalesce($3::timestamp, '-infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'))
         ORDER BY starts_at, id LIMIT $5",
    )
    .bind(id)
    .bind(since)
    .bind(after.map(|it| it.0))
    .bind(after.map(|it| it.1))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?)
}

pub async fn insert(tx: &mut Tx, practitioner: PractitionerId, kept: &Kept, at: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.availability_overrides (id, practitioner_id, kind, starts_at, ends_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(kept.id)
    .bind(practitioner)
    .bind(kept.it.kind)
    .bind(kept.it.starts)
    .bind(kept.it.ends)
    .bind(at)
    .execute(tx.conn())
    .await
    .map_err(|error| match broken_constraint(&error) {
        Some("availability_overrides_overlap") => Error::OverrideOverlaps.into(),
        Some("availability_overrides_count") => Error::TooManyOverrides.into(),
        _ => Problem::from(error),
    })?;
    Ok(())
}

/// Takes one away; `None` where there is no such one.
pub async fn delete(tx: &mut Tx, practitioner: PractitionerId, id: OverrideId) -> Result<Option<Override>> {
    Ok(sqlx::query_as(
        "DELETE FROM app.availability_overrides WHERE practitioner_id = $1 AND id = $2 RETURNING kind, starts_at, ends_at",
    )
    .bind(practitioner)
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}
