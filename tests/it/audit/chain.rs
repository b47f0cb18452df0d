//! The hash chain: whoever changes the log behind the program's back is found out.

use std::process::Command;

use huntzen::domain::audit_trail::chain::{Fault, Finding, Head};
use huntzen::domain::audit_trail::verify::{self, Chain, Verified};
use huntzen::platform::audit::{Detail, Entry};
use huntzen::platform::auth::{Permission, Role};
use huntzen::platform::jobs::{Job, Queue};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};
use uuid::Uuid;

use super::{context, write, write_some};
use crate::support::{Company, TestApp};

/// What a superuser does who knows the triggers.
pub(super) async fn tamper(app: &TestApp, sql: &str) {
    let sql = format!("SET session_replication_role = replica; {sql}; SET session_replication_role = origin");
    let mut conn = app.db().acquire().await.unwrap();
    raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut *conn).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn verified(app: &TestApp, chain: Chain, expected: Vec<Head>) -> (Verified, Vec<Finding>) {
    let mut findings = Vec::new();
    let found = verify::verify(&app.platform, chain, None, expected, |finding| findings.push(finding)).await.unwrap();
    assert_eq!(found.findings, findings.len() as u64);
    (found, findings)
}

async fn faults(app: &TestApp, chain: Chain) -> Vec<(Fault, Option<i64>)> {
    verified(app, chain, Vec::new()).await.1.iter().map(|it| (it.fault, it.sequence)).collect()
}

/// A company with five entries of its own.
pub async fn five(app: &TestApp) -> (Company, Chain) {
    let company = app.company("Acme").await;
    write_some(app, &company, 5).await;
    let chain = Chain(Some(company.id));
    assert_eq!(faults(app, chain).await, []);
    (company, chain)
}

/// The entry at a place of the chain, in SQL.
pub(super) fn at(sequence: i64) -> String {
    format!("(SELECT entry_id FROM app.audit_chain WHERE chain <> '{}' AND sequence = {sequence})", Uuid::nil())
}

#[tokio::test]
async fn a_change_of_any_column_is_found() {
    let app = TestApp::start().await;
    let (_, chain) = five(&app).await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
         WHERE attrelid = 'app.audit_logs'::regclass AND attnum > 0 AND NOT attisdropped",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    assert!(columns.len() >= 14);
    for (column, kind) in &columns {
        let other = match kind.as_str() {
            "uuid" => "gen_random_uuid()",
            "timestamp with time zone" => "at + interval '1 microsecond'",
            "inet" => "'192.0.2.1'",
            "jsonb" => "'{\"count\": 99}'",
            _ if column == "outcome" => "'refused'",
            _ if column == "subject_type" => "'employee'",
            "text" => "'something else'",
            other => panic!("a column of type {other}: how could it be changed?"),
        };
        let entry = at(3);
        tamper(&app, &format!("CREATE TABLE kept AS SELECT * FROM app.audit_logs WHERE id = {entry}")).await;
        let with =
            if column.starts_with("subject") { "subject_type = 'user', subject_id = gen_random_uuid()" } else { "" };
        let set = if with.is_empty() { format!("{column} = {other}") } else { with.to_owned() };
        tamper(&app, &format!("UPDATE app.audit_logs SET {set} WHERE id = {entry}")).await;
        let found = faults(&app, chain).await;
        let expected = match column.as_str() {
            // the entry that was linked is gone; another one is there
            "id" => vec![(Fault::Removed, Some(3)), (Fault::Inserted, None)],
            // it is another company's now
            "company_id" => vec![(Fault::Removed, Some(3))],
            _ => vec![(Fault::Changed, Some(3))],
        };
        assert_eq!(found, expected, "{column}");
        let id = format!("id = {entry} OR NOT EXISTS (SELECT FROM app.audit_chain c WHERE c.entry_id = audit_logs.id)");
        tamper(
            &app,
            &format!(
                "DELETE FROM app.audit_logs WHERE {id}; INSERT INTO app.audit_logs SELECT * FROM kept; DROP TABLE kept"
            ),
        )
        .await;
        assert_eq!(faults(&app, chain).await, [], "{column}, mended");
    }
    println!("{} columns", columns.len());
}

