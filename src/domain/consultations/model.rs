//! A consultation, its states, and which change is possible when.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::domain::practitioners::Mode;
use crate::platform::ids::{CompanyId, ConsultationId, PractitionerId};
use crate::platform::{Problem, Result};

/// A session can be joined and started this long before the booked time …
pub const OPENS_BEFORE: TimeDelta = TimeDelta::minutes(10);
/// … until this long after its end. The database says the same.
pub const CLOSES_AFTER: TimeDelta = TimeDelta::minutes(30);
/// Who did not come is said this long after the start at the earliest …
const MISSED_AFTER: TimeDelta = TimeDelta::minutes(10);
/// … and this long after the end at the latest; then the schedule decides.
const MISSED_UNTIL: TimeDelta = TimeDelta::hours(24);
/// A request waits for the practitioner this long …
const WAITS: TimeDelta = TimeDelta::hours(24);
/// … and no later than this before its start, so that the employee can still look elsewhere.
const ANSWERED_BEFORE: TimeDelta = TimeDelta::hours(2);

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

/// Who did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum MissedBy {
    Employee,
    Practitioner,
    /// Nobody said so in time, and the server saw neither, or both at different times.
    Unknown,
}

/// A fact about a consultation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, Enum)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    Booked,
    Confirmed,
    Rescheduled,
    Cancelled,
    /// The practitioner did not confirm in time.
    Expired,
    Started,
    Ended,
    NoShow,
    /// What the server saw itself.
    Joined,
    Left,
    /// A call between the two, by whom it was rung …
    CallStarted,
    /// … and by whom it was ended; `auto`: by the clock, or because somebody was lost.
    CallEnded,
}

/// A fact with its time.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Event {
    pub kind: EventKind,
    pub at: DateTime<Utc>,
    pub actor_role: DoneBy,
    pub moved_from: Option<DateTime<Utc>>,
    pub moved_to: Option<DateTime<Utc>>,
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
    /// Until when a request waits for the practitioner.
    pub expires_at: Option<DateTime<Utc>>,
    pub missed_by: Option<MissedBy>,
    /// For the practitioner and the platform: how long the server saw both …
    pub seen_minutes: Option<i32>,
    /// … and whether that differs from what was said.
    pub times_differ: Option<bool>,
    /// For the employee, as long as they can cancel it.
    pub cancellation: Option<Cancellation>,
    /// For the employee, once it is over: whether it counts against their sessions.
    pub counts: Option<bool>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// What was written about it. Read for one alone, and in no answer that is kept.
    #[serde(skip)]
    pub reasons: Reasons,
}

/// What cancelling costs an employee.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cancellation {
    /// Until then it does not count.
    pub free_until: DateTime<Utc>,
    /// Whether it counts if it is cancelled now.
    pub counts_now: bool,
}

/// Health content, perhaps: for the two people alone.
#[derive(Clone, Default)]
pub struct Reasons {
    pub booking: Option<String>,
    pub cancelling: Option<String>,
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reasons(…)")
    }
}

impl Consultation {
    /// As it stands at some time.
    #[must_use]
    pub fn as_of(mut self, now: DateTime<Utc>) -> Self {
        self.cancellation = self
            .cancellation
            .filter(|_| now <= self.starts_at)
            .map(|it| Cancellation { counts_now: now > it.free_until, ..it });
        self
    }

    /// As booked.
    pub fn planned_minutes(&self) -> i32 {
        i32::try_from((self.ends_at - self.starts_at).num_minutes()).unwrap_or_default()
    }
}

/// Until when a request waits for the practitioner: a day, but until two hours before its start at the latest. Who asks
/// later than that leaves the practitioner half of the time that there is.
pub fn expires_at(now: DateTime<Utc>, starts_at: DateTime<Utc>) -> DateTime<Utc> {
    (now + WAITS).min((starts_at - ANSWERED_BEFORE).max(now + (starts_at - now) / 2))
}

/// What a change needs to know.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Standing {
    pub company_id: CompanyId,
    pub status: Status,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub started_at: Option<DateTime<Utc>>,
    /// Its version: what was read is changed, or nothing is.
    pub updated_at: DateTime<Utc>,
}

