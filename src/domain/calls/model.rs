//! A call as one of its two people sees it, and what a socket of theirs has not been told of it.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::platform::ids::{CallId, ConsultationId, UserId};

/// A call that nobody accepts is missed.
pub const RINGS_FOR: TimeDelta = TimeDelta::seconds(45);
/// Whoever is lost may come back within this time. The database says the same.
const AWAY_FOR: TimeDelta = TimeDelta::seconds(30);
/// A seat says so often that it is there.
const HEARD_EVERY: TimeDelta = TimeDelta::seconds(10);

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
    HungUp,
    /// One of the two did not come back.
    Lost,
    /// Both were gone, and nobody saw when.
    Abandoned,
    /// The consultation is over, was moved, or its time has run out.
    Closed,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Missed => "missed",
            Self::Cancelled => "cancelled",
            Self::HungUp => "hung_up",
            Self::Lost | Self::Abandoned => "lost",
            Self::Closed => "closed",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum SignalKind {
    Offer,
    Answer,
    Ice,
}

impl SignalKind {
    pub fn event(self) -> &'static str {
        match self {
            Self::Offer => "signal:offer",
            Self::Answer => "signal:answer",
            Self::Ice => "signal:ice",
        }
    }
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
    /// Which connection of one's own is in it.
    pub seat: Option<Uuid>,
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
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Call {
    /// How it stands, for a client that comes in or has changed it. `None`: it is over.
    pub fn view(&self, seat: Uuid) -> Option<Value> {
        let status = match self.status {
            Status::Ringing => "ringing",
            Status::Connected => "connected",
            Status::Ended => return None,
        };
        Some(json!({
            "id": self.id,
            "status": status,
            "outgoing": self.is_caller,
            "here": self.seat == Some(seat),
            "ringsUntil": written(self.rings_until),
            "startedAt": self.accepted_at.map(written),
            "muted": self.is_muted,
            "peerMuted": self.other.is_muted,
            "peerLost": self.status == Status::Connected && self.other.lost_at.is_some(),
        }))
    }

    /// Whether a connection takes part in it.
    pub fn has(&self, seat: Uuid) -> bool {
        self.status != Status::Ended && self.seat == Some(seat)
    }

    /// When it is to be looked at again, though nothing is told of it.
    pub fn due(&self, seat: Uuid, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let heard = self.has(seat).then(|| now + HEARD_EVERY);
        let over = match self.status {
            Status::Ringing => Some(self.rings_until.min(self.closes_at)),
            Status::Connected if self.has(seat) => {
                Some(self.other.lost_at.map_or(self.closes_at, |at| self.closes_at.min(at + AWAY_FOR)))
            }
            Status::Connected | Status::Ended => None,
        };
        heard.into_iter().chain(over).min()
    }
}

/// What a call is to a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Nothing,
    /// It rang the other one.
    Rang,
    /// It is rung.
    Rings,
    In,
    Over,
}

/// What a socket was told of the calls of a consultation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The last call; 0: none.
    pub number: i32,
    phase: Phase,
    peer_muted: bool,
    peer_lost: bool,
    peer_returns: i32,
}

/// An event to send.
#[derive(Clone, Debug)]
pub struct News {
    pub event: &'static str,
    pub data: Value,
}

impl Told {
    /// Whoever was shown this call whole.
    pub fn of(call: &Call, seat: Uuid) -> Self {
        let phase = match call.status {
            Status::Ringing if !call.is_caller => Phase::Rings,
            Status::Ringing if call.has(seat) => Phase::Rang,
            Status::Ringing => Phase::Nothing,
            Status::Connected if call.has(seat) => Phase::In,
            Status::Connected | Status::Ended => Phase::Over,
        };
        Self {
            number: call.number,
            phase,
            peer_muted: call.other.is_muted,
            peer_lost: call.other.lost_at.is_some(),
            peer_returns: call.other.returns,
        }
    }

