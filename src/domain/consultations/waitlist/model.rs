//! Who waits for what, and which of the sessions that fit into a kept time is offered.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::consultations::slots::{Offer, Slot, Span};
use crate::domain::practitioners::{BookingTerms, Mode};
use crate::platform::ids::{PractitionerId, WaitlistEntryId};
use crate::platform::problem::{FieldErrors, Result};

/// A time is kept for one person this long, or for this part of what is left until it cannot be booked any more: so
/// that others are asked as well, where somebody does not answer …
const KEPT: TimeDelta = TimeDelta::hours(2);
const PART: i32 = 4;
/// … and is not offered to anybody who would have less than this.
const LEAST: TimeDelta = TimeDelta::minutes(15);
/// The longest that somebody can say they wait.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(366);
/// So many sessions that fit into a kept time are compared with people's wishes.
const MOST_CHOICES: usize = 64;

/// What somebody waits for. Absent: any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    pub modes: Option<Vec<Mode>>,
    pub duration_minutes: Option<i32>,
    /// By the person's own clock; 1 is Monday.
    pub weekdays: Option<Vec<i16>>,
    /// Later sessions are of no use: they do not wait any more then.
    pub until: Option<DateTime<Utc>>,
}

impl Wishes {
    /// Refuses what the practitioner never offers.
    pub fn check(&self, terms: &BookingTerms, now: DateTime<Utc>) -> Result<()> {
        let mut errors = FieldErrors::new();
        let offered = |modes: &Vec<Mode>| modes.iter().all(|mode| terms.modes.contains(mode));
        errors.check(self.modes.as_ref().is_none_or(offered), "/modes", "mode");
        let length = self.duration_minutes.map(|minutes| TimeDelta::minutes(minutes.into()));
        errors.check(length.is_none_or(|it| terms.offers_length(it)), "/durationMinutes", "length");
        errors.check(self.until.is_none_or(|at| at > now), "/until", "in_past");
        errors.check(self.until.is_none_or(|at| at <= now + LONGEST_WAIT), "/until", "horizon");
        errors.finish()
    }
}

/// A person's place in a practitioner's line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub id: WaitlistEntryId,
    pub practitioner_id: PractitionerId,
    /// Absent where the practitioner takes no bookings of the company any more.
    pub practitioner_name: Option<String>,
    pub joined_at: DateTime<Utc>,
    pub wishes: Wishes,
    /// The time that is kept for them.
    pub offer: Option<Offered>,
}

/// A time that is kept for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub offered_at: DateTime<Utc>,
    /// Until when it is kept, at least.
    pub expires_at: DateTime<Utc>,
}

/// Until when a session is kept for somebody who is asked now: it must still be bookable then.
pub fn expires_at(now: DateTime<Utc>, starts_at: DateTime<Utc>, min_notice: TimeDelta) -> DateTime<Utc> {
    let last = starts_at - min_notice;
    (now + KEPT.min((last - now) / PART).max(LEAST)).min(last)
}

