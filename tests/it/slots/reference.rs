//! The same slots as an independent implementation finds: Python's zoneinfo and dateutil, minute by minute.
//! `HUNTZEN_SLOTS_COMPARED` cases; `make slots` is the long form.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::strategy::{Strategy, ValueTree};

use super::cases::{self, Case};
use crate::support::tools;

const CASES: u32 = 250;
/// All zones, also those that the specification does not name.
const ZONES: usize = 10;

fn python(args: &[&str]) -> Command {
    let mut command = Command::new(tools::python());
    // the package's rules, not the system's
    command.arg(tools::path("slots.py")).args(args).env("PYTHONTZPATH", "");
    command
}

fn ask(cases: &[Case]) -> Vec<Vec<i64>> {
    let mut child = python(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: Vec<String> = cases.iter().map(|case| case.json().to_string()).collect();
    let writer = std::thread::spawn(move || lines.iter().for_each(|line| writeln!(input, "{line}").unwrap()));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(done.status.success(), "the other implementation failed");
    String::from_utf8(done.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_independent_implementation_finds_the_same_slots() {
    let version = String::from_utf8(python(&["--version"]).output().unwrap().stdout).unwrap();
    assert_eq!(version.trim(), chrono_tz::IANA_TZDB_VERSION, "both must know the same rules of time zones");

    let cases: u32 = tools::setting("HUNTZEN_SLOTS_COMPARED", CASES);
    let mut runner = cases::runner(cases);
    let strategy = cases::case(ZONES);
    let cases: Vec<Case> = (0..cases).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let expected = ask(&cases);
    assert_eq!(expected.len(), cases.len());
    let mut free = 0;
    for (case, expected) in cases.iter().zip(expected) {
        let ours = case.offer.free(case.length, case.from, case.to);
        let ours: Vec<i64> = ours.iter().map(|slot| slot.starts_at.timestamp() / 60).collect();
        assert_eq!(ours, expected, "{}", case.json());
        free += ours.len();
    }
    println!("{} cases with {free} free slots, the same in both", cases.len());
    assert!(free > cases.len());
}
