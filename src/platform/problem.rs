//! What can go wrong, as the program says it: a stable code, a status, words in two languages.
//!
//! Domains declare their causes with [`causes!`]; `?` turns a cause, or an error of the database,
//! into a [`Problem`]; the edge renders it as `application/problem+json` (RFC 9457).

use std::backtrace::Backtrace;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use poem::http::StatusCode;
use serde_json::Value;

use crate::platform::db;
use crate::platform::locale::Locale;
use crate::platform::telemetry::reports::{self, Panic};

pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// A reason for a refusal. Its words are `problem.<code>.title` and `problem.<code>.detail` of `locales/`.
pub trait Cause {
    fn code(&self) -> &'static str;
    fn status(&self) -> StatusCode;
}

/// Declares a domain's causes: `Name => (STATUS, "code")`.
#[macro_export]
macro_rules! causes {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$vdoc:meta])* $variant:ident => ($status:ident, $code:literal)),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Every cause, for the test that each has words in both languages.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl $crate::platform::problem::Cause for $name {
            fn code(&self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }
            fn status(&self) -> poem::http::StatusCode {
                match self { $(Self::$variant => poem::http::StatusCode::$status),* }
            }
        }
    };
}

causes! {
    /// Causes that belong to no domain.
    pub enum Error {
        MalformedJson => (BAD_REQUEST, "malformed_json"),
        MalformedRequest => (BAD_REQUEST, "malformed_request"),
        InvalidParameter => (BAD_REQUEST, "invalid_parameter"),
        InvalidCursor => (BAD_REQUEST, "invalid_cursor"),
        InvalidIdempotencyKey => (BAD_REQUEST, "invalid_idempotency_key"),
        Unauthenticated => (UNAUTHORIZED, "unauthenticated"),
        TokenExpired => (UNAUTHORIZED, "token_expired"),
        Forbidden => (FORBIDDEN, "forbidden"),
        /// The role needs a second factor, and the grace period is over.
        TotpSetupRequired => (FORBIDDEN, "totp_setup_required"),
        OriginRefused => (FORBIDDEN, "origin_refused"),
        NotFound => (NOT_FOUND, "not_found"),
        MethodNotAllowed => (METHOD_NOT_ALLOWED, "method_not_allowed"),
        NotAcceptable => (NOT_ACCEPTABLE, "not_acceptable"),
        RequestTimeout => (REQUEST_TIMEOUT, "request_timeout"),
        Conflict => (CONFLICT, "conflict"),
        /// The form of a file ended too early, or is none.
        UploadIncomplete => (BAD_REQUEST, "upload_incomplete"),
        Stale => (PRECONDITION_FAILED, "stale"),
        BodyTooLarge => (PAYLOAD_TOO_LARGE, "body_too_large"),
        UnsupportedMediaType => (UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
        Invalid => (UNPROCESSABLE_ENTITY, "invalid"),
        /// Of a socket.
        UnknownEvent => (NOT_FOUND, "unknown_event"),
        IdempotencyMismatch => (UNPROCESSABLE_ENTITY, "idempotency_mismatch"),
        PreconditionRequired => (PRECONDITION_REQUIRED, "precondition_required"),
        TooManyRequests => (TOO_MANY_REQUESTS, "too_many_requests"),
        Internal => (INTERNAL_SERVER_ERROR, "internal"),
        Unavailable => (SERVICE_UNAVAILABLE, "unavailable"),
        /// Nothing is changed for a while.
        Maintenance => (SERVICE_UNAVAILABLE, "maintenance"),
        /// Files cannot be kept or fetched for now.
        StorageUnavailable => (SERVICE_UNAVAILABLE, "storage_unavailable"),
    }
}

/// One fault of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// A JSON pointer into the body (RFC 6901), or `query:name`, `path:name`, `header:name`.
    pub pointer: String,
    /// Stable; its words are `field.<code>` of `locales/`.
    pub code: &'static str,
    /// What the words need, such as `("max", "128")`.
    pub args: Vec<(&'static str, String)>,
}

/// Collects every fault before it refuses, so that a client can show them all at once.
#[derive(Debug, Default)]
#[must_use]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&mut self, pointer: impl Into<String>, code: &'static str) {
        self.add_with(pointer, code, &[]);
    }

    pub fn add_with(&mut self, pointer: impl Into<String>, code: &'static str, args: &[(&'static str, String)]) {
        self.0.push(FieldError { pointer: pointer.into(), code, args: args.to_vec() });
    }

    /// Notes a fault unless `ok`.
    pub fn check(&mut self, ok: bool, pointer: impl Into<String>, code: &'static str) {
        if !ok {
            self.add(pointer, code);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    /// `422 invalid` with all the faults, if there are any.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::from(Error::Invalid).with_errors(self.0)) }
    }
}

/// A refusal or a failure on its way to the client.
///
/// Boxed inside, so that a `Result` stays small.
#[must_use]
pub struct Problem(Box<Inner>);

