//! Who asked may not have it any more: then there is no file.

use huntzen::platform::jobs::{Job, Queue};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Practice, day, held};
use crate::support::{TestApp, User};
use crate::usage::{Usage, count_anew, months_ago, name};

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

/// They are suspended while the file is written: the job looks again before it hands it over.
#[tokio::test]
async fn a_file_that_was_being_written_is_removed_when_its_reader_is_suspended() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    practice.put(held(day(practice.last(), 3), 50)).await;
    count_anew(&app).await;
    let id = ask(&app, &practice.practitioner, "practitioner_activity").await;
    // the job waits for the sessions, in the middle of its work
    let mut held_back = app.db().begin().await.unwrap();
    sqlx::query("LOCK TABLE app.consultations IN ACCESS EXCLUSIVE MODE").execute(&mut *held_back).await.unwrap();
    let suspended = async {
        app.until_one_waits().await;
        sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1")
            .bind(practice.practitioner.id)
            .execute(&mut *held_back)
            .await
            .unwrap();
        held_back.commit().await.unwrap();
    };
    tokio::join!(app.settle(), suspended);
    assert_eq!(outcome(&app, &id).await, ("failed".into(), Some("not_entitled".into()), None));
    assert_eq!(files(&app), 0);
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
