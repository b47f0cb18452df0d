//! Weekly hours as clients write them.

use poem_openapi::Object;
use poem_openapi::types::Example;

use crate::domain::practitioners::hours::Rule;
use crate::domain::practitioners::service::Availability;
use crate::platform::{Problem, Result};

/// Hours of one weekday, on the practitioner's wall clock.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleBody {
    /// ISO 8601: 1 is Monday.
    #[oai(validator(minimum(value = "1"), maximum(value = "7")))]
    weekday: i16,
    /// `HH:MM`.
    #[oai(validator(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    starts_at: String,
    /// `HH:MM`; `24:00` is the midnight that ends the day.
    #[oai(validator(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    ends_at: String,
}

/// Minutes since midnight of a checked `HH:MM`.
fn minutes(text: &str) -> Option<i32> {
    let (hours, minutes) = text.split_once(':')?;
    Some(hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?)
}

fn clock(minutes: i32) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

impl RuleBody {
    fn read(&self) -> Result<Rule> {
        let fault = || Problem::internal("hours that the schema should have refused");
        Ok(Rule {
            weekday: self.weekday,
            starts_minute: minutes(&self.starts_at).ok_or_else(fault)?,
            ends_minute: minutes(&self.ends_at).ok_or_else(fault)?,
        })
    }
}

impl From<Rule> for RuleBody {
    fn from(rule: Rule) -> Self {
        Self { weekday: rule.weekday, starts_at: clock(rule.starts_minute), ends_at: clock(rule.ends_minute) }
    }
}

/// The whole week; hours that are not in it are gone.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct AvailabilityRequest {
    /// Rules of one weekday may touch, not overlap. An empty list closes the practice.
    #[oai(validator(max_items = 60))]
    rules: Vec<RuleBody>,
}

impl AvailabilityRequest {
    pub fn read(&self) -> Result<Vec<Rule>> {
        self.rules.iter().map(RuleBody::read).collect()
    }
}

impl Example for AvailabilityRequest {
    fn example() -> Self {
        let hours = |weekday, starts_at: &str, ends_at: &str| RuleBody {
            weekday,
            starts_at: starts_at.into(),
            ends_at: ends_at.into(),
        };
        Self { rules: vec![hours(1, "09:00", "12:30"), hours(1, "14:00", "17:30"), hours(4, "18:00", "24:00")] }
    }
}

/// The weekly hours.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct AvailabilityAnswer {
    /// An IANA name: the zone in which the hours are meant.
    time_zone: String,
    /// By weekday and time.
    rules: Vec<RuleBody>,
}

impl From<Availability> for AvailabilityAnswer {
    fn from(it: Availability) -> Self {
        Self { time_zone: it.time_zone, rules: it.rules.into_iter().map(Into::into).collect() }
    }
}

impl Example for AvailabilityAnswer {
    fn example() -> Self {
        Self { time_zone: "Europe/Paris".into(), rules: AvailabilityRequest::example().rules }
    }
}
