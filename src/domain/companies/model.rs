//! What a company is and how it may change. Pure.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::platform::audit::Plain;
use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, FileId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::{FieldErrors, Problem, Result};

pub use crate::domain::identity::model::{clean, clean_name, is_unreadable, normalise_address};

/// Where a company stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "CompanyStatus", rename_all = "snake_case")]
pub enum Status {
    Active,
    /// Its people can read, and neither book nor change anything.
    Suspended,
    /// The contract is over: nobody books, and nobody runs the company any more.
    Archived,
}

impl Status {
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Archived];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Archived => "archived",
        }
    }

    /// Whether the step to `next` changes anything; refused where there is no such step.
    pub fn change_to(self, next: Self) -> Result<bool> {
        match (self, next) {
            (Self::Archived, Self::Suspended) => {
                Err(Problem::from(Error::StatusChange).with_arg("from", self.as_str()).with_arg("to", next.as_str()))
            }
            _ => Ok(self != next),
        }
    }

    /// Refuses a change by the company's own people while it is not active.
    pub fn require_active(self) -> Result<()> {
        match self {
            Self::Active => Ok(()),
            Self::Suspended => Err(Error::Suspended.into()),
            Self::Archived => Err(Error::Archived.into()),
        }
    }
}

/// Which practitioners a company's employees may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum NetworkMode {
    /// Every active practitioner.
    Open,
    /// Those on the company's list.
    Restricted,
}

impl NetworkMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Restricted => "restricted",
        }
    }
}

/// A client company.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
pub struct Company {
    pub id: CompanyId,
    pub name: String,
    pub siren: Option<String>,
    pub locale: Locale,
    pub time_zone: String,
    pub status: Status,
    pub contract_starts_on: NaiveDate,
    pub contract_ends_on: NaiveDate,
    pub sessions_per_employee: i32,
    pub seats: i32,
    pub network: NetworkMode,
    pub logo_id: Option<FileId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Company {
    /// Notes every fault; puts the texts into the form in which they are kept.
    pub fn check(&mut self, faults: &mut FieldErrors) {
        match clean_name(&self.name) {
            Some(name) => self.name = name,
            None => faults.add("/name", "text"),
        }
        if let Some(siren) = &self.siren {
            match normalise_siren(siren) {
                Some(digits) => self.siren = Some(digits),
                None => faults.add("/siren", "siren"),
            }
        }
        crate::domain::identity::model::check_time_zone(&self.time_zone, "/timeZone", faults);
        for (date, pointer) in
            [(self.contract_starts_on, "/contract/startsOn"), (self.contract_ends_on, "/contract/endsOn")]
        {
            faults.check((2000..2100).contains(&date.year()), pointer, "date_range");
        }
        faults.check(self.contract_ends_on > self.contract_starts_on, "/contract/endsOn", "contract_order");
    }
}

/// What a change made of something, as the audit log tells it: the names of all fields, and the values of those that
/// hold nothing of a person.
#[derive(Debug, Default, PartialEq)]
pub struct Differences {
    pub fields: Vec<&'static str>,
    pub values: Vec<(&'static str, Plain, Plain)>,
}

impl Differences {
    fn name<T: PartialEq>(&mut self, field: &'static str, before: &T, after: &T) {
        if before != after {
            self.fields.push(field);
        }
    }

