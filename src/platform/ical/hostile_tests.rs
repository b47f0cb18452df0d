//! Calendars that are written to keep a core or the memory busy: each is as long as a feed may be, and ends within the
//! same number of steps. What each cost is printed; `cargo test --release --lib hostile -- --nocapture` shows it.

use std::fmt::Write;
use std::time::Instant;

use super::*;

/// As long as a feed may be.
const LONGEST: usize = 5 << 20;

/// What comes of `parts` within a calendar, and the steps that it took.
fn read_steps(name: &str, parts: &str) -> (Result<Reading, Unreadable>, u64) {
    let text = format!("BEGIN:VCALENDAR\n{parts}END:VCALENDAR\n");
    let window = ("2026-01-01T00:00:00Z".parse().unwrap(), "2027-01-05T00:00:00Z".parse().unwrap());
    let (budget, begun) = (Budget::new(STEPS), Instant::now());
    let read = read_within(&budget, text.as_bytes(), Tz::Europe__Paris, window, |_| false);
    let steps = STEPS - budget.left();
    let told = read.as_ref().map(|it| it.busy.len());
    println!("{name}: {} KB, {told:?}, {steps} steps, {:.0?}", text.len() >> 10, begun.elapsed());
    (read, steps)
}

/// So much of a text as a feed may be long, or so many times.
fn swarm(most: usize, part: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for n in 0..most {
        let next = part(n);
        if text.len() + next.len() > LONGEST - 100 {
            break;
        }
        text.push_str(&next);
    }
    text
}

fn refused(name: &str, parts: &str) {
    assert_eq!(read_steps(name, parts).0, Err(Unreadable::TooMuch), "{name}");
}

#[test]
fn parts_that_are_opened_and_never_closed_are_not_searched_through() {
    let deep = format!("{}{}", "BEGIN:A\n".repeat(100_000), "END:B\n".repeat(140_000));
    let (read, steps) = read_steps("unclosed", &deep);
    assert_eq!((read, steps), (Err(Unreadable::TooMuch), 0), "the depth is bounded");
    let wide = format!("{}{}", "BEGIN:A\n".repeat(DEEPEST - 1), "END:B\n".repeat(240_000));
    assert_eq!(read_steps("unopened", &wide).0.unwrap().busy, []);
    // as deep as any calendar
    let alarm = "BEGIN:VEVENT\nDTSTART:20260601T120000Z\nDURATION:PT1H\nBEGIN:VALARM\nEND:VALARM\nEND:VEVENT\n";
    assert_eq!(read_steps("alarm", alarm).0.unwrap().busy.len(), 1);
}

#[test]
fn a_file_of_short_lines_is_not_taken_apart() {
    let (read, steps) = read_steps("short lines", &swarm(usize::MAX, |_| "a:\n".into()));
    assert_eq!((read, steps), (Err(Unreadable::TooMuch), 0));
    // parameters take no room, however many a line has
    let odd = format!("X{}:v\n", ";A=".repeat(1_700_000));
    assert_eq!(read_steps("parameters", &odd).0.unwrap().busy, []);
    let lines = unfold("x\ny\nz", 2);
    assert_eq!(lines, None);
}

/// A VTIMEZONE with so many observances.
fn zone(name: &str, observances: usize) -> String {
    let mut text = format!("BEGIN:VTIMEZONE\nTZID:{name}\n");
    for n in 0..observances {
        let (year, offset) = (1700 + n % 300, n % 12);
        write!(
            text,
            "BEGIN:STANDARD\nDTSTART:{year}0101T000000\nTZOFFSETFROM:+0000\nTZOFFSETTO:+{offset:02}00\n\
             RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nEND:STANDARD\n"
        )
        .unwrap();
    }
    text + "END:VTIMEZONE\n"
}

const MINUTELY: &str =
    "BEGIN:VEVENT\nUID:m\nDTSTART;TZID=Mine:20251231T000000\nDURATION:PT1M\nRRULE:FREQ=MINUTELY\nEND:VEVENT\n";

#[test]
fn zones_of_many_observances_are_refused_and_those_of_some_are_paid_for() {
    let (read, steps) = read_steps("observances", &(zone("Mine", 40_000) + MINUTELY));
    assert_eq!(read, Err(Unreadable::TooMuch));
    assert!(steps < 1_000, "{steps}: the zone alone is too much");
    let fifty = zone("Mine", 50);
    refused("minutes of fifty observances", &(fifty.clone() + MINUTELY));
    let events = swarm(usize::MAX, |n| {
        format!(
            "BEGIN:VEVENT\nDTSTART;TZID=Mine:20260{}01T000000\nDTEND;TZID=Mine:20260901T000000\nEND:VEVENT\n",
            1 + n % 6
        )
    });
    refused("events in fifty observances", &(fifty + &events));
    let zones = swarm(600, |n| zone(&format!("Zone {n}"), 2));
    refused("zones", &zones);
    // one whose name is known needs no explanation, however long it is
    let long = zone("Europe/Paris", 300);
    let event = "BEGIN:VEVENT\nDTSTART;TZID=Europe/Paris:20260601T140000\nDURATION:PT1H\nEND:VEVENT\n";
    assert_eq!(read_steps("a known zone", &(long + event)).0.unwrap().busy.len(), 1);
    let names = swarm(40_000, |n| format!("BEGIN:VEVENT\nDTSTART;TZID=/x/{n}:20260601T140000\nEND:VEVENT\n"));
    assert!(read_steps("names of zones", &names).1 > 20 * 40_000, "a name is paid for");
}

