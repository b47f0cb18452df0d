//! Months, dimensions, and the counters as the database lets them be seen.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::platform::problem::Error as Refusal;
use crate::platform::{FieldErrors, Problem, Result};

/// Months that one answer or file covers at most.
pub const MOST_MONTHS: i32 = 24;

/// A calendar month, by its first day. Written `2026-01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month(NaiveDate);

impl Month {
    pub fn first_day(self) -> NaiveDate {
        self.0
    }

    fn index(self) -> i32 {
        self.0.year() * 12 + self.0.month0().cast_signed()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a month")]
pub struct NotAMonth;

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let is_shaped = text.len() == 7 && text.bytes().enumerate().all(|(i, b)| (b == b'-') == (i == 4));
        let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok();
        first.filter(|day| is_shaped && day.year() >= 2000).map(Self).ok_or(NotAMonth)
    }
}

impl TryFrom<String> for Month {
    type Error = NotAMonth;

    fn try_from(text: String) -> Result<Self, NotAMonth> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl From<NaiveDate> for Month {
    fn from(day: NaiveDate) -> Self {
        Self(day.with_day(1).unwrap_or(day))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

/// The months from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Months {
    pub from: Month,
    pub to: Month,
}

impl Months {
    /// Reads both ends; `prefix` is `/` for a body and `query:` for a query.
    pub fn read(from: &str, to: &str, prefix: &str) -> Result<Self> {
        let mut faults = FieldErrors::new();
        let mut read = |text: &str, name: &str| {
            let month = text.parse::<Month>();
            faults.check(month.is_ok(), format!("{prefix}{name}"), "month");
            month.ok()
        };
        let ends = read(from, "from").zip(read(to, "to"));
        if let Some((from, to)) = ends {
            faults.check(from <= to, format!("{prefix}to"), "order");
            if to.index() - from.index() >= MOST_MONTHS {
                faults.add_with(format!("{prefix}to"), "too_many_months", &[("max", MOST_MONTHS.to_string())]);
            }
        }
        faults.finish()?;
        let (from, to) = ends.ok_or_else(|| Problem::internal("months that were refused"))?;
        Ok(Self { from, to })
    }
}

/// What the counters of a month can be broken down by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    Specialty,
    Mode,
    Department,
}

impl Dimension {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Specialty => "specialty",
            Self::Mode => "mode",
            Self::Department => "department",
        }
    }
}

/// A table of a month: by one dimension, or by specialty and another one. Modes are not crossed with departments, nor all
/// three: see `stats.protect` in `policies/usage.sql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Breakdown {
    #[serde(rename = "specialty")]
    Specialty,
    #[serde(rename = "mode")]
    Mode,
    #[serde(rename = "department")]
    Department,
    #[serde(rename = "specialty,mode")]
    SpecialtyMode,
    #[serde(rename = "specialty,department")]
    SpecialtyDepartment,
}

impl Breakdown {
    /// As the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Specialty => "specialty",
            Self::Mode => "mode",
            Self::Department => "department",
            Self::SpecialtyMode => "specialty,mode",
            Self::SpecialtyDepartment => "specialty,department",
        }
    }

    /// As the audit log writes it, whose words have no commas.
    pub fn noted_as(self) -> &'static str {
        match self {
            Self::SpecialtyMode => "specialty_mode",
            Self::SpecialtyDepartment => "specialty_department",
            one => one.as_str(),
        }
    }

    /// What its rows are of.
    pub fn rows(self) -> Dimension {
        match self {
            Self::Specialty | Self::SpecialtyMode | Self::SpecialtyDepartment => Dimension::Specialty,
            Self::Mode => Dimension::Mode,
            Self::Department => Dimension::Department,
        }
    }

    /// What its columns are of, where it has any.
    pub fn columns(self) -> Option<Dimension> {
        match self {
            Self::SpecialtyMode => Some(Dimension::Mode),
            Self::SpecialtyDepartment => Some(Dimension::Department),
            Self::Specialty | Self::Mode | Self::Department => None,
        }
    }

    /// Reads `by`: nothing, one dimension, or two in either order.
    pub fn read(by: Option<&str>, pointer: &str) -> Result<Option<Self>> {
        let Some(by) = by.map(str::trim).filter(|by| !by.is_empty()) else { return Ok(None) };
        let mut names: Vec<&str> = by.split(',').map(str::trim).collect();
        names.sort_unstable();
        let found = match names.as_slice() {
            ["specialty"] => Self::Specialty,
            ["mode"] => Self::Mode,
            ["department"] => Self::Department,
            ["mode", "specialty"] => Self::SpecialtyMode,
            ["department", "specialty"] => Self::SpecialtyDepartment,
            ["department", "mode"] | ["department", "mode", "specialty"] => {
                return Err(Problem::from(Error::NotCrossed).at(pointer, "not_crossed"));
            }
            _ => return Err(Problem::from(Refusal::Invalid).at(pointer, "dimension")),
        };
        Ok(Some(found))
    }
}

