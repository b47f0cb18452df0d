//! Free slots, by one pure function for the list and for the booking.
//!
//! Starts lie on the practitioner's wall clock: on full and half hours where every session length and every
//! beginning of the weekly hours is a multiple of 30 minutes, on quarters of an hour otherwise. A time that the
//! clock skips is not offered; one that it repeats is offered once, at its first occurrence. The session must fit
//! into the hours, and with its buffers must not touch what is taken.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::domain::practitioners::{BookingTerms, Mode, Rule, Window, windows};

/// A stretch of time: `from <= t < until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Span {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// A bookable session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// Why a time is not free. The first ones never were on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The practitioner does not meet people that way.
    Mode,
    /// The practitioner has no sessions of that length.
    Length,
    InPast,
    /// Too soon: the practitioner wants to know earlier.
    Notice,
    /// Too far ahead.
    Horizon,
    /// The company's contract does not cover the day.
    Contract,
    OutsideHours,
    /// Between two starts.
    OffGrid,
    /// Somebody has it.
    Taken,
    /// The employee has another consultation then.
    OwnTime,
}

/// Everything that decides which slots of a practitioner a person can have.
#[derive(Clone, Debug)]
pub struct Offer {
    pub terms: BookingTerms,
    pub rules: Vec<Rule>,
    pub now: DateTime<Utc>,
    /// The practitioner's, or the company's where it is shorter.
    pub horizon_days: i32,
    /// What the company's contract covers; nobody's contract limits practitioners and staff who look.
    pub contract: Option<Span>,
    /// The practitioner's taken times with their buffers: in order, apart from each other.
    pub taken: Vec<Span>,
    /// The employee's own consultations: in order, apart from each other.
    pub own: Vec<Span>,
}