#[test]
fn events_that_stand_for_many_others_are_paid_for_one_by_one() {
    let later = |uid: &str, n: usize| {
        let (day, minute) = (1 + n / 1440 % 28, n % 1440);
        let at = format!("202602{day:02}T{:02}{:02}00Z", minute / 60, minute % 60);
        format!(
            "BEGIN:VEVENT\nUID:{uid}\nRECURRENCE-ID;RANGE=THISANDFUTURE:{at}\nDTSTART:{at}\nDURATION:PT1M\nEND:VEVENT\n"
        )
    };
    let swarm_of_later = swarm(40_000, |n| later("m", n));
    refused("this and future", &(MINUTELY.to_owned() + &swarm_of_later));
    let hourly = MINUTELY.replace("MINUTELY", "HOURLY");
    let (read, steps) = read_steps("this and future, hourly", &(hourly + &swarm_of_later));
    assert!(read.is_ok(), "{read:?}");
    assert!(steps < 8_000_000, "{steps}: found by halving, not one by one");
    // many series, each of which looks at all that stand for one of them
    let series = swarm(15_000, |_| "BEGIN:VEVENT\nUID:m\nDTSTART:20260101T000000Z\nEND:VEVENT\n".into());
    refused("series of one name", &(series + &swarm(15_000, |n| later("m", n))));
}

#[test]
fn rules_and_lists_are_paid_for() {
    let minutely = MINUTELY.replace("UID:m", "UID:x");
    refused("minutes that join to one time", &minutely);
    let all = |range: std::ops::RangeInclusive<i32>| {
        range.filter(|it| *it != 0).map(|it| it.to_string()).collect::<Vec<_>>().join(",")
    };
    let (days, minutes) = (all(-366..=366), all(0..=59));
    for rule in [
        format!("FREQ=YEARLY;BYYEARDAY={days};BYHOUR={};BYMINUTE={minutes}", all(0..=23)),
        format!("FREQ=SECONDLY;INTERVAL=7;BYMONTHDAY={};BYHOUR=25;BYYEARDAY={days}", all(-31..=31)),
        "FREQ=DAILY;COUNT=4000000000;BYMONTH=2;BYMONTHDAY=30".to_owned(),
        format!("FREQ=YEARLY;COUNT=4000000000;BYWEEKNO={};BYDAY=MO,TU,WE,TH,FR,SA,SU", all(-53..=53)),
    ] {
        let event = format!("BEGIN:VEVENT\nDTSTART:00010101T000000Z\nDURATION:PT1M\nRRULE:{rule}\nEND:VEVENT\n");
        refused(&rule[..20], &swarm(2_000, |_| event.clone()));
    }
    // a day that the clock of a place skips, over and over
    let gap = format!("EXDATE;TZID=Pacific/Apia:{}\n", swarm(300_000, |_| "20111230T120000,".into()));
    let event = format!("BEGIN:VEVENT\nDTSTART:20260101T000000Z\nDURATION:PT1M\n{gap}END:VEVENT\n");
    assert!(read_steps("skipped days", &event).1 >= 5 * 290_000, "each is paid for");
    let rules = "RRULE:FREQ=DAILY;COUNT=9\n".repeat(200_000);
    refused("rules", &format!("BEGIN:VEVENT\nDTSTART:20260101T000000Z\nDURATION:PT1M\n{rules}END:VEVENT\n"));
}

#[test]
fn a_busy_persons_calendar_of_twenty_years_costs_a_part_of_what_it_may() {
    let text = zone("Bureau", 2)
        + &swarm(15_000, |n| {
            let (year, month, day) = (2007 + n % 20, 1 + n % 12, 1 + n % 28);
            let at = format!("{year}{month:02}{day:02}T{:02}3000", 8 + n % 10);
            let rule = match n % 50 {
                0 => "RRULE:FREQ=WEEKLY;BYDAY=MO,WE\n",
                1 => "RRULE:FREQ=MONTHLY;BYDAY=1MO;COUNT=30\n",
                _ => "",
            };
            format!(
                "BEGIN:VEVENT\nUID:{n}@example.org\nDTSTAMP:20260101T000000Z\nSUMMARY:Somebody comes\n\
                 DTSTART;TZID=Bureau:{at}\nDURATION:PT30M\n{rule}SEQUENCE:1\nSTATUS:CONFIRMED\nTRANSP:OPAQUE\nEND:VEVENT\n"
            )
        });
    let (read, steps) = read_steps("twenty years", &text);
    assert!(read.unwrap().busy.len() > 100);
    assert!(steps < STEPS / 3, "{steps}");
}
