//! Every error as `application/problem+json`, the framework's own included.

use poem::IntoResponse;
use poem::http::header;
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponses, Registry};

use crate::platform::problem::Problem;

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        let mut error = poem::Error::new(problem, status);
        error.set_data(());
        error
    }
}

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(_registry: &mut Registry) {}
}

/// Renders a problem for a client.
pub fn render(problem: &Problem, locale: crate::platform::locale::Locale, request_id: &str) -> poem::Response {
    let mut builder =
        poem::Response::builder().status(problem.status()).header(header::CONTENT_TYPE, "application/problem+json");
    for (name, value) in problem.headers() {
        builder = builder.header(*name, value.as_str());
    }
    builder.body(problem.to_json(locale, request_id).to_string()).into_response()
}
