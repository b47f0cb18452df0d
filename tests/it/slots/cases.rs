//! Random offers around the days on which clocks change.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use huntzen::domain::consultations::slots::{Offer, Span};
use huntzen::domain::practitioners::overrides::{Kind, Override};
use huntzen::domain::practitioners::{BookingTerms, Hours, Mode, Rule, Specialty, Status};
use huntzen::platform::ids::PractitionerId;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

/// Zones, and days on which their clocks change: by an hour, by half of one, by a quarter, by a day, at midnight, one
/// minute past it, and around Ramadan.
const CHANGES: [(Tz, &[&str]); 10] = [
    (Tz::Europe__Paris, &["2026-03-29", "2026-10-25", "2027-03-28", "2027-10-31"]),
    (Tz::America__New_York, &["2026-03-08", "2026-11-01", "2027-03-14", "2027-11-07"]),
    (Tz::Australia__Lord_Howe, &["2026-04-05", "2026-10-04", "2027-04-04", "2027-10-03"]),
    (Tz::Asia__Kathmandu, &["1986-01-01", "2026-06-01"]),
    (Tz::Pacific__Apia, &["2011-12-30", "2012-04-01", "2020-09-27", "2021-04-04"]),
    (Tz::America__St_Johns, &["2006-10-29", "2007-03-11", "2026-11-01"]),
    (Tz::Asia__Beirut, &["2026-03-29", "2026-10-25"]),
    (Tz::America__Havana, &["2026-03-08", "2026-11-01"]),
    (Tz::Africa__Casablanca, &["2026-02-15", "2026-03-22"]),
    (Tz::Atlantic__Azores, &["2026-03-29", "2026-10-25"]),
];
/// Those that the specification names.
pub const NAMED: usize = 5;

/// An offer and a question.
#[derive(Clone, Debug)]
pub struct Case {
    pub offer: Offer,
    pub length: TimeDelta,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Times to be looked at closely.
    pub probes: Vec<DateTime<Utc>>,
}

/// So many cases, the same ones each time.
pub fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Spans in order and apart, of (beginning, length) in minutes around a time.
fn spans(around: DateTime<Utc>, of: &[(i64, i64)]) -> Vec<Span> {
    let mut of = of.to_vec();
    of.sort_unstable();
    let mut found: Vec<Span> = Vec::new();
    for (begin, length) in of {
        let from = around + TimeDelta::minutes(begin);
        if found.last().is_none_or(|last| last.until <= from) {
            found.push(Span { from, until: from + TimeDelta::minutes(length) });
        }
    }
    found
}

/// Minutes of a day; most lie on quarters of an hour.
fn minute_of_day() -> impl Strategy<Value = i32> {
    prop_oneof![4 => (0..96_i32).prop_map(|it| it * 15), 1 => 0..1440_i32]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    vec((1..=7_i16, minute_of_day(), minute_of_day()), 4..28).prop_map(|of| {
        let mut found: Vec<Rule> = Vec::new();
        for (weekday, one, other) in of {
            let rule = Rule { weekday, starts_minute: one.min(other), ends_minute: one.max(other) + 15 };
            let rule = Rule { ends_minute: rule.ends_minute.min(1440), ..rule };
            let overlaps = |it: &Rule| {
                it.weekday == weekday && it.starts_minute < rule.ends_minute && rule.starts_minute < it.ends_minute
            };
            if rule.starts_minute < rule.ends_minute && !found.iter().any(overlaps) {
                found.push(rule);
            }
        }
        found
    })
}

fn overrides(day: NaiveDate) -> impl Strategy<Value = Vec<Override>> {
    let midnight = day.and_time(NaiveTime::MIN);
    let length = prop_oneof![3 => 15..600_i64, 1 => Just(1440_i64)];
    let minute = prop_oneof![3 => (-288..288_i64).prop_map(|it| it * 15), 1 => -4320..4320_i64];
    vec((select(vec![Kind::Open, Kind::Closed, Kind::TimeOff]), minute, length), 0..8).prop_map(move |of| {
        let mut found: Vec<Override> = Vec::new();
        for (kind, minute, length) in of {
            let starts = midnight + TimeDelta::minutes(minute);
            let it = Override { kind, starts, ends: starts + TimeDelta::minutes(length) };
            if !found.iter().any(|other| other.kind == kind && other.starts < it.ends && it.starts < other.ends) {
                found.push(it);
            }
        }
        found
    })
}

