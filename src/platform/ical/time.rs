//! Dates, times, lengths and zones as calendars write them.

use std::collections::HashMap;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

use super::lines::Line;
use super::recurrence::{Budget, Exhausted};
use super::windows;

/// Longer ones are cut: far more than any window, and safe to reckon with.
const LONGEST: TimeDelta = TimeDelta::days(3_660);
/// Observances of one zone: a clock that was ever changed has fewer, and who writes calendars names one or two.
const MOST_OBSERVANCES: usize = 100;
/// Zones that one calendar explains.
const MOST_ZONES: usize = 500;
/// Bytes of a zone's name.
const LONGEST_NAME: usize = 200;
/// What the reading of a zone's name costs, in steps.
const NAMING: u64 = 20;
/// Quarters of an hour in the longest gap that a clock ever made: a day, and one more.
const LONGEST_GAP: i64 = 4 * 25;

/// A value of DTSTART and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Day(NaiveDate),
    /// A wall-clock time in the zone of its line.
    Wall(NaiveDateTime),
    Utc(NaiveDateTime),
}

impl When {
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
        let year = text.get(0..4).filter(|it| it.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
        let day = NaiveDate::from_ymd_opt(year, digits(4, 6)?, digits(6, 8)?)?;
        match text.get(8..) {
            Some("") => Some(Self::Day(day)),
            Some(rest) if rest.starts_with(['T', 't']) => {
                // a leap second is the one before; seconds may be missing
                let seconds = digits(13, 15).unwrap_or(0).min(59);
                let at = day.and_time(NaiveTime::from_hms_opt(digits(9, 11)?, digits(11, 13)?, seconds)?);
                Some(if rest.ends_with(['Z', 'z']) { Self::Utc(at) } else { Self::Wall(at) })
            }
            _ => None,
        }
    }

    pub fn day(self) -> NaiveDate {
        match self {
            Self::Day(day) => day,
            Self::Wall(at) | Self::Utc(at) => at.date(),
        }
    }
}

/// `P1DT2H30M`, `PT45M`, `P2W`; `None` where it cannot be read or goes backwards.
pub fn length(text: &str) -> Option<TimeDelta> {
    let mut rest = text.trim().trim_start_matches('+').strip_prefix(['P', 'p'])?;
    let mut seconds = 0_i64;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(['T', 't']) {
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(end)?;
        let unit = match after.chars().next()?.to_ascii_uppercase() {
            'W' => 604_800,
            'D' => 86_400,
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        seconds = seconds.saturating_add(number.parse::<i64>().ok()?.saturating_mul(unit));
        rest = after.get(1..)?;
    }
    Some(cut(TimeDelta::seconds(seconds.min(LONGEST.num_seconds()))))
}

/// A length with which reckoning is safe.
pub fn cut(length: TimeDelta) -> TimeDelta {
    length.min(LONGEST)
}

/// The zone of a wall-clock time.
#[derive(Clone, Debug)]
pub enum Zone {
    Known(Tz),
    /// As the calendar explains it: its observances, such as standard time and summer time.
    Explained(std::rc::Rc<Vec<Observance>>),
}

/// A stretch of a VTIMEZONE: from when on which offset holds.
#[derive(Clone, Debug)]
pub struct Observance {
    since: NaiveDateTime,
    from: i64,
    to: i64,
    yearly: Option<Yearly>,
}

/// `FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU`.
#[derive(Clone, Copy, Debug)]
struct Yearly {
    month: u32,
    nth: i32,
    weekday: Weekday,
    until: Option<NaiveDate>,
}

impl Zone {
    /// What finding a moment costs, in steps.
    pub fn cost(&self) -> u64 {
        match self {
            Self::Known(_) => 5,
            Self::Explained(observances) => 5 + 3 * observances.len() as u64,
        }
    }

    /// The moment of a wall-clock time.
    pub fn instant(&self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self {
            Self::Known(zone) => known_instant(*zone, wall),
            Self::Explained(observances) => {
                let seconds = offset_at(observances, wall)?;
                wall.checked_sub_signed(TimeDelta::seconds(seconds)).map(|at| at.and_utc())
            }
        }
    }

    /// The wall-clock time of a moment; of an explained zone, near enough to know the day from which to look.
    pub fn wall(&self, at: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Known(zone) => at.with_timezone(zone).naive_local(),
            Self::Explained(observances) => {
                let seconds = offset_at(observances, at.naive_utc()).unwrap_or_default();
                at.naive_utc().checked_add_signed(TimeDelta::seconds(seconds)).unwrap_or(at.naive_utc())
            }
        }
    }
}

