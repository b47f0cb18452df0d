//! How long an answer takes says nothing of whether an address has an account.

use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::forgot;
use crate::support::TestApp;

/// Requests of each kind: 500 with `LONG_TESTS=1`, else few, which is enough to see a hash or a mail.
fn rounds() -> usize {
    if std::env::var_os("LONG_TESTS").is_some() { 500 } else { 60 }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_takes_as_long_for_a_known_address_as_for_an_unknown_one() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let unknown = alice.email.replace("employee", "nobodyyy");
    let (mut known_times, mut unknown_times) = (Vec::new(), Vec::new());
    for round in 0..rounds() + 5 {
        // nobody has to wait
        app.clock.advance(TimeDelta::minutes(6));
        // in turns, and each kind first as often as the other
        for known in [round % 2 == 0, round % 2 == 1] {
            let started = Instant::now();
            forgot(&app, if known { &alice.email } else { &unknown }).await.expect(202);
            // the first ones fill caches
            if round >= 5 {
                if known { &mut known_times } else { &mut unknown_times }.push(started.elapsed());
            }
        }
    }
    let (known, unknown) = (median(&mut known_times), median(&mut unknown_times));
    println!("{} + {}: median {known:?} known, {unknown:?} unknown", known_times.len(), unknown_times.len());
    let difference = known.abs_diff(unknown);
    // far below what a hash (20 ms and more) or a mail would add, far above what a busy machine does to a median
    assert!(difference < Duration::from_millis(4), "{known:?} known, {unknown:?} unknown");
    // what is done later is no part of the answer
    app.settle().await;
    assert!((1..=5).contains(&app.mails_to(&alice.email).len()));
}
