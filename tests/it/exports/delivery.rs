//! Who asked may not have it any more: then there is no file.

use std::time::Duration;

use huntzen::platform::jobs::{Job, Queue};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Practice;
use crate::support::{TestApp, User};
use crate::usage::{Usage, months_ago, name};

#[derive(Serialize, Deserialize)]
struct Make {
    export_id: Uuid,
}

impl Job for Make {
    const KIND: &'static str = "exports.make";
    const QUEUE: Queue = Queue::Exports;
}

/// What somebody's export came to, as the table says.
async fn outcome(app: &TestApp, id: &str) -> (String, Option<String>, Option<String>) {
    sqlx::query_as("SELECT status, failure, file_key FROM app.exports WHERE id = $1::uuid")
        .bind(id)
        .fetch_one(app.db())
        .await
        .unwrap()
}

async fn ask(app: &TestApp, user: &User, kind: &str) -> String {
    let month = name(months_ago(app, 1));
    user.post("/exports", json!({"kind": kind, "from": month, "to": month})).await.expect(202).str("/id")
}

fn files(app: &TestApp) -> usize {
    let folder = app.platform.config.data_dir.join("files/exports");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_file_is_not_delivered_to_whoever_is_suspended_before_it_ends() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let id = ask(&app, &acme.company.hr, "usage").await;
    let staff = app.platform_admin().await;
    let account = format!("/admin/users/{}", acme.company.hr.id);
    staff.post(&format!("{account}/suspend"), json!({})).await.expect(200);
    app.settle().await;
    assert_eq!(outcome(&app, &id).await, ("failed".into(), Some("not_entitled".into()), None));
    assert_eq!(files(&app), 0);
    assert!(app.mails_to(&acme.company.hr.email).iter().all(|mail| !mail.subject.contains("xport")));
    // nor afterwards: they ask again
    staff.post(&format!("{account}/activate"), json!({})).await.expect(200);
    app.enqueue_for(&Make { export_id: id.parse().unwrap() }, Some(acme.company.id), Some(acme.company.hr.id)).await;
    app.settle().await;
    assert_eq!(outcome(&app, &id).await.0, "failed");
}

#[tokio::test]
async fn a_file_is_not_delivered_to_whoever_has_another_role_or_company_now() {
    let app = TestApp::start().await;
    let (acme, globex) = (Usage::new(&app, "Acme", 20).await, app.company("Globex").await);
    let ready = ask(&app, &acme.company.hr, "usage").await;
    app.settle().await;
    sqlx::query("UPDATE app.users SET company_id = $2 WHERE id = $1")
        .bind(acme.company.hr.id)
        .bind(globex.id)
        .execute(app.db())
        .await
        .unwrap();
    // one more that they had asked for, of which no worker knew yet
    let waiting: Uuid = app.platform.new_id();
    sqlx::query(
        "INSERT INTO app.exports (id, company_id, requested_by, kind, params, created_at)
         SELECT $2, company_id, requested_by, kind, params, created_at FROM app.exports WHERE id = $1::uuid",
    )
    .bind(&ready)
    .bind(waiting)
    .execute(app.db())
    .await
    .unwrap();
    app.enqueue_for(&Make { export_id: waiting }, Some(acme.company.id), Some(acme.company.hr.id)).await;
    app.settle().await;
    assert_eq!(outcome(&app, &waiting.to_string()).await, ("failed".into(), Some("not_entitled".into()), None));
    // what was ready before is fetched no more
    let session = app.session(acme.company.hr.id, huntzen::platform::auth::Role::Hr, Some(globex.id)).await;
    let moved = acme.company.hr.with_token(session);
    moved.get(&format!("/exports/{ready}/download")).await.refused(404, "not_found");
    moved.get(&format!("/exports/{ready}")).await.refused(404, "not_found");
}

