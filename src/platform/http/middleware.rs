//! The layers around every route, in one place and in this order: request id, log and metrics,
//! security headers, CORS, compression, errors and panics as problems, limits of rate, size and time.
//!
//! ```
//! use std::sync::Arc;
//!
//! use huntzen::platform::Platform;
//! use huntzen::platform::http::{middleware, openapi};
//!
//! fn edge(routes: poem::Route, document: &serde_json::Value, platform: Arc<Platform>) -> impl poem::Endpoint {
//!     middleware::wrap(routes, platform, &openapi::operations(document))
//! }
//! ```
//!
//! One endpoint does it all rather than a chain of small ones: a request passes here once, and what
//! it needs is worked out when the program starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Body, Endpoint, IntoEndpoint, IntoResponse, PathPattern, Request, Response};
use poem_openapi::OperationId;

use super::compression;
use super::error::{self, BodyTooLarge, Catalogue};
use super::limits::client_ip;
use super::openapi::Operation;
use super::upload;
use crate::platform::locale::Locale;
use crate::platform::problem::{Error, Problem, Result};
use crate::platform::telemetry::reports::{self, Place};
use crate::platform::telemetry::traces;
use crate::platform::{Platform, RequestInfo, telemetry};

/// A request that is not answered by then is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a session is renewed.
const REFRESH: &str = "/api/v1/auth/refresh";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const API_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const EXPOSED: &str = "content-disposition, etag, retry-after, x-request-id";
const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const ALLOWED_HEADERS: &str =
    "accept-language, authorization, content-type, idempotency-key, if-match, if-none-match, x-request-id";

/// Puts the routes behind the edge. `operations` are the document's, for `Allow` and for names of parameters.
pub fn wrap<R>(
    routes: R,
    platform: Arc<Platform>,
    operations: &[Operation],
) -> impl Endpoint<Output = Response> + use<R>
where
    R: IntoEndpoint,
    R::Endpoint: 'static,
{
    Edge::new(routes.into_endpoint(), platform, operations)
}

struct Edge<E> {
    inner: E,
    platform: Arc<Platform>,
    catalogue: Catalogue,
    origins: Vec<HeaderValue>,
    headers: Vec<(HeaderName, HeaderValue)>,
    patience: Duration,
}

/// Sent with every answer that does not say otherwise itself.
fn security_headers(is_production: bool) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, API_POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    if is_production {
        headers.push((header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"));
    }
    headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

impl<E: Endpoint> Endpoint for Edge<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let _counted = telemetry::in_flight();
        let info = self.identify(&request);
        let method = method_name(request.method());
        let uri = request.uri().clone();
        let origin = request.headers().get(header::ORIGIN).filter(|origin| self.origins.contains(origin)).cloned();
        // a compressed answer's length tells about its secrets when a stranger can mix in text of their own
        let path = request.uri().path();
        let tells_secrets = path.starts_with("/api/v1/auth/") || path.starts_with("/socket.io");
        let coding = if tells_secrets { None } else { compression::negotiate(request.headers()) };

        let span = self.platform.traces.request(method, uri.path(), request.headers());
        let answer = match traces::within(span.as_ref(), self.answer(request, &info)).await {
            Ok(response) => Ok(response),
            Err(error) => {
                let operation = operation_of(error.data::<OperationId>(), error.data::<PathPattern>());
                // who panicked or took too long has said nothing
                let is_unsaid = matches!(operation, Asked::Nothing) && error.status() != StatusCode::NOT_FOUND;
                let found = is_unsaid.then(|| self.catalogue.find(method, uri.path())).flatten();
                let operation = found.map_or(operation, |id| Asked::Route(id.into()));
                match error::problem_of(error, &self.catalogue) {
                    Ok(problem) => Err((problem, operation)),
                    Err(response) => Ok(response),
                }
            }
        };
        let (response, operation, code) = match answer {
            Ok(response) => {
                let operation = operation_of(response.data::<OperationId>(), response.data::<PathPattern>());
                (response, operation, None)
            }
            Err((problem, operation)) => {
                error::log(&problem, operation.name(), &info.id);
                self.report(&problem, method, operation.name(), &info.id);
                (error::render(&problem, info.locale, &info.id), operation, Some(problem.code()))
            }
        };
        let mut response = compression::compress(response, coding);
        self.add_headers(response.headers_mut(), &info.id, origin);

        let (took, status) = (started.elapsed(), response.status().as_u16());
        let operation = operation.name();
        telemetry::record_request(operation, method, status, took);
        let ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        let trace_id = span.as_ref().map(|span| tracing::field::display(span.trace_id()));
        tracing::info!(target: "access", request_id = &*info.id, trace_id, method, operation, status, ms);
        if let Some(span) = span {
            span.answered(method, self.template(operation), operation, status, code);
        }
        Ok(response)
    }
}

