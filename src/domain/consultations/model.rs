//! A consultation, its states, and which change is possible when.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::domain::practitioners::Mode;
use crate::platform::ids::{CompanyId, ConsultationId, PractitionerId};
use crate::platform::{Problem, Result};

/// A practitioner can start this long before the booked time.
pub const OPENS_BEFORE: TimeDelta = TimeDelta::minutes(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ConsultationStatus", rename_all = "snake_case")]
pub enum Status {
    /// Waits for the practitioner to confirm by hand.
    Pending,
    Confirmed,
    InProgress,
    Completed,
    Cancelled,
    NoShow,
}

impl Status {
    /// As the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::NoShow => "no_show",
        }
    }
}

/// Whose doing something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum DoneBy {
    Employee,
    Practitioner,
    Platform,
    /// The schedule.
    Auto,
}

/// A fact about a consultation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, Enum)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    Booked,
    Confirmed,
    Cancelled,
    Started,
    Ended,
    NoShow,
}

/// A fact with its time.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Event {
    pub kind: EventKind,
    pub at: DateTime<Utc>,
    pub actor_role: DoneBy,
}

/// A consultation as one of its two people, or the platform, may see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Consultation {
    pub id: ConsultationId,
    /// For the platform only.
    pub company_id: Option<CompanyId>,
    pub practitioner_id: PractitionerId,
    pub practitioner_name: String,
    /// For the practitioner only.
    pub employee_name: Option<String>,
    pub mode: Mode,
    pub status: Status,
    pub specialty: String,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    /// As held; begun minutes count as whole ones.
    pub actual_minutes: Option<i32>,
    pub cancelled_at: Option<DateTime<Utc>>,
    pub cancelled_by: Option<DoneBy>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Consultation {
    /// As booked.
    pub fn planned_minutes(&self) -> i32 {
        i32::try_from((self.ends_at - self.starts_at).num_minutes()).unwrap_or_default()
    }
}

/// What a change needs to know.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Standing {
    pub company_id: CompanyId,
    pub status: Status,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

impl Standing {
    /// Whether it can be cancelled now: until its start. Whether it then counts is the database's to say.
    pub fn check_cancel(&self, now: DateTime<Utc>) -> Result<()> {
        self.require(Status::Confirmed)?;
        if now > self.starts_at { Err(Error::TooLate.into()) } else { Ok(()) }
    }

    /// Whether it can be started now.
    pub fn check_start(&self, now: DateTime<Utc>) -> Result<()> {
        self.require(Status::Confirmed)?;
        let opens_at = self.starts_at - OPENS_BEFORE;
        let refusal = if now < opens_at {
            Error::NotOpenYet
        } else if now > self.ends_at {
            Error::Closed
        } else {
            return Ok(());
        };
        Err(Problem::from(refusal)
            .with("opensAt", opens_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into())
            .with("closesAt", self.ends_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into()))
    }

    /// Whether it can be ended now.
    pub fn check_end(&self) -> Result<()> {
        self.require(Status::InProgress)
    }

    fn require(&self, status: Status) -> Result<()> {
        if self.status == status { Ok(()) } else { Err(self.illegal()) }
    }

    /// The refusal of a change that this state does not allow.
    pub fn illegal(&self) -> Problem {
        Problem::from(Error::IllegalTransition).with("current", serde_json::to_value(self.status).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(status: Status) -> (Standing, DateTime<Utc>) {
        let starts_at: DateTime<Utc> = "2026-11-24T13:30:00Z".parse().unwrap();
        let company_id = CompanyId(uuid::Uuid::nil());
        (Standing { company_id, status, starts_at, ends_at: starts_at + TimeDelta::minutes(45) }, starts_at)
    }

    fn code(result: Result<()>) -> &'static str {
        result.map_or_else(|problem| problem.code(), |()| "ok")
    }

    #[test]
    fn cancelling_ends_with_the_start() {
        let (it, at) = standing(Status::Confirmed);
        assert_eq!(code(it.check_cancel(at)), "ok");
        assert_eq!(code(it.check_cancel(at + TimeDelta::seconds(1))), "too_late");
    }

    #[test]
    fn a_session_starts_from_ten_minutes_before_until_its_end() {
        let (it, at) = standing(Status::Confirmed);
        assert_eq!(code(it.check_start(at - TimeDelta::minutes(11))), "not_open_yet");
        assert_eq!(code(it.check_start(at - TimeDelta::minutes(10))), "ok");
        assert_eq!(code(it.check_start(at + TimeDelta::minutes(45))), "ok");
        assert_eq!(code(it.check_start(at + TimeDelta::minutes(46))), "closed");
    }

    #[test]
    fn each_change_has_one_state_to_come_from() {
        for status in [Status::Pending, Status::InProgress, Status::Completed, Status::Cancelled, Status::NoShow] {
            let (it, at) = standing(status);
            assert_eq!(code(it.check_start(at)), "illegal_transition");
            assert_eq!(code(it.check_cancel(at)), "illegal_transition");
        }
        assert_eq!(code(standing(Status::InProgress).0.check_end()), "ok");
        assert_eq!(code(standing(Status::Confirmed).0.check_end()), "illegal_transition");
    }
}