impl Standing {
    /// Whether it can be cancelled now: until its start. Whether it then counts is the database's to say.
    pub fn check_cancel(&self, now: DateTime<Utc>) -> Result<()> {
        if !matches!(self.status, Status::Pending | Status::Confirmed) {
            return Err(self.illegal());
        }
        if now > self.starts_at { Err(Error::TooLate.into()) } else { Ok(()) }
    }

    /// Whether it can be confirmed now.
    pub fn check_confirm(&self, now: DateTime<Utc>) -> Result<()> {
        self.require(Status::Pending)?;
        self.check_waiting(now)
    }

    /// A request whose time is over is as good as cancelled, whether the schedule has seen it or not.
    pub fn check_waiting(&self, now: DateTime<Utc>) -> Result<()> {
        let is_over = self.status == Status::Pending && self.expires_at.is_some_and(|at| at <= now);
        if is_over { Err(Error::RequestExpired.into()) } else { Ok(()) }
    }

    /// Whether it can be moved now, as far as its state goes. Until when is the database's to say.
    pub fn check_reschedule(&self, now: DateTime<Utc>) -> Result<()> {
        if !matches!(self.status, Status::Pending | Status::Confirmed) {
            return Err(self.illegal());
        }
        self.check_waiting(now)
    }

    /// Whether it can be started now.
    pub fn check_start(&self, now: DateTime<Utc>) -> Result<()> {
        self.require(Status::Confirmed)?;
        self.check_open(now)
    }

    /// Whether it can be joined now. One that has ended is closed, whatever its time.
    pub fn check_join(&self, now: DateTime<Utc>) -> Result<()> {
        match self.status {
            Status::Confirmed | Status::InProgress => self.check_open(now),
            Status::Completed => Err(self.with_times(Error::Closed)),
            Status::Pending | Status::Cancelled | Status::NoShow => Err(self.illegal()),
        }
    }

    fn check_open(&self, now: DateTime<Utc>) -> Result<()> {
        if now < self.opens_at() {
            Err(self.with_times(Error::NotOpenYet))
        } else if now > self.closes_at() {
            Err(self.with_times(Error::Closed))
        } else {
            Ok(())
        }
    }

    fn opens_at(&self) -> DateTime<Utc> {
        self.starts_at - OPENS_BEFORE
    }

    pub fn closes_at(&self) -> DateTime<Utc> {
        self.ends_at + CLOSES_AFTER
    }

    fn with_times(&self, refusal: Error) -> Problem {
        Problem::from(refusal)
            .with("opensAt", written(self.opens_at()).into())
            .with("closesAt", written(self.closes_at()).into())
    }

    /// Whether it can be ended now.
    pub fn check_end(&self) -> Result<()> {
        self.require(Status::InProgress)
    }

