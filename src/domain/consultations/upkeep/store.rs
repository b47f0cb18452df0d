//! The functions of `policies/consultations_life.sql` that only the clock's job may run.

use chrono::{DateTime, Utc};

use crate::domain::consultations::events::Reminder;
use crate::platform::ids::{CompanyId, ConsultationId};
use crate::platform::{Result, Tx};

/// Of all companies.
pub async fn list_due(tx: &mut Tx, now: DateTime<Utc>, most: i32) -> Result<Vec<(ConsultationId, CompanyId)>> {
    Ok(sqlx::query_as("SELECT id, company_id FROM app.due_consultations($1, $2)")
        .bind(now)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

/// How the clock closed a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Closed {
    Expired,
    Ended,
    Missed,
}

/// `None`: there is nothing to do any more.
pub async fn close(tx: &mut Tx, id: ConsultationId, now: DateTime<Utc>) -> Result<Option<Closed>> {
    Ok(sqlx::query_scalar("SELECT app.close_consultation($1, $2)").bind(id).bind(now).fetch_one(tx.conn()).await?)
}

#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Due {
    pub id: ConsultationId,
    pub company_id: CompanyId,
    pub reminder: Reminder,
    pub starts_at: DateTime<Utc>,
}

/// Those that are due and were not taken before, by this node or another.
pub async fn take_due_reminders(tx: &mut Tx, now: DateTime<Utc>, most: i32) -> Result<Vec<Due>> {
    Ok(sqlx::query_as("SELECT id, company_id, reminder, starts_at FROM app.take_due_reminders($1, $2)")
        .bind(now)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}