#[tokio::test]
async fn a_removed_an_inserted_and_a_moved_entry_are_found() {
    for (what, sql, expected) in [
        ("the first", format!("DELETE FROM app.audit_logs WHERE id = {}", at(1)), vec![(Fault::Removed, Some(1))]),
        ("one between", format!("DELETE FROM app.audit_logs WHERE id = {}", at(3)), vec![(Fault::Removed, Some(3))]),
        ("the last", format!("DELETE FROM app.audit_logs WHERE id = {}", at(5)), vec![(Fault::Removed, Some(5))]),
        (
            "one between, with its link",
            format!("DELETE FROM app.audit_logs WHERE id = {}; DELETE FROM app.audit_chain WHERE chain <> '{}' AND sequence = 3", at(3), Uuid::nil()),
            vec![(Fault::Removed, Some(3))],
        ),
        (
            "only a link",
            format!("DELETE FROM app.audit_chain WHERE chain <> '{}' AND sequence = 3", Uuid::nil()),
            vec![(Fault::Removed, Some(3)), (Fault::Inserted, None)],
        ),
        (
            "the tail, with its links",
            format!(
                "DELETE FROM app.audit_logs WHERE id IN ({}, {}); DELETE FROM app.audit_chain WHERE chain <> '{}' AND sequence > 3",
                at(4),
                at(5),
                Uuid::nil()
            ),
            vec![(Fault::Truncated, Some(4))],
        ),
        (
            "all",
            "DELETE FROM app.audit_logs WHERE company_id IS NOT NULL; DELETE FROM app.audit_chain".to_owned(),
            vec![(Fault::Truncated, Some(1))],
        ),
        (
            "a slipped-in entry",
            "INSERT INTO app.audit_logs (actor_id, actor_role, company_id, action, object_type, outcome)
             SELECT actor_id, actor_role, company_id, 'employee.deactivated', object_type, outcome FROM app.audit_logs
             WHERE company_id IS NOT NULL LIMIT 1"
                .to_owned(),
            vec![(Fault::Inserted, None)],
        ),
        (
            "two swapped links",
            format!(
                "UPDATE app.audit_chain SET sequence = -sequence + 1000 WHERE chain <> '{0}' AND sequence IN (2, 3);
                 UPDATE app.audit_chain SET sequence = CASE sequence WHEN 998 THEN 3 ELSE 2 END WHERE chain <> '{0}' AND sequence > 900",
                Uuid::nil()
            ),
            vec![(Fault::Reordered, Some(2)), (Fault::Reordered, Some(3)), (Fault::Reordered, Some(4))],
        ),
        (
            "two swapped entries",
            format!(
                "CREATE TABLE two AS SELECT {0} AS a, {1} AS b;
                 UPDATE app.audit_logs l SET details = '{{\"count\": 77}}' FROM two WHERE l.id = two.a;
                 UPDATE app.audit_logs l SET details = '{{\"count\": 1}}' FROM two WHERE l.id = two.b",
                at(2),
                at(3)
            ),
            vec![(Fault::Changed, Some(2)), (Fault::Changed, Some(3))],
        ),
        (
            "the head set back",
            format!("UPDATE app.audit_heads SET sequence = 4 WHERE chain <> '{}'", Uuid::nil()),
            vec![(Fault::Rewritten, Some(5))],
        ),
        (
            "the head gone",
            format!("DELETE FROM app.audit_heads WHERE chain <> '{}'", Uuid::nil()),
            vec![(Fault::Rewritten, Some(5))],
        ),
    ] {
        let app = TestApp::start().await;
        let (_, chain) = five(&app).await;
        tamper(&app, &sql).await;
        assert_eq!(faults(&app, chain).await, expected, "{what}");
        // the chain of what belongs to no company knows nothing of it
        assert_eq!(faults(&app, Chain(None)).await, [], "{what}");
    }
}

