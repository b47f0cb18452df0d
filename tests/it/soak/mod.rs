//! Many companies on few connections, while requests are given up, transactions panic and statements run out of time:
//! no answer holds what belongs to others.
//!
//! `HUNTZEN_SOAK=200000` is the long form (`make soak`), `HUNTZEN_SOAK_SEED` another run of the dice.

mod load;
mod whose;

use std::collections::BTreeMap;

use sqlx::raw_sql;

use crate::support::TestApp;
use crate::support::tools::setting;
use load::{Load, Report};

const DATA: &str = include_str!("data.sql");
const SHORT: usize = 4_000;
const SEED: u64 = 42;

async fn start() -> TestApp {
    let app = TestApp::start_with(|name| match name {
        // two for most roles, three for employees
        "DATABASE_POOL_SIZE" => Some("3".into()),
        "DATABASE_ACQUIRE_TIMEOUT_MS" => Some("600".into()),
        _ => None,
    })
    .await;
    raw_sql(DATA).execute(app.db()).await.unwrap();
    app
}

/// As many answers as fit in the life of an access token.
const ROUND: usize = 20_000;

async fn soak(app: &TestApp, answers: usize) -> Report {
    let mut report = Report::default();
    for round in 0.. {
        if report.answers >= answers {
            break;
        }
        let load = Load::new(app, setting("HUNTZEN_SOAK_SEED", SEED) + round).await;
        let mut more = load.run((answers - report.answers).min(ROUND)).await;
        more.foreign.extend(load.made_by_others(app, &more).await);
        report.add(more);
        // what was enqueued is not what this is about
        raw_sql("DELETE FROM apalis.jobs").execute(app.db()).await.unwrap();
        println!("{} answers, {} of others", report.answers, report.foreign.len());
    }
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_holds_what_belongs_to_others() {
    let app = start().await;
    let began = std::time::Instant::now();
    let wanted = setting("HUNTZEN_SOAK", SHORT);
    let report = soak(&app, wanted).await;
    let took = began.elapsed();
    assert!(report.foreign.is_empty(), "{} of others\n{}", report.foreign.len(), report.foreign.join("\n"));
    assert!(report.faults.is_empty(), "{}", report.faults.join("\n"));
    assert!(report.answers >= wanted);
    // what was to be survived did happen, and most were answered all the same
    for (what, times) in [
        ("given up", report.given_up),
        ("panics", report.panics),
        ("statements out of time", report.timeouts),
        ("refused for want of a connection", report.exhausted),
    ] {
        assert!(times >= wanted / 1_000, "only {times} {what}");
    }
    let fine: usize = report.statuses.range(200..300).map(|(_, times)| times).sum();
    // whoever got a connection, that is: how many do not is the machine's affair
    let served = report.answers - report.exhausted.min(report.answers);
    assert!(fine * 2 > served && fine * 10 > report.answers, "{:?}", report.statuses);
    println!(
        "{} answers on 2 and 3 connections a role in {took:.0?}, {} ids and texts in them, 0 of others; {} requests given up, \
         {} panics and {} timeouts within transactions, {} refused for want of a connection; {:?}",
        report.answers,
        report.things,
        report.given_up,
        report.panics,
        report.timeouts,
        report.exhausted,
        report.statuses,
    );
}

/// The soak can fail: each of these is a mistake that it is there to find.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_soak_sees_mistakes() {
    let mistakes = BTreeMap::from([
        ("row security that is off", "ALTER TABLE app.consultations DISABLE ROW LEVEL SECURITY"),
        (
            "settings that outlive their transaction",
            "CREATE OR REPLACE FUNCTION app.user_id() RETURNS uuid LANGUAGE plpgsql STABLE AS $$
             BEGIN
                 IF coalesce(current_setting('kept.user_id', true), '') = '' THEN
                     PERFORM set_config('kept.user_id', current_setting('app.user_id', true), false);
                 END IF;
                 RETURN nullif(current_setting('kept.user_id', true), '')::uuid;
             END $$;
             CREATE OR REPLACE FUNCTION app.company_id() RETURNS uuid LANGUAGE plpgsql STABLE AS $$
             BEGIN
                 IF coalesce(current_setting('kept.company_id', true), '') = '' THEN
                     PERFORM set_config('kept.company_id', current_setting('app.company_id', true), false);
                 END IF;
                 RETURN nullif(current_setting('kept.company_id', true), '')::uuid;
             END $$",
        ),
    ]);
    for (what, sql) in mistakes {
        let app = start().await;
        raw_sql(sql).execute(app.db()).await.unwrap();
        let report = soak(&app, 500).await;
        assert!(!report.foreign.is_empty(), "{what} is not seen in {} answers: {:?}", report.answers, report.statuses);
        println!("{what}: seen {} times in {} answers", report.foreign.len(), report.answers);
    }
}