/// Offers in the first so many of the zones.
pub fn case(zones: usize) -> impl Strategy<Value = Case> {
    let days: Vec<(Tz, NaiveDate)> =
        CHANGES[..zones].iter().flat_map(|(zone, days)| days.iter().map(|day| (*zone, day.parse().unwrap()))).collect();
    let lengths = vec![vec![30], vec![30, 60], vec![60], vec![45], vec![15, 50], vec![20, 120], vec![240]];
    select(days).prop_flat_map(move |(zone, day)| {
        let noon = day.and_hms_opt(12, 0, 0).unwrap().and_utc();
        let terms = (select(lengths.clone()), any::<prop::sample::Index>(), 0..13_i64, 0..13_i64);
        let limits = (0..8640_i64, prop_oneof![Just(0_i64), 0..4320_i64], 1..14_i32);
        let busy = vec((-4320..4320_i64, 15..180_i64), 0..12);
        let outside = vec((-4320..4320_i64, 15..600_i64), 0..3);
        // an employee's other sessions, their contract, and by how much their company's horizon is shorter
        let contract = prop_oneof![2 => Just(None), 1 => (-4320..1440_i64, 60..5760_i64).prop_map(Some)];
        let own = vec((-4320..4320_i64, 15..240_i64), 0..6);
        let employee = (own, contract, prop_oneof![2 => Just(0), 1 => 0..14_i32]);
        let asked = (-4320..4320_i64, 1..8640_i64);
        let probes = vec(-4320..4320_i64, 12);
        (rules(), overrides(day), terms, limits, busy, outside, employee, (asked, probes)).prop_map(
            move |(rules, overrides, terms, limits, busy, outside, employee, (asked, probes))| {
                let (own, contract, shorter) = employee;
                let (session_lengths, chosen, before, after) = terms;
                let (ago, notice, horizon_days) = limits;
                let length = TimeDelta::minutes((*chosen.get(&session_lengths)).into());
                let from = noon + TimeDelta::minutes(asked.0);
                let offer = Offer {
                    terms: BookingTerms {
                        id: PractitionerId(uuid::Uuid::nil()),
                        display_name: "Dr Case".into(),
                        time_zone: zone,
                        session_lengths,
                        buffer_before: TimeDelta::minutes(before * 5),
                        buffer_after: TimeDelta::minutes(after * 5),
                        min_notice: TimeDelta::minutes(notice),
                        horizon_days,
                        modes: vec![Mode::Video],
                        specialty: Specialty::Psychology,
                        status: Status::Active,
                        is_suspended: false,
                        version: DateTime::UNIX_EPOCH,
                    },
                    hours: Hours { rules, overrides },
                    now: noon - TimeDelta::minutes(ago),
                    horizon_days: (horizon_days - shorter).max(1),
                    contract: contract.map(|(begin, length)| Span {
                        from: noon + TimeDelta::minutes(begin),
                        until: noon + TimeDelta::minutes(begin + length),
                    }),
                    taken: spans(noon, &busy),
                    elsewhere: spans(noon, &outside),
                    own: spans(noon, &own),
                };
                let to = from + TimeDelta::minutes(asked.1);
                let probes = probes.iter().map(|minute| noon + TimeDelta::minutes(*minute)).collect();
                Case { offer, length, from, to, probes }
            },
        )
    })
}

impl Case {
    /// As the other implementation reads it.
    pub fn json(&self) -> Value {
        let minute = |at: DateTime<Utc>| at.timestamp() / 60;
        let wall = |at: NaiveDateTime| at.format("%Y-%m-%dT%H:%M").to_string();
        let spans = |of: &[Span]| of.iter().map(|it| json!([minute(it.from), minute(it.until)])).collect::<Vec<_>>();
        let Offer { terms, hours, .. } = &self.offer;
        let kind = |kind| match kind {
            Kind::Open => "open",
            Kind::Closed => "closed",
            Kind::TimeOff => "time_off",
        };
        let rule = |it: &Rule| json!({"weekday": it.weekday, "starts": it.starts_minute, "ends": it.ends_minute});
        let change = |it: &Override| json!({"kind": kind(it.kind), "from": wall(it.starts), "to": wall(it.ends)});
        json!({
            "zone": terms.time_zone.name(),
            "rules": hours.rules.iter().map(rule).collect::<Vec<_>>(),
            "overrides": hours.overrides.iter().map(change).collect::<Vec<_>>(),
            "taken": spans(&self.offer.taken),
            "external": spans(&self.offer.elsewhere),
            "own": spans(&self.offer.own),
            "contract": self.offer.contract.map(|it| [minute(it.from), minute(it.until)]),
            "lengths": terms.session_lengths,
            "length": self.length.num_minutes(),
            "bufferBefore": terms.buffer_before.num_minutes(),
            "bufferAfter": terms.buffer_after.num_minutes(),
            "notice": terms.min_notice.num_minutes(),
            "horizonDays": self.offer.horizon_days,
            "now": minute(self.offer.now),
            "from": minute(self.from),
            "to": minute(self.to),
        })
    }
}
