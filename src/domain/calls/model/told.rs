//! What a socket has not been told of a call.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use uuid::Uuid;

use super::call::{AWAY_FOR, Call, Reason, Status};

/// Why a call is over for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "CallEndReason", rename_all = "snake_case")]
pub enum EndReason {
    Declined,
    Missed,
    Cancelled,
    HungUp,
    Lost,
    Closed,
    /// Another device of the same person accepted it.
    AnsweredElsewhere,
    /// Another connection of the same person took this one's place.
    Elsewhere,
}

impl From<Reason> for EndReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Declined => Self::Declined,
            Reason::Missed | Reason::Busy => Self::Missed,
            Reason::Cancelled => Self::Cancelled,
            Reason::HungUp => Self::HungUp,
            Reason::Lost | Reason::Abandoned => Self::Lost,
            Reason::Closed => Self::Closed,
        }
    }
}

/// What a call is to a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Nothing,
    /// It rang the other one.
    Rang,
    /// It is rung.
    Rings,
    In,
    /// It was shown that another device of the same person is in it, and may offer to take its place.
    Elsewhere,
    Over,
}

/// What a socket was told of the calls of a consultation.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each says something of its own
pub struct Told {
    /// The last call; 0: none.
    pub number: i32,
    part: Part,
    peer_muted: bool,
    peer_lost: bool,
    peer_returns: i32,
    peer_rings: bool,
    device_lost: bool,
}

/// What a socket is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Ringing {
        until: DateTime<Utc>,
    },
    /// A device of the other one's rings.
    PeerRinging,
    Accepted {
        at: DateTime<Utc>,
    },
    Declined,
    Muted(bool),
    Lost {
        until: DateTime<Utc>,
    },
    Back {
        resumes: bool,
    },
    /// The device of one's own that is in the call is away.
    DeviceLost {
        until: DateTime<Utc>,
    },
    DeviceBack,
    Ended {
        reason: EndReason,
        by_me: bool,
    },
}

impl Told {
    /// Whoever was shown this call whole.
    pub fn of(call: &Call, seat: Uuid) -> Self {
        let part = match call.status {
            Status::Ringing if !call.is_caller => Part::Rings,
            Status::Ringing if call.has(seat) => Part::Rang,
            Status::Ringing => Part::Nothing,
            Status::Connected if call.has(seat) => Part::In,
            Status::Connected => Part::Elsewhere,
            Status::Ended => Part::Over,
        };
        Self {
            number: call.number,
            part,
            peer_muted: call.other.is_muted,
            peer_lost: call.other.lost_at.is_some(),
            peer_returns: call.other.returns,
            peer_rings: call.other.rings,
            device_lost: call.lost_at.is_some(),
        }
    }

    /// Whoever was told what is new of a call. To hear how it goes on elsewhere one has to have been shown that it does.
    pub fn after(self, call: &Call, seat: Uuid) -> Self {
        let after = Self::of(call, seat);
        let was_shown = self.number == call.number && self.part == Part::Elsewhere;
        if after.part == Part::Elsewhere && !was_shown { Self { part: Part::Over, ..after } } else { after }
    }

    /// Whether it was shown a call that rings for it.
    pub fn rings(&self) -> bool {
        self.part == Part::Rings
    }

