//! A clock that is wrong: nothing that goes by it is done, and everything when it is right again.

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::platform::auth::Role;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{jobs, mails, move_mailbox, post, with_a_mail_that_waits};
use crate::support::TestApp;

/// Every job of a schedule, as if the clock had struck for all of them at once.
async fn every_schedule(app: &TestApp) -> i64 {
    sqlx::query_scalar(
        "WITH kinds AS (SELECT kind, queue FROM app.job_kinds() WHERE queue IN ('maintenance', 'counting')),
              queued AS (SELECT app.enqueue(queue, kind, ARRAY['{}'::jsonb], ARRAY[NULL::text], NULL, 3) FROM kinds)
         SELECT count(*) FROM queued",
    )
    .fetch_one(app.db())
    .await
    .unwrap()
}

/// What is in every table, in a few letters each.
async fn everything(app: &TestApp) -> Vec<(String, Option<String>)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
         WHERE table_schema = 'app' AND table_type = 'BASE TABLE' ORDER BY 1",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let digest = AssertSqlSafe(format!("SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t"));
        found.push((table, sqlx::query_scalar(digest).fetch_one(app.db()).await.unwrap()));
    }
    found
}

fn files(app: &TestApp) -> usize {
    let folder = app.platform.config.data_dir.join("files/exports");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_clock_that_jumps_publishes_empties_removes_and_erases_nothing() {
    let (app, _, mut alice, mut dr) = crate::consultations::scene().await;
    let mut staff = app.platform_admin().await;
    // jobs that failed wait by this clock, and are not tried again while the test looks
    let now = app.clock.now() + TimeDelta::hours(1);
    let people = [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner), (&mut staff, Role::PlatformAdmin)];
    crate::consultations::at(&app, now, people).await;
    // an article that is planned, a file that is kept for days, an account that is erased in a week, a session to come
    let article =
        json!({"category": "sleep", "texts": [{"language": "en", "title": "Planned", "summary": "S", "body": "B"}]});
    let id = staff.post("/articles", article).await.expect(201).str("/id");
    let planned = app.clock.now() + TimeDelta::hours(1);
    let at = planned.format("%Y-%m-%dT%H:%M:%SZ");
    post(&staff, &format!("/articles/{id}/publish?at={at}")).await.expect(200);
    let month = app.clock.now().format("%Y-%m").to_string();
    let file = json!({"kind": "practitioner_activity", "from": month, "to": month});
    let file = dr.post("/exports", file).await.expect(202).str("/id");
    let leaver = app.employee(&app.company("Globex").await).await;
    leaver.post("/privacy/erasure", json!({"password": crate::support::app::PASSWORD})).await.expect(202);
    crate::consultations::book_on(&alice, &dr, crate::consultations::in_days(&app, 3)).await;
    app.settle().await;
    let before = everything(&app).await;
    assert_eq!(files(&app), 1);

    for wrong in [TimeDelta::days(400), TimeDelta::minutes(-10)] {
        app.clock.go_wrong(wrong);
        // again and again, as schedules do
        let mut kinds = 0;
        for _ in 0..3 {
            kinds = every_schedule(&app).await;
            assert!(kinds > 20, "{kinds} schedules");
            app.settle().await;
        }
        assert_eq!((everything(&app).await, files(&app)), (before.clone(), 1), "{wrong}");
        let unlike = "SELECT count(*) FROM apalis.jobs WHERE job_type IN ('maintenance', 'counting')
                          AND last_result ->> 'code' IS DISTINCT FROM 'clock_differs'";
        assert_eq!(app.count(unlike).await, 0, "{wrong}");
        // one of each waits, with all its attempts: nobody has thousands of dead letters to look through
        let waiting = "SELECT count(*) FROM apalis.jobs WHERE status = 'Pending' AND attempts = 0
                           AND job_type IN ('maintenance', 'counting')";
        assert_eq!(app.count(waiting).await, kinds, "{wrong}");
    }
    // it is right again, and an hour has passed
    app.clock.go_wrong(TimeDelta::zero());
    let now = planned + TimeDelta::minutes(5);
    let people = [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner), (&mut staff, Role::PlatformAdmin)];
    crate::consultations::at(&app, now, people).await;
    app.settle().await;
    assert!(jobs(&staff, "").await.is_empty() && jobs(&staff, "?queue=maintenance&state=pending").await.is_empty());
    let read = alice.get("/articles/planned").await.expect(200);
    assert_eq!(read.str("/publishedAt").parse::<DateTime<Utc>>().unwrap().timestamp(), planned.timestamp());
    assert_eq!(dr.get(&format!("/exports/{file}")).await.expect(200).json["status"], "ready");
    assert_eq!(app.count("SELECT count(*) FROM app.erasure_ledger").await, 0);
}