impl Offer {
    /// Every free slot that starts in `from..to`, in order.
    ///
    /// [`Offer::taken`] and [`Offer::own`] must hold what lies there, see [`Offer::reach`].
    pub fn free(&self, length: TimeDelta, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Slot> {
        let from = from.max(self.now + self.terms.min_notice).max(self.contract.map_or(from, |it| it.from));
        let to = to.min(self.last_start() + TimeDelta::seconds(1)).min(self.contract.map_or(to, |it| it.until));
        if from >= to {
            return Vec::new();
        }
        let hours = windows(&self.rules, self.terms.time_zone, from, to);
        self.starts(from, to)
            .map(|starts_at| Slot { starts_at, ends_at: starts_at + length })
            .filter(|slot| {
                fits(&hours, *slot) && !self.is_taken(*slot) && !overlaps(&self.own, slot.starts_at, slot.ends_at)
            })
            .collect()
    }

    /// The slot that starts at a time, or why there is none.
    pub fn slot_at(&self, starts_at: DateTime<Utc>, length: TimeDelta, mode: Mode) -> Result<Slot, Why> {
        if !self.terms.modes.contains(&mode) {
            return Err(Why::Mode);
        }
        if !self.offers_length(length) {
            return Err(Why::Length);
        }
        let moment = TimeDelta::microseconds(1);
        self.free(length, starts_at, starts_at + moment).first().copied().ok_or_else(|| self.why_not(starts_at, length))
    }

    pub fn offers_length(&self, length: TimeDelta) -> bool {
        self.terms.session_lengths.iter().any(|minutes| TimeDelta::minutes((*minutes).into()) == length)
    }

    /// The time that taken times must be known for, to decide about starts in `from..to`.
    pub fn reach(terms: &BookingTerms, from: DateTime<Utc>, to: DateTime<Utc>) -> Span {
        let longest = terms.session_lengths.iter().max().copied().unwrap_or_default();
        Span { from: from - terms.buffer_before, until: to + TimeDelta::minutes(longest.into()) + terms.buffer_after }
    }

    /// The up to `count` free slots that are nearest to a time, the nearest first.
    pub fn nearest(&self, at: DateTime<Utc>, length: TimeDelta, around: TimeDelta, count: usize) -> Vec<Slot> {
        let mut free = self.free(length, at - around, at + around);
        free.sort_by_key(|slot| (slot.starts_at - at).abs());
        free.truncate(count);
        free
    }

    fn why_not(&self, starts_at: DateTime<Utc>, length: TimeDelta) -> Why {
        let slot = Slot { starts_at, ends_at: starts_at + length };
        let moment = TimeDelta::microseconds(1);
        if starts_at < self.now {
            Why::InPast
        } else if starts_at < self.now + self.terms.min_notice {
            Why::Notice
        } else if starts_at > self.last_start() {
            Why::Horizon
        } else if self.contract.is_some_and(|it| starts_at < it.from || starts_at >= it.until) {
            Why::Contract
        } else if !fits(&windows(&self.rules, self.terms.time_zone, starts_at, slot.ends_at), slot) {
            Why::OutsideHours
        } else if self.starts(starts_at, starts_at + moment).next().is_none() {
            Why::OffGrid
        } else if self.is_taken(slot) {
            Why::Taken
        } else {
            Why::OwnTime
        }
    }

    fn last_start(&self) -> DateTime<Utc> {
        self.now + TimeDelta::days(self.horizon_days.into())
    }

    fn is_taken(&self, slot: Slot) -> bool {
        overlaps(&self.taken, slot.starts_at - self.terms.buffer_before, slot.ends_at + self.terms.buffer_after)
    }

    /// Minutes between two starts.
    fn step(&self) -> usize {
        let begins = self.rules.iter().map(|rule| rule.starts_minute);
        if self.terms.session_lengths.iter().copied().chain(begins).all(|minutes| minutes % 30 == 0) { 30 } else { 15 }
    }

    /// The times of the grid in `from..to`.
    fn starts(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        let (zone, step) = (self.terms.time_zone, self.step());
        let last = to.with_timezone(&zone).date_naive();
        from.with_timezone(&zone)
            .date_naive()
            .iter_days()
            .take_while(move |day| *day <= last)
            .flat_map(move |day| (0..24 * 60).step_by(step).map(move |minute| (day, minute)))
            .filter_map(move |(day, minute)| {
                let time = NaiveTime::from_num_seconds_from_midnight_opt(minute * 60, 0)?;
                zone.from_local_datetime(&day.and_time(time)).earliest().map(|at| at.to_utc())
            })
            .filter(move |at| from <= *at && *at < to)
    }
}

/// Whether a session lies within one of the windows, which are in order and apart.
fn fits(hours: &[Window], slot: Slot) -> bool {
    let next = hours.partition_point(|window| window.end <= slot.starts_at);
    hours.get(next).is_some_and(|window| window.contains(slot.starts_at, slot.ends_at))
}

/// Whether a time shares anything with spans that are in order and apart.
fn overlaps(spans: &[Span], from: DateTime<Utc>, until: DateTime<Utc>) -> bool {
    let next = spans.partition_point(|span| span.until <= from);
    spans.get(next).is_some_and(|span| span.from < until)
}

/// The moment at which a day begins in a zone: its midnight, or when the clock resumes after skipping it.
pub fn beginning_of_day(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    // the longest that a clock was ever put forward is a day
    (0..=4 * 24).find_map(|quarter| {
        let wall = day.and_time(NaiveTime::MIN) + TimeDelta::minutes(15 * quarter);
        zone.from_local_datetime(&wall).earliest().map(|at| at.to_utc())
    })
}

/// The time of whole days in a zone, the last one included.
pub fn days(first: NaiveDate, last: NaiveDate, zone: Tz) -> Option<Span> {
    let next = last.checked_add_days(Days::new(1))?;
    Some(Span { from: beginning_of_day(first, zone)?, until: beginning_of_day(next, zone)? })
}
