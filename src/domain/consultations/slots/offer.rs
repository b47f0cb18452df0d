//! Free slots, by one pure function for the list, for the booking and for the explanation.
//!
//! Starts lie on the practitioner's wall clock: on full and half hours where every session length and every
//! beginning of the weekly hours is a multiple of 30 minutes, on quarters of an hour otherwise, and on the days of extra
//! hours that begin between. A time that the clock skips is not offered; one that it repeats is offered once, at its first occurrence. The session must fit
//! into the hours, and with its buffers must not touch what is taken.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::why::Why;
use crate::domain::practitioners::overrides::Kind;
use crate::domain::practitioners::{BookingTerms, Hours, Mode, Window};

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

/// Everything that decides which slots of a practitioner a person can have.
#[derive(Clone, Debug)]
pub struct Offer {
    pub terms: BookingTerms,
    pub hours: Hours,
    pub now: DateTime<Utc>,
    /// The practitioner's, or the company's where it is shorter.
    pub horizon_days: i32,
    /// What the company's contract covers; nobody's contract limits practitioners and staff who look.
    pub contract: Option<Span>,
    /// The practitioner's taken times with their buffers: in order, apart from each other.
    pub taken: Vec<Span>,
    /// When calendars that the practitioner keeps elsewhere say that they are busy: in order, apart from each other.
    pub elsewhere: Vec<Span>,
    /// The employee's own consultations: in order, apart from each other.
    pub own: Vec<Span>,
}

/// The longest session, and the longest buffer, that a practitioner can set.
const LONGEST: TimeDelta = TimeDelta::hours(4);
const LONGEST_BUFFER: TimeDelta = TimeDelta::hours(2);
/// How much is looked at in one go where only the first slot is wanted.
const STRIDE: TimeDelta = TimeDelta::days(7);
/// The smallest time that a database knows.
pub(super) const MOMENT: TimeDelta = TimeDelta::microseconds(1);