    /// When it ends, if it is ended now: half an hour after its planned end it ended then, whether the schedule was there
    /// to see it or not.
    pub fn ended_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let due = self.started_at.map_or(self.ends_at, |at| at.max(self.ends_at));
        if now >= due + CLOSES_AFTER { due } else { now }
    }

    /// Whether it can be said now that the other did not come. Also of what was begun: whether somebody was seen there is
    /// the database's to say.
    pub fn check_no_show(&self, now: DateTime<Utc>) -> Result<()> {
        if !matches!(self.status, Status::Confirmed | Status::InProgress) {
            return Err(self.illegal());
        }
        let (from, until) = (self.starts_at + MISSED_AFTER, self.ends_at + MISSED_UNTIL);
        let refusal = if now < from {
            Error::NoShowTooEarly
        } else if now >= until {
            Error::NoShowTooLate
        } else {
            return Ok(());
        };
        Err(Problem::from(refusal).with("from", written(from).into()).with("until", written(until).into()))
    }

    fn require(&self, status: Status) -> Result<()> {
        if self.status == status { Ok(()) } else { Err(self.illegal()) }
    }

    /// The refusal of a change that this state does not allow.
    pub fn illegal(&self) -> Problem {
        Problem::from(Error::IllegalTransition).with("current", serde_json::to_value(self.status).unwrap_or_default())
    }
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(status: Status) -> (Standing, DateTime<Utc>) {
        let starts_at: DateTime<Utc> = "2026-11-24T13:30:00Z".parse().unwrap();
        let company_id = CompanyId(uuid::Uuid::nil());
        let ends_at = starts_at + TimeDelta::minutes(45);
        let (expires_at, updated_at) = (Some(starts_at), starts_at);
        (Standing { company_id, status, starts_at, ends_at, expires_at, started_at: None, updated_at }, starts_at)
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
    fn a_session_is_open_from_ten_minutes_before_until_half_an_hour_after_its_end() {
        let (it, at) = standing(Status::Confirmed);
        for check in [Standing::check_start, Standing::check_join] {
            assert_eq!(code(check(&it, at - TimeDelta::minutes(11))), "not_open_yet");
            assert_eq!(code(check(&it, at - TimeDelta::minutes(10))), "ok");
            assert_eq!(code(check(&it, at + TimeDelta::minutes(75))), "ok");
            assert_eq!(code(check(&it, at + TimeDelta::minutes(76))), "closed");
        }
        let refused = it.check_join(at - TimeDelta::hours(1)).unwrap_err();
        assert_eq!(refused.code(), "not_open_yet");
        assert_eq!(code(standing(Status::InProgress).0.check_join(at)), "ok");
        assert_eq!(code(standing(Status::Completed).0.check_join(at)), "closed");
        assert_eq!(code(standing(Status::Cancelled).0.check_join(at)), "illegal_transition");
    }

    #[test]
    fn who_did_not_come_is_said_from_ten_minutes_after_the_start_for_a_day() {
        let (it, at) = standing(Status::Confirmed);
        assert_eq!(code(it.check_no_show(at + TimeDelta::minutes(9))), "no_show_too_early");
        assert_eq!(code(it.check_no_show(at + TimeDelta::minutes(10))), "ok");
        assert_eq!(code(it.check_no_show(at + TimeDelta::minutes(45) + TimeDelta::hours(24))), "no_show_too_late");
    }

    #[test]
    fn a_session_ends_when_it_is_ended_and_long_after_its_time_when_it_was_to_end() {
        let (mut it, at) = standing(Status::InProgress);
        it.started_at = Some(at);
        for (after, ended) in [(5, 5), (74, 74), (75, 45), (300, 45)] {
            assert_eq!(it.ended_at(at + TimeDelta::minutes(after)), at + TimeDelta::minutes(ended));
        }
        // begun after its planned end
        it.started_at = Some(at + TimeDelta::minutes(60));
        for (after, ended) in [(89, 89), (90, 60)] {
            assert_eq!(it.ended_at(at + TimeDelta::minutes(after)), at + TimeDelta::minutes(ended));
        }
    }

    #[test]
    fn a_request_waits_a_day_and_not_until_the_last_moment() {
        let now: DateTime<Utc> = "2026-11-24T08:00:00Z".parse().unwrap();
        let wait = |ahead| expires_at(now, now + ahead) - now;
        assert_eq!(wait(TimeDelta::days(9)), TimeDelta::hours(24));
        assert_eq!(wait(TimeDelta::hours(20)), TimeDelta::hours(18));
        assert_eq!(wait(TimeDelta::hours(4)), TimeDelta::hours(2));
        assert_eq!(wait(TimeDelta::hours(1)), TimeDelta::minutes(30));
        let (it, at) = standing(Status::Pending);
        assert_eq!(code(it.check_confirm(at - TimeDelta::seconds(1))), "ok");
        assert_eq!(code(it.check_confirm(at)), "request_expired");
        assert_eq!(code(it.check_reschedule(at)), "request_expired");
    }

    #[test]
    fn each_change_has_its_states_to_come_from() {
        for status in [Status::InProgress, Status::Completed, Status::Cancelled, Status::NoShow] {
            let (it, at) = standing(status);
            for check in
                [Standing::check_cancel, Standing::check_confirm, Standing::check_reschedule, Standing::check_start]
            {
                assert_eq!(code(check(&it, at)), "illegal_transition");
            }
            let missed = if status == Status::InProgress { "no_show_too_early" } else { "illegal_transition" };
            assert_eq!(code(it.check_no_show(at)), missed);
        }
        let (pending, at) = standing(Status::Pending);
        assert_eq!(code(pending.check_cancel(at)), "ok");
        assert_eq!(code(pending.check_start(at)), "illegal_transition");
        assert_eq!(code(standing(Status::Confirmed).0.check_confirm(at)), "illegal_transition");
        assert_eq!(code(standing(Status::InProgress).0.check_end()), "ok");
        assert_eq!(code(standing(Status::Confirmed).0.check_end()), "illegal_transition");
    }
}