    /// What is new of a call as it is now.
    pub fn news(&self, call: &Call, seat: Uuid) -> Vec<News> {
        let before = if self.number == call.number { *self } else { Self::default() };
        let takes_part = matches!(before.part, Part::Rang | Part::Rings | Part::In);
        match call.status {
            Status::Ringing if call.is_caller && takes_part && !call.has(seat) => {
                vec![News::Ended { reason: EndReason::Elsewhere, by_me: true }]
            }
            Status::Ringing if !call.is_caller && before.part == Part::Nothing => {
                vec![News::Ringing { until: call.rings_until }]
            }
            Status::Ringing if before.part == Part::Rang && call.other.rings && !before.peer_rings => {
                vec![News::PeerRinging]
            }
            Status::Connected if call.has(seat) => before.of_the_other(call),
            Status::Connected if before.part == Part::Elsewhere => match (before.device_lost, call.lost_at) {
                (false, Some(since)) => vec![News::DeviceLost { until: since + AWAY_FOR }],
                (true, None) => vec![News::DeviceBack],
                _ => Vec::new(),
            },
            Status::Connected if takes_part => {
                let was_rung = before.part == Part::Rings;
                let reason = if was_rung { EndReason::AnsweredElsewhere } else { EndReason::Elsewhere };
                vec![News::Ended { reason, by_me: true }]
            }
            Status::Ended if takes_part && call.is_caller && call.reason == Some(Reason::Declined) => {
                vec![News::Declined]
            }
            Status::Ended if takes_part || before.part == Part::Elsewhere => {
                let reason = call.reason.map_or(EndReason::Closed, EndReason::from);
                vec![News::Ended { reason, by_me: call.is_ended_by_me }]
            }
            Status::Ringing | Status::Connected | Status::Ended => Vec::new(),
        }
    }

