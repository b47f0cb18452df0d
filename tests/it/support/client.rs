//! A person with a browser: requests with a token, answers that can be asserted on.

use huntzen::platform::ids::{CompanyId, UserId};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Somebody signed in, or nobody (without a token).
#[derive(Clone)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub company_id: Option<CompanyId>,
    pub token: String,
    pub(super) base: String,
    pub(super) http: reqwest::Client,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    /// Null where the body is no JSON.
    pub json: Value,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("the application answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.expect("a whole body").to_vec();
        Self { status, headers, json: serde_json::from_slice(&bytes).unwrap_or_default(), bytes }
    }

    /// Asserts the status; the answer again.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    /// Asserts a problem: status, code, media type and request id.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let it = self.expect(status);
        assert_eq!(it.header("content-type"), "application/problem+json", "{}", it.json);
        assert_eq!(it.json["code"], code, "{}", it.json);
        assert_eq!(it.json["requestId"], it.header("x-request-id"));
        it
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The string at a JSON pointer.
    #[track_caller]
    pub fn str(&self, pointer: &str) -> String {
        self.json
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no string at {pointer} in {}", self.json))
            .to_owned()
    }
}

impl User {
    /// The same person, with another token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: token.into(), ..self.clone() }
    }

    /// The same person, at a server that runs elsewhere: `http://127.0.0.1:port`.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// A request below `/api/v1`; paths that begin with `//` are below the root.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = match path.strip_prefix('/') {
            Some(rest) if rest.starts_with('/') => format!("{}{rest}", self.base),
            _ => format!("{}/api/v1{path}", self.base),
        };
        let request = self.http.request(method, url);
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// PUT, whichever version the resource has.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).header("if-match", "*").json(&body)).await
    }

    /// PATCH with `If-Match` of the resource as it is now.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let etag = self.get(path).await.expect(200).header("etag").to_owned();
        Answer::of(self.request(Method::PATCH, path).header("if-match", etag).json(&body)).await
    }

    /// DELETE, whichever version the resource has.
    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path).header("if-match", "*")).await
    }
}