struct Inner {
    status: StatusCode,
    code: &'static str,
    args: Vec<(&'static str, String)>,
    errors: Vec<FieldError>,
    extensions: Vec<(&'static str, Value)>,
    headers: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// Of a failure of ours, where reports of errors are sent.
    stack: Option<Arc<Backtrace>>,
    /// Where it was a panic: its place.
    panic: Option<String>,
}

impl<C: Cause> From<C> for Problem {
    fn from(cause: C) -> Self {
        Self(Box::new(Inner {
            status: cause.status(),
            code: cause.code(),
            args: Vec::new(),
            errors: Vec::new(),
            extensions: Vec::new(),
            headers: Vec::new(),
            source: None,
            stack: if cause.status() == StatusCode::INTERNAL_SERVER_ERROR { reports::stack() } else { None },
            panic: None,
        }))
    }
}

impl From<sqlx::Error> for Problem {
    /// Lost connections, exhausted pools and statements that gave way to others are 503, with `Retry-After` as any; a time
    /// that the database does not know is the client's; everything else is a fault of ours: 500.
    /// Constraints that a client can break are turned into causes where the statement is run
    /// (see [`crate::platform::db::OrConstraint`]).
    fn from(error: sqlx::Error) -> Self {
        if db::is_out_of_time(&error) {
            return Self::from(Error::Invalid).at("", "date").with_source(error);
        }
        let passes = db::is_unavailable(&error) || db::is_contended(&error);
        Self::from(if passes { Error::Unavailable } else { Error::Internal }).with_source(error)
    }
}

impl Problem {
    /// A failure that the client cannot mend. The source is logged once, at the edge, and never shown.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::from(Error::Internal).with_source(source)
    }

    /// Whoever handled it panicked.
    pub fn panicked(panic: Panic) -> Self {
        let mut problem = Self::internal("the handler panicked");
        problem.0.stack = panic.stack;
        problem.0.panic = Some(panic.place);
        problem
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Fills a `%{name}` of the words.
    pub fn with_arg(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.args.push((name, value.into()));
        self
    }

    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors.extend(errors);
        self
    }

    /// One fault of the input.
    pub fn at(self, pointer: impl Into<String>, code: &'static str) -> Self {
        self.with_errors(vec![FieldError { pointer: pointer.into(), code, args: Vec::new() }])
    }

    /// An extension member (RFC 9457, 3.2), such as the nearest free slots.
    pub fn with(mut self, member: &'static str, value: Value) -> Self {
        self.0.extensions.push((member, value));
        self
    }

    /// A header of the answer, such as `Retry-After`.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn code(&self) -> &'static str {
        self.0.code
    }

    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.0.headers
    }

    pub fn source_error(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    pub fn stack(&self) -> Option<Arc<Backtrace>> {
        self.0.stack.clone()
    }

    /// The place of the panic that it was.
    pub fn panic(&self) -> Option<&str> {
        self.0.panic.as_deref()
    }

    /// The body: RFC 9457 members, `code`, `requestId`, `errors`, and the extensions.
    pub fn to_json(&self, locale: Locale, request_id: &str) -> Value {
        let mut body = serde_json::Map::new();
        body.insert("type".into(), format!("urn:huntzen:problem:{}", self.0.code).into());
        body.insert("title".into(), words(locale, "problem", self.0.code, Some("title"), &self.0.args).into());
        body.insert("status".into(), self.0.status.as_u16().into());
        body.insert("detail".into(), words(locale, "problem", self.0.code, Some("detail"), &self.0.args).into());
        body.insert("code".into(), self.0.code.into());
        body.insert("requestId".into(), request_id.into());
        if !self.0.errors.is_empty() {
            let errors: Vec<Value> = self
                .0
                .errors
                .iter()
                .map(|e| {
                    serde_json::json!({
                        "pointer": e.pointer,
                        "code": e.code,
                        "detail": words(locale, "field", e.code, None, &e.args),
                    })
                })
                .collect();
            body.insert("errors".into(), errors.into());
        }
        for (member, value) in &self.0.extensions {
            body.insert((*member).into(), value.clone());
        }
        Value::Object(body)
    }
}

/// The words of `locales/` for a code, its `%{name}` filled.
fn words(locale: Locale, section: &str, code: &str, part: Option<&str>, args: &[(&'static str, String)]) -> String {
    let key = part.map_or_else(|| format!("{section}.{code}"), |part| format!("{section}.{code}.{part}"));
    let mut text = rust_i18n::t!(key.as_str(), locale = locale.as_str()).into_owned();
    for (name, value) in args {
        text = text.replace(&format!("%{{{name}}}"), value);
    }
    text
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("status", &self.0.status.as_u16())
            .field("code", &self.0.code)
            .field("errors", &self.0.errors)
            .field("source", &self.0.source)
            .finish()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

impl StdError for Problem {}
