//! What must hold of every offer. `HUNTZEN_SLOTS` cases; `make slots` is the long form.

use std::collections::HashSet;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use huntzen::domain::consultations::slots::Span;
use huntzen::domain::practitioners::Mode;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::cases::{self, Case, NAMED};
use crate::support::tools;

/// Of the short form.
const CASES: u32 = 400;

fn apart(spans: &[Span], from: DateTime<Utc>, until: DateTime<Utc>) -> bool {
    spans.iter().all(|span| span.until <= from || until <= span.from)
}

fn holds(case: &Case) -> Result<(), TestCaseError> {
    let Case { offer, length, from, to, probes } = case;
    let (zone, length) = (offer.terms.time_zone, *length);
    let listed = offer.free(length, *from, *to);

    let mut shown = HashSet::new();
    for slot in &listed {
        prop_assert_eq!(slot.ends_at - slot.starts_at, length, "exact lengths");
        prop_assert!(*from <= slot.starts_at && slot.starts_at < *to, "what was asked for");
        prop_assert!(slot.starts_at >= offer.now + offer.terms.min_notice, "notice");
        let (begin, end) = (slot.starts_at - offer.terms.buffer_before, slot.ends_at + offer.terms.buffer_after);
        prop_assert!(apart(&offer.taken, begin, end), "no overlap with what is taken, buffers included");
        prop_assert!(apart(&offer.elsewhere, begin, end), "nor with other calendars");
        prop_assert!(apart(&offer.own, slot.starts_at, slot.ends_at), "nor with the employee's own sessions");
        let covered = offer.contract.is_none_or(|it| it.from <= slot.starts_at && slot.starts_at < it.until);
        prop_assert!(covered, "on a day of the contract");
        let last = offer.now + TimeDelta::days(offer.horizon_days.into());
        prop_assert!(slot.starts_at <= last, "within the shorter of both horizons");
        // a real time of the practitioner's clock, the first one that it shows
        let wall = slot.starts_at.with_timezone(&zone).naive_local();
        prop_assert_eq!(zone.from_local_datetime(&wall).earliest().map(|at| at.to_utc()), Some(slot.starts_at));
        prop_assert!(shown.insert(wall), "a doubled hour is offered once");
        let written = slot.starts_at.with_timezone(&zone).to_rfc3339();
        prop_assert_eq!(DateTime::parse_from_rfc3339(&written).unwrap().to_utc(), slot.starts_at, "UTC round trip");
    }
    prop_assert!(listed.windows(2).all(|two| two[0].starts_at < two[1].starts_at), "in order, each once");

    // whatever was asked for, the answer is the same
    let middle = *from + (*to - *from) / 3;
    let mut pieces = offer.free(length, *from, middle);
    pieces.extend(offer.free(length, middle, *to));
    prop_assert_eq!(&pieces, &listed, "in two pieces");
    prop_assert_eq!(offer.first(length, *from, *to), listed.first().copied());
    prop_assert_eq!(offer.following(length, *from, *to, 5), listed.iter().take(5).copied().collect::<Vec<_>>());

    // listed is bookable is explained as free
    let starts: HashSet<_> = listed.iter().map(|slot| slot.starts_at).collect();
    let near = listed.iter().step_by(1 + listed.len() / 6).flat_map(|slot| {
        [slot.starts_at, slot.starts_at + TimeDelta::minutes(1), slot.starts_at + TimeDelta::hours(1)]
    });
    let looked_at = near.chain(probes.iter().copied()).filter(|at| (*from..*to).contains(at));
    for at in looked_at {
        let booked = offer.slot_at(at, length, Mode::Video);
        let reasons = offer.reasons(at, length, Some(Mode::Video));
        prop_assert_eq!(booked.is_ok(), starts.contains(&at), "{} {:?}", at, booked);
        prop_assert_eq!(reasons.is_empty(), starts.contains(&at), "{} {:?}", at, reasons);
    }
    Ok(())
}

#[test]
fn every_offer_keeps_its_promises_when_clocks_change() {
    let cases: u32 = tools::setting("HUNTZEN_SLOTS", CASES);
    let begun = Instant::now();
    let mut free = 0_usize;
    let counted = std::cell::Cell::new(0_usize);
    let done = cases::runner(cases).run(&cases::case(NAMED), |case| {
        counted.set(counted.get() + case.offer.free(case.length, case.from, case.to).len());
        holds(&case)
    });
    free += counted.get();
    if let Err(error) = done {
        panic!("{error}");
    }
    println!("{cases} offers with {free} free slots in {:.1?}", begun.elapsed());
    assert!(free > cases as usize, "hardly anything was free: {free} slots in {cases} cases");
}
