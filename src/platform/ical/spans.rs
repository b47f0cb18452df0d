//! From events to spans of time: what recurs, what is left out, what stands in its place.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::busy::{Busy, EVENT, Event, Zoned, moment};
use super::lines::Line;
use super::recurrence::{Budget, Exhausted, Rule};
use super::time::{When, Zones, length};

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

/// The times of one calendar.
pub struct Spans<'b> {
    pub window: (DateTime<Utc>, DateTime<Utc>),
    pub budget: &'b Budget,
    pub found: Vec<Busy>,
}

impl Spans<'_> {
    fn push(&mut self, it: Busy) {
        let (from, until) = self.window;
        let cut = Busy { starts_at: it.starts_at.max(from), ends_at: it.ends_at.min(until) };
        if cut.starts_at < cut.ends_at {
            self.found.push(cut);
        }
    }

    pub fn add(&mut self, event: &Event<'_>, start: NaiveDateTime, zones: &Zones) {
        if event.blocks {
            event.span(start, zones).into_iter().for_each(|span| self.push(span));
        }
    }

    /// An event with all its occurrences, but those that others stand for.
    pub fn add_series(&mut self, event: &Event<'_>, overrides: &[&Event<'_>], zones: &Zones) -> Result<(), Exhausted> {
        // each event that has others in its place looks at them all
        let looks = |it: &&Event<'_>| 10 + it.zone.cost() + it.replaces.as_ref().map_or(0, |(_, zone)| 2 * zone.cost());
        self.budget.spend(EVENT + 4 * event.zone.cost() + overrides.iter().map(looks).sum::<u64>())?;
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

        let starts = self.starts(event, zones)?;
        self.budget.spend(starts.len() as u64 * (10 + 2 * event.zone.cost()))?;
        for start in starts {
            let Some(at) = event.zone.instant(start) else { continue };
            if gone.holds(start, at) {
                continue;
            }
            let of_now = later.partition_point(|(from, _, _)| *from <= at);
            match of_now.checked_sub(1).and_then(|index| later.get(index)) {
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
        let mut recurs = false;
        for text in &event.rules {
            self.budget.spend(EVENT + event.zone.cost() + text.len() as u64 / 4)?;
            let Some(rule) = Rule::parse(text) else { continue };
            recurs = true;
            let last = rule.until.map(|last| match last {
                When::Day(day) => day.and_time(NaiveTime::MIN) + TimeDelta::seconds(86_399),
                When::Wall(at) => at,
                When::Utc(at) => event.zone.wall(at.and_utc()),
            });
            starts.extend(rule.starts(event.start, last, (from, until), self.budget)?);
        }
        if !recurs {
            starts.push(event.start);
        }
        let cost = |(_, zone): &Zoned| 1 + zone.cost() + event.zone.cost();
        self.budget.spend(event.more.iter().map(cost).sum())?;
        starts.extend(event.more.iter().filter_map(|it| match it.0 {
            When::Day(day) => Some(day.and_time(event.start.time())),
            _ => moment(it, zones).map(|at| event.zone.wall(at)),
        }));
        starts.sort_unstable();
        starts.dedup();
        Ok(starts)
    }

    /// Times that somebody published as busy, without events (RFC 5545, 3.6.4).
    pub fn add_free_busy(&mut self, lines: &[Line<'_>]) -> Result<(), Exhausted> {
        let busy = lines.iter().filter(|line| line.name == "FREEBUSY" && line.param("FBTYPE") != Some("FREE"));
        for period in busy.flat_map(|line| line.value.split(',')) {
            self.budget.spend(EVENT)?;
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

    pub fn joined(mut self) -> Vec<Busy> {
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
