//! From a calendar to the times in which its owner is busy.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::lines::{Line, decode, unfold};
use super::recurrence::{Budget, Exhausted, Rule};
use super::time::{When, Zone, Zones, cut, day_start, length};

/// What one calendar may cost: about a second on a slow machine.
const STEPS: u64 = 20_000_000;
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
    let text = decode(bytes);
    let unfolded = unfold(&text);
    let lines: Vec<Line<'_>> = unfolded.iter().filter_map(|line| Line::parse(line)).collect();
    let components = components(&lines)?;

    let mut zones = Zones::new(own);
    for (_, zone) in components.iter().filter(|(name, _)| name == "VTIMEZONE") {
        zones.explain(zone);
    }
    let of_name = |wanted: &'static str| components.iter().filter(move |(name, _)| name == wanted);
    let events: Vec<Event<'_>> = of_name("VEVENT").filter_map(|(_, lines)| Event::parse(lines, &zones)).collect();
    let mut spans = Spans { window, budget: Budget::new(STEPS), found: Vec::new() };
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
        match line.name.as_str() {
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
type Zoned = (When, Zone);

enum End {
    At(Zoned),
    After(TimeDelta),
    Unsaid,
}

struct Event<'a> {
    uid: &'a str,
    start: NaiveDateTime,
    zone: Zone,
    /// Whole days, in the owner's zone.
    is_all_day: bool,
    /// How long each occurrence is; of whole days, how many.
    lasts: TimeDelta,
    rules: Vec<Rule>,
    more: Vec<Zoned>,
    except: Vec<Zoned>,
    /// The occurrence that this event stands for.
    replaces: Option<Zoned>,
    /// And those after it.
    and_later: bool,
    blocks: bool,
}