impl Offer {
    /// Every free slot that starts in `from..to`, in order.
    ///
    /// [`Offer::taken`], [`Offer::elsewhere`] and [`Offer::own`] must hold what lies there, see [`Offer::reach`].
    pub fn free(&self, length: TimeDelta, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Slot> {
        let Some(Span { from, until }) = self.bookable(from, to) else { return Vec::new() };
        // a session may last longer than the starts that are asked for
        let hours = self.hours.windows(self.terms.time_zone, from, until);
        hours
            .iter()
            .flat_map(|window| self.starts(window.start.max(from), window.end.min(until)))
            .map(|starts_at| Slot { starts_at, ends_at: starts_at + length })
            .filter(|slot| fits(&hours, *slot) && self.is_clear(*slot))
            .collect()
    }

    /// The first free slot that starts in `from..to`.
    pub fn first(&self, length: TimeDelta, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Slot> {
        self.following(length, from, to, 1).first().copied()
    }

    /// The first `count` free slots that start in `from..to`, in order.
    pub fn following(&self, length: TimeDelta, from: DateTime<Utc>, to: DateTime<Utc>, count: usize) -> Vec<Slot> {
        let Some(Span { from, until }) = self.bookable(from, to) else { return Vec::new() };
        let strides = std::iter::successors(Some(from), |at| Some(*at + STRIDE)).take_while(|at| *at < until);
        strides.flat_map(|at| self.free(length, at, until.min(at + STRIDE))).take(count).collect()
    }

    /// The slot that starts at a time, or why there is none.
    pub fn slot_at(&self, starts_at: DateTime<Utc>, length: TimeDelta, mode: Mode) -> Result<Slot, Why> {
        let is_offered = self.terms.modes.contains(&mode) && self.terms.offers_length(length);
        let free = if is_offered { self.free(length, starts_at, starts_at + MOMENT) } else { Vec::new() };
        free.first()
            .copied()
            .ok_or_else(|| self.reasons(starts_at, length, Some(mode)).first().map_or(Why::Taken, |reason| reason.why))
    }

    /// Whether a session is free.
    pub fn has(&self, slot: Slot) -> bool {
        self.free(slot.ends_at - slot.starts_at, slot.starts_at, slot.starts_at + MOMENT).contains(&slot)
    }

    /// The time of a session with its buffers.
    pub fn busy(&self, slot: Slot) -> Span {
        Span { from: slot.starts_at - self.terms.buffer_before, until: slot.ends_at + self.terms.buffer_after }
    }

    /// The time that taken times must be known for, to decide about starts in `from..=to`, whoever the practitioner is.
    pub fn reach(from: DateTime<Utc>, to: DateTime<Utc>) -> Span {
        Span { from: from - LONGEST_BUFFER, until: to + LONGEST + LONGEST_BUFFER }
    }

    /// The up to `count` free slots that are nearest to a time, the nearest first.
    pub fn nearest(&self, at: DateTime<Utc>, length: TimeDelta, around: TimeDelta, count: usize) -> Vec<Slot> {
        let mut free = self.free(length, at - around, at + around);
        free.sort_by_key(|slot| (slot.starts_at - at).abs());
        free.truncate(count);
        free
    }

    /// What of `from..to` lies within notice, horizon and contract.
    fn bookable(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Span> {
        let from = from.max(self.now + self.terms.min_notice).max(self.contract.map_or(from, |it| it.from));
        let until = to.min(self.last_start() + MOMENT).min(self.contract.map_or(to, |it| it.until));
        (from < until && self.terms.takes_bookings()).then_some(Span { from, until })
    }

    pub(super) fn last_start(&self) -> DateTime<Utc> {
        self.now + TimeDelta::days(self.horizon_days.into())
    }

    fn is_clear(&self, slot: Slot) -> bool {
        let busy = self.busy(slot);
        // a buffer is time of the practitioner's, too: no appointment of another calendar lies in it
        overlap(&self.taken, busy.from, busy.until).is_none()
            && overlap(&self.elsewhere, busy.from, busy.until).is_none()
            && overlap(&self.own, slot.starts_at, slot.ends_at).is_none()
    }

    /// Minutes between two starts, on days without extra hours.
    fn step(&self) -> i64 {
        let begins = self.hours.rules.iter().map(|rule| rule.starts_minute);
        if self.terms.session_lengths.iter().copied().chain(begins).all(|minutes| minutes % 30 == 0) { 30 } else { 15 }
    }

    /// The days on which quarters of an hour are starts, because of extra hours that begin between full and half hours.
    /// Such hours have two days where they go over midnight.
    fn quarter_days(&self) -> Vec<NaiveDate> {
        let extra = self.hours.overrides.iter().filter(|it| it.kind == Kind::Open && it.starts.minute() % 30 != 0);
        let last = |ends: NaiveDateTime| (ends - TimeDelta::minutes(1)).date();
        extra.flat_map(|it| it.starts.date().iter_days().take_while(move |day| *day <= last(it.ends))).collect()
    }

    /// The times of the grid in `from..to`, in order.
    pub(super) fn starts(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let (zone, step) = (self.terms.time_zone, self.step());
        let quarters = self.quarter_days();
        let fine = if quarters.is_empty() { step } else { 15 };
        let (first, last) = (from.with_timezone(&zone), to.with_timezone(&zone));
        // where the clock changes, its greatest reading need not be the last one
        let changes = first.offset().fix() != last.offset().fix() || to - from > STRIDE;
        let margin = if changes { TimeDelta::days(1) } else { TimeDelta::zero() };
        let until = last.naive_local().max(first.naive_local() + (to - from)) + margin;
        let midnight = first.date_naive().and_time(NaiveTime::MIN);
        let skipped = (first.naive_local() - midnight).num_minutes() / fine;
        let last_step = (until - midnight).num_minutes() / fine;
        let mut found: Vec<_> = (skipped..=last_step)
            .map(|steps| midnight + TimeDelta::minutes(steps * fine))
            .filter(|wall| i64::from(wall.minute()) % step == 0 || quarters.contains(&wall.date()))
            .filter_map(|wall| zone.from_local_datetime(&wall).earliest())
            .map(|at| at.to_utc())
            .filter(|at| from <= *at && *at < to)
            .collect();
        // the reading of a clock that was put back is no order of time
        if changes {
            found.sort_unstable();
        }
        found
    }
}

/// Whether a session lies within one of the windows, which are in order and apart.
pub(super) fn fits(hours: &[Window], slot: Slot) -> bool {
    let next = hours.partition_point(|window| window.end <= slot.starts_at);
    hours.get(next).is_some_and(|window| window.contains(slot.starts_at, slot.ends_at))
}

/// The first span that shares anything with a time, of spans that are in order and apart.
pub(super) fn overlap(spans: &[Span], from: DateTime<Utc>, until: DateTime<Utc>) -> Option<Span> {
    let next = spans.partition_point(|span| span.until <= from);
    spans.get(next).copied().filter(|span| span.from < until)
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

#[cfg(test)]
mod tests {
    use chrono_tz::America::New_York;
    use chrono_tz::Australia::Lord_Howe;
    use chrono_tz::Europe::Paris;
    use chrono_tz::Pacific::Apia;

    use super::*;
    use crate::domain::practitioners::overrides::Override;
    use crate::domain::practitioners::{Rule, Specialty, Status};
    use crate::platform::ids::PractitionerId;

    const HALF_AN_HOUR: TimeDelta = TimeDelta::minutes(30);

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn span(from: &str, until: &str) -> Span {
        Span { from: at(from), until: at(until) }
    }

    /// Open on every day of the week.
    fn offer(zone: Tz, (open_hour, open_minute): (i32, i32), close_hour: i32, now: &str) -> Offer {
        let rule =
            |weekday| Rule { weekday, starts_minute: open_hour * 60 + open_minute, ends_minute: close_hour * 60 };
        Offer {
            terms: BookingTerms {
                id: PractitionerId(uuid::Uuid::nil()),
                display_name: "Dr Test".into(),
                time_zone: zone,
                session_lengths: vec![30, 60],
                buffer_before: TimeDelta::zero(),
                buffer_after: TimeDelta::zero(),
                min_notice: TimeDelta::zero(),
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

    /// The free starts of a day of the practitioner's, in UTC.
    fn starts(offer: &Offer, day: &str, minutes: i64) -> Vec<String> {
        let day: NaiveDate = day.parse().unwrap();
        let span = days(day, day, offer.terms.time_zone).unwrap();
        offer
            .free(TimeDelta::minutes(minutes), span.from, span.until)
            .into_iter()
            .map(|slot| slot.starts_at.format("%dT%H:%M").to_string())
            .collect()
    }

    #[test]
    fn a_time_that_the_clock_skips_is_not_offered() {
        let paris = offer(Paris, (1, 0), 4, "2026-03-20T00:00:00Z");
        assert_eq!(starts(&paris, "2026-03-29", 30), ["29T00:00", "29T00:30", "29T01:00", "29T01:30"]);
        assert_eq!(starts(&paris, "2026-03-29", 60), ["29T00:00", "29T00:30", "29T01:00"]);
        let new_york = offer(New_York, (1, 0), 4, "2026-03-01T00:00:00Z");
        assert_eq!(starts(&new_york, "2026-03-08", 30), ["08T06:00", "08T06:30", "08T07:00", "08T07:30"]);
        // half an hour is skipped
        let lord_howe = offer(Lord_Howe, (1, 30), 4, "2026-10-01T00:00:00Z");
        assert_eq!(starts(&lord_howe, "2026-10-04", 30), ["03T15:00", "03T15:30", "03T16:00", "03T16:30"]);
    }

    #[test]
    fn a_time_that_the_clock_repeats_is_offered_once() {
        let paris = offer(Paris, (1, 0), 4, "2026-10-20T00:00:00Z");
        let expected = ["24T23:00", "24T23:30", "25T00:00", "25T00:30", "25T02:00", "25T02:30"];
        assert_eq!(starts(&paris, "2026-10-25", 30), expected);
        let new_york = offer(New_York, (0, 30), 3, "2026-10-20T00:00:00Z");
        assert_eq!(starts(&new_york, "2026-11-01", 30), ["01T04:30", "01T05:00", "01T05:30", "01T07:00", "01T07:30"]);
        let lord_howe = offer(Lord_Howe, (1, 0), 3, "2026-04-01T00:00:00Z");
        assert_eq!(starts(&lord_howe, "2026-04-05", 30), ["04T14:00", "04T14:30", "04T15:30", "04T16:00"]);
    }

    #[test]
    fn a_day_that_the_calendar_skips_has_no_slots() {
        let apia = offer(Apia, (9, 0), 10, "2011-12-20T00:00:00Z");
        assert_eq!(starts(&apia, "2011-12-29", 60), ["29T19:00"]);
        assert_eq!(starts(&apia, "2011-12-31", 60), ["30T19:00"]);
        let skipped: NaiveDate = "2011-12-30".parse().unwrap();
        assert_eq!(days(skipped, skipped, Apia), Some(span("2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z")));
        assert!(starts(&apia, "2011-12-30", 60).is_empty());
    }

    #[test]
    fn buffers_keep_sessions_apart_on_both_sides() {
        let mut it = offer(Paris, (9, 0), 12, "2026-01-01T00:00:00Z");
        it.terms.buffer_before = TimeDelta::minutes(5);
        it.terms.buffer_after = TimeDelta::minutes(10);
        // a session from 09:00 to 10:00 UTC
        it.taken = vec![span("2026-01-07T08:55:00Z", "2026-01-07T10:10:00Z")];
        assert_eq!(starts(&it, "2026-01-07", 30), ["07T08:00", "07T10:30"]);
        assert_eq!(starts(&it, "2026-01-07", 60), [] as [&str; 0]);
        // touching is not overlapping
        it.taken = vec![span("2026-01-07T08:40:00Z", "2026-01-07T10:25:00Z")];
        assert_eq!(starts(&it, "2026-01-07", 30), ["07T08:00", "07T10:30"]);
    }

    #[test]
    fn a_session_fits_into_the_hours_and_its_start_onto_the_grid() {
        let it = offer(Paris, (9, 0), 10, "2026-01-01T00:00:00Z");
        assert_eq!(starts(&it, "2026-01-07", 60), ["07T08:00"]);
        assert_eq!(starts(&it, "2026-01-07", 30), ["07T08:00", "07T08:30"]);
        let mut quarters = offer(Paris, (9, 0), 10, "2026-01-01T00:00:00Z");
        quarters.terms.session_lengths = vec![45];
        assert_eq!(starts(&quarters, "2026-01-07", 45), ["07T08:00", "07T08:15"]);
        let late = offer(Paris, (9, 10), 10, "2026-01-01T00:00:00Z");
        assert_eq!(starts(&late, "2026-01-07", 30), ["07T08:15", "07T08:30"]);
    }

    #[test]
    fn extra_hours_over_midnight_have_quarters_until_they_end() {
        let mut it = offer(Paris, (9, 0), 10, "2026-01-01T00:00:00Z");
        let wall = |text: &str| text.parse::<NaiveDateTime>().unwrap();
        let extra = |from, to| Override { kind: Kind::Open, starts: wall(from), ends: wall(to) };
        it.hours.overrides = vec![extra("2026-01-07T23:15:00", "2026-01-08T01:00:00")];
        assert_eq!(starts(&it, "2026-01-07", 30)[3..], ["07T22:15", "07T22:30", "07T22:45"]);
        assert_eq!(starts(&it, "2026-01-08", 30)[..3], ["07T23:00", "07T23:15", "07T23:30"]);
        // what ends at midnight has nothing of the next day
        it.hours.overrides = vec![extra("2026-01-07T23:15:00", "2026-01-08T00:00:00")];
        assert_eq!(starts(&it, "2026-01-08", 30), ["08T08:00", "08T08:30"]);
    }

    #[test]
    fn what_is_listed_is_what_can_be_booked() {
        for (zone, day) in [
            (Paris, "2026-03-29"),
            (Paris, "2026-10-25"),
            (New_York, "2026-03-08"),
            (New_York, "2026-11-01"),
            (Lord_Howe, "2026-10-04"),
            (Lord_Howe, "2026-04-05"),
            (Apia, "2011-12-31"),
        ] {
            let noon = at(&format!("{day}T12:00:00Z"));
            let mut it = offer(zone, (0, 0), 24, &(noon - TimeDelta::days(3)).to_rfc3339());
            it.terms.buffer_after = TimeDelta::minutes(10);
            it.taken = vec![Span { from: noon - TimeDelta::hours(20), until: noon - TimeDelta::hours(17) }];
            it.own = vec![Span { from: noon, until: noon + TimeDelta::hours(1) }];
            let (from, to) = (noon - TimeDelta::hours(30), noon + TimeDelta::hours(30));
            let listed: Vec<_> = it.free(HALF_AN_HOUR, from, to).into_iter().map(|slot| slot.starts_at).collect();
            assert!(listed.len() > 80, "{zone} {day}");
            let minutes = (0..60 * 60).map(|minute| from + TimeDelta::minutes(minute));
            let bookable: Vec<_> = minutes.filter(|at| it.slot_at(*at, HALF_AN_HOUR, Mode::Video).is_ok()).collect();
            assert_eq!(listed, bookable, "{zone} {day}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let mut it = offer(Paris, (9, 0), 12, "2026-01-05T12:00:00Z");
        it.terms.min_notice = TimeDelta::hours(24);
        it.horizon_days = 30;
        it.contract = Some(span("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"));
        it.taken = vec![span("2026-01-07T09:00:00Z", "2026-01-07T09:30:00Z")];
        it.elsewhere = vec![span("2026-01-07T08:35:00Z", "2026-01-07T08:40:00Z")];
        it.own = vec![span("2026-01-07T10:00:00Z", "2026-01-07T10:30:00Z")];
        let why = |text: &str, minutes: i64, mode: Mode| it.slot_at(at(text), TimeDelta::minutes(minutes), mode).err();
        assert_eq!(why("2026-01-07T08:00:00Z", 30, Mode::Video), None);
        assert_eq!(why("2026-01-07T08:00:00Z", 30, Mode::Chat), Some(Why::Mode));
        assert_eq!(why("2026-01-07T08:00:00Z", 45, Mode::Video), Some(Why::Length));
        assert_eq!(why("2026-01-05T10:00:00Z", 30, Mode::Video), Some(Why::InPast));
        assert_eq!(why("2026-01-06T10:00:00Z", 30, Mode::Video), Some(Why::Notice));
        assert_eq!(why("2026-02-05T08:00:00Z", 30, Mode::Video), Some(Why::Horizon));
        assert_eq!(why("2026-02-02T08:00:00Z", 30, Mode::Video), Some(Why::Contract));
        assert_eq!(why("2026-01-07T11:00:00Z", 30, Mode::Video), Some(Why::OutsideHours));
        assert_eq!(why("2026-01-07T10:30:00Z", 60, Mode::Video), Some(Why::OutsideHours));
        assert_eq!(why("2026-01-07T08:10:00Z", 30, Mode::Video), Some(Why::OffGrid));
        assert_eq!(why("2026-01-07T08:00:30Z", 30, Mode::Video), Some(Why::OffGrid));
        assert_eq!(why("2026-01-07T08:30:00Z", 30, Mode::Video), Some(Why::ExternalCalendar));
        assert_eq!(why("2026-01-07T09:00:00Z", 30, Mode::Video), Some(Why::Taken));
        assert_eq!(why("2026-01-07T10:00:00Z", 30, Mode::Video), Some(Why::OwnTime));
    }

    #[test]
    fn the_nearest_slots_come_nearest_first() {
        let mut it = offer(Paris, (9, 0), 11, "2026-01-01T00:00:00Z");
        it.taken = vec![span("2026-01-07T08:30:00Z", "2026-01-07T09:00:00Z")];
        let nearest = it.nearest(at("2026-01-07T08:30:00Z"), HALF_AN_HOUR, TimeDelta::days(7), 3);
        let starts: Vec<_> = nearest.iter().map(|slot| slot.starts_at.format("%dT%H:%M").to_string()).collect();
        assert_eq!(starts, ["07T08:00", "07T09:00", "07T09:30"]);
    }
}
