//! The database's own count, which bookings are refused by.

use chrono::NaiveDate;

use super::Rules;
use crate::domain::consultations::store::Coverage;
use crate::platform::{Result, Tx};

/// A year of the contract, and how many of the caller's sessions count in it.
#[derive(Debug, sqlx::FromRow)]
pub struct Year {
    pub starts_on: NaiveDate,
    pub next_starts_on: NaiveDate,
    pub used: i32,
}

/// Of the caller's company; the usual ones where it has not set any.
pub async fn find_rules(tx: &mut Tx) -> Result<Rules> {
    Ok(sqlx::query_as(
        "SELECT coalesce(s.cancellation_window_hours, 24) AS cancellation_window_hours,
                coalesce(s.late_cancellation_counts, true) AS late_cancellation_counts,
                coalesce(s.no_show_counts, true) AS no_show_counts
         FROM app.companies c LEFT JOIN app.company_settings s ON s.company_id = c.id
         WHERE c.id = (SELECT app.company_id())",
    )
    .fetch_one(tx.conn())
    .await?)
}

pub async fn find_year(tx: &mut Tx, coverage: &Coverage, day: NaiveDate) -> Result<Year> {
    Ok(sqlx::query_as(
        "SELECT y.starts_on, y.next_starts_on,
                app.sessions_used(app.company_id(), app.user_id(), $3, y.starts_on, y.next_starts_on, NULL) AS used
         FROM app.contract_year($1, $2) y",
    )
    .bind(coverage.contract_starts_on)
    .bind(day)
    .bind(&coverage.company_time_zone)
    .fetch_one(tx.conn())
    .await?)
}
