//! Every error as `application/problem+json` (RFC 9457), the framework's own included.
//!
//! Handlers return a [`Problem`]; it travels as the source of a [`poem::Error`] to the outermost
//! layer, which takes it out again with [`problem_of`], logs what a client must not see with
//! [`log`], and answers with [`render`].

use std::collections::HashMap;
use std::error::Error as StdError;

use poem::error::ReadBodyError;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, PathPattern, Response};
use poem_openapi::error as openapi;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::{ApiResponse, OperationId};

use super::openapi::{Operation, Parameter};
use crate::platform::locale::Locale;
use crate::platform::problem::{Error, Problem};

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        Self::new(problem, status)
    }
}

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(_registry: &mut Registry) {}
}

/// What the document knows and the framework's errors do not say: a path's methods, a parameter's place.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By path, its parameters unnamed.
    allow: HashMap<String, String>,
    /// By operation.
    parameters: HashMap<String, Vec<Parameter>>,
    /// By operation, its path as the document has it.
    templates: HashMap<String, String>,
    /// Methods, the parts of paths, and what they ask for.
    routes: Vec<(String, Vec<String>, String)>,
}

impl Catalogue {
    pub fn new(operations: &[Operation]) -> Self {
        let mut methods: HashMap<String, Vec<&str>> = HashMap::new();
        for operation in operations {
            methods.entry(unnamed(&operation.path)).or_default().push(&operation.method);
        }
        let allow = methods.into_iter().map(|(path, mut methods)| {
            if methods.contains(&"GET") {
                methods.push("HEAD");
            }
            methods.sort_unstable();
            (path, methods.join(", "))
        });
        let parameters = operations.iter().map(|one| (one.operation_id.clone(), one.parameters.clone()));
        let templates = operations.iter().map(|one| (one.operation_id.clone(), one.path.clone()));
        let parts = |path: &str| path.split('/').map(str::to_owned).collect();
        let routes = operations.iter().map(|one| (one.method.clone(), parts(&one.path), one.operation_id.clone()));
        Self {
            allow: allow.collect(),
            parameters: parameters.collect(),
            templates: templates.collect(),
            routes: routes.collect(),
        }
    }

    /// The path of an operation, with the names of its parameters.
    pub fn template(&self, operation: &str) -> Option<&str> {
        self.templates.get(operation).map(String::as_str)
    }

    /// Which operation a request asks for: for the few that end without having said so, by a panic or by their time.
    pub fn find(&self, method: &str, path: &str) -> Option<&str> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |it: &[String]| {
            it.len() == parts.len() && it.iter().zip(&parts).all(|(it, part)| it == part || it.starts_with('{'))
        };
        // what is named goes before what is any
        let free = |it: &[String]| it.iter().filter(|part| part.starts_with('{')).count();
        let found = self.routes.iter().filter(|(its, it, _)| its == method && fits(it));
        found.min_by_key(|(_, it, _)| free(it)).map(|(_, _, operation)| operation.as_str())
    }

    /// The `Allow` header of a path. What is not in the document are pages, which are only read.
    fn allow(&self, pattern: Option<&str>) -> &str {
        pattern.and_then(|pattern| self.allow.get(&unnamed(pattern))).map_or("GET, HEAD", String::as_str)
    }

    /// The parameter that the framework calls `name`: for a path, `param0`, `param1` in their order.
    fn parameter(&self, operation: Option<&str>, name: &str) -> Option<&Parameter> {
        let parameters = self.parameters.get(operation?)?;
        let nth = name.strip_prefix("param").and_then(|nth| nth.parse::<usize>().ok());
        let by_name = || parameters.iter().find(|one| one.name.eq_ignore_ascii_case(name));
        by_name().or_else(|| parameters.iter().filter(|one| one.place == "path").nth(nth?))
    }
}

/// `/a/{id}` and `/a/:param0` are the same path.
fn unnamed(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        out.push('/');
        out.push_str(if segment.starts_with([':', '{', '*', '<']) { "{}" } else { segment });
    }
    out
}

