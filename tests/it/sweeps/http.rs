//! Every route of the OpenAPI document: who is refused, what bad input is answered, and that the document says so.

use std::collections::BTreeMap;
use std::fmt::Write;

use huntzen::app;
use huntzen::platform::auth::Role;
use huntzen::platform::http::openapi::{self, Operation};
use huntzen::platform::ids::CompanyId;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApp, User};

const ROLES: [Role; 5] = [Role::Employee, Role::Practitioner, Role::Hr, Role::CompanyAdmin, Role::PlatformAdmin];

struct Sweep {
    app: TestApp,
    document: Value,
    operations: Vec<Operation>,
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

fn with_token(mut user: User, token: String) -> User {
    user.token = token;
    user
}

impl Sweep {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let document = app::openapi().unwrap();
        let company = app.company("Acme").await;
        let mut people = BTreeMap::new();
        for role in ROLES {
            let company = matches!(role, Role::Employee | Role::Hr | Role::CompanyAdmin).then_some(company.id);
            let user =
                if role == Role::Practitioner { app.practitioner().await } else { app.person(role, company).await };
            people.insert(role.as_str(), (role, company, user));
        }
        let operations = openapi::operations(&document);
        Self { app, document, operations, people, faults: Vec::new(), requests: 0 }
    }

    /// Somebody of a role, in a session that nothing has ended yet.
    async fn signed_in(&self, role: &str) -> User {
        let (role, company, user) = &self.people[role];
        let token = self.app.session(user.id, *role, *company).await;
        with_token(user.clone(), token)
    }

