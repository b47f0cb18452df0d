//! Lists that stand in the program and in the database, and must say the same.

use std::collections::BTreeSet;

use huntzen::app;
use huntzen::platform::audit::Detail;
use regex::Regex;
use sqlx::{Connection, PgConnection};

use crate::support::cluster;

const AUDIT_POLICIES: &str = include_str!("../../../policies/audit.sql");

#[tokio::test]
async fn every_kind_of_job_says_who_may_enqueue_it() {
    let options = cluster::fresh_database().await;
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let listed: Vec<(String, Vec<String>)> =
        sqlx::query_as("SELECT kind, enqueued_by FROM app.job_kinds()").fetch_all(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    cluster::drop_database(&options).await;
    let registry = app::registry();
    let handled: BTreeSet<_> = registry.kinds().map(str::to_owned).collect();
    let mut faults: Vec<_> = listed
        .iter()
        .filter(|(_, by)| by.is_empty())
        .map(|(kind, _)| format!("policies/jobs_mail.sql lets nobody enqueue {kind}"))
        .collect();
    let listed: BTreeSet<_> = listed.into_iter().map(|(kind, _)| kind).collect();
    faults.extend(
        handled.difference(&listed).map(|kind| {
            format!("{kind} is not in app.job_kinds() of policies/jobs_mail.sql, so nobody could enqueue it")
        }),
    );
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    println!("{} kinds of jobs", handled.len());
}

#[test]
fn details_of_entries_are_the_ones_that_the_database_takes() {
    let list = Regex::new(r"(?s)key NOT IN \(([^)]*)\)").unwrap().captures(AUDIT_POLICIES).unwrap()[1].to_owned();
    let taken: BTreeSet<_> = list.split(',').map(|key| key.trim().trim_matches('\'').to_owned()).collect();
    let known: BTreeSet<_> = Detail::ALL.iter().map(|detail| detail.key().to_owned()).collect();
    assert_eq!(known, taken, "platform::audit::Detail and app.audit_details_are_plain");
}
