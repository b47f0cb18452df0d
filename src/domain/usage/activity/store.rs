//! SQL of practitioners' activity.

use chrono::NaiveDate;

use super::ZONE;
use super::model::{Activity, Flagged, Subject};
use crate::domain::usage::model::Months;
use crate::platform::ids::PractitionerId;
use crate::platform::{Result, Tx};

/// A practitioner whom the caller may see; nobody else is found.
pub async fn find_subject(tx: &mut Tx, practitioner: PractitionerId) -> Result<Option<Subject>> {
    Ok(sqlx::query_as("SELECT p.display_name, stats.counted_at() AS as_of FROM app.practitioners p WHERE p.id = $1")
        .bind(practitioner)
        .fetch_optional(tx.conn())
        .await?)
}

/// The months in which there was anything, oldest first.
pub async fn list_activity(tx: &mut Tx, practitioner: PractitionerId, months: &Months) -> Result<Vec<Activity>> {
    Ok(sqlx::query_as(
        "SELECT month, currency, true AS is_published, stats.is_restored(month) AS is_restored, open, completed,
                cancelled_by_employee, cancelled_otherwise, missed_by_employee, missed_otherwise, minutes, amount, flagged, flagged_minutes, flagged_amount
         FROM app.payroll_lines WHERE practitioner_id = $1 AND month BETWEEN $2 AND $3
         UNION ALL
         SELECT month, currency, false, false, open, completed, cancelled_by_employee, cancelled_otherwise,
                missed_by_employee, missed_otherwise, minutes, amount, flagged, flagged_minutes, flagged_amount
         FROM stats.running_activity($1, $2, $3)
         ORDER BY month, currency",
    )
    .bind(practitioner)
    .bind(months.from.first_day())
    .bind(months.to.first_day())
    .fetch_all(tx.conn())
    .await?)
}

/// The sessions of these months whose claimed and seen times differ, newest first; of published months as they were then.
pub async fn list_flagged(
    tx: &mut Tx,
    practitioner: PractitionerId,
    months: &Months,
    limit: i64,
) -> Result<Vec<Flagged>> {
    Ok(sqlx::query_as(
        "SELECT c.id, c.starts_at, c.status, c.duration_minutes AS minutes, c.seen_minutes, r.currency,
                CASE WHEN c.status = 'completed' THEN app.session_fee(r.hourly_rate_cents, c.duration_minutes) ELSE 0 END AS amount
         FROM app.consultations c
         CROSS JOIN LATERAL (SELECT r.currency, r.hourly_rate_cents FROM app.practitioner_rates r
                             WHERE r.practitioner_id = c.practitioner_id AND r.since <= c.starts_at
                             ORDER BY r.since DESC LIMIT 1) r
         WHERE c.practitioner_id = $1 AND c.times_differ
           AND c.starts_at >= $2::date::timestamp AT TIME ZONE $4
           AND c.starts_at < ($3::date + interval '1 month') AT TIME ZONE $4
           AND NOT stats.keeps_sessions(date_trunc('month', c.starts_at AT TIME ZONE $4)::date)
         UNION ALL
         SELECT s.consultation_id, s.starts_at, s.status, s.duration_minutes, s.seen_minutes, s.currency,
                CASE WHEN s.status = 'completed' THEN app.session_fee(s.hourly_rate_cents, s.duration_minutes) ELSE 0 END
         FROM app.payroll_sessions s
         WHERE s.practitioner_id = $1 AND s.times_differ AND s.month BETWEEN $2 AND $3
         ORDER BY starts_at DESC, id DESC LIMIT $5",
    )
    .bind(practitioner)
    .bind(months.from.first_day())
    .bind(months.to.first_day())
    .bind(ZONE)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?)
}

/// The last month of payroll that is final.
pub async fn find_published_until(tx: &mut Tx) -> Result<Option<NaiveDate>> {
    Ok(sqlx::query_scalar("SELECT max(month) FROM app.payroll_months").fetch_one(tx.conn()).await?)
}
