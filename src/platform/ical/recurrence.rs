//! Recurrence rules (RFC 5545, 3.3.10), on the wall clock.
//!
//! A rule is followed period by period (days, weeks, months, years), beginning near the window that is asked for
//! where nothing has to be counted. Every step is paid for out of a [`Budget`], which one calendar shares.

use std::cell::Cell;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Weekday};

use super::time::When;

/// Values of one part of a rule that are read.
const MOST_VALUES: usize = 100;

/// What a period of a rule costs, and a start that is found in it: both make a few things anew.
const PERIOD: u64 = 5;
const START: u64 = 40;

/// What reading one calendar may cost. A step is some tens of nanoseconds.
pub struct Budget(Cell<u64>);

/// The calendar costs more to read than any that people keep.
#[derive(Debug)]
pub struct Exhausted;

impl Budget {
    pub fn new(steps: u64) -> Self {
        Self(Cell::new(steps))
    }

    /// To be paid before the work is done.
    pub fn spend(&self, steps: u64) -> Result<(), Exhausted> {
        self.0.set(self.0.get().checked_sub(steps).ok_or(Exhausted)?);
        Ok(())
    }

    #[cfg(test)]
    pub fn left(&self) -> u64 {
        self.0.get()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    /// Seconds between two: hours, minutes, seconds.
    Within(i64),
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

#[derive(Clone, Debug)]
pub struct Rule {
    frequency: Frequency,
    interval: u32,
    count: Option<u32>,
    pub until: Option<When>,
    /// 0: every one of the period.
    by_day: Vec<(i32, Weekday)>,
    by_month_day: Vec<i32>,
    by_month: Vec<i32>,
    by_year_day: Vec<i32>,
    by_week: Vec<i32>,
    by_place: Vec<i32>,
    by_hour: Vec<i32>,
    by_minute: Vec<i32>,
    week_start: Weekday,
}

/// `MO`, `2TU`, `-1SU`.
pub fn weekday(text: &str) -> Option<(i32, Weekday)> {
    let text = text.trim();
    let (nth, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let day = match day.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    };
    Some((if nth.is_empty() { 0 } else { nth.parse().ok()? }, day))
}

impl Rule {
    /// `None` where it has no frequency that is known; parts that cannot be read are as if they were not there.
    pub fn parse(text: &str) -> Option<Self> {
        let part = |name: &str| {
            let parts = text.split(';').filter_map(|part| part.split_once('='));
            parts.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let numbers = |name: &str, range: std::ops::RangeInclusive<i32>| -> Vec<i32> {
            let values = part(name).unwrap_or_default().split(',').filter_map(|it| it.trim().parse().ok());
            let mut values: Vec<i32> = values.filter(|it| range.contains(it)).take(MOST_VALUES).collect();
            values.sort_unstable();
            values.dedup();
            values
        };
        let frequency = match part("FREQ")?.to_ascii_uppercase().as_str() {
            "SECONDLY" => Frequency::Within(1),
            "MINUTELY" => Frequency::Within(60),
            "HOURLY" => Frequency::Within(3_600),
            "DAILY" => Frequency::Daily,
            "WEEKLY" => Frequency::Weekly,
            "MONTHLY" => Frequency::Monthly,
            "YEARLY" => Frequency::Yearly,
            _ => return None,
        };
        Some(Self {
            frequency,
            interval: part("INTERVAL").and_then(|it| it.parse().ok()).unwrap_or(1).clamp(1, 100_000),
            count: part("COUNT").and_then(|it| it.parse().ok()),
            until: part("UNTIL").and_then(When::parse),
            by_day: part("BYDAY").unwrap_or_default().split(',').filter_map(weekday).take(MOST_VALUES).collect(),
            by_month_day: numbers("BYMONTHDAY", -31..=31),
            by_month: numbers("BYMONTH", 1..=12),
            by_year_day: numbers("BYYEARDAY", -366..=366),
            by_week: numbers("BYWEEKNO", -53..=53),
            by_place: numbers("BYSETPOS", -366..=366),
            by_hour: numbers("BYHOUR", 0..=23),
            by_minute: numbers("BYMINUTE", 0..=59),
            week_start: part("WKST").and_then(weekday).map_or(Weekday::Mon, |(_, day)| day),
        })
    }

    /// The starts in `from..=to`, in order. `first` is the start of the event, which counts as the first one whether
    /// it fits the rule or not; none is later than `last`.
    pub fn starts(
        &self,
        first: NaiveDateTime,
        last: Option<NaiveDateTime>,
        (from, to): (NaiveDateTime, NaiveDateTime),
        budget: &Budget,
    ) -> Result<Vec<NaiveDateTime>, Exhausted> {
        let period_costs = PERIOD + self.values() / 8;
        let to = last.map_or(to, |last| last.min(to));
        let mut found = Vec::new();
        if first <= to && first >= from {
            found.push(first);
        }
        let mut left = self.count.map(|count| count.saturating_sub(1));
        let mut period =
            if self.count.is_some() { 0 } else { self.periods_until(first, from).saturating_sub(1).max(0) };
        while left != Some(0) {
            budget.spend(period_costs)?;
            let Some(begin) = self.begin(first, period) else { break };
            if begin > to {
                break;
            }
            for at in self.in_period(first, begin, budget)? {
                if at <= first {
                    continue;
                }
                if at > to || left == Some(0) {
                    return Ok(found);
                }
                left = left.map(|left| left - 1);
                if at >= from {
                    budget.spend(START)?;
                    found.push(at);
                }
            }
            period += 1;
        }
        Ok(found)
    }

    /// The values that a day is compared with.
    fn values(&self) -> u64 {
        let lists = [&self.by_month_day, &self.by_month, &self.by_year_day, &self.by_week, &self.by_hour];
        (self.by_day.len() + lists.iter().map(|list| list.len()).sum::<usize>()) as u64
    }

    /// About how many periods lie between the two.
    fn periods_until(&self, first: NaiveDateTime, at: NaiveDateTime) -> i64 {
        let interval = i64::from(self.interval);
        let days = (at.date() - first.date()).num_days();
        match self.frequency {
            Frequency::Within(seconds) => (at - first).num_seconds() / (seconds * interval),
            Frequency::Daily => days / interval,
            Frequency::Weekly => days / (7 * interval),
            Frequency::Monthly => {
                (i64::from(at.year() - first.year()) * 12 + i64::from(at.month()) - i64::from(first.month())) / interval
            }
            Frequency::Yearly => i64::from(at.year() - first.year()) / interval,
        }
    }

    /// The beginning of a period: no start in it is earlier.
    fn begin(&self, first: NaiveDateTime, period: i64) -> Option<NaiveDateTime> {
        let steps = period.checked_mul(i64::from(self.interval))?;
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN);
        match self.frequency {
            Frequency::Within(seconds) => {
                first.checked_add_signed(TimeDelta::try_seconds(steps.checked_mul(seconds)?)?)
            }
            Frequency::Daily => first.date().checked_add_days(Days::new(steps.try_into().ok()?)).map(midnight),
            Frequency::Weekly => {
                let week = first.date().week(self.week_start).checked_first_day()?;
                week.checked_add_days(Days::new(steps.checked_mul(7)?.try_into().ok()?)).map(midnight)
            }
            Frequency::Monthly => {
                let months = i64::from(first.year()) * 12 + i64::from(first.month0()) + steps;
                let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
                NaiveDate::from_ymd_opt(months.div_euclid(12).try_into().ok()?, month, 1).map(midnight)
            }
            Frequency::Yearly => {
                let year = i64::from(first.year()).checked_add(steps)?.try_into().ok()?;
                NaiveDate::from_ymd_opt(year, 1, 1).map(midnight)
            }
        }
    }

    fn in_period(
        &self,
        first: NaiveDateTime,
        begin: NaiveDateTime,
        budget: &Budget,
    ) -> Result<Vec<NaiveDateTime>, Exhausted> {
        let day = begin.date();
        let days: Vec<NaiveDate> = match self.frequency {
            Frequency::Within(_) => {
                let hour = i32::try_from(begin.hour()).unwrap_or_default();
                let fits = self.fits_day(day) && (self.by_hour.is_empty() || self.by_hour.contains(&hour));
                return Ok(if fits { vec![begin] } else { Vec::new() });
            }
            Frequency::Daily => vec![day].into_iter().filter(|day| self.fits_day(*day)).collect(),
            Frequency::Weekly => {
                let on = |day: &NaiveDate| match self.by_day.as_slice() {
                    [] => day.weekday() == first.weekday(),
                    some => some.iter().any(|(_, weekday)| *weekday == day.weekday()),
                };
                day.iter_days().take(7).filter(on).filter(|day| self.fits_month(*day)).collect()
            }
            Frequency::Monthly if !self.fits_month(day) => Vec::new(),
            Frequency::Monthly => self.in_month(first, day, budget)?,
            Frequency::Yearly => self.in_year(first, day, budget)?,
        };
        let or = |values: &[i32], own: u32| -> Vec<u32> {
            if values.is_empty() { vec![own] } else { values.iter().filter_map(|it| u32::try_from(*it).ok()).collect() }
        };
        let (hours, minutes) = (or(&self.by_hour, first.hour()), or(&self.by_minute, first.minute()));
        budget.spend((days.len() * hours.len() * minutes.len()) as u64)?;
        let mut all = Vec::new();
        for day in days {
            for hour in &hours {
                all.extend(minutes.iter().filter_map(|minute| day.and_hms_opt(*hour, *minute, first.second())));
            }
        }
        all.sort_unstable();
        all.dedup();
        if self.by_place.is_empty() {
            return Ok(all);
        }
        let mut chosen: Vec<NaiveDateTime> = self.by_place.iter().filter_map(|nth| place(&all, *nth)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }

    fn fits_month(&self, day: NaiveDate) -> bool {
        self.by_month.is_empty() || self.by_month.iter().any(|month| i64::from(*month) == i64::from(day.month()))
    }

    fn fits_month_day(&self, day: NaiveDate) -> bool {
        let (nth, from_end) = (i64::from(day.day()), i64::from(day.day()) - i64::from(days_in_month(day)) - 1);
        self.by_month_day.is_empty() || self.by_month_day.iter().any(|it| [nth, from_end].contains(&i64::from(*it)))
    }

    /// The limits of rules whose period is a day or less.
    fn fits_day(&self, day: NaiveDate) -> bool {
        let on_weekday = || self.by_day.is_empty() || self.by_day.iter().any(|(_, it)| *it == day.weekday());
        self.fits_month(day) && self.fits_month_day(day) && on_weekday() && self.fits_year_day(day)
    }

    fn fits_year_day(&self, day: NaiveDate) -> bool {
        let length = if day.leap_year() { 366 } else { 365 };
        let nth = i64::from(day.ordinal());
        self.by_year_day.is_empty()
            || self.by_year_day.iter().any(|it| [nth, nth - length - 1].contains(&i64::from(*it)))
    }

    fn in_month(&self, first: NaiveDateTime, month: NaiveDate, budget: &Budget) -> Result<Vec<NaiveDate>, Exhausted> {
        if self.by_day.is_empty() && self.by_month_day.is_empty() {
            return Ok(month.with_day(first.day()).into_iter().collect());
        }
        let length = days_in_month(month);
        budget.spend(u64::from(length) * (1 + self.values() / 8 + self.by_day.len() as u64))?;
        let on = |day: &NaiveDate| self.is_nth(*day, i64::from(day.day()), i64::from(length));
        let days = month.iter_days().take(length as usize);
        Ok(days.filter(|day| self.fits_month_day(*day)).filter(on).collect())
    }

    fn in_year(&self, first: NaiveDateTime, year: NaiveDate, budget: &Budget) -> Result<Vec<NaiveDate>, Exhausted> {
        let length = if year.leap_year() { 366 } else { 365 };
        let whole = || year.iter_days().take(length);
        if !self.by_week.is_empty() {
            budget.spend(length as u64 * (2 + self.values() / 8))?;
            let weeks = NaiveDate::from_ymd_opt(year.year(), 12, 28).map_or(52, |day| day.iso_week().week());
            let in_week = |day: &NaiveDate| {
                let week = i64::from(day.iso_week().week());
                day.iso_week().year() == year.year()
                    && self.by_week.iter().any(|it| [week, week - i64::from(weeks) - 1].contains(&i64::from(*it)))
            };
            let on = |day: &NaiveDate| match self.by_day.as_slice() {
                [] => day.weekday() == first.weekday(),
                some => some.iter().any(|(_, weekday)| *weekday == day.weekday()),
            };
            return Ok(whole().filter(in_week).filter(on).collect());
        }
        if !self.by_year_day.is_empty() {
            budget.spend(length as u64 * (1 + self.values() / 8))?;
            return Ok(whole().filter(|day| self.fits_day(*day)).collect());
        }
        if self.by_month.is_empty() && self.by_month_day.is_empty() {
            if self.by_day.is_empty() {
                return Ok(NaiveDate::from_ymd_opt(year.year(), first.month(), first.day()).into_iter().collect());
            }
            budget.spend(length as u64 * (1 + self.by_day.len() as u64))?;
            let on = |day: &NaiveDate| {
                self.is_nth(*day, i64::from(day.ordinal()), i64::try_from(length).unwrap_or(i64::MAX))
            };
            return Ok(whole().filter(on).collect());
        }
        let mut days = Vec::new();
        for month in 1..=12 {
            let Some(begin) = NaiveDate::from_ymd_opt(year.year(), month, 1) else { continue };
            if self.fits_month(begin) {
                days.extend(self.in_month(first, begin, budget)?);
            }
        }
        Ok(days)
    }

    /// Whether a day is one of the weekdays, and that which the rule says of its month or year.
    fn is_nth(&self, day: NaiveDate, place: i64, length: i64) -> bool {
        let (nth, from_end) = ((place - 1) / 7 + 1, -((length - place) / 7 + 1));
        self.by_day.is_empty()
            || self
                .by_day
                .iter()
                .any(|(wanted, weekday)| *weekday == day.weekday() && [0, nth, from_end].contains(&i64::from(*wanted)))
    }
}

fn days_in_month(day: NaiveDate) -> u32 {
    let (year, month) = if day.month() == 12 { (day.year() + 1, 1) } else { (day.year(), day.month() + 1) };
    NaiveDate::from_ymd_opt(year, month, 1).and_then(|next| next.pred_opt()).map_or(31, |last| last.day())
}

/// The nth of a list, from its end where negative.
fn place(all: &[NaiveDateTime], nth: i32) -> Option<NaiveDateTime> {
    let index = usize::try_from(nth.unsigned_abs()).ok()?.checked_sub(1)?;
    if nth > 0 { all.get(index).copied() } else { all.iter().rev().nth(index).copied() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The days of the starts up to the end of 2027.
    fn days(rule: &str, first: &str, from: &str) -> Vec<String> {
        let at = |text: &str| text.parse::<NaiveDateTime>().unwrap();
        let rule = Rule::parse(rule).unwrap();
        let last = rule.until.map(|until| until.day().and_hms_opt(23, 59, 59).unwrap());
        let window = (at(from), at("2027-12-31T23:59:59"));
        let starts = rule.starts(at(first), last, window, &Budget::new(1_000_000)).unwrap();
        starts.iter().take(6).map(|it| it.format("%m-%d %H:%M").to_string()).collect()
    }

    const FIRST: &str = "2026-01-05T09:00:00";

    #[test]
    fn the_usual_rules_are_followed() {
        let cases: &[(&str, &[&str])] = &[
            ("FREQ=DAILY;COUNT=3", &["01-05 09:00", "01-06 09:00", "01-07 09:00"]),
            ("FREQ=DAILY;INTERVAL=10;UNTIL=20260125", &["01-05 09:00", "01-15 09:00", "01-25 09:00"]),
            ("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=3", &["01-05 09:00", "01-07 09:00", "01-12 09:00"]),
            ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=SU;COUNT=3", &["01-05 09:00", "01-18 09:00", "02-01 09:00"]),
            ("FREQ=MONTHLY;BYDAY=1MO;COUNT=3", &["01-05 09:00", "02-02 09:00", "03-02 09:00"]),
            ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", &["01-05 09:00", "01-30 09:00", "02-27 09:00"]),
            ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", &["01-05 09:00", "01-31 09:00", "03-31 09:00"]),
            ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3", &["01-05 09:00", "01-30 09:00", "02-27 09:00"]),
            ("FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;COUNT=2", &["01-05 09:00", "03-29 09:00"]),
            ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=2", &["01-05 09:00", "05-11 09:00"]),
            ("FREQ=YEARLY;BYYEARDAY=100,-1;COUNT=3", &["01-05 09:00", "04-10 09:00", "12-31 09:00"]),
            ("FREQ=DAILY;BYHOUR=9,13;COUNT=3", &["01-05 09:00", "01-05 13:00", "01-06 09:00"]),
            ("FREQ=HOURLY;INTERVAL=6;COUNT=3", &["01-05 09:00", "01-05 15:00", "01-05 21:00"]),
            ("FREQ=DAILY;COUNT=0", &["01-05 09:00"]),
        ];
        for (rule, expected) in cases {
            assert_eq!(days(rule, FIRST, "2026-01-01T00:00:00"), *expected, "{rule}");
        }
    }

    #[test]
    fn an_endless_rule_of_long_ago_is_looked_at_where_it_matters() {
        for (rule, expected) in [
            ("FREQ=DAILY;INTERVAL=3", "06-03 09:00"),
            ("FREQ=WEEKLY", "06-05 09:00"),
            ("FREQ=MONTHLY", "06-07 09:00"),
            ("FREQ=SECONDLY;INTERVAL=86400", "06-01 09:00"),
        ] {
            assert_eq!(days(rule, "1996-06-07T09:00:00", "2026-06-01T00:00:00").first().unwrap(), expected, "{rule}");
        }
    }

    #[test]
    fn the_window_bounds_what_is_found_and_the_budget_what_it_costs() {
        assert!(days("FREQ=DAILY;UNTIL=20260110", FIRST, "2026-02-01T00:00:00").is_empty());
        let rule = Rule::parse("FREQ=SECONDLY").unwrap();
        let at = |text: &str| text.parse::<NaiveDateTime>().unwrap();
        let window = (at("2026-02-01T00:00:00"), at("2027-02-01T00:00:00"));
        assert!(rule.starts(at(FIRST), None, window, &Budget::new(10_000)).is_err());
        // none ever fits
        let never = Rule::parse("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30").unwrap();
        assert_eq!(never.starts(at(FIRST), None, window, &Budget::new(10_000)).unwrap(), []);
        assert!(Rule::parse("FREQ=FORTNIGHTLY").is_none() && Rule::parse("").is_none());
    }
}
