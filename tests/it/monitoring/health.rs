//! Each thing that the program needs goes away once, and comes back: `/health/ready` and the metrics say which it is.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use crate::support::TestApp;
use crate::support::redis::Redis;
use crate::support::s3::S3;

/// What `/health/ready` answers, once it says of a part what it should.
async fn until(app: &TestApp, part: &str, state: &str) -> (u16, Value) {
    let asking = async {
        loop {
            let answer = app.anonymous().get("//health/ready").await;
            if answer.json[part] == state {
                return (answer.status.as_u16(), answer.json);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap_or_else(|_| panic!("{part} is never {state}"))
}

/// What the metrics say of each part.
async fn seen(app: &TestApp) -> Vec<String> {
    let text = app.anonymous().get("//metrics").await.expect(200).text();
    let up = text.lines().filter_map(|line| line.strip_prefix("huntzen_dependency_up{dependency="));
    up.map(|line| line.replace(['"', '}'], "")).collect()
}

async fn live(app: &TestApp) {
    app.anonymous().get("//health/live").await.expect(200);
}

#[tokio::test]
async fn a_database_that_refuses_everybody_is_told_and_metrics_are_still_answered() {
    let app = TestApp::start().await;
    until(&app, "status", "ok").await;
    let before = app.anonymous().get("//metrics").await.expect(200).text();
    assert!(before.contains("huntzen_database_size_bytes ") && before.contains("huntzen_workers{"));
    let name = app.options().get_database().unwrap().to_owned();
    let mut beside = app.options().clone().database("postgres").connect().await.unwrap();
    let close = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
    beside.execute(AssertSqlSafe(close)).await.unwrap();
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    beside.execute(AssertSqlSafe(end)).await.unwrap();
    let (status, said) = until(&app, "database", "failing").await;
    assert_eq!(
        (status, &said["code"], &said["storage"], &said["mail"]),
        (503, &json!("unavailable"), &json!("ok"), &json!("ok"))
    );
    live(&app).await;
    assert_eq!(seen(&app).await, ["database 0", "queue 0", "storage 1", "mail 1"]);
    // what was read of it is not shown any more, what the process counts is
    let text = app.anonymous().get("//metrics").await.expect(200).text();
    assert!(!text.contains("huntzen_database_size_bytes ") && !text.contains("huntzen_workers{"), "{text}");
    assert!(text.contains("http_requests_total{") && text.contains("huntzen_database_pool_max_connections{"));
    let open = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
    beside.execute(AssertSqlSafe(open)).await.unwrap();
    assert_eq!(until(&app, "status", "ok").await.0, 200);
    assert_eq!(seen(&app).await, ["database 1", "queue 1", "storage 1", "mail 1"]);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_apart_from_the_database() {
    let app = TestApp::start().await;
    app.db().execute("ALTER SCHEMA apalis RENAME TO elsewhere").await.unwrap();
    let (status, said) = until(&app, "queue", "failing").await;
    assert_eq!((status, &said["database"]), (503, &json!("ok")));
    assert_eq!(seen(&app).await, ["database 1", "queue 0", "storage 1", "mail 1"]);
    app.db().execute("ALTER SCHEMA elsewhere RENAME TO apalis").await.unwrap();
    assert_eq!(until(&app, "status", "ok").await.0, 200);
}

#[tokio::test]
async fn a_storage_that_is_away_is_told_be_it_a_bucket_or_a_folder() {
    let mut s3 = S3::start();
    let url = s3.url();
    let app = TestApp::start_with(|name| (name == "STORAGE_URL").then(|| url.clone())).await;
    until(&app, "status", "ok").await;
    s3.stop();
    let (status, said) = until(&app, "storage", "failing").await;
    assert_eq!((status, &said["database"]), (503, &json!("ok")));
    assert_eq!(seen(&app).await, ["database 1", "queue 1", "storage 0", "mail 1"]);
    s3.go_on();
    assert_eq!(until(&app, "status", "ok").await.0, 200);

    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    let url = format!("file:{}", files.display());
    let app = TestApp::start_with(|name| (name == "STORAGE_URL").then(|| url.clone())).await;
    until(&app, "status", "ok").await;
    std::fs::rename(&files, folder.path().join("unmounted")).unwrap();
    // whoever writes there makes no folder anew in the place of a disk that is gone
    std::fs::write(&files, "no folder").unwrap();
    assert_eq!(until(&app, "storage", "failing").await.0, 503);
    std::fs::remove_file(&files).unwrap();
    std::fs::rename(folder.path().join("unmounted"), &files).unwrap();
    assert_eq!(until(&app, "status", "ok").await.0, 200);
}

#[tokio::test]
async fn a_mail_server_and_a_redis_that_are_away_leave_the_program_ready() {
    let redis = Redis::start().await;
    let url = redis.url();
    let app = TestApp::start_with(|name| match name {
        "SMTP_URL" => Some("smtp://127.0.0.1:1?tls=none".into()),
        "REDIS_URL" => Some(url.clone()),
        _ => None,
    })
    .await;
    let (status, said) = until(&app, "mail", "failing").await;
    assert_eq!((status, &said["status"], &said["redis"]), (200, &json!("degraded"), &json!("ok")));
    assert_eq!(seen(&app).await, ["database 1", "queue 1", "storage 1", "mail 0", "redis 1"]);
    redis.kill();
    let (status, said) = until(&app, "redis", "failing").await;
    assert_eq!((status, &said["status"]), (200, &json!("degraded")));
    assert_eq!(seen(&app).await, ["database 1", "queue 1", "storage 1", "mail 0", "redis 0"]);
    redis.start_again().await;
    until(&app, "redis", "ok").await;
}
