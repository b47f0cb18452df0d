//! What a file holds, how it is written, and where it stands.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::domain::usage::model::{Breakdown, Month};
use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, ExportId};
use crate::platform::locale::Locale;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ExportKind", rename_all = "snake_case")]
pub enum Kind {
    /// The published counters of a company.
    Usage,
    /// A practitioner's own sessions.
    PractitionerActivity,
    /// What practitioners are paid for.
    Payroll,
}

impl Kind {
    /// Whether people of a role may ask for it. The database says the same.
    pub fn is_for(self, role: Role) -> bool {
        match self {
            Self::Usage => matches!(role, Role::Hr | Role::CompanyAdmin | Role::PlatformAdmin),
            Self::PractitionerActivity => role == Role::Practitioner,
            Self::Payroll => role == Role::PlatformAdmin,
        }
    }

    /// As a file is called.
    fn file_name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::PractitionerActivity => "activity",
            Self::Payroll => "payroll",
        }
    }
}

/// How a CSV file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Delimiter {
    #[default]
    Comma,
    /// What Excel expects where the comma is the decimal mark.
    Semicolon,
}

impl Delimiter {
    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
        }
    }
}

/// The months of a file, and how it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Params {
    pub from: Month,
    pub to: Month,
    /// Of usage.
    pub by: Option<Breakdown>,
    pub delimiter: Delimiter,
    /// Begins with a byte order mark, by which Excel knows UTF-8.
    pub bom: bool,
    /// The language of the header and of the words in the cells.
    pub locale: Locale,
}

/// Where a file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ExportStatus", rename_all = "snake_case")]
pub enum Status {
    Pending,
    Running,
    /// Can be downloaded until it expires.
    Ready,
    /// See `failure`.
    Failed,
    /// The file is gone.
    Expired,
}

/// Why there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ExportFailure", rename_all = "snake_case")]
pub enum Failure {
    /// Every attempt failed; the platform's staff see it among the failed jobs.
    NotMade,
    /// Who asked was suspended or has another role or company.
    NotEntitled,
}

/// A file that somebody asked for.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
pub struct Export {
    pub id: ExportId,
    pub kind: Kind,
    pub company_id: Option<CompanyId>,
    #[sqlx(json)]
    pub params: Params,
    pub status: Status,
    pub failure: Option<Failure>,
    pub file_key: Option<String>,
    /// Lines that are written so far.
    pub rows_written: i32,
    /// Lines that there will be, as far as it is known.
    pub rows_expected: Option<i32>,
    /// Lines of the whole file.
    pub row_count: Option<i32>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl Export {
    /// As it stands now: a file expires by the clock, whenever it is swept away.
    #[must_use]
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        if self.status == Status::Ready && self.expires_at.is_some_and(|at| at <= now) {
            self.status = Status::Expired;
        }
        self
    }

    /// The name under which a browser saves it.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.csv", self.kind.file_name(), self.params.from, self.params.to)
    }

    /// In percent.
    pub fn progress(&self) -> i32 {
        match self.status {
            Status::Ready | Status::Expired => 100,
            Status::Pending | Status::Failed => 0,
            Status::Running => {
                let (written, expected) = (i64::from(self.rows_written), i64::from(self.rows_expected.unwrap_or(0)));
                // never whole before it is
                i32::try_from((written * 100 / expected.max(1)).clamp(0, 99)).unwrap_or(99)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_for_those_whom_it_concerns() {
        let of = |kind: Kind| Role::ALL.iter().copied().filter(|role| kind.is_for(*role)).collect::<Vec<_>>();
        assert_eq!(of(Kind::Usage), [Role::Hr, Role::CompanyAdmin, Role::PlatformAdmin]);
        assert_eq!(of(Kind::PractitionerActivity), [Role::Practitioner]);
        assert_eq!(of(Kind::Payroll), [Role::PlatformAdmin]);
    }
}
