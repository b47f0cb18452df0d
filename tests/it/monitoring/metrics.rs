//! `/metrics`: what is in it, how it is written, and what is not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use super::{Busy, free_address};
use crate::support::process::Site;
use crate::support::{TestApp, cluster, tools};
use secrecy::ExposeSecret;

/// A sample: its name, its labels, its value.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

fn samples(text: &str) -> Vec<Sample> {
    let line = Regex::new(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$").unwrap();
    let label = Regex::new(r#"([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)""#).unwrap();
    let parse = |text: &str| {
        let parts = line.captures(text).unwrap_or_else(|| panic!("no sample: {text}"));
        let labels = parts.get(2).map_or("", |it| it.as_str());
        Sample {
            name: parts[1].to_owned(),
            labels: label.captures_iter(labels).map(|it| (it[1].to_owned(), it[2].to_owned())).collect(),
            value: parts[3].parse().unwrap(),
        }
    };
    text.lines().filter(|text| !text.is_empty() && !text.starts_with('#')).map(parse).collect()
}

fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |it: &Sample| {
        it.name == name && labels.iter().all(|(name, value)| it.labels.get(*name).is_some_and(|it| it == value))
    };
    let found: Vec<f64> = samples(text).iter().filter(|it| fits(it)).map(|it| it.value).collect();
    assert!(!found.is_empty(), "no {name} with {labels:?}");
    found.iter().sum()
}

#[tokio::test]
async fn a_busy_program_tells_everything_that_its_operator_asks_and_nothing_of_its_people() {
    let busy = Box::pin(Busy::start()).await;
    let text = busy.metrics().await;
    let (agrees, said) = tools::promtool(&["check", "metrics"], Path::new("."), text.as_bytes());
    assert!(agrees && said.trim().is_empty(), "promtool: {said}");

    // what was done is there
    let count = |labels: &[(&str, &str)]| value(&text, "http_requests_total", labels);
    assert!((count(&[("operation", "login"), ("method", "POST"), ("status", "401")]) - 1.0).abs() < 0.1);
    assert!(count(&[("operation", "getMe"), ("status", "200")]) >= 1.0);
    assert!(count(&[("status", "404")]) >= 1.0);
    assert!(value(&text, "http_request_duration_seconds_count", &[("operation", "getMe")]) >= 1.0);
    assert!(value(&text, "http_request_duration_seconds_bucket", &[("operation", "getMe"), ("le", "+Inf")]) >= 1.0);
    for (name, labels, least, most) in [
        ("huntzen_build_info", &[("version", env!("CARGO_PKG_VERSION"))][..], 1.0, 1.0),
        ("huntzen_mails_total", &[("outcome", "sent")], 1.0, 1.0),
        ("huntzen_mails_total", &[("outcome", "refused")], 0.0, 0.0),
        ("huntzen_jobs", &[("queue", "maintenance"), ("state", "dead")], 1.0, 1.0),
        ("huntzen_jobs", &[("queue", "mail"), ("state", "due")], 0.0, 0.0),
        ("huntzen_jobs_oldest_due_age_seconds", &[("queue", "mail")], 0.0, 0.0),
        ("huntzen_job_runs_total", &[("kind", "unknown"), ("outcome", "dead")], 1.0, 1.0),
        ("huntzen_workers", &[("queue", "mail")], 1.0, 1.0),
        ("huntzen_sockets_open", &[("namespace", "/chat")], 1.0, 1.0),
        ("huntzen_sockets_open", &[("namespace", "/audio-call")], 0.0, 0.0),
        (
            "huntzen_socket_events_total",
            &[("namespace", "/chat"), ("event", "unknown"), ("outcome", "refused")],
            1.0,
            1.0,
        ),
        ("huntzen_database_pool_connections", &[("role", "huntzen_employee")], 1.0, 20.0),
        ("huntzen_database_pool_max_connections", &[("role", "huntzen_employee")], 20.0, 20.0),
        ("huntzen_database_pool_waiting", &[], 0.0, 20.0),
        ("huntzen_database_pool_timeouts_total", &[], 0.0, 0.0),
        ("huntzen_database_size_bytes", &[], 1e6, 1e11),
        ("huntzen_database_connections", &[], 2.0, 1e4),
        ("huntzen_database_max_connections", &[], 20.0, 1e5),
        ("huntzen_database_transactions_total", &[("outcome", "committed")], 1.0, 1e9),
        ("huntzen_storage_free_bytes", &[], 1e6, 1e15),
        ("huntzen_audit_chains_broken", &[], 0.0, 0.0),
        ("huntzen_secrets_under_older_master_keys", &[], 0.0, 0.0),
        ("huntzen_maintenance", &[], 0.0, 0.0),
        ("huntzen_panics_total", &[], 0.0, 0.0),
        ("http_requests_in_flight", &[], 1.0, 10.0),
        ("process_resident_memory_bytes", &[], 1e6, 1e10),
    ] {
        let found = value(&text, name, labels);
        assert!((least..=most).contains(&found), "{name} {labels:?} is {found}");
    }
    for dependency in ["database", "queue", "storage", "mail", "redis"] {
        assert!(value(&text, "huntzen_dependency_up", &[("dependency", dependency)]) > 0.5, "{dependency}");
    }

    // labels are words of the program: nobody's id, address or name, and few of them
    let id = Regex::new("[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}").unwrap();
    for sample in samples(&text) {
        assert!(sample.labels.values().all(|value| !id.is_match(value)), "{} {:?}", sample.name, sample.labels);
    }
    assert!(!text.contains('@') && !text.contains("127.0.0.1"));
    for person in &busy.people {
        assert!(!text.contains(&person.email));
    }
    assert!(!text.contains("Acme") && !text.contains("Initech") && !text.contains("a made-up event"));
    let document = huntzen::app::openapi().unwrap();
    let operations: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    let mut series = BTreeMap::<String, usize>::new();
    for sample in samples(&text) {
        *series.entry(sample.name.clone()).or_default() += 1;
        if let Some(operation) = sample.labels.get("operation") {
            let is_known = operations.contains(operation.as_str()) || operation == "none" || operation.starts_with('/');
            assert!(is_known, "{operation}");
        }
    }
    // buckets of jobs: fourteen for each kind that ran
    for (name, count) in series {
        assert!(count < 700, "{name} has {count} series");
    }
    busy.end().await;
}

#[tokio::test]
async fn a_worker_shows_its_metrics_and_its_health_on_an_address_of_their_own_which_has_nothing_else() {
    let app = TestApp::start().await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret();
    let mut site = Site::new(app.options(), Some(secret)).await;
    let address = free_address();
    site.set("MONITORING_ADDR", Some(address.clone()));
    // of the other address alone
    site.set("METRICS_TOKEN", Some("k2J9vQx7LmT4zRw8NcYb5HdFs3GpAe6U".into()));
    let worker = site.work();
    let asked = async |path: &str| reqwest::get(format!("http://{address}{path}")).await;
    let ready = tokio::time::timeout(std::time::Duration::from_mins(1), async {
        while !asked("/health/ready").await.is_ok_and(|it| it.status() == 200) {
            tokio::task::yield_now().await;
        }
        loop {
            // it answers a moment before it takes jobs
            let text = asked("/metrics").await.unwrap().text().await.unwrap();
            let works = |it: &Sample| it.name == "huntzen_workers" && it.labels["queue"] == "exports" && it.value > 0.5;
            if samples(&text).iter().any(works) {
                return text;
            }
        }
    });
    let text = ready.await.expect("a worker answers, and takes jobs");
    assert!(value(&text, "huntzen_job_runs_total", &[("kind", "jobs.purge"), ("outcome", "dead")]) < 0.5);
    assert!(value(&text, "huntzen_workers", &[("queue", "exports")]) > 0.5);
    for path in ["/api/v1/me", "/docs", "/openapi.json", "/socket.io/?EIO=4&transport=polling"] {
        assert_eq!(asked(path).await.unwrap().status(), 404, "{path}");
    }
    drop(worker);

    // where people ask, it needs the token
    let server = site.start().await;
    let refused = reqwest::get(format!("{}/metrics", server.base)).await.unwrap();
    assert_eq!(refused.status(), 401);
    let http = reqwest::Client::new();
    let shown = http.get(format!("{}/metrics", server.base)).bearer_auth("k2J9vQx7LmT4zRw8NcYb5HdFs3GpAe6U");
    assert_eq!(shown.send().await.unwrap().status(), 200);
    server.kill();
    site.db.close().await;
}

#[tokio::test]
async fn a_request_that_finds_no_connection_is_counted_by_its_role() {
    let app = TestApp::start_with_one_connection().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let shown = async || app.anonymous().get("//metrics").await.expect(200).text();
    let role = [("role", "huntzen_employee")];
    let before = value(&shown().await, "huntzen_database_pool_timeouts_total", &role);
    let mut lock = app.db().begin().await.unwrap();
    sqlx::query("LOCK TABLE app.consultations").execute(&mut *lock).await.unwrap();
    let held = alice.clone();
    let holder = tokio::spawn(async move { held.get("/consultations").await });
    app.until_one_waits().await;
    alice.get("/consultations").await.refused(503, "unavailable");
    lock.rollback().await.unwrap();
    holder.await.unwrap().expect(200);
    // other tests of this process may have counted as well
    assert!(value(&shown().await, "huntzen_database_pool_timeouts_total", &role) >= before + 1.0);
}
