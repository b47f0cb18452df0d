//! The edge around a small interface, without a database.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use chrono::{NaiveDate, TimeDelta};
use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, RequestBuilder, Route};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi, OpenApiService, Tags};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::platform::auth::revocation::RevokedSessions;
use crate::platform::auth::tokens::Tokens;
use crate::platform::auth::{Authorized, Caller, Role, perm};
use crate::platform::clock::Clock;
use crate::platform::config::{Config, Environment, JwtKey, LogFormat, StorageUrl};
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::passwords::{Cost, Passwords};
use crate::platform::crypto::seal::Keyring;
use crate::platform::db::Db;
use crate::platform::health::MonitoringApi;
use crate::platform::http::limits::Limits;
use crate::platform::http::{Body as JsonBody, openapi};
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::mail::Mailer;
use crate::platform::storage::Storage;

#[derive(Tags)]
enum Tag {
    /// Things to try the edge with.
    Samples,
}

/// A sample.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
struct Sample {
    /// What it is called.
    #[oai(validator(min_length = 2))]
    name: String,
    size: Option<u8>,
}

impl Example for Sample {
    fn example() -> Self {
        Self { name: "One".into(), size: Some(1) }
    }
}

struct SampleApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Samples")]
impl SampleApi {
    /// Read a sample
    #[oai(path = "/samples/:id/days/:day", method = "get", operation_id = "getSample")]
    async fn read(
        &self,
        /// Which one.
        id: Path<Uuid>,
        /// On which day.
        day: Path<NaiveDate>,
        /// How many.
        #[oai(validator(minimum(value = "1")))]
        count: Query<Option<u32>>,
    ) -> Result<Json<Sample>> {
        let _ = (id, day, count);
        Ok(Json(Sample { name: "x".repeat(1000), size: None }))
    }

    /// Make a sample
    #[oai(path = "/samples", method = "post", operation_id = "createSample")]
    async fn create(
        &self,
        /// So that a repetition makes no second one.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: JsonBody<Sample>,
    ) -> Result<Json<Sample>> {
        let _ = key;
        Ok(Json(body.0))
    }

    /// Change a sample
    #[oai(path = "/samples/:id", method = "patch", operation_id = "updateSample")]
    async fn update(
        &self,
        cx: Authorized<perm::ManageEmployees>,
        /// Which one.
        id: Path<Uuid>,
        /// The version that is changed.
        #[oai(name = "If-Match")]
        version: Header<Option<String>>,
        body: JsonBody<Sample>,
    ) -> Result<Json<Sample>> {
        let _ = (cx.now(), id, version);
        Ok(Json(body.0))
    }

    /// Fail
    #[oai(path = "/failure", method = "get", operation_id = "fail")]
    async fn fail(&self) -> Result<PlainText<String>> {
        Err(Problem::internal("the secret is 4711"))
    }

    /// Panic
    #[oai(path = "/panic", method = "get", operation_id = "panic")]
    async fn panic(&self) -> PlainText<String> {
        #[allow(clippy::unnecessary_literal_unwrap)] // a panic is what is tested
        PlainText(None::<String>.expect("the secret is 4711"))
    }

    /// Wait for ever
    #[oai(path = "/stuck", method = "post", operation_id = "wait")]
    async fn wait(&self) -> PlainText<String> {
        std::future::pending().await
    }
}

fn config() -> Config {
    let key = Ed25519KeyPair::generate().unwrap();
    let der = key.to_pkcs8v1().unwrap();
    Config {
        app_env: Environment::Production,
        listen_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        public_url: "https://care.test".parse().unwrap(),
        database_url: None,
        database_roles_secret: "s".into(),
        database_pool_size: 1,
        database_acquire_timeout_ms: 100,
        database_connection_max_age_seconds: 1800,
        master_keys: vec![("m".into(), format!("{}=", "A".repeat(43)).into())],
        jwt_keys: vec![JwtKey {
            kid: "k".into(),
            pkcs8: base64::engine::general_purpose::STANDARD.encode(der.as_ref()).into(),
        }],
        smtp_url: "smtp://127.0.0.1:1".into(),
        mail_from: "care@care.test".into(),
        storage_url: StorageUrl::Folder("/tmp/huntzen-edge/files".into()),
        max_upload_bytes: 1 << 20,
        file_quota_bytes: 1 << 20,
        privacy_controller: "The operator".into(),
        privacy_contact: None,
        privacy_officer: None,
        redis_url: None,
        jitsi: None,
        turn: None,
        trusted_proxies: Vec::new(),
        cors_origins: vec!["https://app.test".into()],
        metrics_token: Some("metrics".into()),
        monitoring: crate::platform::config::Monitoring::default(),
        access_token_ttl: TimeDelta::minutes(15),
        refresh_token_ttl: TimeDelta::days(30),
        totp_grace: chrono::TimeDelta::days(14),
        chat_open_days: 14,
        company_invitations_per_day: 20_000,
        outgoing_test_hosts: Vec::new(),
        max_body_bytes: 1000,
        rate_limit_per_ip: 1000,
        rate_limit_per_user: 2,
        data_dir: "/tmp/huntzen-edge".into(),
        log_format: LogFormat::Json,
        log_filter: "info".into(),
        demo_password: "d".into(),
        shutdown_grace_seconds: 1,
    }
}

