//! Spans as a collector gets them: what they say, what they never say, and what it costs when nobody takes them.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use regex::bytes::Regex;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::collector::{Collector, attribute, spans};
use crate::support::process::Site;
use crate::support::{Answer, Sockets, TestApp, cluster};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

async fn traced(collector: &Collector) -> TestApp {
    let url = collector.url();
    TestApp::start_with(|name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| url.clone())).await
}

fn named<'a>(all: &'a [Span], name: &str) -> Vec<&'a Span> {
    all.iter().filter(|it| it.name == name).collect()
}

fn one<'a>(all: &'a [Span], name: &str) -> &'a Span {
    let found = named(all, name);
    let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(found.len(), 1, "{name} among {names:?}");
    found[0]
}

#[tokio::test]
async fn a_request_is_a_span_of_its_route_under_the_callers_with_what_the_database_was_asked_below_it() {
    let collector = Collector::start().await;
    let app = traced(&collector).await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let asked = alice.request(Method::GET, &format!("/practitioners/{}", dr.id));
    let asked = asked
        .header("traceparent", &parent)
        .header("tracestate", "vendor=alicesecret")
        .header("baggage", "user=alicesecret");
    Answer::of(asked).await.expect(200);
    // whoever decided that this is not to be traced is heeded
    let unsampled = alice.request(Method::GET, "/me").header("traceparent", format!("00-{TRACE}-{CALLER}-00"));
    Answer::of(unsampled).await.expect(200);
    alice.get("/consultations/nothing").await.expect(400);
    app.anonymous().get("//health/ready").await.expect(200);
    app.anonymous().get("//metrics").await.expect(200);
    app.platform.traces.flush().await;

    let taken = collector.taken();
    assert!(
        taken[0].head.starts_with("post /v1/traces http/1.1\r\n")
            && taken[0].head.contains("content-type: application/x-protobuf")
    );
    let all = spans(&taken);
    let request = one(&all, "GET /api/v1/practitioners/{id}");
    assert_eq!(
        (hex::encode(&request.trace_id).as_str(), hex::encode(&request.parent_span_id).as_str()),
        (TRACE, CALLER)
    );
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/v1/practitioners/{id}"),
        ("http.response.status_code", "200"),
        ("huntzen.operation", "getPractitioner"),
    ] {
        assert_eq!(attribute(request, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(request.attributes.len(), 4);
    assert!(request.trace_state.is_empty() && request.events.is_empty());
    assert!(request.end_time_unix_nano > request.start_time_unix_nano);
    let below: Vec<&Span> = all.iter().filter(|it| it.parent_span_id == request.span_id).collect();
    assert!(!below.is_empty(), "what the database was asked");
    for span in below {
        assert!(span.name.starts_with("postgresql "), "{}", span.name);
        assert_eq!(attribute(span, "huntzen.database.role").as_deref(), Some("huntzen_employee"));
        assert!(
            span.start_time_unix_nano >= request.start_time_unix_nano
                && span.end_time_unix_nano <= request.end_time_unix_nano
        );
    }
    let refused = one(&all, "GET /api/v1/consultations/{id}");
    assert_eq!(attribute(refused, "http.response.status_code").as_deref(), Some("400"));
    assert_ne!(refused.trace_id, request.trace_id);
    assert!(named(&all, "GET /api/v1/me").is_empty(), "not sampled");
    assert!(all.iter().all(|it| !it.name.contains("health") && !it.name.contains("metrics")));
    app.platform.traces.close().await;
}

#[tokio::test]
async fn a_failure_of_ours_is_an_error_with_its_code() {
    let collector = Collector::start().await;
    let app = traced(&collector).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    sqlx::query("ALTER TABLE app.articles RENAME TO gone").execute(app.db()).await.unwrap();
    alice.get("/articles").await.expect(500);
    app.platform.traces.flush().await;
    let all = collector.spans();
    let failed = one(&all, "GET /api/v1/articles");
    assert_eq!(attribute(failed, "error.type").as_deref(), Some("internal"));
    assert_eq!(failed.status.as_ref().unwrap().code, StatusCode::Error as i32);
    assert_eq!(failed.status.as_ref().unwrap().message, "internal");
    app.platform.traces.close().await;
}

/// The names of people, their addresses, their words, their passwords, what they search for, where they come from.
#[tokio::test]
async fn no_span_says_anything_of_a_person() {
    let collector = Collector::start().await;
    let app = traced(&collector).await;
    let company = app.company("Marker4711Company").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    alice.get("/search?q=marker4711search").await.expect(200);
    alice.get("/journal?tag=marker4711tag").await.expect(200);
    let entry = json!({ "body": "marker4711journal", "mood": 2, "tags": ["marker4711tag"] });
    alice.post("/journal", entry).await.expect(201);
    let wrong = json!({ "email": "marker4711@people.test", "password": "marker4711 password" });
    app.anonymous().post("/auth/login", wrong).await.expect(401);
    let known = json!({ "email": alice.email, "password": "marker4711 password" });
    app.anonymous().post("/auth/login", known).await.expect(401);
    app.anonymous().post("/auth/forgot-password", json!({ "email": alice.email })).await.expect(202);
    let asked = alice.request(Method::GET, &format!("/practitioners/{}?marker4711=query", dr.id));
    let asked = asked.header("user-agent", "marker4711agent").header("x-forwarded-for", "203.0.113.77");
    Answer::of(asked.header("x-request-id", "marker4711request").header("cookie", "marker4711cookie=1")).await;
    alice.get("/nothing/marker4711path").await.expect(404);
    alice.get("/consultations/marker4711id").await.expect(400);
    let sockets = Sockets::start();
    sockets.connect("alice", &app.base, &alice.token).await;
    sockets.ask("alice", "marker4711 event", json!({})).await;
    let join = json!({ "conversationId": alice.id.to_string(), "marker4711": "marker4711" });
    assert_eq!(sockets.ask("alice", "conversation:join", join).await["ok"], false);
    app.settle().await;
    app.platform.traces.flush().await;

    let all = collector.spans();
    for name in [
        "GET /api/v1/search",
        "POST /api/v1/journal",
        "POST /api/v1/auth/login",
        "/chat unknown",
        "/chat conversation:join",
    ] {
        assert!(!named(&all, name).is_empty(), "{name}");
    }
    assert!(all.iter().any(|it| it.name.starts_with("job ")), "jobs are traced");
    assert!(!named(&all, "smtp delivery").is_empty());
    let everything = collector.everything();
    let people =
        [&alice, &dr, &company.hr].map(|it| (it.email.clone(), it.id.to_string(), it.id.0.simple().to_string()));
    let words: Vec<String> = people
        .into_iter()
        .flat_map(|(email, id, simple)| [email, id, simple])
        .chain([company.id.to_string(), "203.0.113.77".into(), "127.0.0.1".into(), "people.test".into()])
        .collect();
    // the address of the collector itself stands in the heads of its requests
    let bodies: Vec<u8> = collector.taken().into_iter().flat_map(|it| it.body).collect();
    for word in &words {
        let found = Regex::new(&regex::escape(word)).unwrap().is_match(&bodies);
        assert!(!found, "{word} is in a span");
    }
    assert!(!Regex::new("(?i)marker4711").unwrap().is_match(&everything));
    // attributes are those that are known, and no others
    let known = [
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "huntzen.operation",
        "error.type",
        "db.system.name",
        "db.operation.name",
        "huntzen.database.role",
        "huntzen.job.kind",
        "huntzen.job.queue",
        "huntzen.job.attempt",
        "huntzen.outcome",
        "huntzen.socket.namespace",
        "huntzen.socket.event",
    ];
    for span in &all {
        for it in &span.attributes {
            assert!(known.contains(&it.key.as_str()), "{} of {}", it.key, span.name);
        }
        assert!(span.events.is_empty() && span.links.is_empty());
    }
    app.platform.traces.close().await;
}

/// One takes connections and answers nothing, one is not there, one refuses.
#[tokio::test]
async fn a_collector_that_takes_nothing_neither_slows_nor_breaks_a_request() {
    let hanging = Collector::start().await;
    hanging.hang();
    let refusing = Collector::start().await;
    refusing.refuse(500);
    let nobody = format!("http://{}", super::free_address());
    // the first more than the queue of spans takes: each request has two
    for (url, requests) in [(hanging.url(), 2200), (nobody, 200), (refusing.url(), 200)] {
        let app = TestApp::start_with(|name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| url.clone())).await;
        let company = app.company("Acme").await;
        let alice = app.employee(&company).await;
        alice.get("/me").await.expect(200);
        let mut slowest = Duration::ZERO;
        let all = Instant::now();
        for _ in 0..requests {
            let asked = Instant::now();
            alice.get("/me").await.expect(200);
            slowest = slowest.max(asked.elapsed());
        }
        assert!(slowest < Duration::from_secs(3) && all.elapsed() < Duration::from_mins(1), "{url}: {slowest:?}");
        // nor does anybody wait for it at the end, longer than was said
        let closing = Instant::now();
        app.platform.traces.close().await;
        assert!(closing.elapsed() < Duration::from_secs(12), "{url}: {:?}", closing.elapsed());
        alice.get("/me").await.expect(200);
    }
}

#[tokio::test]
async fn a_program_that_is_told_to_stop_sends_its_last_spans_first() {
    let collector = Collector::start().await;
    let app = TestApp::start().await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret();
    let mut site = Site::new(app.options(), Some(secret)).await;
    site.set("OTEL_EXPORTER_OTLP_ENDPOINT", Some(collector.url()));
    site.set("OTEL_EXPORTER_OTLP_HEADERS", Some("api-key=of%20the%20collector".into()));
    let server = site.start().await;
    app.anonymous().at(&server.base).get("/me").await.expect(401);
    server.terminate();
    let (status, log) = server.end().await;
    assert!(status.success(), "{log}");
    let all = collector.spans();
    assert_eq!(attribute(one(&all, "GET /api/v1/me"), "http.response.status_code").as_deref(), Some("401"));
    assert!(collector.taken()[0].head.contains("api-key: of the collector\r\n"));
    // the log leads to the trace
    let trace = hex::encode(&one(&all, "GET /api/v1/me").trace_id);
    assert!(log.contains(&trace), "{log}");
    site.db.close().await;
}

#[tokio::test]
async fn one_trace_in_so_many_is_taken_unless_its_caller_has_decided() {
    let collector = Collector::start().await;
    let url = collector.url();
    let app = TestApp::start_with(|name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(url.clone()),
        "OTEL_TRACES_SAMPLER_ARG" => Some("0".into()),
        _ => None,
    })
    .await;
    app.anonymous().get("/me").await.expect(401);
    let decided = app.anonymous().request(Method::GET, "/me").header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    Answer::of(decided).await.expect(401);
    app.platform.traces.flush().await;
    let all = collector.spans();
    assert_eq!(hex::encode(&one(&all, "GET /api/v1/me").trace_id), TRACE);
    app.platform.traces.close().await;
}
