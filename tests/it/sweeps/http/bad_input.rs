//! Bad input on every route: refused with a code, in a form that the document knows.

use std::collections::BTreeMap;
use std::fmt::Write;

use huntzen::platform::auth::Role;
use huntzen::platform::http::openapi::Operation;
use huntzen::platform::ids::CompanyId;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::contract::{Contract, complaint};
use crate::support::{Answer, TestApp, User};

struct Sweep {
    app: TestApp,
    contract: Contract,
    people: BTreeMap<&'static str, (Role, Option<CompanyId>, User)>,
    faults: Vec<String>,
    requests: usize,
}

/// A body as it is sent.
struct Sent {
    what: String,
    kind: &'static str,
    bytes: Vec<u8>,
}

impl Sent {
    fn json(what: impl Into<String>, value: &Value) -> Self {
        Self { what: what.into(), kind: "application/json", bytes: value.to_string().into_bytes() }
    }

    fn raw(what: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { what: what.into(), kind: "application/json", bytes: bytes.into() }
    }
}

impl Sweep {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let company = app.company("Acme").await;
        let mut people = BTreeMap::new();
        for role in Role::ALL {
            let company = role.is_company_bound().then_some(company.id);
            let user =
                if role == Role::Practitioner { app.practitioner().await } else { app.person(role, company).await };
            people.insert(role.as_str(), (role, company, user));
        }
        Self { app, contract: Contract::load(), people, faults: Vec::new(), requests: 0 }
    }

    /// The path with its parameters filled, and required query parameters after it.
    fn path(&self, operation: &Operation, id: &str) -> String {
        let mut path = operation.path.clone();
        while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            path.replace_range(from..=to, id);
        }
        let mut glue = '?';
        for (name, value) in self.contract.required_query(operation) {
            write!(path, "{glue}{name}={value}").unwrap();
            glue = '&';
        }
        path
    }

    async fn send(&mut self, operation: &Operation, user: &User, path: &str, body: Option<&Sent>) -> Answer {
        self.requests += 1;
        let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
        let mut request = user.request(method, &format!("/{path}"));
        for parameter in operation.parameters.iter().filter(|parameter| parameter.place == "header") {
            let value = if parameter.name.eq_ignore_ascii_case("if-match") {
                "\"0\"".to_owned()
            } else {
                Uuid::new_v4().to_string()
            };
            request = request.header(&parameter.name, value);
        }
        if let Some(body) = body {
            request = request.header("content-type", body.kind).body(body.bytes.clone());
        }
        Answer::of(request).await
    }

    /// The body that the document gives as an example.
    fn good_body(&self, operation: &Operation) -> Option<Sent> {
        Some(Sent::json("the example", &self.contract.good_body(operation)?))
    }

    fn check(&mut self, operation: &Operation, what: &str, answer: &Answer) {
        for fault in self.contract.faults(operation, answer) {
            self.fault(operation, what, answer, &fault);
        }
    }

    fn fault(&mut self, operation: &Operation, what: &str, answer: &Answer, fault: &str) {
        self.faults.push(complaint(operation, what, answer, fault));
    }

    /// Somebody of the first role that may, in a session that nothing has ended yet; nobody where none needs one.
    async fn caller(&self, operation: &Operation) -> User {
        let Some(role) = operation.roles.first() else { return self.app.anonymous() };
        let (role, company, user) = &self.people[role.as_str()];
        user.with_token(self.app.session(user.id, *role, *company).await)
    }

    async fn finish(self, what: &str) {
        let Self { app, contract, faults, requests, .. } = self;
        app.settle_with_dead().await;
        drop(app);
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
        println!("{what}: {} operations, {requests} requests", contract.operations.len());
    }
}

