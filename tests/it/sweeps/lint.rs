//! The rules of `lint.sql` find no offender, and each of them finds the ones that `mutations.sql` makes.

use std::collections::{BTreeMap, BTreeSet};

use huntzen::platform::db::{DbRole, role_options};
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

use crate::support::cluster;

const RULES: &str = include_str!("lint.sql");
const MUTATIONS: &str = include_str!("mutations.sql");

/// The pieces of a file that begin with `-- <kind>: name`, and what stands before the first.
fn pieces(file: &'static str, kind: &str) -> (&'static str, Vec<(&'static str, &'static str)>) {
    let marker = format!("\n-- {kind}: ");
    let mut parts = file.split(marker.as_str());
    let prelude = parts.next().unwrap();
    (prelude, parts.map(|part| part.split_once('\n').unwrap()).collect())
}

/// The offenders of one rule, after `change` if any; everything is rolled back.
async fn offenders(conn: &mut PgConnection, change: &'static str, rules: &[&'static str]) -> Vec<Vec<String>> {
    let mut tx = conn.begin().await.unwrap();
    raw_sql("SET LOCAL lock_timeout = '20s'").execute(&mut *tx).await.unwrap();
    raw_sql(change).execute(&mut *tx).await.unwrap_or_else(|error| panic!("{change}: {error}"));
    raw_sql(pieces(RULES, "rule").0).execute(&mut *tx).await.unwrap();
    raw_sql("SET LOCAL search_path = pg_catalog").execute(&mut *tx).await.unwrap();
    let mut found = Vec::new();
    for rule in rules {
        let rule: String = rule.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        let rule = rule.rsplit_once(';').map_or("", |(query, _)| query);
        let rows = sqlx::query_scalar(AssertSqlSafe(format!("SELECT offender::text FROM ({rule}\n) AS it (offender)")))
            .fetch_all(&mut *tx)
            .await;
        found.push(rows.unwrap_or_else(|error| panic!("{rule}: {error}")));
    }
    tx.rollback().await.unwrap();
    found
}

#[tokio::test]
async fn the_catalogue_offends_no_rule() {
    let options = cluster::fresh_database().await;
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let (_, rules) = pieces(RULES, "rule");
    let queries: Vec<_> = rules.iter().map(|(_, query)| *query).collect();
    let found = offenders(&mut conn, "", &queries).await;
    let offences: Vec<_> = rules
        .iter()
        .zip(found)
        .flat_map(|((name, _), found)| found.into_iter().map(move |offender| format!("{name}: {offender}")))
        .collect();
    conn.close().await.unwrap();
    cluster::drop_database(&options).await;
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
    println!("{} rules, no offender", rules.len());
}

#[tokio::test]
async fn every_rule_sees_what_breaks_it() {
    let options = cluster::fresh_database().await;
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let (_, rules) = pieces(RULES, "rule");
    let rules: BTreeMap<_, _> = rules.into_iter().collect();
    let (_, mutations) = pieces(MUTATIONS, "mutation");
    let mut unseen = Vec::new();
    for (name, change) in &mutations {
        let rule = rules.get(name).unwrap_or_else(|| panic!("a mutation of no rule: {name}"));
        if offenders(&mut conn, change, &[rule]).await.concat().is_empty() {
            unseen.push(format!("{name} does not see: {change}"));
        }
    }
    conn.close().await.unwrap();
    cluster::drop_database(&options).await;
    let broken: BTreeSet<_> = mutations.iter().map(|(name, _)| *name).collect();
    unseen.extend(rules.keys().filter(|name| !broken.contains(*name)).map(|name| format!("{name} has no mutation")));
    assert!(unseen.is_empty(), "\n{}", unseen.join("\n"));
    println!("{} rules, {} mutations, each seen", rules.len(), mutations.len());
}

/// What no catalogue holds: the settings with which the program connects.
#[tokio::test]
async fn every_connection_has_its_limits() {
    let options = cluster::fresh_database().await;
    for role in DbRole::ALL {
        let config = cluster::template().await.config();
        let mut conn = PgConnection::connect_with(&role_options(&options, role, config)).await.unwrap();
        let (statement, idle): (i32, i32) = sqlx::query_as(
            "SELECT sum(setting::int) FILTER (WHERE name = 'statement_timeout')::int,
                    sum(setting::int) FILTER (WHERE name = 'idle_in_transaction_session_timeout')::int FROM pg_settings",
        )
        .fetch_one(&mut conn)
        .await
        .unwrap();
        let longest = if role == DbRole::Worker { 120_000 } else { 10_000 };
        assert!((1..=longest).contains(&statement), "{}: statement_timeout {statement}", role.name());
        assert!((1..=30_000).contains(&idle), "{}: idle_in_transaction_session_timeout {idle}", role.name());
        for (name, value) in [
            ("search_path", "app,pg_temp"),
            ("row_security", "on"),
            ("TimeZone", "UTC"),
            ("session_replication_role", "origin"),
            ("is_superuser", "off"),
            ("app.user_id", ""),
            ("app.company_id", ""),
        ] {
            let found: Option<String> =
                sqlx::query_scalar("SELECT current_setting($1, true)").bind(name).fetch_one(&mut conn).await.unwrap();
            assert_eq!(found.unwrap_or_default(), value, "{}: {name}", role.name());
        }
        conn.close().await.unwrap();
    }
    cluster::drop_database(&options).await;
}