/// A time that the clock skips counts with the offset before the gap (RFC 5545, 3.3.5).
fn known_instant(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    if let Some(at) = zone.from_local_datetime(&wall).earliest() {
        return Some(at.to_utc());
    }
    let before = |quarters: i64| {
        let shift = TimeDelta::minutes(15 * quarters);
        let before = zone.from_local_datetime(&wall.checked_sub_signed(shift)?).latest()?;
        before.to_utc().checked_add_signed(shift)
    };
    // nearer times are in the gap as well, and those before it are not
    let (mut inside, mut outside) = (0, LONGEST_GAP);
    while outside - inside > 1 {
        let middle = i64::midpoint(inside, outside);
        if before(middle).is_some() { outside = middle } else { inside = middle }
    }
    before(outside)
}

/// The moment at which a day begins.
pub fn day_start(zone: Tz, day: NaiveDate) -> Option<DateTime<Utc>> {
    known_instant(zone, day.and_time(NaiveTime::MIN))
}

/// Seconds east of Greenwich by the latest observance that began before a wall-clock time.
fn offset_at(observances: &[Observance], wall: NaiveDateTime) -> Option<i64> {
    let latest = observances.iter().filter_map(|it| Some((it.onset_before(wall)?, it.to))).max_by_key(|(at, _)| *at);
    latest.map(|(_, to)| to).or_else(|| observances.iter().min_by_key(|it| it.since).map(|it| it.from))
}

impl Observance {
    /// When it last began, at a wall-clock time or before.
    fn onset_before(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        if wall < self.since {
            return None;
        }
        let yearly = self.yearly.and_then(|rule| {
            let onset = |year: i32| {
                let day = rule.day(year)?;
                Some(day.and_time(self.since.time())).filter(|at| *at <= wall && *at >= self.since)
            };
            [wall.year(), wall.year() - 1].into_iter().find_map(onset)
        });
        Some(yearly.unwrap_or(self.since))
    }
}

impl Yearly {
    fn day(self, year: i32) -> Option<NaiveDate> {
        let year = self.until.map_or(year, |until| year.min(until.year()));
        let day = if self.nth >= 0 {
            NaiveDate::from_weekday_of_month_opt(year, self.month, self.weekday, u8::try_from(self.nth.max(1)).ok()?)
        } else {
            let (next_year, next) = if self.month == 12 { (year.checked_add(1)?, 1) } else { (year, self.month + 1) };
            let last = NaiveDate::from_ymd_opt(next_year, next, 1)?.pred_opt()?;
            let back = (7 + last.weekday().num_days_from_monday() - self.weekday.num_days_from_monday()) % 7;
            last.checked_sub_days(Days::new(u64::from(back) + 7 * u64::from(self.nth.unsigned_abs() - 1)))
        };
        day.filter(|day| self.until.is_none_or(|until| *day <= until))
    }
}

/// The zones of one calendar.
pub struct Zones {
    /// Whose calendar it is.
    own: Tz,
    explained: HashMap<String, Zone>,
}

impl Zones {
    pub fn new(own: Tz) -> Self {
        Self { own, explained: HashMap::new() }
    }

    pub fn own(&self) -> Tz {
        self.own
    }

