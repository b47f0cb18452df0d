//! The tour of the README, executed: what newcomers paste works.

use std::process::Stdio;
use std::time::Duration;

use huntzen::seed;
use tokio::process::Command;

use crate::support::TestApp;

const BASE: &str = "http://127.0.0.1:3000";
const PATIENCE: Duration = Duration::from_mins(1);

/// The first block of shell in the section "A tour".
fn tour() -> &'static str {
    let readme = include_str!("../../README.md");
    let section = readme.split_once("\n## A tour\n").expect("a section for the tour").1;
    let block = section.split_once("\n```sh\n").expect("a block of shell").1;
    block.split_once("\n```").expect("an end of the block").0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_of_the_readme_works_as_it_stands() {
    let app = TestApp::start().await;
    let owner = (*app.db().connect_options()).clone();
    seed::demo(&owner, &app.platform.config, &app.clock).await.unwrap();
    let booked = "SELECT count(*) FROM app.consultations";
    let before = app.count(booked).await;
    app.settle().await; // the workers run from here on, as in the program

    assert!(tour().contains(BASE));
    let folder = tempfile::tempdir().unwrap();
    let script = format!("set -euo pipefail\n{}\n", tour().replace(BASE, &app.base));
    let bash = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let done = tokio::time::timeout(PATIENCE, bash).await.expect("the tour takes less than a minute").unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{complaints}");
    app.settle().await;

    // on the way: her practitioner, free times with the offset of her own zone, what was created
    for shown in ["Dr Claire Martin", r#"startsAt":"20"#, "(201)", "(202)"] {
        assert!(complaints.contains(shown), "{shown} is not in {complaints}");
    }
    let paris = regex::Regex::new(r#""startsAt":"20\d\d-\d\d-\d\dT\d\d:[03]0:00\+0[12]:00""#).unwrap();
    assert!(paris.is_match(&complaints), "{complaints}");
    // in the end: the booking, the figures of months that are over, the file
    for shown in [r#""status":"confirmed""#, r#""threshold":11"#, r#""people":"#, "(200)"] {
        assert!(said.contains(shown), "{shown} is not in {said}");
    }
    assert_eq!(app.count(booked).await, before + 1);
    for both in ["alice@acme.test", "dr.martin@huntzen.test"] {
        assert_eq!(app.mails_to(both).len(), 2, "{both}: the booking, and its move");
    }
    assert_eq!(app.mails_to("hr@acme.test").len(), 1, "the file is announced");
    let file = std::fs::read_to_string(folder.path().join("usage.csv")).unwrap();
    assert!(file.lines().count() > 12, "{file}");
    assert!(said.contains(file.lines().nth(1).unwrap()), "{said}");
}