/// The sessions that are possible now because of what became free, the most like the former one first.
pub fn choices(offer: &Offer, freed: Span) -> Vec<Slot> {
    let terms = &offer.terms;
    let earliest = offer.now + terms.min_notice + LEAST;
    let (began, ended) = (freed.from + terms.buffer_before, freed.until - terms.buffer_after);
    let mut found: Vec<Slot> = terms
        .session_lengths
        .iter()
        .map(|minutes| TimeDelta::minutes((*minutes).into()))
        .flat_map(|length| {
            let from = (freed.from - length - terms.buffer_after).max(earliest);
            offer.free(length, from, freed.until + terms.buffer_before)
        })
        .filter(|slot| {
            let busy = offer.busy(*slot);
            busy.from < freed.until && busy.until > freed.from
        })
        .collect();
    found.sort_by_key(|slot| ((slot.starts_at - began).abs() + (slot.ends_at - ended).abs(), slot.starts_at));
    found.truncate(MOST_CHOICES);
    found
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::domain::practitioners::{Hours, Rule, Specialty, Status};

    fn at(text: &str) -> DateTime<Utc> {
        format!("2027-01-{text}:00Z").parse().unwrap()
    }

    /// Open from nine to five UTC, with sessions of half an hour and an hour.
    fn offer(now: &str) -> Offer {
        let rule = |weekday| Rule { weekday, starts_minute: 540, ends_minute: 1020 };
        Offer {
            terms: BookingTerms {
                id: PractitionerId(uuid::Uuid::nil()),
                display_name: "Dr Test".into(),
                time_zone: Tz::UTC,
                session_lengths: vec![30, 60],
                buffer_before: TimeDelta::zero(),
                buffer_after: TimeDelta::zero(),
                min_notice: TimeDelta::hours(1),
                horizon_days: 60,
                modes: vec![Mode::Video],
                specialty: Specialty::Psychology,
                status: Status::Active,
                is_suspended: false,
                version: DateTime::UNIX_EPOCH,
            },
            hours: Hours { rules: (1..=7).map(rule).collect(), overrides: Vec::new() },
            now: at(now),
            horizon_days: 60,
            contract: None,
            taken: Vec::new(),
            elsewhere: Vec::new(),
            own: Vec::new(),
        }
    }

    fn read(slots: &[Slot]) -> Vec<String> {
        slots.iter().map(|it| format!("{}-{}", it.starts_at.format("%H:%M"), it.ends_at.format("%H:%M"))).collect()
    }

    #[test]
    fn the_former_session_comes_first_then_what_is_like_it() {
        let mut it = offer("04T08:00");
        // taken around it, but for half an hour before
        it.taken = vec![
            Span { from: at("05T09:00"), until: at("05T10:30") },
            Span { from: at("05T12:00"), until: at("05T17:00") },
        ];
        let freed = Span { from: at("05T11:00"), until: at("05T12:00") };
        assert_eq!(read(&choices(&it, freed)), ["11:00-12:00", "11:00-11:30", "11:30-12:00", "10:30-11:30"]);
        // what does not touch it was possible before
        it.taken.pop();
        assert!(!read(&choices(&it, freed)).contains(&"12:00-12:30".to_owned()));
        assert!(read(&choices(&it, freed)).contains(&"11:30-12:30".to_owned()));
    }

    #[test]
    fn nobody_is_asked_who_would_have_no_time_to_answer() {
        let freed = Span { from: at("05T11:00"), until: at("05T11:30") };
        assert!(read(&choices(&offer("05T09:45"), freed)).contains(&"11:00-11:30".to_owned()));
        assert!(!read(&choices(&offer("05T09:46"), freed)).contains(&"11:00-11:30".to_owned()));
        assert!(choices(&offer("05T11:00"), freed).is_empty());
        let hour = TimeDelta::hours(1);
        assert_eq!(expires_at(at("05T09:45"), at("05T11:00"), hour), at("05T10:00"));
        assert_eq!(expires_at(at("05T09:30"), at("05T11:00"), hour), at("05T09:45"));
        assert_eq!(expires_at(at("05T06:00"), at("05T11:00"), hour), at("05T07:00"));
        assert_eq!(expires_at(at("04T09:45"), at("05T11:00"), hour), at("04T11:45"));
    }

    #[test]
    fn a_wish_for_what_the_practitioner_never_offers_is_refused() {
        let (terms, now) = (offer("04T08:00").terms, at("04T08:00"));
        let codes = |wishes: Wishes| match wishes.check(&terms, now) {
            Ok(()) => Vec::new(),
            Err(problem) => problem.errors().iter().map(|it| it.pointer.clone()).collect::<Vec<_>>(),
        };
        assert!(codes(Wishes::default()).is_empty());
        let wishes =
            Wishes { modes: Some(vec![Mode::Chat]), duration_minutes: Some(45), weekdays: None, until: Some(now) };
        assert_eq!(codes(wishes), ["/modes", "/durationMinutes", "/until"]);
        assert_eq!(codes(Wishes { until: Some(now + TimeDelta::days(367)), ..Wishes::default() }), ["/until"]);
    }
}