impl<E: Endpoint> Edge<E> {
    fn new(inner: E, platform: Arc<Platform>, operations: &[Operation]) -> Self {
        let origins = platform.config.cors_origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok());
        Self {
            inner,
            origins: origins.collect(),
            headers: security_headers(platform.config.is_production()),
            catalogue: Catalogue::new(operations),
            platform,
            patience: PATIENCE,
        }
    }

    /// The route of an operation; of what is in no document, its pattern.
    fn template<'a>(&'a self, operation: &'a str) -> &'a str {
        self.catalogue.template(operation).unwrap_or(operation)
    }

    fn report(&self, problem: &Problem, method: &str, operation: &str, request_id: &str) {
        if problem.status().is_server_error() {
            let transaction = format!("{method} {}", self.template(operation));
            let place = Place { operation, transaction: &transaction, request_id: Some(request_id) };
            self.platform.reports.problem(problem, place);
        }
    }

    fn identify(&self, request: &Request) -> RequestInfo {
        let headers = request.headers();
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_well_formed(id));
        let id: Arc<str> = match given {
            Some(id) => id.into(),
            None => self.platform.new_id::<uuid::Uuid>().to_string().into(),
        };
        let peer = request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip);
        let ip = client_ip(peer, headers, &self.platform.config.trusted_proxies);
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        RequestInfo::new(id, ip, accepted.and_then(Locale::negotiate).unwrap_or_default())
    }

    /// Lets the request in and answers it within its time; a panic is an error like others.
    async fn answer(&self, mut request: Request, info: &RequestInfo) -> poem::Result<Response> {
        if is_preflight(&request) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let is_long = upload::brings_file(request.method(), request.uri().path());
        let patience = if is_long { upload::PATIENCE } else { self.patience };
        let received = self.admit(&mut request, info)?;
        request.extensions_mut().insert(self.platform.clone());
        request.extensions_mut().insert(info.clone());

        let answer = reports::watch(self.inner.call(request));
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => answer.map(IntoResponse::into_response),
            Ok(Err(panic)) => Err(Problem::panicked(panic).into()),
            Err(_elapsed) if received.is_none_or(|all| all.load(Ordering::Relaxed)) => {
                Err(Problem::from(Error::Unavailable).with_source("the handler took too long").into())
            }
            Err(_elapsed) => Err(Problem::from(Error::RequestTimeout).with_header("connection", "close").into()),
        }
    }

    /// Refuses what comes too often, is too large, or cannot be understood. For a request with a
    /// body, the flag tells later whether all of it has arrived.
    fn admit(&self, request: &mut Request, info: &RequestInfo) -> Result<Option<Arc<AtomicBool>>> {
        let path = request.uri().path();
        let is_monitoring = path.starts_with("/health/") || path == "/metrics";
        if !is_monitoring && let Some(ip) = info.ip {
            if path.starts_with("/socket.io/") {
                self.platform.limits.check_socket_address(ip)?;
            } else if path == REFRESH {
                self.platform.limits.check_refresh_address(ip)?;
            } else {
                self.platform.limits.check_address(ip)?;
            }
        }
        // PostgreSQL keeps no NUL in a text, so none gets that far
        if path.contains("%00") {
            return Err(Error::NotFound.into());
        }
        let query = request.uri().query().unwrap_or_default();
        if let Some(pair) = query.split('&').find(|pair| pair.contains("%00")) {
            let name = pair.split('=').next().unwrap_or_default();
            return Err(Problem::from(Error::InvalidParameter).at(format!("query:{name}"), "nul_character"));
        }
        let body = request.take_body();
        if body.is_empty() {
            return Ok(None);
        }
        let coding = request.headers().get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| coding != "identity") {
            return Err(Error::UnsupportedMediaType.into());
        }
        let config = &self.platform.config;
        let limit = if upload::brings_file(request.method(), request.uri().path()) {
            usize::try_from(config.max_upload_bytes + upload::FORM_BYTES).unwrap_or(usize::MAX)
        } else {
            config.max_body_bytes
        };
        let length = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(Problem::from(Error::BodyTooLarge).with_header("connection", "close"));
        }
        let received = Arc::new(AtomicBool::new(false));
        request.set_body(limited(body, limit, received.clone()));
        Ok(Some(received))
    }

    fn add_headers(&self, headers: &mut HeaderMap, request_id: &str, origin: Option<HeaderValue>) {
        headers.reserve(self.headers.len() + 6);
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        if let Ok(id) = HeaderValue::try_from(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if self.origins.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(ALLOWED_METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

/// 1–64 characters of `A-Z a-z 0-9 - _ .`.
fn is_well_formed(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Ends the stream with [`BodyTooLarge`] beyond the limit: a length that was announced may be wrong or missing.
fn limited(body: Body, limit: usize, received: Arc<AtomicBool>) -> Body {
    let mut left = limit;
    let counted = body.into_bytes_stream().map(move |piece| {
        let piece = piece?;
        left = left.checked_sub(piece.len()).ok_or_else(|| std::io::Error::other(BodyTooLarge))?;
        Ok::<_, std::io::Error>(piece)
    });
    let end = futures_util::stream::poll_fn(move |_| {
        received.store(true, Ordering::Relaxed);
        std::task::Poll::Ready(None)
    });
    Body::from_bytes_stream(counted.chain(end))
}

/// A label for logs and metrics that has few values, whatever clients send.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// What a request asked for: never its path, which may name people.
enum Asked {
    Operation(&'static str),
    Route(Arc<str>),
    Nothing,
}

impl Asked {
    fn name(&self) -> &str {
        match self {
            Self::Operation(id) => id,
            // what the framework calls the rest of a path is not worth a word
            Self::Route(pattern) => pattern.strip_suffix("--poem-rest").unwrap_or(pattern),
            Self::Nothing => "none",
        }
    }
}

fn operation_of(id: Option<&OperationId>, pattern: Option<&PathPattern>) -> Asked {
    match (id, pattern) {
        (Some(id), _) => Asked::Operation(id.0),
        (None, Some(pattern)) => Asked::Route(pattern.0.clone()),
        (None, None) => Asked::Nothing,
    }
}

#[cfg(test)]
mod tests;