/// A forger's own code: chains all entries of the company anew.
const REWRITE: &str = "
    DELETE FROM app.audit_chain; DELETE FROM app.audit_heads;
    DO $$
    DECLARE
        entry app.audit_logs; seq bigint := 0; previous bytea := decode(repeat('00', 32), 'hex'); digest bytea;
    BEGIN
        FOR entry IN SELECT * FROM app.audit_logs WHERE company_id IS NOT NULL ORDER BY at LOOP
            seq := seq + 1;
            digest := app.audit_link_digest(entry.company_id, seq, previous, entry.id, app.audit_entry_digest(entry));
            INSERT INTO app.audit_chain VALUES (entry.company_id, seq, 1, entry.id, app.audit_entry_digest(entry), digest);
            previous := digest;
        END LOOP;
        INSERT INTO app.audit_heads SELECT chain, seq, previous FROM app.audit_chain LIMIT 1;
    END
    $$";

#[tokio::test]
async fn a_chain_that_was_made_anew_or_cut_with_its_head_is_found_by_an_anchor() {
    let app = TestApp::start().await;
    let (_, chain) = five(&app).await;
    let anchor = verified(&app, chain, Vec::new()).await.0.head;
    let faults_with = async || -> Vec<_> {
        verified(&app, chain, vec![anchor]).await.1.iter().map(|it| (it.fault, it.sequence)).collect()
    };
    assert_eq!(faults_with().await, []);
    tamper(&app, &format!("UPDATE app.audit_logs SET action = 'employee.created' WHERE id = {}; {REWRITE}", at(2)))
        .await;
    assert_eq!(faults(&app, chain).await, [], "without an anchor nobody could tell");
    assert_eq!(faults_with().await, [(Fault::Rewritten, Some(5))]);
    tamper(&app, &format!("DELETE FROM app.audit_logs WHERE id IN ({}, {}); {REWRITE}", at(4), at(5))).await;
    assert_eq!(faults(&app, chain).await, []);
    assert_eq!(faults_with().await, [(Fault::Truncated, Some(4))]);
}

#[tokio::test]
async fn nobody_changes_the_chain_through_the_program_nor_with_triggers_in_place() {
    let app = TestApp::start().await;
    five(&app).await;
    for statement in [
        "UPDATE app.audit_logs SET outcome = 'refused'",
        "DELETE FROM app.audit_logs",
        "TRUNCATE app.audit_logs",
        "UPDATE app.audit_chain SET sequence = sequence + 10",
        "DELETE FROM app.audit_chain",
        "TRUNCATE app.audit_chain",
        "UPDATE app.audit_heads SET sequence = sequence - 1",
        "UPDATE app.audit_heads SET digest = decode(repeat('00', 32), 'hex')",
        "DELETE FROM app.audit_heads",
        "TRUNCATE app.audit_heads",
    ] {
        let refused = sqlx::query(statement).execute(app.db()).await.unwrap_err();
        assert_eq!(
            refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
            Some("23000"),
            "{statement}"
        );
    }
}

#[tokio::test]
async fn many_at_once_make_one_chain_without_gaps() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let staff = app.platform_admin().await;
    let one = |n: usize| {
        let (app, acme, globex, staff) = (&app, &acme, &globex, &staff);
        async move {
            if n.is_multiple_of(3) {
                // entries of two companies in one transaction, in both orders
                let (first, second) = if n.is_multiple_of(2) { (acme.id, globex.id) } else { (globex.id, acme.id) };
                let mut tx = context(app, staff, Role::PlatformAdmin).begin(Permission::ManageSelf).await.unwrap();
                tx.audit(Entry::done("company.updated", "company", first.0).of_company(first)).await.unwrap();
                tx.audit(Entry::done("company.updated", "company", second.0).of_company(second)).await.unwrap();
                tx.commit().await.unwrap();
            } else {
                let entry = Entry::done("employee.updated", "employee", None).with(Detail::Count, n);
                write(app, &acme.hr, Role::Hr, entry).await.unwrap();
            }
        }
    };
    futures_util::future::join_all((0..120).map(one)).await;
    for chain in [Chain(Some(acme.id)), Chain(Some(globex.id)), Chain(None)] {
        assert_eq!(faults(&app, chain).await, []);
    }
    let lengths: Vec<i64> =
        sqlx::query_scalar("SELECT sequence FROM app.audit_heads WHERE sequence > 0 ORDER BY sequence")
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(lengths, [40, 120]);
}