    /// What is new to a connection that is in the call.
    fn of_the_other(self, call: &Call) -> Vec<News> {
        let mut all = Vec::new();
        let mut before = self;
        if before.part != Part::In {
            all.push(News::Accepted { at: call.accepted_at.unwrap_or(call.rings_until) });
            before = Self { peer_returns: call.other.returns, ..Self::default() };
        }
        let has_come_back = call.other.returns != before.peer_returns;
        match call.other.lost_at {
            None if has_come_back => all.push(News::Back { resumes: call.other.resumes }),
            Some(since) if has_come_back || !before.peer_lost => all.push(News::Lost { until: since + AWAY_FOR }),
            _ => {}
        }
        if call.other.is_muted != before.peer_muted {
            all.push(News::Muted(call.other.is_muted));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::{AT, HERE, OTHER, call, over};
    use super::super::call::{Other, RINGS_FOR};
    use super::*;

    /// What a socket that was shown `before` is told of `now`.
    fn told(before: Option<&Call>, now: &Call) -> Vec<News> {
        before.map(|it| Told::of(it, HERE)).unwrap_or_default().news(now, HERE)
    }

    fn ended(reason: EndReason, by_me: bool) -> [News; 1] {
        [News::Ended { reason, by_me }]
    }

    #[test]
    fn whoever_is_rung_hears_it_once_and_whoever_rings_does_not() {
        let rings = call(Status::Ringing, false, None);
        assert_eq!(told(None, &rings), [News::Ringing { until: AT + RINGS_FOR }]);
        assert_eq!(told(Some(&rings), &rings), []);
        let rang = call(Status::Ringing, true, Some(HERE));
        assert_eq!(told(Some(&rang), &rang), []);
        let rings_there = Call { other: Other { rings: true, ..rang.other.clone() }, ..rang.clone() };
        assert_eq!(told(Some(&rang), &rings_there), [News::PeerRinging]);
        assert_eq!(told(Some(&rings_there), &rings_there), []);
        assert_eq!(told(None, &call(Status::Ringing, true, Some(OTHER))), [], "one's own other device rings");
    }

    #[test]
    fn accepting_is_told_to_whoever_rang_and_to_the_devices_that_were_slower() {
        let rang = call(Status::Ringing, true, Some(HERE));
        assert_eq!(told(Some(&rang), &call(Status::Connected, true, Some(HERE))), [News::Accepted { at: AT }]);
        let rings = call(Status::Ringing, false, None);
        let elsewhere = call(Status::Connected, false, Some(OTHER));
        assert_eq!(told(Some(&rings), &elsewhere), ended(EndReason::AnsweredElsewhere, true));
        assert_eq!(told(None, &elsewhere), [], "who was never rung");
        // another connection took its place
        let taken = ended(EndReason::Elsewhere, true);
        let here = call(Status::Connected, true, Some(HERE));
        assert_eq!(told(Some(&here), &call(Status::Connected, true, Some(OTHER))), taken);
        assert_eq!(told(Some(&rang), &call(Status::Ringing, true, Some(OTHER))), taken);
    }

    #[test]
    fn whoever_was_shown_that_it_goes_on_elsewhere_hears_what_becomes_of_it() {
        let elsewhere = call(Status::Connected, true, Some(OTHER));
        let lost = Call { lost_at: Some(AT), ..elsewhere.clone() };
        assert_eq!(told(Some(&elsewhere), &elsewhere), []);
        assert_eq!(told(Some(&elsewhere), &lost), [News::DeviceLost { until: AT + AWAY_FOR }]);
        assert_eq!(told(Some(&lost), &lost), []);
        assert_eq!(told(Some(&lost), &elsewhere), [News::DeviceBack]);
        let over = Call { seat: Some(OTHER), ..over(Reason::HungUp, true) };
        assert_eq!(told(Some(&lost), &over), ended(EndReason::HungUp, false));
        // who was told that it is over for them hears no more of it
        let rings = call(Status::Ringing, false, None);
        let accepted = call(Status::Connected, false, Some(OTHER));
        let after = Told::of(&rings, HERE).after(&accepted, HERE);
        assert_eq!(after.news(&Call { lost_at: Some(AT), ..accepted.clone() }, HERE), []);
        let shown = Told::of(&accepted, HERE).after(&accepted, HERE);
        assert_eq!(shown.news(&Call { lost_at: Some(AT), ..accepted }, HERE).len(), 1);
    }

    #[test]
    fn what_becomes_of_the_other_one_is_told_as_it_is_now() {
        let before = call(Status::Connected, true, Some(HERE));
        let with = |change: fn(&mut Other)| {
            let mut call = before.clone();
            change(&mut call.other);
            call
        };
        let is_lost = [News::Lost { until: AT + AWAY_FOR }];
        let is_back = [News::Back { resumes: true }];
        let lost = with(|it| it.lost_at = Some(AT));
        assert_eq!(told(Some(&before), &lost), is_lost);
        assert_eq!(told(Some(&lost), &lost), []);
        let back = with(|it| (it.returns, it.resumes) = (1, true));
        assert_eq!(told(Some(&lost), &back), is_back);
        assert_eq!(told(Some(&before), &back), is_back, "between two looks");
        assert_eq!(told(Some(&lost), &with(|it| (it.returns, it.lost_at) = (1, Some(AT)))), is_lost);
        let muted = with(|it| it.is_muted = true);
        assert_eq!(told(Some(&before), &muted), [News::Muted(true)]);
        assert_eq!(told(Some(&muted), &before), [News::Muted(false)]);
    }

    #[test]
    fn an_end_is_told_to_whoever_had_a_part_in_it() {
        let rang = call(Status::Ringing, true, Some(HERE));
        let rings = call(Status::Ringing, false, None);
        assert_eq!(told(Some(&rang), &over(Reason::Declined, true)), [News::Declined]);
        assert_eq!(told(Some(&rings), &over(Reason::Declined, false)), ended(EndReason::Declined, false));
        assert_eq!(told(Some(&rang), &over(Reason::Missed, true)), ended(EndReason::Missed, false));
        let here = call(Status::Connected, true, Some(HERE));
        for (reason, told_as) in [
            (Reason::HungUp, EndReason::HungUp),
            (Reason::Lost, EndReason::Lost),
            (Reason::Abandoned, EndReason::Lost),
            (Reason::Closed, EndReason::Closed),
        ] {
            assert_eq!(told(Some(&here), &over(reason, true)), ended(told_as, false));
        }
        let before = over(Reason::HungUp, true);
        assert_eq!(told(None, &before), []);
        assert_eq!(told(Some(&before), &before), []);
        // of a new call everything is news
        let next = Call { number: 2, ..call(Status::Ringing, false, None) };
        assert_eq!(told(Some(&before), &next).len(), 1);
    }
}
