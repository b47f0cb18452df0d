//! How long an answer takes says nothing of whether an address has an account.

use std::time::Instant;

use chrono::TimeDelta;

use super::forgot;
use crate::support::TestApp;
use crate::support::timing::{self, Times};

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_takes_as_long_for_a_known_address_as_for_an_unknown_one() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let unknown = alice.email.replace("employee", "nobodyyy");
    let mut times = Times::default();
    for round in 0..timing::pairs(60) + 5 {
        // nobody has to wait
        app.clock.advance(TimeDelta::minutes(6));
        // in turns, and each kind first as often as the other
        for known in [round % 2 == 0, round % 2 == 1] {
            let started = Instant::now();
            forgot(&app, if known { &alice.email } else { &unknown }).await.expect(202);
            // the first ones fill caches
            if round >= 5 {
                times.add(known, started.elapsed());
            }
        }
    }
    times.assert_alike();
    // what is done later is no part of the answer
    app.settle().await;
    assert!((1..=5).contains(&app.mails_to(&alice.email).len()));
}