#[tokio::test]
async fn a_chain_is_walked_from_a_time_on() {
    let app = TestApp::start().await;
    let (_, chain) = five(&app).await;
    tamper(&app, &format!("UPDATE app.audit_logs SET action = 'employee.created' WHERE id = {}", at(2))).await;
    let since: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT at FROM app.audit_logs WHERE id = {}", at(4))))
            .fetch_one(app.db())
            .await
            .unwrap();
    let late = verify::verify(&app.platform, chain, Some(since), Vec::new(), |_| {}).await.unwrap();
    assert_eq!((late.links, late.findings), (2, 0), "what lies before is taken as it is");
    let whole = verify::verify(&app.platform, chain, None, Vec::new(), |_| {}).await.unwrap();
    assert_eq!((whole.links, whole.findings), (5, 1));
    assert_eq!(whole.first.map(|it| it.fault), Some(Fault::Changed));
}

#[tokio::test]
async fn what_was_written_before_there_were_chains_is_chained_by_the_migration() {
    let app = TestApp::start().await;
    let (_, chain) = five(&app).await;
    // as an older database: entries, and no chain; then the very lines of the migration
    tamper(&app, "TRUNCATE app.audit_chain, app.audit_heads").await;
    let migration = include_str!("../../../migrations/20261122000510_audit_chain.sql");
    let start = migration.find("DO $$").unwrap();
    let end = start + migration[start..].find("\n$$;").unwrap() + 4;
    raw_sql(AssertSqlSafe(&migration[start..end])).execute(app.db()).await.unwrap();
    assert_eq!(faults(&app, chain).await, []);
    assert_eq!(app.count("SELECT sequence FROM app.audit_heads WHERE sequence > 0").await, 5);
}

/// As the schedule does every night.
#[derive(Serialize, Deserialize)]
pub(super) struct Nightly {}

impl Job for Nightly {
    const KIND: &'static str = "audit_trail.verify";
    const QUEUE: Queue = Queue::Maintenance;
}

#[tokio::test]
async fn every_night_the_chains_are_verified_and_staff_are_told_of_a_broken_one() {
    let app = TestApp::start().await;
    let (company, _) = five(&app).await;
    let (staff, other) = (app.platform_admin().await, app.platform_admin().await);
    app.enqueue(&Nightly {}).await;
    app.settle().await;
    let found = staff.get("/audit-logs/verification").await.expect(200).json;
    let mine = |found: &Value| {
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["companyId"] == company.id.0.to_string())
            .unwrap()
            .clone()
    };
    assert!(found["items"].as_array().unwrap().iter().all(|it| it["isWhole"] == true), "{found}");
    assert_eq!([&mine(&found)["sequence"], &mine(&found)["findings"]], [&json!(5), &json!(0)]);
    assert_eq!(app.mails().len(), 0);

    // somebody cuts the tail and sets the head back: only what was found last night tells
    tamper(&app, &format!("DELETE FROM app.audit_logs WHERE id IN ({}, {}); {REWRITE}", at(4), at(5))).await;
    app.clock.advance(chrono::TimeDelta::days(1));
    app.enqueue(&Nightly {}).await;
    app.settle().await;
    let (staff, _other) = (staff.with_token(app.session(staff.id, Role::PlatformAdmin, None).await), &other);
    let found = staff.get("/audit-logs/verification?limit=1").await.expect(200).json;
    assert_eq!(found["items"][0], mine(&found), "the broken one comes first");
    assert_eq!(mine(&found)["isWhole"], false);
    assert_eq!(mine(&found)["firstFinding"], json!({ "fault": "truncated", "sequence": 4, "until": 5 }));
    assert_eq!(mine(&found)["sequence"], 5, "what was whole is remembered");
    let next = staff.get(&format!("/audit-logs/verification?cursor={}", found["nextCursor"].as_str().unwrap())).await;
    assert_eq!(next.expect(200).json["items"][0]["isWhole"], true);
    for admin in [&staff, &other] {
        let mails = app.mails_to(&admin.email);
        assert_eq!(mails.len(), 1, "one a day for each");
        assert!(mails[0].subject.contains("audit log"), "{}", mails[0].subject);
    }
    app.enqueue(&Nightly {}).await;
    app.settle().await;
    assert_eq!(app.mails().len(), 2);
    assert!(app.anonymous().get("//metrics").await.text().contains("huntzen_audit_chains_broken 1"));
    let token = app.session(company.admin.id, Role::CompanyAdmin, Some(company.id)).await;
    company.admin.with_token(token).get("/audit-logs/verification").await.refused(403, "forbidden");
}