    /// The zone of a line: that of its TZID, or the person's.
    pub fn of(&self, line: &Line<'_>, budget: &Budget) -> Result<Zone, Exhausted> {
        let Some(name) = line.param("TZID") else { return Ok(Zone::Known(self.own)) };
        budget.spend(NAMING)?;
        Ok(self.named(name))
    }

    fn named(&self, name: &str) -> Zone {
        if name.len() > LONGEST_NAME {
            return Zone::Known(self.own);
        }
        known(name).map(Zone::Known).or_else(|| self.explained.get(name).cloned()).unwrap_or(Zone::Known(self.own))
    }

    /// Takes up a VTIMEZONE, of which the lines are given. One of a name that is known needs no explanation.
    pub fn explain(&mut self, lines: &[Line<'_>], budget: &Budget) -> Result<(), Exhausted> {
        budget.spend(2 * NAMING)?;
        let find = |name: &str| lines.iter().find(|line| line.name == name).map(|line| line.value);
        let short = |name: &&str| name.len() <= LONGEST_NAME;
        let Some(name) = find("TZID").filter(short).filter(|name| known(name).is_none()) else { return Ok(()) };
        let zone = if let Some(zone) = find("X-LIC-LOCATION").filter(short).and_then(known) {
            Zone::Known(zone)
        } else {
            let observances = observances(lines)?;
            if observances.is_empty() { Zone::Known(self.own) } else { Zone::Explained(observances.into()) }
        };
        if self.explained.len() == MOST_ZONES {
            return Err(Exhausted);
        }
        self.explained.insert(name.to_owned(), zone);
        Ok(())
    }
}

/// The observances of a VTIMEZONE.
fn observances(lines: &[Line<'_>]) -> Result<Vec<Observance>, Exhausted> {
    let mut found = Vec::new();
    let mut rest = lines;
    while let Some(begin) = rest.iter().position(|line| line.name == "BEGIN") {
        let inner = rest.get(begin + 1..).unwrap_or_default();
        let end = inner.iter().position(|line| line.name == "END").unwrap_or(inner.len());
        found.extend(observance(inner.get(..end).unwrap_or_default()));
        if found.len() > MOST_OBSERVANCES {
            return Err(Exhausted);
        }
        rest = inner.get(end..).unwrap_or_default();
    }
    Ok(found)
}

fn observance(lines: &[Line<'_>]) -> Option<Observance> {
    let find = |name: &str| lines.iter().find(|line| line.name == name).map(|line| line.value);
    let since = match When::parse(find("DTSTART")?)? {
        When::Day(day) => day.and_time(NaiveTime::MIN),
        When::Wall(at) | When::Utc(at) => at,
    };
    let part = |key: &str| {
        let rule = find("RRULE")?;
        rule.split(';').filter_map(|part| part.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let yearly = (|| {
        let (nth, weekday) = super::recurrence::weekday(part("BYDAY")?)?;
        Some(Yearly {
            month: part("BYMONTH")?.parse().ok().filter(|month| (1..=12).contains(month))?,
            nth: nth.clamp(-5, 5),
            weekday,
            until: part("UNTIL").and_then(When::parse).map(When::day),
        })
    })();
    Some(Observance { since, from: offset(find("TZOFFSETFROM")?)?, to: offset(find("TZOFFSETTO")?)?, yearly })
}

/// `+0100`, `-0330`, `+013000`.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let part = |from: usize| digits.get(from..from + 2).and_then(|it| it.parse::<i64>().ok());
    let seconds = part(0)? * 3_600 + part(2)? * 60 + part(4).unwrap_or(0);
    (seconds < 86_400).then_some(sign * seconds)
}

/// The zone of a name: IANA's, that of Windows, or IANA's behind a maker's prefix.
fn known(name: &str) -> Option<Tz> {
    let name = name.trim().trim_matches('"');
    let iana = |name: &str| Tz::from_str(name).ok().or_else(|| Tz::from_str_insensitive(name).ok());
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    iana(name)
        .or_else(|| windows::iana(name).and_then(iana))
        // /citadel.org/20250101_1/Europe/Paris, /mozilla.org/…/America/Argentina/Buenos_Aires
        .or_else(|| parts.len().checked_sub(3).and_then(|from| iana(&parts.get(from..)?.join("/"))))
        .or_else(|| parts.len().checked_sub(2).and_then(|from| iana(&parts.get(from..)?.join("/"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_as_they_are_written() {
        let read = |text| When::parse(text);
        assert_eq!(read("20260228"), NaiveDate::from_ymd_opt(2026, 2, 28).map(When::Day));
        assert!(matches!(read("20260228T093000"), Some(When::Wall(_))));
        assert!(matches!(read("20260228T093060Z"), Some(When::Utc(_))));
        for bad in ["", "2026", "20260230", "20260228T", "20260228T25", "2026é228", "-0260101", "20260101X"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn lengths_are_read_and_never_too_long() {
        assert_eq!(length("P1DT2H30M"), Some(TimeDelta::minutes(26 * 60 + 30)));
        assert_eq!(length("P2W"), Some(TimeDelta::weeks(2)));
        assert_eq!(length("P99999999999999999D"), Some(LONGEST));
        for bad in ["", "1H", "-PT1H", "PTH", "PT1X", "P99999999999999999999999D"] {
            assert_eq!(length(bad), None, "{bad}");
        }
    }

    #[test]
    fn zones_are_known_by_many_names() {
        for name in ["Europe/Paris", "europe/paris", "Romance Standard Time", "/mozilla.org/20050126_1/Europe/Paris"] {
            assert_eq!(known(name), Some(Tz::Europe__Paris), "{name}");
        }
        assert_eq!(known("/x.org/1/America/Argentina/Buenos_Aires"), Some(Tz::America__Argentina__Buenos_Aires));
        assert_eq!(known("Customized Time Zone"), None);
    }

    #[test]
    fn a_time_that_the_clock_skips_counts_with_the_offset_before() {
        let at = |text: &str| known_instant(Tz::Europe__Paris, text.parse().unwrap()).unwrap().to_rfc3339();
        assert_eq!(at("2026-03-29T02:30:00"), "2026-03-29T01:30:00+00:00");
        assert_eq!(at("2026-10-25T02:30:00"), "2026-10-25T00:30:00+00:00");
        let apia = known_instant(Tz::Pacific__Apia, "2011-12-30T12:00:00".parse().unwrap()).unwrap();
        assert_eq!(apia.to_rfc3339(), "2011-12-30T22:00:00+00:00");
        let apia = known_instant(Tz::Pacific__Apia, "2011-12-30T23:59:59".parse().unwrap()).unwrap();
        assert_eq!(apia.to_rfc3339(), "2011-12-31T09:59:59+00:00");
    }

    #[test]
    fn a_zone_that_a_calendar_explains_changes_its_clock() {
        let text = "TZID:Mine\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\n\
                    RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\n\
                    TZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT";
        let lines: Vec<_> = text.lines().filter_map(Line::parse).collect();
        let mut zones = Zones::new(Tz::UTC);
        zones.explain(&lines, &Budget::new(100)).unwrap();
        let zone = zones.named("Mine");
        let at = |text: &str| zone.instant(text.parse().unwrap()).unwrap().to_rfc3339();
        assert_eq!(at("2026-01-15T12:00:00"), "2026-01-15T11:00:00+00:00");
        assert_eq!(at("2026-03-29T01:59:00"), "2026-03-29T00:59:00+00:00");
        assert_eq!(at("2026-03-29T03:00:00"), "2026-03-29T01:00:00+00:00");
        assert_eq!(at("2026-10-26T12:00:00"), "2026-10-26T11:00:00+00:00");
        assert!(matches!(zones.named("Nobody's"), Zone::Known(Tz::UTC)));
    }
}
