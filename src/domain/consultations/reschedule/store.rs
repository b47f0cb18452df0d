//! One statement moves a session; `policies/consultations_life.sql` says when.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::domain::consultations::error::Error;
use crate::domain::consultations::model::{Standing, Status};
use crate::domain::consultations::slots::{Slot, Span};
use crate::domain::consultations::store::{not_granted, word};
use crate::domain::practitioners::Mode;
use crate::platform::db::broken_constraint;
use crate::platform::ids::{CompanyId, ConsultationId, PractitionerId, UserId};
use crate::platform::{Result, Tx};

/// A session as it was before.
#[derive(Clone, Copy, Debug)]
pub struct Movable {
    pub company_id: CompanyId,
    pub user_id: UserId,
    pub practitioner_id: PractitionerId,
    pub status: Status,
    pub mode: Mode,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub ics_sequence: i32,
    pub updated_at: DateTime<Utc>,
}

impl Movable {
    pub fn standing(&self) -> Standing {
        let Self { company_id, status, starts_at, ends_at, expires_at, updated_at, .. } = *self;
        Standing { company_id, status, starts_at, ends_at, expires_at, started_at: None, updated_at }
    }
}

impl FromRow<'_, PgRow> for Movable {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            company_id: row.try_get("company_id")?,
            user_id: row.try_get("user_id")?,
            practitioner_id: row.try_get("practitioner_id")?,
            status: row.try_get("status")?,
            mode: word(row.try_get("mode")?)?,
            starts_at: row.try_get("starts_at")?,
            ends_at: row.try_get("ends_at")?,
            expires_at: row.try_get("expires_at")?,
            ics_sequence: row.try_get("ics_sequence")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

pub async fn find(tx: &mut Tx, id: ConsultationId) -> Result<Option<Movable>> {
    Ok(sqlx::query_as(
        "SELECT company_id, user_id, practitioner_id, status, mode, starts_at, ends_at, expires_at, ics_sequence,
                updated_at
         FROM app.consultations WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// When the employee of a session of the calling practitioner has other sessions.
pub async fn list_times_of_client(tx: &mut Tx, id: ConsultationId, reach: Span) -> Result<Vec<Span>> {
    let times = r#"SELECT starts_at AS "from", ends_at AS "until" FROM app.times_of_client($1, $2, $3)"#;
    Ok(sqlx::query_as(times).bind(id).bind(reach.from).bind(reach.until).fetch_all(tx.conn()).await?)
}

/// Where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub slot: Slot,
    pub busy: Span,
    pub mode: Mode,
    /// Until when the practitioner may then confirm it, where it is not confirmed.
    pub expires_at: DateTime<Utc>,
}

/// Moves it, with the event; `false` where it is not what it was any more.
pub async fn save(tx: &mut Tx, id: ConsultationId, was: &Movable, to: &Target, now: DateTime<Utc>) -> Result<bool> {
    sqlx::query_scalar("SELECT app.reschedule_consultation($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(id)
        .bind(now)
        .bind(was.starts_at)
        .bind(to.slot.starts_at)
        .bind(to.slot.ends_at)
        .bind(to.busy.from)
        .bind(to.busy.until)
        .bind(to.mode.as_str())
        .bind(to.expires_at)
        .fetch_one(tx.conn())
        .await
        .map_err(|error| match broken_constraint(&error) {
            Some("consultations_moved_in_time") => Error::TooLateToMove.into(),
            Some("consultations_reschedules") => Error::MovedTooOften.into(),
            _ => not_granted(error),
        })
}