/// The job that says it has written 60,000 lines waits until this is let go of.
const TURNSTILE: &str = "
    CREATE FUNCTION app.turnstile() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.rows_written = 60000 THEN PERFORM pg_advisory_xact_lock(60000); END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER turnstile AFTER UPDATE OF rows_written ON app.exports FOR EACH ROW EXECUTE FUNCTION app.turnstile()";

/// What is seen of a file of so many lines while it is written; then its reader is suspended, and it is what it came to.
async fn suspended_while_it_is_written(lines: i32) -> TestApp {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    practice.crowd(lines).await;
    sqlx::raw_sql(TURNSTILE).execute(app.db()).await.unwrap();
    let id = ask(&app, &practice.practitioner, "practitioner_activity").await;
    let mut held_back = app.db().begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(60000)").execute(&mut *held_back).await.unwrap();
    let suspended = async {
        app.until_one_waits().await;
        // how far it was when that was said last, and what is there of it
        let seen = practice.practitioner.get(&format!("/exports/{id}")).await.expect(200).json;
        assert_eq!((&seen["status"], &seen["progress"]), (&json!("running"), &json!(40_000 * 100 / lines)));
        assert_eq!(files(&app), 1, "a part of it is written");
        sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1")
            .bind(practice.practitioner.id)
            .execute(&mut *held_back)
            .await
            .unwrap();
        held_back.commit().await.unwrap();
    };
    tokio::join!(app.settle(), suspended);
    assert_eq!(outcome(&app, &id).await, ("failed".into(), Some("not_entitled".into()), None));
    let gone = async {
        // parts are removed beside the job
        while files(&app) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("what was written stays");
    drop(practice);
    app
}

#[tokio::test]
async fn a_file_is_not_written_to_its_end_when_its_reader_is_suspended_meanwhile() {
    let app = suspended_while_it_is_written(85_000).await;
    // not the 80,000 that come next
    assert_eq!(app.count("SELECT rows_written::bigint FROM app.exports").await, 60_000);
}

#[tokio::test]
async fn a_file_that_was_written_whole_is_removed_when_its_reader_is_suspended_before_it_is_ready() {
    let app = suspended_while_it_is_written(65_000).await;
    assert!(app.mails().iter().all(|mail| !mail.subject.contains("xport")));
}

/// A part of a file takes minutes over a slow line. The database ends transactions that do nothing for half a minute, but for
/// this one.
#[tokio::test]
async fn a_file_may_take_its_time_to_get_into_the_storage() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let noting = "
        CREATE TABLE app.waits (of text, limit_is text);
        CREATE FUNCTION app.note_wait() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            INSERT INTO app.waits VALUES (NEW.status, current_setting('idle_in_transaction_session_timeout'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_wait AFTER UPDATE ON app.exports FOR EACH ROW EXECUTE FUNCTION app.note_wait()";
    sqlx::raw_sql(noting).execute(app.db()).await.unwrap();
    ask(&app, &acme.company.hr, "usage").await;
    app.settle().await;
    let noted: Vec<(String, String)> =
        sqlx::query_as("SELECT DISTINCT of, limit_is FROM app.waits ORDER BY 1").fetch_all(app.db()).await.unwrap();
    let (ready, running) = (("ready".to_owned(), "0".to_owned()), ("running".to_owned(), "30s".to_owned()));
    assert_eq!(noted, [ready, running], "the one that writes, and those beside it");
}

#[tokio::test]
async fn how_far_a_file_is_can_be_seen() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let id = ask(&app, &acme.company.hr, "usage").await;
    let look = async || acme.company.hr.get(&format!("/exports/{id}")).await.expect(200).json["progress"].clone();
    assert_eq!(look().await, 0);
    for (written, expected, told) in [(50, 200, 25), (300, 200, 99), (7, 0, 99), (0, 0, 0)] {
        sqlx::query("UPDATE app.exports SET status = 'running', rows_written = $1, rows_expected = $2")
            .bind(written)
            .bind(expected)
            .execute(app.db())
            .await
            .unwrap();
        assert_eq!(look().await, told);
    }
    app.settle().await;
    assert_eq!(look().await, 100);
}
