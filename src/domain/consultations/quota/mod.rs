//! What is left of an employee's sessions on the contract.
//!
//! Each person has a number of sessions for each year of the contract. A session counts from its booking on, in the
//! contract year in which it takes place; `policies/quota.sql` decides whether it still counts once it is cancelled or
//! missed, and refuses a booking beyond the number. Nobody but the person ever sees how many they have used.

pub mod api;
mod store;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

pub use api::QuotaApi;

use super::error::Error;
use super::slots;
use super::store::{Coverage, find_coverage};
use crate::platform::auth::Permission;
use crate::platform::{Context, Result, Tx};

/// The sessions of one year of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    pub total: i32,
    pub used: i32,
    pub starts_on: NaiveDate,
    /// The last day.
    pub ends_on: NaiveDate,
}

impl Period {
    /// Fewer sessions may have been agreed since some were used.
    pub fn remaining(&self) -> i32 {
        (self.total - self.used).max(0)
    }
}

/// A person's sessions, and what giving one back costs.
#[derive(Debug)]
pub struct Quota {
    /// The contract's year of today, or its first where it has not begun.
    pub current: Period,
    /// The year after it, as soon as the company's booking horizon reaches it.
    pub next: Option<Period>,
    pub rules: Rules,
}

/// What a session costs that does not take place, by the company's rules of now.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Rules {
    pub cancellation_window_hours: i32,
    pub late_cancellation_counts: bool,
    pub no_show_counts: bool,
}

/// The caller's own sessions. A suspended company's people see them as well: nothing is lost.
pub async fn own(cx: &Context) -> Result<Quota> {
    let mut tx = cx.read(Permission::ReadOwnQuota).await?;
    let coverage = find_coverage(&mut tx).await?;
    if coverage.has_left {
        return Err(Error::NotCovered.into());
    }
    if cx.now() >= slots::contract(&coverage)?.until {
        return Err(Error::ContractEnded.into());
    }
    let (current, next) = bookable(&mut tx, &coverage, cx.now()).await?;
    Ok(Quota { current, next, rules: store::find_rules(&mut tx).await? })
}

/// Whether there is a session left that could be booked.
pub async fn has_session_left(tx: &mut Tx, coverage: &Coverage, now: DateTime<Utc>) -> Result<bool> {
    let (current, next) = bookable(tx, coverage, now).await?;
    Ok(current.remaining() > 0 || next.is_some_and(|it| it.remaining() > 0))
}

/// The years in which can be booked now.
async fn bookable(tx: &mut Tx, coverage: &Coverage, now: DateTime<Utc>) -> Result<(Period, Option<Period>)> {
    let zone = slots::company_zone(coverage)?;
    let day = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
    let today = day(now).max(coverage.contract_starts_on);
    let (current, next_starts_on) = period(tx, coverage, today).await?;
    let last_bookable = day(now + TimeDelta::days(coverage.booking_horizon_days.into()));
    let next = if next_starts_on <= coverage.contract_ends_on && next_starts_on <= last_bookable {
        Some(period(tx, coverage, next_starts_on).await?.0)
    } else {
        None
    };
    Ok((current, next))
}

/// The contract's year that holds a day, and when the next one begins.
async fn period(tx: &mut Tx, coverage: &Coverage, day: NaiveDate) -> Result<(Period, NaiveDate)> {
    let year = store::find_year(tx, coverage, day).await?;
    let period = Period {
        total: coverage.sessions_per_employee,
        used: year.used,
        starts_on: year.starts_on,
        ends_on: year.next_starts_on.pred_opt().unwrap_or(year.next_starts_on).min(coverage.contract_ends_on),
    };
    Ok((period, year.next_starts_on))
}
