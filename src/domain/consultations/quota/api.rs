//! `/me/quota`.

use chrono::NaiveDate;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::{Period, Quota, Rules};
use crate::domain::consultations::api::Tag;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};

/// The sessions of one year of the contract.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct PeriodAnswer {
    /// Sessions that the contract grants each employee in the period.
    total: i32,
    /// Booked and held ones, and those that count although they did not take place.
    used: i32,
    /// Sessions that can still be booked.
    remaining: i32,
    period_starts_on: NaiveDate,
    /// The last day.
    period_ends_on: NaiveDate,
}

impl Example for PeriodAnswer {
    fn example() -> Self {
        Period { total: 12, used: 0, starts_on: date(2027, 3, 1), ends_on: date(2028, 2, 29) }.into()
    }
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default()
}

impl From<Period> for PeriodAnswer {
    fn from(it: Period) -> Self {
        Self {
            total: it.total,
            used: it.used,
            remaining: it.remaining(),
            period_starts_on: it.starts_on,
            period_ends_on: it.ends_on,
        }
    }
}

/// An employee's sessions on the contract. A session counts in the period in which it takes place.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct QuotaAnswer {
    /// Sessions that the contract grants each employee in the present period.
    total: i32,
    /// Booked and held ones, and those that count although they did not take place.
    used: i32,
    /// Sessions that can still be booked for this period.
    remaining: i32,
    period_starts_on: NaiveDate,
    /// The last day.
    period_ends_on: NaiveDate,
    /// The period after this one, as soon as its first days can be booked.
    next: Option<PeriodAnswer>,
    /// A session that is cancelled later than this before its start is cancelled late.
    cancellation_window_hours: i32,
    /// Whether a session counts that the employee cancels late.
    late_cancellation_counts: bool,
    /// Whether a session counts to which the employee does not come.
    no_show_counts: bool,
}

impl Example for QuotaAnswer {
    fn example() -> Self {
        let current = Period { total: 12, used: 5, starts_on: date(2026, 3, 1), ends_on: date(2027, 2, 28) };
        let rules = Rules { cancellation_window_hours: 24, late_cancellation_counts: true, no_show_counts: true };
        Quota { current, next: None, rules }.into()
    }
}

impl From<Quota> for QuotaAnswer {
    fn from(it: Quota) -> Self {
        let current = PeriodAnswer::from(it.current);
        Self {
            total: current.total,
            used: current.used,
            remaining: current.remaining,
            period_starts_on: current.period_starts_on,
            period_ends_on: current.period_ends_on,
            next: it.next.map(PeriodAnswer::from),
            cancellation_window_hours: it.rules.cancellation_window_hours,
            late_cancellation_counts: it.rules.late_cancellation_counts,
            no_show_counts: it.rules.no_show_counts,
        }
    }
}

pub struct QuotaApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Consultations")]
impl QuotaApi {
    /// One's own sessions on the contract
    ///
    /// How many sessions the company's contract grants in its present year, and how many of them are used. Nobody but
    /// the employee can see this. Who has left the company gets `403 not_covered`, and once the contract is over there
    /// is `403 contract_ended`.
    #[oai(path = "/me/quota", method = "get", operation_id = "getOwnQuota")]
    async fn get(&self, cx: Authorized<perm::ReadOwnQuota>) -> Result<Json<QuotaAnswer>> {
        Ok(Json(super::own(&cx).await?.into()))
    }
}
