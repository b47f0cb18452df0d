//! Why a time is not free.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use poem_openapi::Enum;

use super::offer::{MOMENT, Offer, Slot, fits, overlap};
use crate::domain::practitioners::overrides::Kind;
use crate::domain::practitioners::{Hours, Mode, Window};

/// Why a time is not free, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "SlotReason", rename_all = "snake_case")]
pub enum Why {
    /// The practitioner takes no bookings: not active, or the account is suspended.
    Status,
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
    /// The practitioner's clock skips that time.
    Skipped,
    /// Time off.
    TimeOff,
    /// The weekly hours are closed by an override.
    Closed,
    /// Neither weekly nor extra hours hold the whole session.
    OutsideHours,
    /// The clock shows this time twice; it is offered when it shows it first.
    Repeated,
    /// Between two starts.
    OffGrid,
    /// The employee has another consultation then.
    OwnTime,
    /// Somebody has it.
    Taken,
    /// It became free and is kept for those who wait for the practitioner.
    Kept,
    /// It is free itself, but not with its buffers and those of the sessions around it.
    Buffer,
    /// The practitioner's other calendar says busy.
    ExternalCalendar,
}

impl Why {
    pub const ALL: [Self; 18] = [
        Self::Status,
        Self::Mode,
        Self::Length,
        Self::InPast,
        Self::Notice,
        Self::Horizon,
        Self::Contract,
        Self::Skipped,
        Self::TimeOff,
        Self::Closed,
        Self::OutsideHours,
        Self::Repeated,
        Self::OffGrid,
        Self::OwnTime,
        Self::Taken,
        Self::Kept,
        Self::Buffer,
        Self::ExternalCalendar,
    ];

    /// As the interface writes it; its words are `slot_reason.<word>` of `locales/`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Mode => "mode",
            Self::Length => "length",
            Self::InPast => "in_past",
            Self::Notice => "notice",
            Self::Horizon => "horizon",
            Self::Contract => "contract",
            Self::Skipped => "skipped",
            Self::TimeOff => "time_off",
            Self::Closed => "closed",
            Self::OutsideHours => "outside_hours",
            Self::Repeated => "repeated",
            Self::OffGrid => "off_grid",
            Self::OwnTime => "own_time",
            Self::Taken => "taken",
            Self::Kept => "kept",
            Self::Buffer => "buffer",
            Self::ExternalCalendar => "external_calendar",
        }
    }
}

/// A rule that removes a time, and for which time it holds, where it is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    pub why: Why,
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
}

impl Reason {
    pub fn plain(why: Why) -> Self {
        Self { why, from: None, until: None }
    }

    fn during(why: Why, window: Window) -> Self {
        Self { why, from: Some(window.start), until: Some(window.end) }
    }
}

impl Offer {
    /// Every rule that removes a time: none exactly where it is free.
    ///
    /// What is taken is told with its buffers; [`Why::Kept`] and [`Why::Buffer`] are for those who know the sessions.
    pub fn reasons(&self, starts_at: DateTime<Utc>, length: TimeDelta, mode: Option<Mode>) -> Vec<Reason> {
        let slot = Slot { starts_at, ends_at: starts_at + length };
        let mut all = Vec::new();
        let mut note = |holds: bool, reason: Reason| {
            if holds {
                all.push(reason);
            }
        };
        let (earliest, last) = (self.now + self.terms.min_notice, self.last_start());
        note(!self.terms.takes_bookings(), Reason::plain(Why::Status));
        note(mode.is_some_and(|mode| !self.terms.modes.contains(&mode)), Reason::plain(Why::Mode));
        note(!self.terms.offers_length(length), Reason::plain(Why::Length));
        note(starts_at < self.now, Reason { until: Some(self.now), ..Reason::plain(Why::InPast) });
        let is_short = self.now <= starts_at && starts_at < earliest;
        note(is_short, Reason { until: Some(earliest), ..Reason::plain(Why::Notice) });
        note(starts_at > last, Reason { from: Some(last), ..Reason::plain(Why::Horizon) });
        let uncovered = self.contract.is_some_and(|it| starts_at < it.from || starts_at >= it.until);
        note(uncovered, Reason::plain(Why::Contract));
        all.extend(self.closed(slot));
        all.extend(self.off_grid(starts_at));
        let busy = self.busy(slot);
        let spans = [
            // also where it was this very practitioner whom they booked
            (Why::OwnTime, overlap(&self.own, slot.starts_at, slot.ends_at)),
            (Why::Taken, overlap(&self.taken, busy.from, busy.until)),
            (Why::ExternalCalendar, overlap(&self.elsewhere, busy.from, busy.until)),
        ];
        all.extend(
            spans
                .into_iter()
                .filter_map(|(why, span)| span.map(|it| Reason { why, from: Some(it.from), until: Some(it.until) })),
        );
        all
    }

    /// What of the hours, and of their dated changes, leaves no room for a session.
    fn closed(&self, slot: Slot) -> Vec<Reason> {
        let zone = self.terms.time_zone;
        let has_room = |hours: &Hours| fits(&hours.windows(zone, slot.starts_at, slot.ends_at), slot);
        let touching = |kind: Kind| {
            let all = self.hours.real(kind, zone).into_iter();
            all.filter(|it| it.start < slot.ends_at && it.end > slot.starts_at).collect::<Vec<_>>()
        };
        if has_room(&self.hours) {
            return Vec::new();
        }
        let mut found: Vec<_> =
            touching(Kind::TimeOff).into_iter().map(|it| Reason::during(Why::TimeOff, it)).collect();
        let when_there = self.hours.ignoring(Kind::TimeOff);
        if !has_room(&when_there) {
            if has_room(&when_there.ignoring(Kind::Closed)) {
                found.extend(touching(Kind::Closed).into_iter().map(|it| Reason::during(Why::Closed, it)));
            } else {
                found.push(Reason::plain(Why::OutsideHours));
            }
        }
        found
    }

    fn off_grid(&self, starts_at: DateTime<Utc>) -> Option<Reason> {
        if !self.starts(starts_at, starts_at + MOMENT).is_empty() {
            return None;
        }
        let zone = self.terms.time_zone;
        let shown = starts_at.with_timezone(&zone).naive_local();
        let first = zone.from_local_datetime(&shown).earliest().map(|at| at.to_utc());
        let first = first.filter(|at| *at != starts_at && !self.starts(*at, *at + MOMENT).is_empty());
        let repeated = first.map(|at| Reason { from: Some(at), ..Reason::plain(Why::Repeated) });
        Some(repeated.unwrap_or(Reason::plain(Why::OffGrid)))
    }
}