/// Why a number is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Withheld {
    /// It rests on too few people.
    SmallGroup,
    /// Together with the numbers that are shown it would tell one that rests on too few people.
    Derivable,
}

impl Withheld {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SmallGroup => "small_group",
            Self::Derivable => "derivable",
        }
    }
}

/// What the counters rest on.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Basis {
    /// When they were counted.
    pub as_of: DateTime<Utc>,
    /// The fewest people that a shown number of a month rests on that is yet to close.
    pub threshold: i32,
    /// What the company bought.
    pub contract_starts_on: NaiveDate,
    pub contract_ends_on: NaiveDate,
    pub seats: i32,
    pub sessions_per_employee: i32,
}

/// Sessions, people (rounded down to five) and, where nothing is withheld beside them, minutes; or why they are not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Shown { sessions: i32, minutes: Option<i32>, people: i32 },
    Withheld(Withheld),
}

/// One number of the report: of a value of the dimension, or of the whole month.
#[derive(Clone, Debug)]
pub struct Line {
    pub month: Month,
    /// The fewest people that a shown number of this month rests on: what was in force when it closed.
    pub threshold: i32,
    /// Of the month as a whole.
    pub is_total: bool,
    /// A specialty, a mode, the id of a department, or `others`.
    pub row: String,
    /// The same of a column; empty where there are none.
    pub column: String,
    /// The name of its department, as it was when the month was published.
    pub label: Option<String>,
    pub count: Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_a_year_and_a_month() {
        assert_eq!("2026-01".parse::<Month>().unwrap().to_string(), "2026-01");
        for wrong in ["2026-13", "2026-1", "2026", "26-01", "2026-01-01", "", "+026-01", "1999-12", "2026/01"] {
            assert_eq!(wrong.parse::<Month>(), Err(NotAMonth), "{wrong}");
        }
    }

    #[test]
    fn at_most_two_years_in_order_are_covered() {
        let faults = |from, to| {
            let problem = Months::read(from, to, "query:").err();
            problem.map(|problem| problem.errors().iter().map(|e| (e.pointer.clone(), e.code)).collect::<Vec<_>>())
        };
        assert_eq!(faults("2025-01", "2026-12"), None);
        assert_eq!(faults("2026-05", "2026-05"), None);
        assert_eq!(faults("2025-01", "2027-01"), Some(vec![("query:to".into(), "too_many_months")]));
        assert_eq!(faults("2026-02", "2026-01"), Some(vec![("query:to".into(), "order")]));
        assert_eq!(faults("x", "2026-1"), Some(vec![("query:from".into(), "month"), ("query:to".into(), "month")]));
    }

    #[test]
    fn specialties_are_crossed_with_modes_or_departments() {
        assert_eq!(Breakdown::read(Some("mode"), "query:by").unwrap(), Some(Breakdown::Mode));
        assert_eq!(Breakdown::read(None, "query:by").unwrap(), None);
        for by in ["specialty,mode", "mode, specialty"] {
            assert_eq!(Breakdown::read(Some(by), "query:by").unwrap(), Some(Breakdown::SpecialtyMode));
        }
        for by in ["mode,department", "specialty,department,mode"] {
            assert_eq!(Breakdown::read(Some(by), "query:by").unwrap_err().code(), "not_crossed");
        }
        for by in ["person", "mode,mode", "specialty,", "specialty,person"] {
            assert_eq!(Breakdown::read(Some(by), "query:by").unwrap_err().code(), "invalid", "{by}");
        }
    }
}