/// The problem that an error is. An error that is a finished answer comes back as that.
#[allow(clippy::result_large_err)] // both are answers; neither is rarer
pub fn problem_of(error: poem::Error, catalogue: &Catalogue) -> Result<Problem, Response> {
    if error.is_from_response() {
        return Err(error.into_response());
    }
    let operation = error.data::<OperationId>().map(|id| id.0);
    let pattern = error.data::<PathPattern>().map(|pattern| pattern.0.clone());
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return Ok(problem),
        Err(error) => error,
    };
    if is_too_large(&error) {
        return Ok(Error::BodyTooLarge.into());
    }
    let parameter = |name: &str, reason: &str| {
        let known = catalogue.parameter(operation, name);
        let missing = reason.contains("expects an input value") || reason.contains("is required");
        let code = if missing { "required" } else { known.map_or("invalid", |one| one.fault) };
        let pointer = known.map_or_else(|| name.to_owned(), |one| format!("{}:{}", one.place, one.name));
        Problem::from(Error::InvalidParameter).at(pointer, code)
    };
    if let Some(fault) = error.downcast_ref::<openapi::ParseParamError>() {
        return Ok(parameter(fault.name, &fault.reason));
    }
    if let Some(fault) = error.downcast_ref::<openapi::ParsePathError>() {
        return Ok(parameter(fault.name, &fault.reason));
    }
    Ok(match error.status() {
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::from(Error::MethodNotAllowed).with_header("allow", catalogue.allow(pattern.as_deref()))
        }
        StatusCode::UNAUTHORIZED => Error::Unauthenticated.into(),
        StatusCode::FORBIDDEN => Error::Forbidden.into(),
        StatusCode::NOT_FOUND => Error::NotFound.into(),
        StatusCode::NOT_ACCEPTABLE => Error::NotAcceptable.into(),
        StatusCode::REQUEST_TIMEOUT => Error::RequestTimeout.into(),
        StatusCode::CONFLICT => Error::Conflict.into(),
        StatusCode::PRECONDITION_FAILED => Error::Stale.into(),
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge.into(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::UnsupportedMediaType.into(),
        StatusCode::PRECONDITION_REQUIRED => Error::PreconditionRequired.into(),
        StatusCode::TOO_MANY_REQUESTS => Error::TooManyRequests.into(),
        StatusCode::SERVICE_UNAVAILABLE => Problem::from(Error::Unavailable).with_source(error),
        status if status.is_client_error() => Error::MalformedRequest.into(),
        _ => Problem::internal(error),
    })
}

/// What a body's stream ends with when it grows beyond the limit.
#[derive(Debug, thiserror::Error)]
#[error("the body is larger than allowed")]
pub struct BodyTooLarge;

/// Looks for [`BodyTooLarge`] among the causes; readers wrap it in errors of their own.
fn is_too_large(error: &poem::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = match error.downcast_ref::<ReadBodyError>() {
        Some(ReadBodyError::PayloadTooLarge) => return true,
        Some(ReadBodyError::Io(io)) => Some(io),
        _ => error.source(),
    };
    while let Some(cause) = next {
        if cause.is::<BodyTooLarge>() {
            return true;
        }
        // an I/O error's source is that of the error it carries, so the carried one is looked at first
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(carried) => Some(carried),
            None => cause.source(),
        };
    }
    false
}

/// Renders a problem for a client.
pub fn render(problem: &Problem, locale: Locale, request_id: &str) -> Response {
    let mut response = problem.to_json(locale, request_id).to_string().into_response();
    response.set_status(problem.status());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(locale.as_str()));
    match problem.status() {
        // RFC 9110, 15.5.2: a 401 names the scheme
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        _ => {}
    }
    for (name, value) in problem.headers() {
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(*name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    response
}

/// Logs what stands behind a failure of ours: the only place that does, so that it is logged once.
pub fn log(problem: &Problem, operation: &str, request_id: &str) {
    let status = problem.status();
    if !status.is_server_error() {
        return;
    }
    let source = problem.source_error().map(|source| describe(source)).unwrap_or_default();
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(request_id, operation, code = problem.code(), source, "request failed");
    } else {
        tracing::warn!(request_id, operation, code = problem.code(), source, "request not served");
    }
}

