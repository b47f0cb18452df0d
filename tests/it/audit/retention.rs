//! Old entries go, their links stay, and the chain says so itself.

use huntzen::domain::audit_trail::chain::{Fault, Finding};
use huntzen::domain::audit_trail::verify::{self, Chain};
use huntzen::platform::jobs::{Job, Queue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::write_some;
use crate::support::{Company, TestApp};

/// As the schedules do every night, one after the other.
#[derive(Serialize, Deserialize)]
struct Verify {}

impl Job for Verify {
    const KIND: &'static str = "audit_trail.verify";
    const QUEUE: Queue = Queue::Maintenance;
}

#[derive(Serialize, Deserialize)]
struct Cut {}

impl Job for Cut {
    const KIND: &'static str = "audit_trail.cut";
    const QUEUE: Queue = Queue::Maintenance;
}

async fn verify(app: &TestApp) {
    app.enqueue(&Verify {}).await;
    app.settle().await;
}

async fn cut(app: &TestApp) {
    app.enqueue(&Cut {}).await;
    app.settle().await;
}

/// So many entries of a company, written so many days ago.
async fn written(app: &TestApp, company: &Company, days: i32, count: i32) {
    sqlx::query(
        "INSERT INTO app.audit_logs (id, at, actor_role, company_id, action, object_type, outcome)
         SELECT encode(overlay(uuid_send(app.uuid_v7()) PLACING substring(int8send(
                    (extract(epoch FROM it.past) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 'hex')::uuid,
                it.past, 'hr', $1, 'employee.updated', 'employee', 'success'
         FROM generate_series(1, $3), (SELECT now() - make_interval(days => $2) AS past) it",
    )
    .bind(company.id)
    .bind(days)
    .bind(count)
    .execute(app.db())
    .await
    .unwrap();
}

async fn findings(app: &TestApp, company: &Company) -> Vec<Finding> {
    let mut found = Vec::new();
    verify::verify(&app.platform, Chain(Some(company.id)), None, Vec::new(), |it| found.push(it)).await.unwrap();
    found
}

async fn left(app: &TestApp, company: &Company) -> (i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM app.audit_logs WHERE company_id = $1 AND action = 'employee.updated'),
                (SELECT count(*) FROM app.audit_chain WHERE chain = $1)",
    )
    .bind(company.id)
    .fetch_one(app.db())
    .await
    .unwrap()
}

async fn cuts(app: &TestApp, company: &Company) -> Vec<Value> {
    sqlx::query_scalar(
        "SELECT details FROM app.audit_logs WHERE company_id = $1 AND action = 'audit_log.cut' ORDER BY at",
    )
    .bind(company.id)
    .fetch_all(app.db())
    .await
    .unwrap()
}

/// Three of five years ago, two of two years, one of ten months, two of today.
async fn aged(app: &TestApp) -> Company {
    let company = app.company("Acme").await;
    for (days, count) in [(5 * 365, 3), (2 * 365, 2), (300, 1)] {
        written(app, &company, days, count).await;
    }
    write_some(app, &company, 2).await;
    company
}

#[tokio::test]
async fn what_was_kept_for_long_enough_goes_and_the_rest_stays_verifiable() {
    let app = TestApp::start().await;
    let company = aged(&app).await;
    let anchor = verify::verify(&app.platform, Chain(Some(company.id)), None, Vec::new(), |_| {}).await.unwrap().head;
    // nothing goes that was not found whole before
    cut(&app).await;
    assert_eq!(left(&app, &company).await, (8, 8));
    verify(&app).await;
    cut(&app).await;
    assert_eq!(left(&app, &company).await, (5, 9), "links stay, and one more");
    let said = cuts(&app, &company).await;
    assert_eq!(said.len(), 1);
    assert_eq!((&said[0]["count"], &said[0]["removed"]), (&3.into(), &3.into()));
    assert_eq!(findings(&app, &company).await, []);
    // the anchor from before is met again, by the nightly job as well
    let mut missed = Vec::new();
    verify::verify(&app.platform, Chain(Some(company.id)), None, vec![anchor], |it| missed.push(it)).await.unwrap();
    assert_eq!(missed, []);
    verify(&app).await;
    assert_eq!(app.count("SELECT count(*) FROM app.audit_verifications WHERE findings > 0").await, 0);
    // once is enough
    cut(&app).await;
    assert_eq!((left(&app, &company).await, cuts(&app, &company).await.len()), ((5, 9), 1));
}

#[tokio::test]
async fn a_shorter_time_may_be_set_but_a_year_is_kept_in_any_case() {
    let app = TestApp::start().await;
    sqlx::query("UPDATE app.retention_rules SET years = NULL, days = 365 WHERE record = 'audit_entry'")
        .execute(app.db())
        .await
        .unwrap();
    let company = aged(&app).await;
    verify(&app).await;
    cut(&app).await;
    assert_eq!(left(&app, &company).await, (3, 9));
    assert_eq!(findings(&app, &company).await, []);
    // the table takes no shorter one, and the function itself would not go by it
    let shorter = "UPDATE app.retention_rules SET days = 364 WHERE record = 'audit_entry'";
    let refused = sqlx::query(shorter).execute(app.db()).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("retention_rules_audit"));
    sqlx::query("ALTER TABLE app.retention_rules DROP CONSTRAINT retention_rules_audit")
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE app.retention_rules SET days = 1 WHERE record = 'audit_entry'")
        .execute(app.db())
        .await
        .unwrap();
    verify(&app).await;
    cut(&app).await;
    assert_eq!(left(&app, &company).await.0, 3);
    // nor does anybody remove an old entry by hand while the triggers are there
    written(&app, &company, 3 * 365, 1).await;
    let old = "DELETE FROM app.audit_logs WHERE at < now() - interval '2 years'";
    let refused = sqlx::query(old).execute(app.db()).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("audit_logs_append_only"));
}

/// Whoever may disable triggers and connect as the worker removes what nobody shall see, and says that it was old.
#[tokio::test]
async fn nobody_explains_a_young_entry_away_by_saying_that_it_was_cut() {
    let app = TestApp::start().await;
    let company = aged(&app).await;
    let anchor = verify::verify(&app.platform, Chain(Some(company.id)), None, Vec::new(), |_| {}).await.unwrap().head;
    let mut conn = app.db().acquire().await.unwrap();
    let sql = format!(
        "SET session_replication_role = replica;
         DELETE FROM app.audit_logs l USING app.audit_chain c
             WHERE l.id = c.entry_id AND c.chain = '{0}' AND c.sequence <= 7;
         RESET session_replication_role;
         BEGIN; SET LOCAL session authorization huntzen_worker;
         SELECT set_config('app.company_id', '{0}', true);
         SELECT app.audit('audit_log.cut', 'audit_log', NULL, NULL, NULL, '{0}', 'success',
                          jsonb_build_object('count', 7, 'removed', 7,
                                             'to', to_char(now() - interval '400 days', 'YYYY-MM-DD')), NULL, NULL);
         COMMIT",
        company.id
    );
    sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut *conn).await.unwrap();
    drop(conn);
    let mut found = Vec::new();
    verify::verify(&app.platform, Chain(Some(company.id)), None, vec![anchor], |it| found.push(it)).await.unwrap();
    let found: Vec<_> = found.iter().map(|it| (it.fault, it.sequence, it.until)).collect();
    // the five that were old enough are explained, that of ten months ago and that of today are not
    assert_eq!(found, [(Fault::Removed, Some(6), Some(7))]);
}

#[tokio::test]
async fn a_chain_that_is_not_whole_is_evidence_and_is_not_cut() {
    let app = TestApp::start().await;
    let company = aged(&app).await;
    // somebody removes an old entry and says nothing of it
    let first = format!("(SELECT entry_id FROM app.audit_chain WHERE chain = '{}' AND sequence = 1)", company.id);
    let mut conn = app.db().acquire().await.unwrap();
    let sql = format!(
        "SET session_replication_role = replica; DELETE FROM app.audit_logs WHERE id = {first};
         SET session_replication_role = origin"
    );
    sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut *conn).await.unwrap();
    drop(conn);
    let found: Vec<_> = findings(&app, &company).await.iter().map(|it| (it.fault, it.sequence)).collect();
    assert_eq!(found, [(Fault::Removed, Some(1))]);
    verify(&app).await;
    cut(&app).await;
    assert_eq!(left(&app, &company).await, (7, 8));
    assert_eq!(cuts(&app, &company).await.len(), 0);
}