    /// What is to be sent of a call as it is now.
    pub fn news(&self, of: ConsultationId, call: &Call, seat: Uuid) -> Vec<News> {
        let before = if self.number == call.number { *self } else { Self::default() };
        let data = |more: Value| {
            let mut data = json!({"consultationId": of, "callId": call.id});
            if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
                data.extend(more);
            }
            data
        };
        let news = |event, more| News { event, data: data(more) };
        let takes_part = matches!(before.phase, Phase::Rang | Phase::Rings | Phase::In);
        match call.status {
            Status::Ringing if call.is_caller && takes_part && !call.has(seat) => {
                vec![news("call:ended", json!({"reason": "elsewhere", "byMe": true}))]
            }
            Status::Ringing if !call.is_caller && before.phase == Phase::Nothing => {
                vec![news("call:ringing", json!({"ringsUntil": written(call.rings_until)}))]
            }
            Status::Connected if call.has(seat) => {
                let mut all = Vec::new();
                let mut before = before;
                if before.phase != Phase::In {
                    all.push(news("call:accepted", json!({"startedAt": call.accepted_at.map(written)})));
                    before = Self { peer_returns: call.other.returns, ..Self::default() };
                }
                if call.other.returns != before.peer_returns && call.other.lost_at.is_none() {
                    all.push(news("call:peer-back", json!({"resumes": call.other.resumes})));
                } else if let Some(since) = call.other.lost_at
                    && (!before.peer_lost || call.other.returns != before.peer_returns)
                {
                    all.push(news("call:peer-lost", json!({"until": written(since + AWAY_FOR)})));
                }
                if call.other.is_muted != before.peer_muted {
                    all.push(news("call:peer-muted", json!({"muted": call.other.is_muted})));
                }
                all
            }
            Status::Connected if takes_part => {
                let reason = if before.phase == Phase::Rings { "answered_elsewhere" } else { "elsewhere" };
                vec![news("call:ended", json!({"reason": reason, "byMe": true}))]
            }
            Status::Ended if takes_part && call.is_caller && call.reason == Some(Reason::Declined) => {
                vec![news("call:declined", json!({}))]
            }
            Status::Ended if takes_part => {
                let reason = call.reason.map_or("closed", Reason::word);
                vec![news("call:ended", json!({"reason": reason, "byMe": call.is_ended_by_me}))]
            }
            Status::Ringing | Status::Connected | Status::Ended => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: ConsultationId = ConsultationId(Uuid::nil());
    const HERE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn call(status: Status, is_caller: bool, seat: Option<Uuid>) -> Call {
        let at = DateTime::UNIX_EPOCH;
        Call {
            id: CallId(Uuid::from_u128(9)),
            number: 1,
            status,
            is_caller,
            rings_until: at + RINGS_FOR,
            closes_at: at + TimeDelta::hours(1),
            accepted_at: (status == Status::Connected).then_some(at),
            reason: None,
            is_ended_by_me: false,
            seat,
            is_muted: false,
            other: Other { id: UserId(Uuid::nil()), is_muted: false, lost_at: None, returns: 0, resumes: false },
        }
    }

    fn ended(reason: Reason, is_caller: bool) -> Call {
        Call { reason: Some(reason), ..call(Status::Ended, is_caller, Some(HERE)) }
    }

    /// What a socket that was shown `before` is told of `now`.
    fn told(before: Option<&Call>, now: &Call) -> Vec<(&'static str, Value)> {
        let told = before.map(|it| Told::of(it, HERE)).unwrap_or_default();
        let what = |mut data: Value| {
            let members = data.as_object_mut().unwrap();
            members.retain(|name, _| !["consultationId", "callId"].contains(&name.as_str()));
            data
        };
        told.news(OF, now, HERE).into_iter().map(|it| (it.event, what(it.data))).collect()
    }

    #[test]
    fn whoever_is_rung_hears_it_once_and_whoever_rings_does_not() {
        let rings = call(Status::Ringing, false, None);
        assert_eq!(told(None, &rings), [("call:ringing", json!({"ringsUntil": "1970-01-01T00:00:45.000Z"}))]);
        assert_eq!(told(Some(&rings), &rings), []);
        let rang = call(Status::Ringing, true, Some(HERE));
        assert_eq!(told(Some(&rang), &rang), []);
        assert_eq!(told(None, &call(Status::Ringing, true, Some(OTHER))), [], "one's own other device rings");
    }

    #[test]
    fn accepting_is_told_to_whoever_rang_and_to_the_devices_that_were_slower() {
        let rang = call(Status::Ringing, true, Some(HERE));
        let started = json!({"startedAt": "1970-01-01T00:00:00.000Z"});
        assert_eq!(told(Some(&rang), &call(Status::Connected, true, Some(HERE))), [("call:accepted", started)]);
        let rings = call(Status::Ringing, false, None);
        let elsewhere = json!({"reason": "answered_elsewhere", "byMe": true});
        assert_eq!(told(Some(&rings), &call(Status::Connected, false, Some(OTHER))), [("call:ended", elsewhere)]);
        assert_eq!(told(None, &call(Status::Connected, false, Some(OTHER))), [], "who was never rung");
        // another connection took its place
        let taken = json!({"reason": "elsewhere", "byMe": true});
        let here = call(Status::Connected, true, Some(HERE));
        assert_eq!(told(Some(&here), &call(Status::Connected, true, Some(OTHER))), [("call:ended", taken.clone())]);
        assert_eq!(told(Some(&rang), &call(Status::Ringing, true, Some(OTHER))), [("call:ended", taken)]);
    }

    #[test]
    fn what_becomes_of_the_other_one_is_told_as_it_is_now() {
        let before = call(Status::Connected, true, Some(HERE));
        let with = |change: fn(&mut Other)| {
            let mut call = before.clone();
            change(&mut call.other);
            call
        };
        let until = json!({"until": "1970-01-01T00:00:30.000Z"});
        let lost = with(|it| it.lost_at = Some(DateTime::UNIX_EPOCH));
        assert_eq!(told(Some(&before), &lost), [("call:peer-lost", until.clone())]);
        assert_eq!(told(Some(&lost), &lost), []);
        let back = with(|it| (it.returns, it.resumes) = (1, true));
        assert_eq!(told(Some(&lost), &back), [("call:peer-back", json!({"resumes": true}))]);
        assert_eq!(told(Some(&before), &back), [("call:peer-back", json!({"resumes": true}))], "between two looks");
        let again = with(|it| (it.returns, it.lost_at) = (1, Some(DateTime::UNIX_EPOCH)));
        assert_eq!(told(Some(&lost), &again), [("call:peer-lost", until)]);
        let muted = with(|it| it.is_muted = true);
        assert_eq!(told(Some(&before), &muted), [("call:peer-muted", json!({"muted": true}))]);
        assert_eq!(told(Some(&muted), &before), [("call:peer-muted", json!({"muted": false}))]);
    }

    #[test]
    fn an_end_is_told_to_whoever_had_a_part_in_it() {
        let rang = call(Status::Ringing, true, Some(HERE));
        let rings = call(Status::Ringing, false, None);
        let end = |reason: &str| ("call:ended", json!({"reason": reason, "byMe": false}));
        assert_eq!(told(Some(&rang), &ended(Reason::Declined, true)), [("call:declined", json!({}))]);
        assert_eq!(told(Some(&rings), &ended(Reason::Declined, false)), [end("declined")]);
        assert_eq!(told(Some(&rang), &ended(Reason::Missed, true)), [end("missed")]);
        let here = call(Status::Connected, true, Some(HERE));
        for (reason, word) in [(Reason::HungUp, "hung_up"), (Reason::Lost, "lost"), (Reason::Abandoned, "lost")] {
            assert_eq!(told(Some(&here), &ended(reason, true)), [end(word)]);
        }
        assert_eq!(told(None, &ended(Reason::HungUp, true)), []);
        let over = ended(Reason::HungUp, true);
        assert_eq!(told(Some(&over), &over), []);
        // of a new call everything is news
        let next = Call { number: 2, ..call(Status::Ringing, false, None) };
        assert_eq!(told(Some(&over), &next).len(), 1);
    }

    #[test]
    fn the_clock_is_a_reason_to_look_where_it_changes_something() {
        let now = DateTime::UNIX_EPOCH;
        let due = |call: &Call| call.due(HERE, now).map(|at| (at - now).num_seconds());
        assert_eq!(due(&call(Status::Ringing, false, None)), Some(45));
        assert_eq!(due(&call(Status::Ringing, true, Some(HERE))), Some(10));
        assert_eq!(due(&call(Status::Connected, true, Some(HERE))), Some(10));
        assert_eq!(due(&call(Status::Connected, true, Some(OTHER))), None);
        assert_eq!(due(&ended(Reason::Lost, true)), None);
    }
}