/// Runs the program itself against the test's database.
pub async fn huntzen(app: &TestApp, arguments: &[&str]) -> (bool, String, String) {
    let url = app.options().to_url_lossy().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_huntzen"));
    command
        .args(arguments)
        .env("DATABASE_URL", url)
        .env("DATA_DIR", folder.path())
        .env("MASTER_KEYS", crate::support::cluster::MASTER_KEYS)
        .env("DATABASE_ROLES_SECRET", app.platform.config.database_roles_secret.expose_secret());
    let out = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.success(), text(&out.stdout), text(&out.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_verifies_reports_and_fails() {
    let app = TestApp::start().await;
    let (company, _) = five(&app).await;
    let id = company.id.to_string();
    let (fine, anchors, _) = huntzen(&app, &["audit", "anchor"]).await;
    assert!(fine && anchors.lines().count() == 2, "{anchors}");
    assert!(anchors.starts_with("platform:0:") && anchors.contains(&format!("{id}:5:")), "{anchors}");
    let anchor = anchors.lines().find(|line| line.starts_with(&id)).unwrap();
    let (fine, out, error) = huntzen(&app, &["audit", "verify", "--expect", anchor]).await;
    assert!(fine && out.contains("5 entries looked at, up to 5: whole"), "{out}{error}");

    tamper(&app, &format!("UPDATE app.audit_logs SET outcome = 'refused' WHERE id = {}", at(2))).await;
    let (fine, out, error) = huntzen(&app, &["audit", "verify", "--company", &id]).await;
    assert!(!fine && out.contains("changed at 2, entry ") && error.contains("not whole: 1 finding"), "{out}{error}");
    let (fine, out, _) = huntzen(&app, &["audit", "verify", "--json", "--company", &id]).await;
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!fine);
    assert_eq!(lines[0]["finding"]["fault"], "changed");
    assert_eq!(lines[1]["chain"], id);
    assert_eq!(lines[2], json!({ "isWhole": false, "links": 5, "findings": 1, "acknowledged": 0 }));
    let (fine, ..) = huntzen(&app, &["audit", "verify", "--company", "platform"]).await;
    assert!(fine, "the other chain is whole");

    tamper(&app, &format!("DELETE FROM app.audit_logs WHERE id = {}; {REWRITE}", at(5))).await;
    let (fine, out, _) = huntzen(&app, &["audit", "verify", "--company", &id]).await;
    assert!(fine, "{out}");
    let (fine, out, _) = huntzen(&app, &["audit", "verify", "--expect", anchor]).await;
    assert!(!fine && out.contains("truncated at 5"), "{out}");
    for bad in [
        ["audit", "verify", "--expect", "x"],
        ["audit", "verify", "--since", "never"],
        ["audit", "verify", "--company", "acme"],
    ] {
        let (fine, _, error) = huntzen(&app, &bad).await;
        assert!(!fine && error.contains("invalid value"), "{error}");
    }
}