/// What a clock of the database that is a year ahead puts off, by it, waits for a year.
#[tokio::test]
async fn a_job_that_was_put_off_by_a_clock_a_year_ahead_holds_no_other_back() {
    let app = TestApp::start().await;
    app.clock.go_wrong(TimeDelta::days(400));
    let kinds = every_schedule(&app).await;
    app.settle().await;
    let soon = "SELECT count(*) FROM apalis.jobs WHERE status = 'Pending' AND job_type IN ('maintenance', 'counting')
                    AND run_at <= now() + interval '2 minutes'";
    assert_eq!(app.count(soon).await, kinds);
    let put_off = "UPDATE apalis.jobs SET run_at = run_at + interval '1 year' WHERE status = 'Pending'";
    sqlx::raw_sql(put_off).execute(app.db()).await.unwrap();
    // those of the next time wait by the clock that is right again, one of each kind
    for _ in 0..2 {
        assert_eq!(every_schedule(&app).await, kinds);
        app.settle().await;
        assert_eq!(app.count(soon).await, kinds);
    }
    app.clock.go_wrong(TimeDelta::zero());
    app.clock.advance(TimeDelta::minutes(2));
    app.settle().await;
    assert_eq!(app.count(soon).await, 0);
}

/// What failed, or was enqueued, by that clock waits for a year in every queue. Nothing else waits for longer than an hour.
#[tokio::test]
async fn what_a_clock_a_year_ahead_put_off_is_tried_again_or_thrown_away_by_hand() {
    let (app, alice, staff) = with_a_mail_that_waits().await;
    let [mail] = mails(&staff, "retrying").await.try_into().unwrap();
    let path = format!("/admin/jobs/{}", mail["jobId"].as_str().unwrap());
    for verb in ["retry", "discard"] {
        post(&staff, &format!("{path}/{verb}")).await.refused(409, "job_not_dead");
    }
    let put_off = "UPDATE apalis.jobs SET run_at = run_at + interval '1 year' WHERE status = 'Pending'";
    sqlx::raw_sql(put_off).execute(app.db()).await.unwrap();
    let address = move_mailbox(&app, &alice, "there").await;
    app.settle().await;
    assert!(app.mails_to(&address).is_empty());
    post(&staff, &format!("{path}/retry")).await.expect(204);
    app.settle().await;
    assert_eq!(app.mails_to(&address).len(), 1);
    assert!(mails(&staff, "retrying").await.is_empty());

    // what had not begun; whoever waits for a file is told by its last attempt that there is none
    for (queue, discarded) in [("mail", 204), ("events", 204), ("exports", 409)] {
        let id: String = sqlx::query_scalar(
            "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority)
             VALUES (apalis.generate_ulid(), $1, convert_to('{\"kind\": \"nobody.knows\", \"data\": {}}', 'UTF8'), 'Pending', 0, 1,
                     now() + interval '1 year', 0) RETURNING id",
        )
        .bind(queue)
        .fetch_one(app.db())
        .await
        .unwrap();
        let path = format!("/admin/jobs/{id}");
        post(&staff, &format!("{path}/discard")).await.expect(discarded);
        if discarded == 409 {
            post(&staff, &format!("{path}/retry")).await.expect(204);
            assert_eq!(app.settle_with_dead().await.len(), 1);
            post(&staff, &format!("{path}/discard")).await.expect(204);
        }
        assert!(jobs(&staff, &format!("?queue={queue}&state=pending")).await.is_empty(), "{queue}");
    }
    let noted = "SELECT count(*) FROM app.audit_logs WHERE action IN ('job.retried', 'job.discarded')";
    assert_eq!(app.count(noted).await, 5);
}

#[tokio::test]
async fn what_a_worker_was_doing_that_died_under_a_clock_a_year_ahead_goes_to_another() {
    let (app, alice, staff) = with_a_mail_that_waits().await;
    let living = async || {
        let figures = app.anonymous().get("//metrics").await.expect(200).text();
        figures.lines().find(|line| line.starts_with("huntzen_workers{queue=\"mail\"}")).map(str::to_owned)
    };
    let before = living().await.unwrap();
    assert!(before.ends_with(" 1"), "{before}");
    sqlx::raw_sql(
        "INSERT INTO apalis.workers (id, worker_type, storage_name, last_seen)
             VALUES ('dead', 'mail', 'PostgresStorage', now() + interval '1 year');
         UPDATE apalis.jobs SET status = 'Running', lock_by = 'dead', lock_at = now() WHERE status = 'Pending'",
    )
    .execute(app.db())
    .await
    .unwrap();
    assert_eq!(living().await, Some(before));
    let address = move_mailbox(&app, &alice, "there").await;
    let correct = "SELECT app.enqueue('maintenance', 'jobs.correct_heartbeats', '{\"{}\"}', '{NULL}', NULL, 3)";
    sqlx::raw_sql(correct).execute(app.db()).await.unwrap();
    let corrected = async {
        // as if its thirty seconds were over, once it is known not to live in a year
        let lapse = "UPDATE apalis.workers SET last_seen = now() - interval '1 minute' WHERE id = 'dead' AND last_seen <= now()";
        let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while sqlx::query(lapse).execute(app.db()).await.unwrap().rows_affected() == 0 {
            assert!(std::time::Instant::now() < until, "it is still seen in a year");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::join!(app.settle(), corrected);
    assert_eq!(app.mails_to(&address).len(), 1);
    assert!(mails(&staff, "retrying").await.is_empty());
}