/// An error and its causes. Of a database error only what names no data: messages may quote values.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        if let Some(refusal) = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error) {
            let code = refusal.code().unwrap_or_default();
            let names = [&code, refusal.constraint().unwrap_or("-"), refusal.table().unwrap_or("-")];
            text.push_str("database error, constraint, table: ");
            text.push_str(&names.join(", "));
            // class 22 is bad data, 23 broken constraints: those messages quote what was sent
            if !code.starts_with("22") && !code.starts_with("23") {
                text.push_str(", ");
                text.push_str(refusal.message());
            }
            break;
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_words_in_both_languages() {
        for cause in Error::ALL {
            let problem = Problem::from(*cause);
            for locale in Locale::ALL {
                let body = problem.to_json(locale, "r");
                for part in ["title", "detail"] {
                    let words = body[part].as_str().unwrap();
                    assert!(!words.contains("problem."), "{} has no {part} in {}", problem.code(), locale.as_str());
                }
            }
            let in_both = Locale::ALL.map(|locale| problem.to_json(locale, "r")["detail"].to_string());
            assert_ne!(in_both[0], in_both[1], "{}", problem.code());
        }
    }

    #[test]
    fn every_fault_of_a_field_has_words_in_both_languages() {
        let codes = [
            "date",
            "date_time",
            "duplicate",
            "email",
            "enum",
            "exclusive_maximum",
            "exclusive_minimum",
            "format",
            "in_past",
            "invalid",
            "invalid_cursor",
            "invalid_idempotency_key",
            "limit_range",
            "max_items",
            "max_length",
            "maximum",
            "min_items",
            "min_length",
            "minimum",
            "nul_character",
            "number",
            "order",
            "pattern",
            "required",
            "time_zone",
            "too_long",
            "too_short",
            "type",
            "unique_items",
            "unknown",
            "unknown_property",
            "uuid",
        ];
        for code in codes {
            let problem = Problem::from(Error::Invalid).at("/a", code);
            let words = Locale::ALL.map(|locale| problem.to_json(locale, "r")["errors"][0]["detail"].to_string());
            assert!(words.iter().all(|words| !words.starts_with("\"field.")), "{code}");
            assert_ne!(words[0], words[1], "{code}");
        }
    }

    #[test]
    fn what_a_path_asks_for_is_found_by_the_document() {
        let one = |method: &str, path: &str| Operation {
            method: method.into(),
            path: path.into(),
            operation_id: format!("{method} {path}"),
            permission: None,
            roles: Vec::new(),
            parameters: Vec::new(),
        };
        let it = Catalogue::new(&[
            one("GET", "/a/{id}"),
            one("GET", "/a/trend"),
            one("POST", "/a"),
            one("GET", "/a/{id}/b"),
        ]);
        assert_eq!(it.find("GET", "/a/7"), Some("GET /a/{id}"));
        assert_eq!(it.find("GET", "/a/trend"), Some("GET /a/trend"));
        assert_eq!(it.find("GET", "/a/7/b"), Some("GET /a/{id}/b"));
        assert_eq!((it.find("GET", "/a"), it.find("GET", "/a/7/c")), (None, None));
        assert_eq!(it.template("POST /a"), Some("/a"));
    }

    #[test]
    fn a_database_error_is_logged_and_a_paths_names_do_not_matter() {
        assert_eq!(describe(&std::io::Error::other("disk")), "disk");
        assert_eq!(unnamed("/api//a/{id}/b/"), unnamed("/api/a/:param0/b"));
    }
}