    fn value<T: PartialEq + Copy + Into<Plain>>(&mut self, field: &'static str, before: T, after: T) {
        if before != after {
            self.fields.push(field);
            self.values.push((field, before.into(), after.into()));
        }
    }
}

impl Company {
    /// What a change to `after` changes, the network aside.
    pub fn differences(&self, after: &Self) -> Differences {
        let mut found = Differences::default();
        found.name("name", &self.name, &after.name);
        found.name("siren", &self.siren, &after.siren);
        found.name("time_zone", &self.time_zone, &after.time_zone);
        found.value("locale", self.locale.as_str(), after.locale.as_str());
        found.value("contract_starts_on", self.contract_starts_on, after.contract_starts_on);
        found.value("contract_ends_on", self.contract_ends_on, after.contract_ends_on);
        found.value(
            "sessions_per_employee",
            i64::from(self.sessions_per_employee),
            i64::from(after.sessions_per_employee),
        );
        found.value("seats", i64::from(self.seats), i64::from(after.seats));
        found
    }
}

impl Settings {
    /// What a change to `after` changes.
    pub fn differences(&self, after: &Self) -> Differences {
        let mut found = Differences::default();
        for (field, before, after) in [
            ("cancellation_window_hours", self.cancellation_window_hours, after.cancellation_window_hours),
            ("booking_horizon_days", self.booking_horizon_days, after.booking_horizon_days),
            ("reporting_threshold", self.reporting_threshold, after.reporting_threshold),
        ] {
            found.value(field, i64::from(before), i64::from(after));
        }
        found.value("late_cancellation_counts", self.late_cancellation_counts, after.late_cancellation_counts);
        found.value("no_show_counts", self.no_show_counts, after.no_show_counts);
        found
    }
}

/// The rules that a company sets for itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, sqlx::FromRow)]
pub struct Settings {
    pub cancellation_window_hours: i32,
    pub booking_horizon_days: i32,
    pub reporting_threshold: i32,
    pub late_cancellation_counts: bool,
    pub no_show_counts: bool,
    pub updated_at: DateTime<Utc>,
}

/// Somebody who works for a company on the platform.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
pub struct Member {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub role: Role,
    pub locale: Locale,
    pub status: MemberStatus,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum MemberStatus {
    Invited,
    Active,
    /// Suspended by the platform: cannot log in.
    Suspended,
}

/// The nine digits of a SIREN, where the last one fits (Luhn's formula, ISO/IEC 7812-1, annex B).
pub fn normalise_siren(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let values: Vec<u32> = digits.chars().map(|c| c.to_digit(10)).collect::<Option<_>>()?;
    let sum: u32 = values
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let weighted = digit * if place % 2 == 1 { 2 } else { 1 };
            weighted / 10 + weighted % 10
        })
        .sum();
    (values.len() == 9 && sum > 0 && sum.is_multiple_of(10)).then_some(digits)
}

/// The role of a member, from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum MemberRole {
    /// Keeps the directory, reads the counters.
    Hr,
    /// HR, and the company's settings, network and members as well.
    CompanyAdmin,
}

impl From<MemberRole> for Role {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Hr => Self::Hr,
            MemberRole::CompanyAdmin => Self::CompanyAdmin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_siren_has_nine_digits_of_which_the_last_one_fits() {
        assert_eq!(normalise_siren("732 829 320").as_deref(), Some("732829320"));
        assert_eq!(normalise_siren("552100554").as_deref(), Some("552100554"));
        for wrong in ["732829321", "73282932", "7328293200", "73282932O", "000000000", "", "７３２８２９３２０"]
        {
            assert_eq!(normalise_siren(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_company_comes_back_from_everywhere_and_only_a_running_one_is_suspended() {
        for from in Status::ALL {
            for to in Status::ALL {
                let expected = ((from, to) != (Status::Archived, Status::Suspended)).then_some(from != to);
                assert_eq!(from.change_to(to).ok(), expected, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn an_address_is_kept_in_lower_case() {
        assert_eq!(normalise_address(" Zoe.O'Neil+x@Acme.test ").as_deref(), Some("zoe.o'neil+x@acme.test"));
    }

    #[test]
    fn an_address_that_mail_cannot_reach_is_refused() {
        let long = format!("{}@acme.test", "a".repeat(250));
        for wrong in
            ["", "zoe", "zoe@", "@acme.test", "zoe@acme", "zoe@@acme.test", "zoe@acme.test, x@y.z", "zoé@acme.test"]
        {
            assert_eq!(normalise_address(wrong), None, "{wrong}");
        }
        for wrong in [long.as_str(), "Zoe <zoe@acme.test>", "zoe@[127.0.0.1]", "zoe\n@acme.test", "\"z oe\"@acme.test"]
        {
            assert_eq!(normalise_address(wrong), None, "{wrong}");
        }
    }
}