fn platform(config: Config) -> Arc<Platform> {
    let entropy = Entropy::system();
    // nothing listens there: whatever asks the database fails at once
    let nowhere = sqlx::postgres::PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1);
    Arc::new(Platform {
        clock: Clock::System,
        db: Db::open(&nowhere, &config),
        tokens: Tokens::new(&config).unwrap(),
        sessions: RevokedSessions::new(),
        passwords: Passwords::new(Cost::LEAST, &entropy).unwrap(),
        keyring: Keyring::new(&config.master_keys).unwrap(),
        storage: Storage::open(&config).unwrap(),
        images: crate::platform::images::Images::default(),
        mailer: Mailer::open(&config).unwrap(),
        outgoing: crate::platform::outgoing::Outgoing::new(&config).unwrap(),
        limits: Limits::new(&config),
        maintenance: crate::platform::maintenance::Maintenance::default(),
        traces: crate::platform::telemetry::traces::Traces::default(),
        reports: crate::platform::telemetry::reports::Reports::default(),
        wire: crate::platform::realtime::Wire::open(&config, &nowhere).unwrap(),
        entropy,
        config: Arc::new(config),
    })
}

/// The edge, and how a client calls it.
struct App {
    edge: Edge<BoxEndpoint<'static, Response>>,
    document: Value,
}

impl App {
    fn new(config: Config) -> Self {
        let platform = platform(config);
        let samples = OpenApiService::new(SampleApi, "", "");
        let monitoring = OpenApiService::new(MonitoringApi::default(), "", "");
        let document = openapi::document(&[samples.spec(), monitoring.spec()]).unwrap();
        let routes =
            openapi::routes(Route::new(), &document).unwrap().nest_no_strip("/api/v1", samples).nest("/", monitoring);
        let edge = Edge::new(routes.boxed(), platform, &openapi::operations(&document));
        Self { edge, document }
    }

    async fn send(&self, request: RequestBuilder, body: impl Into<Body>) -> Response {
        self.edge.call(request.body(body)).await.unwrap()
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send(request(Method::GET, path, headers), ()).await
    }

    async fn post(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
        self.send(request(Method::POST, "/api/v1/samples", headers), body).await
    }
}

fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> RequestBuilder {
    let builder = Request::builder().method(method).uri(path.parse().unwrap());
    headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value))
}

async fn text(response: Response) -> String {
    response.into_body().into_string().await.unwrap()
}

async fn problem(response: Response) -> (u16, Value) {
    assert_eq!(response.content_type(), Some("application/problem+json"));
    let status = response.status().as_u16();
    let id = response.header("x-request-id").unwrap().to_owned();
    let body: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(body["status"], status);
    assert_eq!(body["requestId"], id);
    (status, body)
}

fn first_fault(body: &Value) -> (&str, &str) {
    (body["errors"][0]["pointer"].as_str().unwrap(), body["errors"][0]["code"].as_str().unwrap())
}

const SAMPLE: &str = "/api/v1/samples/0197a3c0-0000-7000-8000-000000000000/days/2026-03-01";

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn the_frameworks_errors_are_problems_with_pointers() {
    let app = App::new(config());
    for (path, expected) in [
        ("/api/v1/samples/7/days/2026-03-01".to_owned(), ("path:id", "uuid")),
        (SAMPLE.replace("03-01", "02-30"), ("path:day", "date")),
        (format!("{SAMPLE}?count=many"), ("query:count", "number")),
        (format!("{SAMPLE}?count=0"), ("query:count", "number")),
        (format!("{SAMPLE}?count=%00"), ("query:count", "nul_character")),
    ] {
        let (status, body) = problem(app.get(&path, &[]).await).await;
        assert_eq!((status, body["code"].as_str()), (400, Some("invalid_parameter")));
        assert_eq!(first_fault(&body), expected);
    }
    let (status, body) = problem(app.get("/api/v1/nothing", &[("accept-language", "en")]).await).await;
    assert_eq!((status, body["code"].as_str(), body["title"].as_str()), (404, Some("not_found"), Some("Not found")));
    let (_, body) = problem(app.get("/api/v1/nothing", &[]).await).await;
    assert_eq!(body["title"], "Introuvable");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = App::new(config());
    for (method, path, allowed) in [
        (Method::DELETE, SAMPLE, "GET, HEAD"),
        (Method::GET, "/api/v1/samples", "POST"),
        (Method::POST, "/openapi.json", "GET, HEAD"),
    ] {
        let response = app.send(request(method, path, &[]), ()).await;
        assert_eq!(response.header("allow"), Some(allowed));
        assert_eq!(problem(response).await.0, 405);
    }
}

