//! The cookies of browsers, and the pages from which they are believed.

use chrono::{DateTime, TimeDelta, Utc};
use poem::http::{HeaderValue, header};
use poem::web::cookie::{Cookie, SameSite};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponses, Registry};

use crate::platform::config::Config;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Platform, Result};

/// What is kept in the browser, unseen by scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    RefreshToken,
    DeviceToken,
}

impl Kept {
    /// `__Host-` makes browsers insist on Secure, the root path and this very host; development without TLS cannot
    /// use it.
    fn name(self, config: &Config) -> &'static str {
        match (self, is_https(config)) {
            (Self::RefreshToken, true) => "__Host-huntzen_refresh",
            (Self::RefreshToken, false) => "huntzen_refresh",
            (Self::DeviceToken, true) => "__Host-huntzen_device",
            (Self::DeviceToken, false) => "huntzen_device",
        }
    }

    /// `Set-Cookie`, for so long.
    pub fn keep(self, config: &Config, value: &str, max_age: TimeDelta) -> String {
        let mut cookie = Cookie::new_with_str(self.name(config), value);
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_secure(is_https(config));
        cookie.set_same_site(SameSite::Strict);
        cookie.set_max_age(max_age.to_std().unwrap_or_default());
        cookie.to_string()
    }

    /// `Set-Cookie`, until then.
    pub fn keep_until(self, config: &Config, value: &str, now: DateTime<Utc>, until: DateTime<Utc>) -> String {
        self.keep(config, value, until - now)
    }

    /// `Set-Cookie` that takes it away.
    pub fn forget(self, config: &Config) -> String {
        self.keep(config, "", TimeDelta::zero())
    }

    /// What the browser sent.
    pub fn of(self, request: &poem::Request, config: &Config) -> Option<String> {
        let name = self.name(config);
        request
            .headers()
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|header: &HeaderValue| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| value.to_owned())
    }
}

/// The deployment's own word: what a request says of its host and its protocol is not asked.
fn is_https(config: &Config) -> bool {
    config.public_url.scheme() == "https"
}

/// A cookie is only believed where the page that sent it is ours (security standard, section 3).
pub fn check_origin(platform: &Platform, origin: Option<&str>) -> Result<()> {
    match origin {
        Some(origin) if platform.config.allows_origin(origin) => Ok(()),
        _ => Err(Refusal::OriginRefused.into()),
    }
}

/// An answer that sets cookies: the framework can name a header only once.
pub struct WithCookies<R> {
    pub answer: R,
    pub cookies: Vec<String>,
}

impl<R: IntoResponse> IntoResponse for WithCookies<R> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        for cookie in self.cookies {
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        response
    }
}

impl<R: ApiResponse> ApiResponse for WithCookies<R> {
    fn meta() -> MetaResponses {
        R::meta()
    }

    fn register(registry: &mut Registry) {
        R::register(registry);
    }
}
