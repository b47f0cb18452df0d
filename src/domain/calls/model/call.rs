//! A call as one of its two people sees it, and when it is to be looked at.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Enum;
use uuid::Uuid;

use crate::platform::ids::{CallId, UserId};

/// A call that nobody accepts is missed.
pub const RINGS_FOR: TimeDelta = TimeDelta::seconds(45);
/// Whoever is lost may come back within this time. The database says the same.
pub(super) const AWAY_FOR: TimeDelta = TimeDelta::seconds(30);
/// Whoever rings and is gone may come back within this time, as by loading the page anew. The database says the same.
const RINGER_AWAY_FOR: TimeDelta = TimeDelta::seconds(10);
/// A seat says so often that it is there.
pub const HEARD_EVERY: TimeDelta = TimeDelta::seconds(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    Ringing,
    Connected,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Reason {
    Declined,
    /// Nobody accepted in time.
    Missed,
    /// Whoever rang thought better of it.
    Cancelled,
    /// The other one talked to somebody else: it never rang.
    Busy,
    HungUp,
    /// One of the two did not come back.
    Lost,
    /// Both were gone, and nobody saw when.
    Abandoned,
    /// The consultation is over, was moved, or its time has run out.
    Closed,
}

/// A call that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "CallStatus", rename_all = "snake_case")]
pub enum Phase {
    Ringing,
    Connected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum SignalKind {
    Offer,
    Answer,
    Ice,
}

/// Which device of the caller's it is, and on which connection.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    pub device: Uuid,
    pub seat: Uuid,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub id: CallId,
    pub number: i32,
    pub status: Status,
    pub is_caller: bool,
    pub rings_until: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub reason: Option<Reason>,
    pub is_ended_by_me: bool,
    /// Which connection of one's own is in it, and since when it is away.
    pub seat: Option<Uuid>,
    pub lost_at: Option<DateTime<Utc>>,
    pub is_muted: bool,
    pub other: Other,
}

/// The other side.
#[derive(Clone, Debug)]
pub struct Other {
    pub id: UserId,
    pub is_muted: bool,
    pub lost_at: Option<DateTime<Utc>>,
    pub returns: i32,
    pub resumes: bool,
    /// A device of theirs rings.
    pub rings: bool,
}

impl Call {
    /// `None`: it is over.
    pub fn phase(&self) -> Option<Phase> {
        match self.status {
            Status::Ringing => Some(Phase::Ringing),
            Status::Connected => Some(Phase::Connected),
            Status::Ended => None,
        }
    }

    /// Whether a connection takes part in it.
    pub fn has(&self, seat: Uuid) -> bool {
        self.status != Status::Ended && self.seat == Some(seat)
    }

    /// When it is to be looked at again, though nothing is told of it.
    pub fn due(&self, seat: Uuid, heard_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let heard = self.has(seat).then(|| heard_at + HEARD_EVERY);
        let over = match self.status {
            Status::Ringing => {
                let caller_lost = self.other.lost_at.filter(|_| !self.is_caller).map(|at| at + RINGER_AWAY_FOR);
                [Some(self.rings_until), Some(self.closes_at), caller_lost].into_iter().flatten().min()
            }
            Status::Connected if self.has(seat) => {
                Some(self.other.lost_at.map_or(self.closes_at, |at| self.closes_at.min(at + AWAY_FOR)))
            }
            Status::Connected | Status::Ended => None,
        };
        heard.into_iter().chain(over).min()
    }
}

/// What was signalled to a connection last: of which call, and as the how-manieth.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub call: i32,
    pub number: i32,
}

impl Sent {
    /// What was signalled in a call after this is new to the connection.
    pub fn in_call(self, call: &Call) -> i32 {
        if self.call == call.number { self.number } else { 0 }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const HERE: Uuid = Uuid::from_u128(1);
    pub const OTHER: Uuid = Uuid::from_u128(2);
    pub const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    pub fn call(status: Status, is_caller: bool, seat: Option<Uuid>) -> Call {
        Call {
            id: CallId(Uuid::from_u128(9)),
            number: 1,
            status,
            is_caller,
            rings_until: AT + RINGS_FOR,
            closes_at: AT + TimeDelta::hours(1),
            accepted_at: (status == Status::Connected).then_some(AT),
            reason: None,
            is_ended_by_me: false,
            seat,
            lost_at: None,
            is_muted: false,
            other: Other {
                id: UserId(Uuid::nil()),
                is_muted: false,
                lost_at: None,
                returns: 0,
                resumes: false,
                rings: false,
            },
        }
    }

    pub fn over(reason: Reason, is_caller: bool) -> Call {
        Call { reason: Some(reason), ..call(Status::Ended, is_caller, Some(HERE)) }
    }

    #[test]
    fn the_clock_is_a_reason_to_look_where_it_changes_something() {
        let due = |call: &Call| call.due(HERE, AT).map(|at| (at - AT).num_seconds());
        assert_eq!(due(&call(Status::Ringing, false, None)), Some(45));
        assert_eq!(due(&call(Status::Ringing, true, Some(HERE))), Some(10));
        assert_eq!(due(&call(Status::Connected, true, Some(HERE))), Some(10));
        assert_eq!(due(&call(Status::Connected, true, Some(OTHER))), None);
        assert_eq!(due(&over(Reason::Lost, true)), None);
    }
}