impl<'a> Event<'a> {
    fn parse(lines: &[Line<'a>], zones: &Zones) -> Option<Self> {
        // lines of parts of the event, such as alarms, are not its own
        let mut depth = 0_usize;
        let own: Vec<&Line<'a>> = lines
            .iter()
            .filter(|line| {
                match line.name.as_str() {
                    "BEGIN" => depth += 1,
                    "END" => depth = depth.saturating_sub(1),
                    _ => return depth == 0,
                }
                false
            })
            .collect();
        let find = |name: &str| own.iter().find(|line| line.name == name).copied();
        let begins = |line: &Line<'a>| Some((When::parse(line.value)?, zones.of(line)));
        let list = |name: &str| -> Vec<Zoned> {
            let lines = own.iter().filter(|line| line.name == name);
            let values = lines.flat_map(|line| line.value.split(',').map(|value| (value, zones.of(line))));
            // a period counts with its beginning
            values.filter_map(|(value, zone)| Some((When::parse(value.split('/').next()?)?, zone))).collect()
        };
        let (when, zone) = find("DTSTART").and_then(begins)?;
        let end = match (find("DTEND").and_then(begins), find("DURATION").and_then(|line| length(line.value))) {
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
        let replaces = find("RECURRENCE-ID");
        Some(Self {
            uid: find("UID").map_or("", |line| line.value),
            lasts: lasts((start, &zone, is_all_day), &end, zones)?,
            start,
            zone,
            is_all_day,
            rules: own.iter().filter(|line| line.name == "RRULE").filter_map(|it| Rule::parse(it.value)).collect(),
            more: list("RDATE"),
            except: list("EXDATE"),
            and_later: replaces.and_then(|line| line.param("RANGE")).is_some_and(|range| range == "THISANDFUTURE"),
            replaces: replaces.and_then(begins),
            blocks: !says("TRANSP", "TRANSPARENT")
                && !says("STATUS", "CANCELLED")
                && !says("X-MICROSOFT-CDO-BUSYSTATUS", "FREE"),
        })
    }

    /// The span of the occurrence that starts at a wall-clock time; `None` where it takes no time.
    fn span(&self, start: NaiveDateTime, zones: &Zones) -> Option<Busy> {
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

fn moment((when, zone): &Zoned, zones: &Zones) -> Option<DateTime<Utc>> {
    match when {
        When::Day(day) => day_start(zones.own(), *day),
        When::Wall(at) => zone.instant(*at),
        When::Utc(at) => Some(at.and_utc()),
    }
}

/// Occurrences that are named: by their moment, or by their day.
#[derive(Default)]
struct Named {
    moments: HashSet<DateTime<Utc>>,
    days: HashSet<NaiveDate>,
}

impl Named {
    fn add(&mut self, it: &Zoned, zones: &Zones) {
        match it.0 {
            When::Day(day) => {
                self.days.insert(day);
            }
            _ => self.moments.extend(moment(it, zones)),
        }
    }

    fn holds(&self, start: NaiveDateTime, at: DateTime<Utc>) -> bool {
        self.days.contains(&start.date()) || self.moments.contains(&at)
    }
}

struct Spans {
    window: (DateTime<Utc>, DateTime<Utc>),
    budget: Budget,
    found: Vec<Busy>,
}

impl Spans {
    fn push(&mut self, it: Busy) {
        let (from, until) = self.window;
        let cut = Busy { starts_at: it.starts_at.max(from), ends_at: it.ends_at.min(until) };
        if cut.starts_at < cut.ends_at {
            self.found.push(cut);
        }
    }

    fn add(&mut self, event: &Event<'_>, start: NaiveDateTime, zones: &Zones) {
        if event.blocks {
            event.span(start, zones).into_iter().for_each(|span| self.push(span));
        }
    }

    /// An event with all its occurrences, but those that others stand for.
    fn add_series(&mut self, event: &Event<'_>, overrides: &[&Event<'_>], zones: &Zones) -> Result<(), Exhausted> {
        self.budget.spend(10)?;
        let mut gone = Named::default();
        event.except.iter().for_each(|it| gone.add(it, zones));
        overrides.iter().filter_map(|it| it.replaces.as_ref()).for_each(|it| gone.add(it, zones));
        // an override that goes for later ones as well moves them along
        let mut later: Vec<(DateTime<Utc>, TimeDelta, &Event<'_>)> = overrides
            .iter()
            .filter(|it| it.and_later)
            .filter_map(|it| {
                let from = moment(it.replaces.as_ref()?, zones)?;
                Some((from, it.zone.instant(it.start)? - from, *it))
            })
            .collect();
        later.sort_by_key(|(from, _, _)| *from);
        if !event.blocks && later.is_empty() {
            return Ok(());
        }

        for start in self.starts(event, zones)? {
            let Some(at) = event.zone.instant(start) else { continue };
            if gone.holds(start, at) {
                continue;
            }
            match later.iter().rev().find(|(from, _, _)| *from <= at) {
                Some((_, moved, by)) => {
                    let start = start.checked_add_signed(*moved);
                    if let Some(start) = start {
                        self.add(&Event { start, ..by.at_zone(event) }, start, zones);
                    }
                }
                None => self.add(event, start, zones),
            }
        }
        Ok(())
    }

    /// The wall-clock starts of an event that may lie in the window.
    fn starts(&mut self, event: &Event<'_>, zones: &Zones) -> Result<Vec<NaiveDateTime>, Exhausted> {
        let around = TimeDelta::days(2);
        let (from, until) = self.window;
        let from = event.zone.wall(from - event.lasts.max(TimeDelta::zero())) - around;
        let until = event.zone.wall(until) + around;
        let mut starts = Vec::new();
        for rule in &event.rules {
            let last = rule.until.map(|last| match last {
                When::Day(day) => day.and_time(NaiveTime::MIN) + TimeDelta::seconds(86_399),
                When::Wall(at) => at,
                When::Utc(at) => event.zone.wall(at.and_utc()),
            });
            starts.extend(rule.starts(event.start, last, (from, until), &mut self.budget)?);
        }
        if event.rules.is_empty() {
            starts.push(event.start);
        }
        starts.extend(event.more.iter().filter_map(|it| match it.0 {
            When::Day(day) => Some(day.and_time(event.start.time())),
            _ => moment(it, zones).map(|at| event.zone.wall(at)),
        }));
        starts.sort_unstable();
        starts.dedup();
        self.budget.spend(starts.len() as u64)?;
        Ok(starts)
    }

    /// Times that somebody published as busy, without events (RFC 5545, 3.6.4).
    fn add_free_busy(&mut self, lines: &[Line<'_>]) -> Result<(), Exhausted> {
        let busy = lines.iter().filter(|line| line.name == "FREEBUSY" && line.param("FBTYPE") != Some("FREE"));
        for period in busy.flat_map(|line| line.value.split(',')) {
            self.budget.spend(1)?;
            let utc = |text: &str| match When::parse(text)? {
                When::Utc(at) | When::Wall(at) => Some(at.and_utc()),
                When::Day(_) => None,
            };
            let span = period.split_once('/').and_then(|(start, end)| {
                let starts_at = utc(start)?;
                let ends_at = utc(end).or_else(|| starts_at.checked_add_signed(length(end)?))?;
                Some(Busy { starts_at, ends_at })
            });
            if let Some(span) = span {
                self.push(span);
            }
        }
        Ok(())
    }

    fn joined(mut self) -> Vec<Busy> {
        self.found.sort_by_key(|it| it.starts_at);
        let mut joined: Vec<Busy> = Vec::new();
        for it in self.found {
            match joined.last_mut() {
                Some(last) if it.starts_at <= last.ends_at => last.ends_at = last.ends_at.max(it.ends_at),
                _ => joined.push(it),
            }
        }
        joined
    }
}

impl<'a> Event<'a> {
    /// This event's length and meaning on the clock of another.
    fn at_zone(&self, other: &Event<'a>) -> Self {
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