#[tokio::test]
async fn bodies_are_refused_for_their_type_coding_size_and_content() {
    let app = App::new(config());
    assert_eq!(problem(app.post(&[], "{}").await).await.0, 415);
    assert_eq!(problem(app.post(&[("content-type", "text/plain")], "{}").await).await.0, 415);
    assert_eq!(problem(app.post(&[JSON, ("content-encoding", "gzip")], "{}").await).await.0, 415);
    let announced = app.post(&[JSON, ("content-length", "1001")], "x".repeat(1001));
    assert_eq!(problem(announced.await).await.0, 413);
    let pieces = futures_util::stream::iter((0..11).map(|_| Ok::<_, std::io::Error>("x".repeat(100))));
    let (status, body) = problem(app.post(&[JSON], Body::from_bytes_stream(pieces)).await).await;
    assert_eq!((status, body["code"].as_str()), (413, Some("body_too_large")));
    let (status, body) = problem(app.post(&[JSON, ("accept-language", "en")], "{\"name\": ").await).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("malformed_json")));
    assert_eq!(body["detail"], "The body is not valid JSON; reading stopped at line 1, column 9.");
    let (status, body) = problem(app.post(&[JSON], "{\"size\": \"x\"}").await).await;
    assert_eq!((status, body["errors"].as_array().unwrap().len()), (422, 2));
    let good = app.post(&[("content-type", "application/json; charset=utf-8")], "{\"name\": \"One\"}").await;
    assert_eq!(good.status(), 200);
}

#[tokio::test]
async fn failures_and_panics_show_nothing_of_the_inside() {
    let app = App::new(config());
    for path in ["/api/v1/failure", "/api/v1/panic"] {
        let (status, body) = problem(app.get(path, &[]).await).await;
        assert_eq!((status, body["code"].as_str()), (500, Some("internal")));
        assert!(!body.to_string().contains("4711"));
    }
}

#[tokio::test]
async fn a_stuck_handler_is_unavailable_and_a_stuck_body_a_timeout() {
    let mut app = App::new(config());
    app.edge.patience = Duration::from_millis(20);
    let stuck = app.send(request(Method::POST, "/api/v1/stuck", &[]), ()).await;
    assert_eq!(problem(stuck).await.0, 503);
    let never = Body::from_bytes_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    assert_eq!(problem(app.post(&[JSON], never).await).await.0, 408);
}

#[tokio::test]
async fn the_request_id_is_the_clients_where_well_formed() {
    let app = App::new(config());
    let long = "x".repeat(65);
    for (given, is_kept) in [("a-B_c.9", true), ("a b", false), ("", false), (&long, false), ("a\"b", false)] {
        let response = app.get(SAMPLE, &[("x-request-id", given)]).await;
        let id = response.header("x-request-id").unwrap();
        assert_eq!(id == given, is_kept);
        assert!(is_kept || Uuid::parse_str(id).unwrap().get_version_num() == 7);
    }
}

#[tokio::test]
async fn answers_carry_security_headers_and_pages_their_own_policy() {
    let app = App::new(config());
    let response = app.get(SAMPLE, &[]).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("content-security-policy"), Some(API_POLICY));
    assert!(response.header("strict-transport-security").is_some());
    let page = app.get("/docs", &[]).await;
    assert_eq!(page.header("content-security-policy"), Some(openapi::PAGE_POLICY));
    let script = text(app.get("/docs/viewer.js", &[]).await).await;
    assert!(script.contains("SwaggerUIBundle") && !script.contains("let spec ="));
    assert!(text(app.get("/docs/style.css", &[]).await).await.contains(".swagger-ui"));
    assert!(text(app.get("/openapi.yaml", &[]).await).await.contains("openapi: 3.0.3"));
}

