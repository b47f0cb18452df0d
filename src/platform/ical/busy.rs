//! From a calendar to the times in which its owner is busy.

use std::collections::HashMap;

use chrono::{DateTime, Days, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::lines::{Line, decode, unfold};
use super::recurrence::{Budget, Exhausted};
use super::spans::Spans;
use super::time::{When, Zone, Zones, cut, day_start, length};

/// What one calendar may cost: about a second on a slow machine.
const STEPS: u64 = 20_000_000;
/// Lines of one calendar: a file of short ones would take far more memory than it is long.
const MOST_LINES: usize = 250_000;
/// How deep parts may lie in each other; an alarm of an event of a calendar is the third.
const DEEPEST: usize = 8;
/// What an event costs beside the times in it.
pub(super) const EVENT: u64 = 20;
/// Busy times that are kept of one calendar, after those that touch were joined.
const MOST_TIMES: usize = 10_000;

/// A time in which somebody is busy: `starts_at <= t < ends_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// In order, apart from each other, within the window.
    pub busy: Vec<Busy>,
    /// Events that the calendar holds, also those that block nothing.
    pub events: usize,
}

/// Why a calendar says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is no calendar")]
    NotACalendar,
    #[error("it breaks off")]
    Cut,
    #[error("it holds more than a calendar of a person")]
    TooMuch,
}

impl From<Exhausted> for Unreadable {
    fn from(_: Exhausted) -> Self {
        Self::TooMuch
    }
}

/// When the owner of a calendar is busy between two moments. `own` is the owner's zone; events whose UID `is_ours`
/// are left out: they are known better from elsewhere.
pub fn read(
    bytes: &[u8],
    own: Tz,
    window: (DateTime<Utc>, DateTime<Utc>),
    is_ours: impl Fn(&str) -> bool,
) -> Result<Reading, Unreadable> {
    read_within(&Budget::new(STEPS), bytes, own, window, is_ours)
}

fn read_within(
    budget: &Budget,
    bytes: &[u8],
    own: Tz,
    window: (DateTime<Utc>, DateTime<Utc>),
    is_ours: impl Fn(&str) -> bool,
) -> Result<Reading, Unreadable> {
    let text = decode(bytes);
    let unfolded = unfold(&text, MOST_LINES).ok_or(Unreadable::TooMuch)?;
    let lines: Vec<Line<'_>> = unfolded.iter().filter_map(|line| Line::parse(line)).collect();
    let components = components(&lines)?;

    let mut zones = Zones::new(own);
    for (_, zone) in components.iter().filter(|(name, _)| name == "VTIMEZONE") {
        zones.explain(zone, budget)?;
    }
    let of_name = |wanted: &'static str| components.iter().filter(move |(name, _)| name == wanted);
    let mut events: Vec<Event<'_>> = Vec::new();
    for (_, lines) in of_name("VEVENT") {
        events.extend(Event::parse(lines, &zones, budget)?);
    }
    let mut spans = Spans { window, budget, found: Vec::new() };
    for (_, lines) in of_name("VFREEBUSY") {
        spans.add_free_busy(lines)?;
    }

    let mut overrides: HashMap<&str, Vec<&Event<'_>>> = HashMap::new();
    for event in events.iter().filter(|event| event.replaces.is_some()) {
        overrides.entry(event.uid).or_default().push(event);
    }
    for event in events.iter().filter(|event| !is_ours(event.uid)) {
        if event.replaces.is_some() {
            spans.add(event, event.start, &zones);
        } else {
            let replaced = overrides.get(event.uid).map(Vec::as_slice).unwrap_or_default();
            spans.add_series(event, replaced, &zones)?;
        }
    }
    let busy = spans.joined();
    if busy.len() > MOST_TIMES { Err(Unreadable::TooMuch) } else { Ok(Reading { busy, events: events.len() }) }
}

/// The parts of the calendars in a file, each with its lines. A calendar that breaks off is none.
fn components<'l, 'a>(lines: &'l [Line<'a>]) -> Result<Vec<(String, &'l [Line<'a>])>, Unreadable> {
    let mut found = Vec::new();
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut is_calendar = false;
    for (index, line) in lines.iter().enumerate() {
        match &*line.name {
            "BEGIN" if open.len() == DEEPEST => return Err(Unreadable::TooMuch),
            "BEGIN" => open.push((line.value.to_ascii_uppercase(), index + 1)),
            // one that was never opened is passed over, and so are those that were never closed
            "END" => {
                let Some(place) = open.iter().rposition(|(name, _)| line.is(name)) else { continue };
                let Some((name, begin)) = open.drain(place..).next() else { continue };
                is_calendar |= name == "VCALENDAR";
                // parts of an event, such as alarms, are its own affair
                if open.len() == 1 {
                    found.push((name, lines.get(begin..index).unwrap_or_default()));
                }
            }
            _ => {}
        }
    }
    match (is_calendar, lines.iter().any(|line| line.name == "BEGIN" && line.is("VCALENDAR"))) {
        (true, _) if open.iter().all(|(name, _)| name != "VCALENDAR") => Ok(found),
        (_, true) => Err(Unreadable::Cut),
        _ => Err(Unreadable::NotACalendar),
    }
}

/// A time with the zone of its line.
pub(super) type Zoned = (When, Zone);

enum End {
    At(Zoned),
    After(TimeDelta),
    Unsaid,
}

pub(super) struct Event<'a> {
    pub uid: &'a str,
    pub start: NaiveDateTime,
    pub zone: Zone,
    /// Whole days, in the owner's zone.
    pub is_all_day: bool,
    /// How long each occurrence is; of whole days, how many.
    pub lasts: TimeDelta,
    /// Read when they are followed: as texts they take no room.
    pub rules: Vec<&'a str>,
    pub more: Vec<Zoned>,
    pub except: Vec<Zoned>,
    /// The occurrence that this event stands for.
    pub replaces: Option<Zoned>,
    /// And those after it.
    pub and_later: bool,
    pub blocks: bool,
}

