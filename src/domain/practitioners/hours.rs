//! Weekly hours and their dated changes on a wall clock, and the real times they stand for.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::overrides::{Kind, Override};
use crate::platform::FieldErrors;

/// Opening hours of one weekday, in minutes since local midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Rule {
    /// ISO 8601: 1 is Monday.
    pub weekday: i16,
    /// 0–1439.
    pub starts_minute: i32,
    /// 1–1440; 1440 is the midnight that ends the day.
    pub ends_minute: i32,
}

/// A time in which sessions may lie: `start <= t < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl Window {
    pub fn contains(&self, start: DateTime<Utc>, end: DateTime<Utc>) -> bool {
        self.start <= start && end <= self.end
    }
}

/// When a practitioner is open: the weekly hours without what is closed, and the extra hours; of all that, nothing in
/// time off.
#[derive(Clone, Debug, Default)]
pub struct Hours {
    pub rules: Vec<Rule>,
    pub overrides: Vec<Override>,
}

impl Hours {
    /// The open windows that share any time with `from..to`, in order and apart, in real time.
    ///
    /// [`Hours::overrides`] must hold what lies there, and what lies on the days around.
    pub fn windows(&self, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Window> {
        if self.overrides.is_empty() {
            return weekly(&self.rules, zone, from, to);
        }
        // what touches from outside can become one with what is asked for
        let day = TimeDelta::days(1);
        let mut open = without(weekly(&self.rules, zone, from - day, to + day), &self.real(Kind::Closed, zone));
        open.extend(self.real(Kind::Open, zone));
        open = without(merged(open), &self.real(Kind::TimeOff, zone));
        open.retain(|window| window.start < to && window.end > from);
        open
    }

    /// As they would be without overrides of a kind.
    #[must_use]
    pub fn ignoring(&self, kind: Kind) -> Self {
        let overrides = self.overrides.iter().filter(|it| it.kind != kind).copied().collect();
        Self { rules: self.rules.clone(), overrides }
    }

    /// The overrides of a kind in real time, in order.
    pub fn real(&self, kind: Kind, zone: Tz) -> Vec<Window> {
        let kind = self.overrides.iter().filter(|it| it.kind == kind);
        let mut found: Vec<Window> = kind.filter_map(|it| it.window(zone)).collect();
        found.sort_by_key(|window| window.start);
        found
    }
}

/// The windows in order, those that touch as one.
fn merged(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_by_key(|window| window.start);
    let mut merged: Vec<Window> = Vec::with_capacity(windows.len());
    for window in windows {
        match merged.last_mut() {
            Some(last) if window.start <= last.end => last.end = last.end.max(window.end),
            _ => merged.push(window),
        }
    }
    merged
}

/// What of the windows lies in no hole. The holes are in order.
fn without(windows: Vec<Window>, holes: &[Window]) -> Vec<Window> {
    let mut left = Vec::with_capacity(windows.len());
    for Window { mut start, end } in windows {
        for hole in holes {
            if start < hole.start && hole.start < end {
                left.push(Window { start, end: hole.start });
            }
            if hole.start < end {
                start = start.max(hole.end);
            }
        }
        if start < end {
            left.push(Window { start, end });
        }
    }
    left
}

/// The weekly windows that share any time with `from..to`, in order, whole: a window that began before `from` keeps
/// its true beginning (at most to the midnight of the day before), so that a grid laid on it does not depend on
/// what was asked for.
///
/// A wall-clock time that does not exist stands for the moment at which the clock resumes, and one that occurs
/// twice for its first occurrence, for beginnings and ends alike. So hours that touch on the wall touch in
/// time, hours that lie in a skipped stretch vanish, and a window that ends in a repeated hour keeps its
/// nominal length. A window that spans a repeated hour holds it twice: it really lasts longer.
fn weekly(rules: &[Rule], zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Window> {
    let found: Vec<Window> =
        days_around(zone, from, to).flat_map(|day| rules.iter().filter_map(move |rule| rule.on(day, zone))).collect();
    let mut found = merged(found);
    found.retain(|window| window.start < to && window.end > from);
    found
}

impl Rule {
    fn overlaps(&self, other: &Self) -> bool {
        self.weekday == other.weekday
            && self.starts_minute < other.ends_minute
            && other.starts_minute < self.ends_minute
    }

    /// The hours of a day, if it is the right weekday and they exist at all.
    fn on(&self, day: NaiveDate, zone: Tz) -> Option<Window> {
        if i64::from(self.weekday) != i64::from(day.weekday().number_from_monday()) {
            return None;
        }
        let midnight = day.and_hms_opt(0, 0, 0)?;
        let start = instant(midnight + TimeDelta::minutes(self.starts_minute.into()), zone)?;
        let end = instant(midnight + TimeDelta::minutes(self.ends_minute.into()), zone)?;
        (start < end).then_some(Window { start, end })
    }
}

/// Notes rules that end before they begin, and rules that overlap an earlier one. Rules may touch.
pub fn check(rules: &[Rule], faults: &mut FieldErrors) {
    let is_empty = |rule: &Rule| rule.ends_minute <= rule.starts_minute;
    for (index, rule) in rules.iter().enumerate() {
        if is_empty(rule) {
            faults.add(format!("/rules/{index}/endsAt"), "ends_before_start");
        } else if rules.iter().take(index).any(|other| !is_empty(other) && rule.overlaps(other)) {
            faults.add(format!("/rules/{index}"), "hours_overlap");
        }
    }
}

/// The local days from the one before `from` to the one after `to`: hours that are merged over midnight
/// belong to a neighbour.
fn days_around(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = NaiveDate> {
    let day = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
    let range: RangeInclusive<Option<NaiveDate>> =
        day(from).checked_sub_days(Days::new(1))..=day(to).checked_add_days(Days::new(1));
    let (first, last) = range.into_inner();
    let days = first.zip(last).filter(|_| from < to);
    days.into_iter().flat_map(|(first, last)| first.iter_days().take_while(move |day| *day <= last))
}

/// The moment of a wall-clock time.
pub(super) fn instant(wall: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
        MappedLocalTime::None => resumption(wall, zone),
    }
}

/// The moment at which a clock that skips `wall` resumes: the first second whose wall-clock time is later.
fn resumption(wall: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    // zones are less than a day away from UTC
    let (mut before, mut after) = (wall.and_utc() - TimeDelta::days(1), wall.and_utc() + TimeDelta::days(1));
    let passed = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() > wall;
    if passed(before) || !passed(after) {
        return None;
    }
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if passed(middle) {
            after = middle;
        } else {
            before = middle;
        }
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::New_York;
    use chrono_tz::Australia::Lord_Howe;
    use chrono_tz::Europe::Paris;
    use chrono_tz::Pacific::Apia;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn rule(weekday: i16, start: (i32, i32), end: (i32, i32)) -> Rule {
        Rule { weekday, starts_minute: start.0 * 60 + start.1, ends_minute: end.0 * 60 + end.1 }
    }

    /// The windows of a UTC day and its neighbours, as text.
    fn around(rules: &[Rule], zone: Tz, day: &str) -> Vec<(String, String)> {
        let noon = at(&format!("{day}T12:00:00Z"));
        weekly(rules, zone, noon - TimeDelta::hours(20), noon + TimeDelta::hours(20))
            .into_iter()
            .map(|w| (w.start.format("%dT%H:%M").to_string(), w.end.format("%dT%H:%M").to_string()))
            .collect()
    }

    fn pair(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn the_same_wall_clock_hours_move_in_utc_with_the_season() {
        let monday = [rule(1, (9, 0), (17, 30))];
        assert_eq!(around(&monday, Paris, "2026-03-23"), [pair("23T08:00", "23T16:30")]);
        assert_eq!(around(&monday, Paris, "2026-03-30"), [pair("30T07:00", "30T15:30")]);
        assert_eq!(around(&monday, New_York, "2026-03-02"), [pair("02T14:00", "02T22:30")]);
        assert_eq!(around(&monday, New_York, "2026-03-09"), [pair("09T13:00", "09T21:30")]);
    }

    #[test]
    fn a_beginning_that_does_not_exist_is_when_the_clock_resumes() {
        // 2026-03-29, Paris: 02:00 is followed by 03:00, at 01:00 UTC
        assert_eq!(around(&[rule(7, (2, 30), (5, 0))], Paris, "2026-03-29"), [pair("29T01:00", "29T03:00")]);
        // 2026-03-08, New York: at 07:00 UTC
        assert_eq!(around(&[rule(7, (2, 15), (4, 0))], New_York, "2026-03-08"), [pair("08T07:00", "08T08:00")]);
        // 2026-10-04, Lord Howe: 02:00 is followed by 02:30, at 15:30 UTC of the day before
        assert_eq!(around(&[rule(7, (2, 10), (3, 0))], Lord_Howe, "2026-10-03"), [pair("03T15:30", "03T16:00")]);
    }

    #[test]
    fn hours_that_lie_in_a_skipped_stretch_vanish() {
        assert!(around(&[rule(7, (2, 0), (3, 0))], Paris, "2026-03-29").is_empty());
        // Samoa skipped the 30th of December 2011, a Friday
        assert!(around(&[rule(5, (9, 0), (17, 0))], Apia, "2011-12-30").is_empty());
        let thursday_to_saturday = [rule(4, (22, 0), (24, 0)), rule(5, (0, 0), (24, 0)), rule(6, (0, 0), (1, 0))];
        assert_eq!(around(&thursday_to_saturday, Apia, "2011-12-30"), [pair("30T08:00", "30T11:00")]);
    }

    #[test]
    fn a_repeated_time_is_its_first_occurrence() {
        // 2026-10-25, Paris: 03:00 is followed by 02:00, at 01:00 UTC
        assert_eq!(around(&[rule(7, (1, 0), (2, 30))], Paris, "2026-10-25"), [pair("24T23:00", "25T00:30")]);
        assert_eq!(around(&[rule(7, (2, 0), (2, 30))], Paris, "2026-10-25"), [pair("25T00:00", "25T00:30")]);
        // 2026-11-01, New York: at 06:00 UTC
        assert_eq!(around(&[rule(7, (1, 30), (1, 45))], New_York, "2026-11-01"), [pair("01T05:30", "01T05:45")]);
        // 2026-04-05, Lord Howe: 02:00 is followed by 01:30, at 15:00 UTC of the day before
        assert_eq!(around(&[rule(7, (1, 0), (1, 45))], Lord_Howe, "2026-04-04"), [pair("04T14:00", "04T14:45")]);
    }

    #[test]
    fn a_window_over_a_change_lasts_as_long_as_it_really_does() {
        let length = |zone, from: &str| {
            let all = weekly(&[rule(7, (0, 0), (24, 0))], zone, at(from), at(from) + TimeDelta::hours(1));
            assert_eq!(all.len(), 1, "{all:?}");
            (all[0].end - all[0].start).num_minutes()
        };
        assert_eq!(length(Paris, "2026-03-29T03:00:00Z"), 23 * 60);
        assert_eq!(length(Paris, "2026-10-25T03:00:00Z"), 25 * 60);
        assert_eq!(length(Lord_Howe, "2026-10-03T20:00:00Z"), 23 * 60 + 30);
        assert_eq!(length(Lord_Howe, "2026-04-04T20:00:00Z"), 24 * 60 + 30);
    }

    #[test]
    fn hours_that_touch_are_one_window_even_over_midnight_and_over_a_change() {
        let nights = [rule(6, (20, 0), (24, 0)), rule(7, (0, 0), (2, 30)), rule(7, (2, 30), (6, 0))];
        assert_eq!(around(&nights, Paris, "2026-03-29"), [pair("28T19:00", "29T04:00")]);
        assert_eq!(around(&nights, Paris, "2026-10-25"), [pair("24T18:00", "25T05:00")]);
        let lunch = [rule(3, (9, 0), (12, 0)), rule(3, (13, 0), (17, 0))];
        assert_eq!(around(&lunch, Paris, "2026-01-07"), [pair("07T08:00", "07T11:00"), pair("07T12:00", "07T16:00")]);
    }

    #[test]
    fn hours_may_touch_but_not_overlap_nor_end_before_they_begin() {
        let rules = [
            rule(1, (9, 0), (12, 0)),
            rule(1, (12, 0), (14, 0)),
            rule(2, (9, 0), (14, 0)),
            rule(1, (13, 59), (15, 0)),
            rule(3, (9, 0), (9, 0)),
            rule(3, (8, 0), (10, 0)),
            rule(3, (8, 0), (10, 0)),
        ];
        let mut faults = FieldErrors::new();
        check(&rules, &mut faults);
        let found: Vec<_> = faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect();
        let expected =
            [("/rules/3", "hours_overlap"), ("/rules/4/endsAt", "ends_before_start"), ("/rules/6", "hours_overlap")];
        assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    }

    #[test]
    fn closed_time_takes_weekly_hours_away_extra_hours_add_some_and_time_off_beats_both() {
        let wall = |text: &str| chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").unwrap();
        let change = |kind, from: &str, to: &str| Override { kind, starts: wall(from), ends: wall(to) };
        let open = |overrides: Vec<Override>| {
            let hours = Hours { rules: vec![rule(3, (9, 0), (12, 0)), rule(3, (14, 0), (17, 0))], overrides };
            hours
                .windows(Paris, at("2026-01-06T23:00:00Z"), at("2026-01-07T23:00:00Z"))
                .into_iter()
                .map(|it| format!("{}-{}", it.start.format("%H:%M"), it.end.format("%H:%M")))
                .collect::<Vec<_>>()
        };
        assert_eq!(open(vec![]), ["08:00-11:00", "13:00-16:00"]);
        let lunch = change(Kind::Open, "2026-01-07T12:00", "2026-01-07T14:00");
        assert_eq!(open(vec![lunch]), ["08:00-16:00"]);
        let morning = change(Kind::Closed, "2026-01-07T08:00", "2026-01-07T10:00");
        assert_eq!(open(vec![morning, lunch]), ["09:00-16:00"]);
        // special hours, in whichever order they are stated
        let (day, late) = (
            change(Kind::Closed, "2026-01-07T00:00", "2026-01-08T00:00"),
            change(Kind::Open, "2026-01-07T16:00", "2026-01-07T19:00"),
        );
        assert_eq!(open(vec![day, late]), ["15:00-18:00"]);
        assert_eq!(open(vec![late, day]), ["15:00-18:00"]);
        let away = change(Kind::TimeOff, "2026-01-07T10:30", "2026-01-07T17:00");
        assert_eq!(open(vec![away, late]), ["08:00-09:30", "16:00-18:00"]);
        assert_eq!(open(vec![away, day, late]), ["16:00-18:00"]);
        let inner = change(Kind::TimeOff, "2026-01-07T10:00", "2026-01-07T10:15");
        assert_eq!(open(vec![inner]), ["08:00-09:00", "09:15-11:00", "13:00-16:00"]);
        // hours that begin where the extra hours end, after what is asked for
        let hours = Hours {
            rules: vec![rule(3, (12, 0), (13, 0))],
            overrides: vec![change(Kind::Open, "2026-01-07T11:00", "2026-01-07T12:00")],
        };
        let found = hours.windows(Paris, at("2026-01-07T10:30:00Z"), at("2026-01-07T10:31:00Z"));
        assert_eq!(found, [Window { start: at("2026-01-07T10:00:00Z"), end: at("2026-01-07T12:00:00Z") }]);
        // over midnight, from a day that is not asked for
        let night = change(Kind::Open, "2026-01-06T22:00", "2026-01-07T02:00");
        assert_eq!(open(vec![night, day]), ["21:00-01:00"]);
    }

    #[test]
    fn windows_keep_their_beginning_whatever_is_asked_for() {
        let monday = [rule(1, (9, 0), (17, 0))];
        let (from, to) = (at("2026-01-05T10:00:00Z"), at("2026-01-05T10:30:00Z"));
        let expected = Window { start: at("2026-01-05T08:00:00Z"), end: at("2026-01-05T16:00:00Z") };
        assert_eq!(weekly(&monday, Paris, from, to), [expected]);
        // neither a window that has just ended, nor one that begins with the end, nor an empty range
        assert!(weekly(&monday, Paris, expected.end, expected.end + TimeDelta::hours(1)).is_empty());
        assert!(weekly(&monday, Paris, expected.start - TimeDelta::hours(1), expected.start).is_empty());
        assert!(weekly(&monday, Paris, to, from).is_empty());
    }
}