#[tokio::test]
async fn only_listed_origins_get_cors_headers() {
    let app = App::new(config());
    let ask = ("access-control-request-method", "POST");
    for (origin, expected) in [("https://app.test", Some("https://app.test")), ("https://evil.test", None)] {
        let response = app.send(request(Method::OPTIONS, "/api/v1/samples", &[("origin", origin), ask]), ()).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.header("access-control-allow-origin"), expected);
        assert_eq!(response.header("access-control-allow-credentials"), expected.map(|_| "true"));
    }
    let response = app.get(SAMPLE, &[("origin", "https://app.test")]).await;
    assert!(response.header("access-control-expose-headers").unwrap().contains("etag"));
}

#[tokio::test]
async fn large_answers_are_compressed_as_the_client_likes() {
    let app = App::new(config());
    for coding in ["zstd", "br", "gzip"] {
        let response = app.get(SAMPLE, &[("accept-encoding", coding)]).await;
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert!(response.into_body().into_bytes().await.unwrap().len() < 200);
    }
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_refused_except_for_monitoring() {
    let app = App::new(Config { rate_limit_per_ip: 2, ..config() });
    let info = RequestInfo::new("r", Some(IpAddr::from(Ipv4Addr::new(203, 0, 113, 9))), Locale::En);
    let ask = |path: &str| app.edge.admit(&mut request(Method::GET, path, &[]).finish(), &info).map(|_| ());
    assert!(ask(SAMPLE).is_ok() && ask(SAMPLE).is_ok());
    let refusal = ask(SAMPLE).unwrap_err();
    assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(error::render(&refusal, Locale::En, "r").header("retry-after").is_some());
    assert!(ask("/health/live").is_ok());
    // a whole office comes back after the end of a node
    assert!((0..10).all(|_| ask("/socket.io/?EIO=4&transport=polling").is_ok()));
    assert_eq!(ask("/socket.io/?EIO=4&transport=polling").unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_user_who_asks_too_often_is_told_so() {
    let app = App::new(config());
    let platform = &app.edge.platform;
    let caller = Caller {
        user_id: platform.new_id::<UserId>(),
        role: Role::Hr,
        company_id: Some(platform.new_id::<CompanyId>()),
        session_id: platform.new_id::<SessionId>(),
        totp_setup_required: false,
    };
    let bearer = format!("Bearer {}", platform.tokens.sign_access(&caller, platform.clock.now()).unwrap());
    let path = "/api/v1/samples/0197a3c0-0000-7000-8000-000000000000";
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let response = app.send(request(Method::PATCH, path, &[("authorization", &bearer)]), "{}").await;
        statuses.push(problem(response).await.0);
    }
    // no database here to ask about the session, so what is let through is 503
    assert_eq!(statuses, [503, 503, 429]);
    let response = app.send(request(Method::PATCH, path, &[]), "{}").await;
    assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    assert_eq!(problem(response).await.0, 401);
}

#[tokio::test]
async fn metrics_are_for_those_who_know_the_token() {
    let app = App::new(config());
    assert_eq!(app.get(SAMPLE, &[]).await.status(), 200);
    assert_eq!(problem(app.get("/metrics", &[]).await).await.0, 401);
    let metrics = text(app.get("/metrics", &[("authorization", "Bearer metrics")]).await).await;
    assert!(metrics.contains(r#"http_requests_total{operation="getSample",method="GET",status="200"}"#));
    let (status, body) = problem(app.get("/health/ready", &[]).await).await;
    assert_eq!((status, &body["database"], &body["storage"]), (503, &"failing".into(), &"ok".into()));
    let hidden = App::new(Config { metrics_token: None, ..config() });
    assert_eq!(problem(hidden.get("/metrics", &[]).await).await.0, 404);
}

#[tokio::test]
async fn the_document_tells_permissions_and_errors() {
    let document = App::new(config()).document;
    let update = &document["paths"]["/api/v1/samples/{id}"]["patch"];
    assert_eq!(update["x-permission"], "ManageEmployees");
    assert_eq!(update["x-roles"], serde_json::json!(["hr", "company_admin"]));
    assert_eq!(update["security"], serde_json::json!([{ "bearer": [] }]));
    for status in ["200", "400", "401", "403", "404", "409", "412", "413", "415", "422", "428", "429", "500", "503"] {
        assert!(update["responses"].get(status).is_some(), "{status}");
    }
    assert_eq!(document["paths"]["/health/live"]["get"]["security"], serde_json::json!([]));
    let sample = &document["components"]["schemas"]["Sample"];
    assert_eq!(sample["additionalProperties"], false);
    assert_eq!(sample["properties"]["size"]["maximum"], 255);
    let operations = openapi::operations(&document);
    assert_eq!(operations.len(), 9);
    assert!(operations.iter().all(|one| !one.operation_id.is_empty()));
}