impl<'a> Event<'a> {
    /// `None` where there is no event that could be understood.
    fn parse(lines: &[Line<'a>], zones: &Zones, budget: &Budget) -> Result<Option<Self>, Exhausted> {
        // lines of parts of the event, such as alarms, are not its own
        let mut depth = 0_usize;
        let own: Vec<&Line<'a>> = lines
            .iter()
            .filter(|line| {
                match &*line.name {
                    "BEGIN" => depth += 1,
                    "END" => depth = depth.saturating_sub(1),
                    _ => return depth == 0,
                }
                false
            })
            .collect();
        let find = |name: &str| own.iter().find(|line| line.name == name).copied();
        let time = |name: &str| -> Result<Option<Zoned>, Exhausted> {
            let Some(line) = find(name) else { return Ok(None) };
            let zone = zones.of(line, budget)?;
            // the moment is looked for when it is read, and where it is used
            budget.spend(2 * zone.cost())?;
            Ok(When::parse(line.value).map(|when| (when, zone)))
        };
        let list = |name: &str| -> Result<Vec<Zoned>, Exhausted> {
            let mut found = Vec::new();
            for line in own.iter().filter(|line| line.name == name) {
                let zone = zones.of(line, budget)?;
                for value in line.value.split(',') {
                    budget.spend(zone.cost())?;
                    // a period counts with its beginning
                    let when = value.split('/').next().and_then(When::parse);
                    found.extend(when.map(|when| (when, zone.clone())));
                }
            }
            Ok(found)
        };
        budget.spend(EVENT)?;
        let Some((when, zone)) = time("DTSTART")? else { return Ok(None) };
        let end = match (time("DTEND")?, find("DURATION").and_then(|line| length(line.value))) {
            (Some(at), _) => End::At(at),
            (None, Some(length)) => End::After(length),
            (None, None) => End::Unsaid,
        };
        let (start, zone, is_all_day) = match when {
            When::Day(day) => (day.and_time(NaiveTime::MIN), Zone::Known(zones.own()), true),
            When::Wall(at) => (at, zone, false),
            When::Utc(at) => (at, Zone::Known(Tz::UTC), false),
        };
        let says = |name: &str, word: &str| find(name).is_some_and(|line| line.is(word));
        let Some(lasts) = lasts((start, &zone, is_all_day), &end, zones) else { return Ok(None) };
        let replaces = time("RECURRENCE-ID")?;
        let range = find("RECURRENCE-ID").and_then(|line| line.param("RANGE"));
        Ok(Some(Self {
            uid: find("UID").map_or("", |line| line.value),
            lasts,
            start,
            zone,
            is_all_day,
            rules: own.iter().filter(|line| line.name == "RRULE").map(|line| line.value).collect(),
            more: list("RDATE")?,
            except: list("EXDATE")?,
            and_later: range.is_some_and(|range| range == "THISANDFUTURE"),
            replaces,
            blocks: !says("TRANSP", "TRANSPARENT")
                && !says("STATUS", "CANCELLED")
                && !says("X-MICROSOFT-CDO-BUSYSTATUS", "FREE"),
        }))
    }

    /// The span of the occurrence that starts at a wall-clock time; `None` where it takes no time.
    pub fn span(&self, start: NaiveDateTime, zones: &Zones) -> Option<Busy> {
        let (starts_at, ends_at) = if self.is_all_day {
            let next = start.date().checked_add_days(Days::new(self.lasts.num_days().try_into().ok()?))?;
            (day_start(zones.own(), start.date())?, day_start(zones.own(), next)?)
        } else {
            let starts_at = self.zone.instant(start)?;
            (starts_at, starts_at.checked_add_signed(self.lasts)?)
        };
        (starts_at < ends_at).then_some(Busy { starts_at, ends_at })
    }
}

/// How long an event is; `None` where its times make no sense.
fn lasts((start, zone, is_all_day): (NaiveDateTime, &Zone, bool), end: &End, zones: &Zones) -> Option<TimeDelta> {
    let lasts = match (end, is_all_day) {
        (End::At((end, _)), true) => end.day() - start.date(),
        (End::At(end), false) => moment(end, zones)? - zone.instant(start)?,
        (End::After(length), true) => TimeDelta::days(length.num_days()),
        (End::After(length), false) => *length,
        (End::Unsaid, _) => TimeDelta::zero(),
    };
    // a day that ends where it begins is a day
    let least = if is_all_day { TimeDelta::days(1) } else { TimeDelta::zero() };
    Some(cut(lasts.max(least)))
}

pub(super) fn moment((when, zone): &Zoned, zones: &Zones) -> Option<DateTime<Utc>> {
    match when {
        When::Day(day) => day_start(zones.own(), *day),
        When::Wall(at) => zone.instant(*at),
        When::Utc(at) => Some(at.and_utc()),
    }
}

impl<'a> Event<'a> {
    /// This event's length and meaning on the clock of another.
    pub fn at_zone(&self, other: &Event<'a>) -> Self {
        Self {
            uid: self.uid,
            start: other.start,
            zone: other.zone.clone(),
            is_all_day: self.is_all_day,
            lasts: self.lasts,
            rules: Vec::new(),
            more: Vec::new(),
            except: Vec::new(),
            replaces: None,
            and_later: false,
            blocks: self.blocks,
        }
    }
}

#[cfg(test)]
#[path = "busy_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile;