/// What a body of this schema must not be.
fn bad_bodies(sweep: &Sweep, schema: &Value) -> Vec<Sent> {
    let good = sweep.contract.example(schema, 0);
    let mut bodies = vec![
        Sent::raw("no JSON", "{"),
        Sent::raw("nothing", ""),
        Sent::raw("a list", "[]"),
        Sent::raw("null", "null"),
        Sent::raw("a string", "\"x\""),
        Sent::raw("a number", "1"),
        Sent::raw("broken UTF-8", b"{\"a\":\"\xff\xfe\"}".to_vec()),
        Sent::raw("a lone surrogate", r#"{"a":"\ud800"}"#),
        Sent::raw("deep nesting", "[".repeat(50_000)),
        Sent::raw("deep and closed nesting", format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000))),
        Sent::raw("a number too large", "{\"a\":1e999}"),
        Sent { what: "another media type".into(), kind: "text/plain", bytes: good.to_string().into_bytes() },
    ];
    let Value::Object(good) = good else { return bodies };
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed.insert(name.to_owned(), value);
        Value::Object(changed)
    };
    bodies.push(Sent::json("an unknown property", &with("isAdmin", json!(true))));
    let properties = sweep.contract.resolve(schema)["properties"].as_object().cloned().unwrap_or_default();
    for (name, property) in &properties {
        let property = sweep.contract.resolve(property);
        let kind = property["type"].as_str().unwrap_or("object");
        for (of, value) in [
            ("string", json!("\u{0}")),
            ("integer", json!(-9_007_199_254_740_993_i64)),
            ("number", json!(1.5)),
            ("boolean", json!(true)),
            ("array", json!([[]])),
            ("object", json!({"a": {}})),
        ] {
            // what fits the type may well be taken, but for NUL and for what no list of ours holds
            if of != kind || matches!(of, "string" | "array" | "object") {
                bodies.push(Sent::json(format!("{name} = {value}"), &with(name, value)));
            }
        }
        if matches!(property["format"].as_str(), Some("date" | "date-time" | "naive-date-time")) {
            for date in ["-9999-01-01", "+262142-12-31", "-9999-01-01T00:00:00Z", "+262142-12-31T23:59:59Z"] {
                bodies.push(Sent::json(format!("{name} = {date}"), &with(name, json!(date))));
            }
        }
        if property.get("enum").is_some() {
            bodies.push(Sent::json(format!("{name} of no known value"), &with(name, json!("none of these"))));
        }
        if kind == "string" {
            bodies.push(Sent::json(format!("{name} of 300,000 characters"), &with(name, json!("x".repeat(300_000)))));
        }
    }
    bodies
}

/// Announces 10 MB and begins to send them; the answer comes without waiting for the rest.
async fn announce_large_body(sweep: &Sweep, operation: &Operation, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let address = sweep.app.base.strip_prefix("http://").unwrap();
    let token = sweep.caller(operation).await.token;
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let head = format!(
        "{} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\
         {authorization}\r\n{{\"a\":\"",
        operation.method
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains('}') {
        match tokio::time::timeout(std::time::Duration::from_secs(10), stream.read(&mut chunk)).await {
            Ok(Ok(length)) if length > 0 => answer.extend_from_slice(&chunk[..length]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_with_a_code() {
    let mut sweep = Sweep::start().await;
    for operation in sweep.contract.operations.clone() {
        let Some(schema) = sweep.contract.body_schema(&operation).cloned() else { continue };
        let path = sweep.path(&operation, &Uuid::new_v4().to_string());
        for body in bad_bodies(&sweep, &schema) {
            let user = sweep.caller(&operation).await;
            let answer = sweep.send(&operation, &user, &path, Some(&body)).await;
            sweep.check(&operation, &body.what, &answer);
            // before anything is looked for: not 404
            if !matches!(answer.status.as_u16(), 400 | 413 | 415 | 422) {
                sweep.fault(&operation, &body.what, &answer, "instead of a refusal");
            }
        }
        let answer = announce_large_body(&sweep, &operation, &path).await;
        sweep.requests += 1;
        if !answer.starts_with("HTTP/1.1 413") || !answer.contains("problem+json") || !answer.contains("body_too_large")
        {
            sweep.faults.push(format!("{} {} with 10 MB: {answer}", operation.method, operation.path));
        }
    }
    sweep.finish("bad bodies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_parameters_are_refused_with_a_code() {
    let values = [
        "%00",
        "x",
        "-1",
        "0",
        "99999999999999999999",
        "%FF",
        "2026-13-45",
        "%27%3B--",
        "",
        "%F0%9F%92%A9",
        "1e9",
        "null",
        // dates, and times, of which nothing can be reckoned, or which the database does not know
        "-9999-01-01",
        "-262143-01-01",
        "%2B262142-12-31",
        "-9999-01-01T00:00:00Z",
        "%2B262142-12-31T23:59:59Z",
    ];
    let mut sweep = Sweep::start().await;
    for operation in sweep.contract.operations.clone() {
        let body = sweep.good_body(&operation);
        for parameter in &operation.parameters {
            for value in values {
                let (path, must) = match parameter.place.as_str() {
                    "query" => {
                        let path = sweep.path(&operation, &Uuid::new_v4().to_string());
                        let glue = if path.contains('?') { '&' } else { '?' };
                        (
                            format!("{path}{glue}{}={value}", parameter.name),
                            parameter.fault != "invalid" && value == "x",
                        )
                    }
                    "path" if !value.is_empty() => (sweep.path(&operation, value), true),
                    _ => continue,
                };
                let user = sweep.caller(&operation).await;
                let answer = sweep.send(&operation, &user, &path, body.as_ref()).await;
                let what = format!("{} = {value}", parameter.name);
                sweep.check(&operation, &what, &answer);
                if must && !answer.status.is_client_error() {
                    sweep.fault(&operation, &what, &answer, "instead of a refusal");
                }
            }
        }
    }
    sweep.finish("bad parameters").await;
}
