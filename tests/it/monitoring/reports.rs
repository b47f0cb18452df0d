//! Reports of errors as a server gets them: what they say, what they never say, and what it costs when nobody takes them.

use std::time::{Duration, Instant};

use huntzen::platform::Platform;
use huntzen::platform::http::{middleware, openapi};
use huntzen::platform::jobs::{Job, JobContext, Queue, Registry, Settings, Workers};
use poem::{Endpoint, EndpointExt, Request, Route};
use regex::bytes::Regex;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::collector::{Collector, events};
use crate::support::process::Site;
use crate::support::{Answer, TestApp, cluster};

async fn reporting(collector: &Collector) -> TestApp {
    let dsn = collector.dsn();
    TestApp::start_with(|name| (name == "SENTRY_DSN").then(|| dsn.clone())).await
}

/// Articles and news are gone: whoever reads them meets a failure of ours.
async fn break_articles(app: &TestApp) {
    for table in ["articles", "news"] {
        let gone = format!("ALTER TABLE app.{table} RENAME TO {table}_gone");
        sqlx::query(sqlx::AssertSqlSafe(gone)).execute(app.db()).await.unwrap();
    }
}

/// Functions of the program that a report's stack names.
fn ours(event: &Value) -> Vec<&str> {
    let frames = event["exception"]["values"][0]["stacktrace"]["frames"].as_array().expect("a stack");
    frames.iter().filter(|it| it["in_app"] == true).map(|it| it["function"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_failure_of_ours_is_reported_with_its_route_its_request_and_its_stack_and_nothing_of_whoever_met_it() {
    let collector = Collector::start().await;
    let app = reporting(&collector).await;
    let company = app.company("Marker4711Company").await;
    let alice = app.employee(&company).await;
    break_articles(&app).await;
    let asked = alice.request(reqwest::Method::GET, "/articles?tag=marker4711tag");
    let asked = asked.header("user-agent", "marker4711agent").header("x-forwarded-for", "203.0.113.77");
    let answer = Answer::of(asked.header("cookie", "marker4711cookie=1")).await.expect(500);
    // refusals are none: what a client did wrong, and what is not configured
    alice.get("/consultations/marker4711id").await.expect(400);
    alice.get("/nothing").await.expect(404);
    app.platform.reports.flush().await;

    let taken = collector.taken();
    assert_eq!(taken.len(), 1);
    let head = &taken[0].head;
    assert!(
        head.starts_with("post /api/7/envelope/ http/1.1\r\n")
            && head.contains("content-type: application/x-sentry-envelope")
    );
    assert!(
        head.contains("x-sentry-auth: sentry sentry_version=7,") && head.contains("sentry_key=publickey"),
        "{head}"
    );
    let event = events(&taken).remove(0);
    assert_eq!((&event["platform"], &event["level"]), (&json!("native"), &json!("error")));
    assert_eq!(event["release"], format!("huntzen@{}", env!("CARGO_PKG_VERSION")));
    assert_eq!((&event["environment"], &event["transaction"]), (&json!("development"), &json!("GET /api/v1/articles")));
    let tags = json!({
        "operation": "listArticles", "code": "internal", "status": "500", "request_id": answer.header("x-request-id"),
    });
    assert_eq!(event["tags"], tags);
    let failure = &event["exception"]["values"][0];
    assert_eq!(failure["type"], "internal");
    // undefined_table: which one it was is in quotes
    let said = failure["value"].as_str().unwrap();
    assert!(said.starts_with("database error, constraint, table: 42P01"), "{said}");
    assert!(!ours(&event).is_empty(), "{failure}");
    let members: Vec<&String> = event.as_object().unwrap().keys().collect();
    let known = [
        "event_id",
        "timestamp",
        "platform",
        "level",
        "release",
        "environment",
        "transaction",
        "fingerprint",
        "exception",
        "tags",
        "extra",
    ];
    assert!(members.iter().all(|it| known.contains(&it.as_str())), "{members:?}");

    let everything = collector.everything();
    assert!(!Regex::new("(?i)marker4711").unwrap().is_match(&everything));
    let body = String::from_utf8(taken[0].body.clone()).unwrap();
    for word in [
        alice.email.as_str(),
        &alice.id.to_string(),
        &company.id.to_string(),
        "203.0.113.77",
        "127.0.0.1",
        &alice.token,
    ] {
        assert!(!body.contains(word), "{word}");
    }
    assert!(!body.contains("/home/") && !body.contains(env!("CARGO_MANIFEST_DIR")), "where it was built");
}

/// A route that panics with words of a person, behind the real edge.
fn panicking(platform: std::sync::Arc<Platform>) -> impl Endpoint<Output = poem::Response> {
    #[poem::handler]
    async fn fall() -> String {
        tokio::task::yield_now().await;
        panic!("marker4711: alice@people.test is ill");
    }
    let operation = openapi::Operation {
        method: "GET".into(),
        path: "/things/{id}".into(),
        operation_id: "getThing".into(),
        permission: None,
        roles: Vec::new(),
        parameters: Vec::new(),
    };
    middleware::wrap(Route::new().at("/things/:id", fall).data(platform.clone()), platform, &[operation])
}

#[tokio::test]
async fn a_panic_is_reported_with_the_route_whose_handler_fell_and_without_its_words() {
    let collector = Collector::start().await;
    let app = reporting(&collector).await;
    let edge = panicking(app.platform.clone());
    let asked = Request::builder().uri_str("/things/marker4711id?q=marker4711query").finish();
    let answer = edge.call(asked).await.unwrap();
    assert_eq!(answer.status(), 500);
    app.platform.reports.flush().await;
    let event = collector.events().remove(0);
    assert_eq!((&event["transaction"], &event["tags"]["operation"]), (&json!("GET /things/{id}"), &json!("getThing")));
    let failure = &event["exception"]["values"][0];
    assert_eq!((&failure["type"], &failure["mechanism"]["handled"]), (&json!("panic"), &json!(false)));
    let frames = failure["stacktrace"]["frames"].as_array().unwrap();
    let innermost = frames.last().unwrap();
    assert!(innermost["filename"].as_str().unwrap().ends_with("tests/it/monitoring/reports.rs"), "{innermost}");
    assert!(innermost["lineno"].as_u64().unwrap() > 10);
    let everything = collector.everything();
    assert!(!Regex::new("(?i)marker4711|alice|is ill").unwrap().is_match(&everything));
}

#[derive(Debug, Serialize, Deserialize)]
struct Falls {}

impl Job for Falls {
    const KIND: &'static str = "test.falls";
    const QUEUE: Queue = Queue::Maintenance;
}

#[tokio::test]
async fn a_job_that_panics_and_one_that_fails_for_good_are_reported_by_their_kinds() {
    let collector = Collector::start().await;
    let app = reporting(&collector).await;
    for kind in ["test.falls", "nobody.knows"] {
        sqlx::query(
            "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority)
             VALUES (apalis.generate_ulid(), 'maintenance',
                     convert_to(jsonb_build_object('kind', $1, 'data', '{}'::jsonb)::text, 'UTF8'), 'Pending', 0, 1, now(), 0)",
        )
        .bind(kind)
        .execute(app.db())
        .await
        .unwrap();
    }
    let mut registry = Registry::new();
    registry.on(|_: JobContext, _: Falls| async {
        let words = "marker4711 of a person".to_owned();
        assert!(words.is_empty(), "{words}");
        Ok(())
    });
    let settings = Settings { schedules: false, ..Settings::default() };
    let workers = Workers::start(app.platform.clone(), registry, settings).unwrap();
    assert_eq!(workers.settle(Duration::from_mins(1)).await.unwrap().len(), 2);
    app.platform.reports.flush().await;
    let all = collector.events();
    let of = |transaction: &str, kind: &str| {
        let fits = |it: &&Value| it["transaction"] == transaction && it["exception"]["values"][0]["type"] == kind;
        all.iter().find(fits).unwrap_or_else(|| panic!("{transaction} {kind} among {all:?}"))
    };
    let fell = of("job test.falls", "panic");
    assert!(fell["exception"]["values"][0]["value"].as_str().unwrap().contains("reports.rs"), "its place");
    assert!(!fell["exception"]["values"][0]["stacktrace"]["frames"].as_array().unwrap().is_empty());
    // it died of it
    of("job test.falls", "panic");
    of("job unknown", "unknown_kind");
    assert!(!Regex::new("(?i)marker4711").unwrap().is_match(&collector.everything()));
    workers.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_fails_again_and_again_is_reported_once_in_a_while_and_the_rest_is_counted() {
    let collector = Collector::start().await;
    let app = reporting(&collector).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    break_articles(&app).await;
    for _ in 0..30 {
        alice.get("/articles").await.expect(500);
    }
    // another place is another report
    alice.get("/news").await.expect(500);
    app.platform.reports.flush().await;
    let transactions: Vec<String> =
        collector.events().iter().map(|it| it["transaction"].as_str().unwrap().to_owned()).collect();
    assert_eq!(transactions, ["GET /api/v1/articles", "GET /api/v1/news"]);
}

/// One takes connections and answers nothing, one is not there, one has had enough.
#[tokio::test]
async fn a_server_for_errors_that_takes_nothing_neither_slows_nor_breaks_a_request() {
    let hanging = Collector::start().await;
    hanging.hang();
    let enough = Collector::start().await;
    enough.refuse(429);
    let nobody = format!("http://publickey@{}/7", super::free_address());
    for dsn in [hanging.dsn(), nobody, enough.dsn()] {
        let app = TestApp::start_with(|name| (name == "SENTRY_DSN").then(|| dsn.clone())).await;
        let company = app.company("Acme").await;
        let alice = app.employee(&company).await;
        break_articles(&app).await;
        alice.get("/articles").await.expect(500);
        alice.get("/news").await.expect(500);
        let asked = Instant::now();
        for _ in 0..20 {
            alice.get("/articles").await.expect(500);
            alice.get("/me").await.expect(200);
        }
        assert!(asked.elapsed() < Duration::from_secs(10), "{dsn}: {:?}", asked.elapsed());
        let ending = Instant::now();
        app.platform.reports.flush().await;
        assert!(ending.elapsed() < Duration::from_secs(12), "{dsn}: {:?}", ending.elapsed());
    }
    // who has had enough is left alone
    assert_eq!(enough.taken().len(), 1);
}

#[tokio::test]
async fn a_program_that_is_told_to_stop_sends_its_last_report_first_and_does_not_start_with_an_address_of_no_use() {
    let collector = Collector::start().await;
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret();
    let mut site = Site::new(app.options(), Some(secret)).await;
    site.set("SENTRY_DSN", Some("https://errors.example.org/nothing".into()));
    let refused = site.run(&["serve"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("SENTRY_DSN: has no key before the host"));
    site.set("SENTRY_DSN", Some(collector.dsn()));
    break_articles(&app).await;
    let server = site.start().await;
    let alice = site.user(alice.id, huntzen::platform::auth::Role::Employee, alice.company_id).await.at(&server.base);
    alice.get("/articles").await.expect(500);
    server.terminate();
    let (status, log) = server.end().await;
    assert!(status.success(), "{log}");
    assert_eq!(collector.events()[0]["transaction"], "GET /api/v1/articles");
    site.db.close().await;
}
