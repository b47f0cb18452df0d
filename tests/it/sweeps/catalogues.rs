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

/// The actions that the sources write, as `"domain.verb"` beside a word of the audit log.
fn actions_of_the_sources() -> BTreeSet<String> {
    fn walk(folder: &std::path::Path, found: &mut BTreeSet<String>, pattern: &Regex) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found, pattern);
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "sql") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                // a file that writes entries, and every quoted name in it that looks like an action in the past tense
                if ["audit_done(", "Entry::done(", "Entry::refused(", "app.audit("].iter().any(|it| code.contains(it)) {
                    found.extend(pattern.captures_iter(code).map(|it| it[1].to_owned()));
                }
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let pattern =
        Regex::new(r#"["']([a-z_]+\.(?:[a-z_]+_)?(?:[a-z]+ed|read|withdrawn|begun|left|sent|set|made|taken))["']"#)
            .unwrap();
    let mut found = BTreeSet::new();
    walk(&root.join("src/domain"), &mut found, &pattern);
    walk(&root.join("policies"), &mut found, &pattern);
    // a place of app.sealed_places()
    found.remove("reviews.sealed");
    found
}

#[tokio::test]
async fn every_action_is_listed_with_who_sees_it_and_explained() {
    let options = cluster::fresh_database().await;
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let listed: BTreeSet<String> = sqlx::query_scalar("SELECT action FROM app.audit_actions()")
        .fetch_all(&mut conn)
        .await
        .unwrap()
        .into_iter()
        .collect();
    let kinds: BTreeSet<String> = sqlx::query_scalar("SELECT kind FROM app.job_kinds()")
        .fetch_all(&mut conn)
        .await
        .unwrap()
        .into_iter()
        .collect();
    // employers see the directory and their own house, never what is a person's own
    let care: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM app.audit_actions() WHERE employer
             AND object_type NOT IN ('employee', 'department', 'company', 'company_settings', 'member', 'export', 'usage')",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    conn.close().await.unwrap();
    cluster::drop_database(&options).await;
    let written: BTreeSet<String> = actions_of_the_sources().difference(&kinds).cloned().collect();
    let docs = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md")).unwrap();
    let mut faults: Vec<_> = written
        .difference(&listed)
        .map(|action| format!("{action} is written, and not in app.audit_actions() of policies/audit.sql"))
        .collect();
    faults.extend(
        listed
            .iter()
            .filter(|action| !docs.contains(&format!("| `{action}` |")))
            .map(|action| format!("{action} is not explained in the table of docs/audit.md")),
    );
    faults.extend(care.into_iter().map(|action| format!("employers see {action}")));
    assert!(written.len() > 20, "the sources were not read: {written:?}");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    println!("{} actions written, {} listed", written.len(), listed.len());
}