    fn described(&self, operation: &Operation) -> &Value {
        &self.document["paths"][&operation.path][operation.method.to_lowercase()]
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|target| target.strip_prefix('#')) {
            Some(pointer) => self.resolve(self.document.pointer(pointer).unwrap_or(&Value::Null)),
            None => match value.pointer("/allOf/0") {
                Some(inner) if value.get("properties").is_none() => self.resolve(inner),
                _ => value,
            },
        }
    }

    /// A value that fits a schema, as its example says where there is one.
    fn example(&self, schema: &Value, depth: usize) -> Value {
        for place in [schema, self.resolve(schema)] {
            for key in ["example", "default"] {
                if let Some(value) = place.get(key) {
                    return value.clone();
                }
            }
        }
        let schema = self.resolve(schema);
        if let Some(first) = schema.pointer("/enum/0") {
            return first.clone();
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("string"), Some("uuid")) => json!(Uuid::new_v4()),
            (Some("string"), Some("date")) => json!("2026-01-01"),
            (Some("string"), Some("date-time")) => json!("2026-01-01T00:00:00Z"),
            (Some("string"), Some("email")) => json!("somebody@example.org"),
            (Some("string"), _) => json!("2026-01"),
            (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
            (Some("boolean"), _) => json!(true),
            (Some("array"), _) if depth < 4 => json!([self.example(&schema["items"], depth + 1)]),
            (Some("object"), _) if depth < 4 => schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, of)| (name.clone(), self.example(of, depth + 1)))
                .collect(),
            _ => Value::Null,
        }
    }

    fn body_schema(&self, operation: &Operation) -> Option<Value> {
        let content = &self.described(operation)["requestBody"]["content"];
        let (_, json) = content.as_object()?.iter().find(|(kind, _)| kind.starts_with("application/json"))?;
        Some(json["schema"].clone())
    }

    /// The path with its parameters filled, and required query parameters after it.
    fn path(&self, operation: &Operation, id: &str) -> String {
        let mut path = operation.path.clone();
        while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            path.replace_range(from..=to, id);
        }
        let mut glue = '?';
        for parameter in self.described(operation)["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" && parameter["required"] == true {
                let value = match self.example(&parameter["schema"], 0) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                write!(path, "{glue}{}={value}", parameter["name"].as_str().unwrap()).unwrap();
                glue = '&';
            }
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
        Some(Sent::json("the example", &self.example(&self.body_schema(operation)?, 0)))
    }

    /// Notes what is wrong with an answer whatever was asked: its form, and that the document knows of it.
    fn check(&mut self, operation: &Operation, what: &str, answer: &Answer) {
        let status = answer.status.as_u16();
        let mut faults = Vec::new();
        let media = answer.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
        let media = media.split(';').next().unwrap_or_default().to_owned();
        if status >= 500 {
            faults.push("an error of the server".to_owned());
        }
        if status >= 400 {
            if media != "application/problem+json" {
                faults.push(format!("is {media}"));
            }
            for member in ["type", "title", "status", "detail", "code", "requestId"] {
                if answer.json[member].is_null() || answer.json[member] == "" {
                    faults.push(format!("has no {member}"));
                }
            }
            let details = answer.json["errors"].as_array().into_iter().flatten().map(|error| &error["detail"]);
            for words in details.chain([&answer.json["title"], &answer.json["detail"]]) {
                let words = words.as_str().unwrap_or_default();
                if words.is_empty() || words.contains("field.") || words.contains("problem.") || words.contains("%{") {
                    faults.push(format!("says {words:?}"));
                }
            }
            if answer.json["requestId"]
                != answer.headers.get("x-request-id").map_or("", |value| value.to_str().unwrap())
            {
                faults.push("has another request id than its header".to_owned());
            }
        }
        let documented = self.resolve(&self.described(operation)["responses"][status.to_string()]);
        if documented.is_null() {
            faults.push("is not in the document".to_owned());
        } else if !answer.bytes.is_empty()
            && documented["content"]
                .as_object()
                .is_none_or(|content| !content.keys().any(|kind| kind.split(';').next() == Some(media.as_str())))
        {
            faults.push(format!("is {media}, which is not in the document"));
        }
        for fault in faults {
            self.fault(operation, what, answer, &fault);
        }
    }

    fn fault(&mut self, operation: &Operation, what: &str, answer: &Answer, fault: &str) {
        let text = answer.text();
        let text: String = text.chars().take(200).collect();
        self.faults.push(format!(
            "{} {} with {what}: {} {fault}: {text}",
            operation.method,
            operation.path,
            answer.status.as_u16()
        ));
    }

    /// The roles as which to try bad input; nobody's where nobody needs to be signed in.
    async fn callers(&self, operation: &Operation) -> User {
        match operation.roles.first() {
            Some(role) => self.signed_in(role).await,
            None => self.app.anonymous(),
        }
    }

    async fn finish(self, what: &str) {
        let Self { app, operations, faults, requests, .. } = self;
        app.settle_with_dead().await;
        drop(app);
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
        println!("{what}: {} operations, {requests} requests", operations.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_those_who_may_not_call_it() {
    let mut sweep = Sweep::start().await;
    for operation in sweep.operations.clone() {
        let body = sweep.good_body(&operation);
        let path = sweep.path(&operation, &Uuid::new_v4().to_string());
        if operation.permission.is_none() {
            let answer = sweep.send(&operation, &sweep.app.anonymous(), &path, body.as_ref()).await;
            sweep.check(&operation, "nobody signed in", &answer);
            continue;
        }
        let stranger = with_token(sweep.app.anonymous(), "not.a.token".into());
        for (what, user) in [("no token", sweep.app.anonymous()), ("a token that is none", stranger)] {
            let answer = sweep.send(&operation, &user, &path, body.as_ref()).await;
            sweep.check(&operation, what, &answer);
            if answer.status != 401 {
                sweep.fault(&operation, what, &answer, "instead of 401");
            }
        }
        for role in ROLES.map(Role::as_str) {
            let user = sweep.signed_in(role).await;
            let answer = sweep.send(&operation, &user, &path, body.as_ref()).await;
            sweep.check(&operation, role, &answer);
            let may = operation.roles.iter().any(|it| it == role);
            if !may && answer.status != 403 {
                sweep.fault(&operation, role, &answer, "instead of 403");
            }
            if may && matches!(answer.status.as_u16(), 401 | 403) {
                sweep.fault(&operation, role, &answer, "although the role may");
            }
        }
    }
    sweep.finish("who may call").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_over_open_no_route() {
    let mut sweep = Sweep::start().await;
    let (ended, expired) = (sweep.signed_in("employee").await, sweep.signed_in("practitioner").await);
    sqlx::query("UPDATE app.user_sessions SET revoked_at = now() WHERE user_id = $1")
        .bind(ended.id)
        .execute(sweep.app.db())
        .await
        .unwrap();
    let heard = async {
        while ended.get("/me").await.status == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), heard).await.expect("a revocation is heard within 5 s");
    for user in [&ended, &expired] {
        if user.id == expired.id {
            sweep.app.clock.advance(chrono::TimeDelta::hours(1));
        }
        let code = if user.id == expired.id { "token_expired" } else { "unauthenticated" };
        for operation in sweep.operations.clone().iter().filter(|operation| operation.permission.is_some()) {
            let path = sweep.path(operation, &Uuid::new_v4().to_string());
            let answer = sweep.send(operation, user, &path, None).await;
            sweep.check(operation, code, &answer);
            if answer.status != 401 || answer.json["code"] != code {
                sweep.fault(operation, code, &answer, "instead of 401");
            }
        }
    }
    sweep.finish("sessions that are over").await;
}

/// Ids of another company's things, by the collection that they are looked for in.
async fn foreign_ids(app: &TestApp) -> BTreeMap<&'static str, Uuid> {
    let company = app.company("Globex").await;
    let (employee, practitioner) = (app.employee(&company).await, app.practitioner().await);
    let (consultation, export) = (Uuid::new_v4(), Uuid::new_v4());
    sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                                        busy_until, specialty)
         SELECT $1, $2, $3, $4, 'chat', 'confirmed', at, at + interval '1 hour', at, at + interval '1 hour', 'sleep'
         FROM date_trunc('hour', now() + interval '3 days') at",
    )
    .bind(consultation)
    .bind(company.id)
    .bind(employee.id)
    .bind(practitioner.id)
    .execute(app.db())
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO app.exports (id, company_id, requested_by, kind, params, created_at) VALUES ($1, $2, $3, 'usage', '{}', now())",
    )
    .bind(export)
    .bind(company.id)
    .bind(company.hr.id)
    .execute(app.db())
    .await
    .unwrap();
    let entry: Uuid = sqlx::query_scalar("SELECT employee_id FROM app.users WHERE id = $1")
        .bind(employee.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    let session: Uuid = sqlx::query_scalar("SELECT id FROM app.user_sessions WHERE user_id = $1")
        .bind(employee.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    BTreeMap::from([
        ("companies", company.id.0),
        ("members", company.hr.id.0),
        ("employees", entry),
        ("consultations", consultation),
        ("exports", export),
        ("sessions", session),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_not_found() {
    let mut sweep = Sweep::start().await;
    let foreign = foreign_ids(&sweep.app).await;
    for operation in sweep.operations.clone() {
        let Some((before, _)) = operation.path.split_once("/{") else { continue };
        let collection = before.rsplit('/').next().unwrap_or_default();
        let body = sweep.good_body(&operation);
        for role in operation.roles.clone() {
            // staff serve every company, so theirs is an id of nothing
            let id = foreign.get(collection).filter(|_| role != "platform_admin").copied().unwrap_or_else(Uuid::new_v4);
            let user = sweep.signed_in(&role).await;
            let path = sweep.path(&operation, &id.to_string());
            let answer = sweep.send(&operation, &user, &path, body.as_ref()).await;
            let what = format!("{role} and another's id");
            sweep.check(&operation, &what, &answer);
            if answer.status != 404 {
                sweep.fault(&operation, &what, &answer, "instead of 404");
            }
        }
    }
    sweep.finish("foreign ids").await;
}

/// What a body of this schema must not be.
fn bad_bodies(sweep: &Sweep, schema: &Value) -> Vec<Sent> {
    let good = sweep.example(schema, 0);
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
    let properties = sweep.resolve(schema)["properties"].as_object().cloned().unwrap_or_default();
    for (name, property) in &properties {
        let property = sweep.resolve(property);
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
    let token = sweep.callers(operation).await.token;
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
    for operation in sweep.operations.clone() {
        let Some(schema) = sweep.body_schema(&operation) else { continue };
        let path = sweep.path(&operation, &Uuid::new_v4().to_string());
        for body in bad_bodies(&sweep, &schema) {
            let user = sweep.callers(&operation).await;
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
    ];
    let mut sweep = Sweep::start().await;
    for operation in sweep.operations.clone() {
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
                let user = sweep.callers(&operation).await;
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
