//! `/auth`: log in, stay logged in, log out; and the public keys.

use poem::http::HeaderValue;
use poem::web::cookie::{Cookie, SameSite};
use poem_openapi::param::Header;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use secrecy::SecretString;

use super::super::Tag;
use super::super::error::Error;
use super::service::{self, Session};
use crate::platform::auth::{Anonymous, Authorized, Role, perm};
use crate::platform::config::Config;
use crate::platform::http::Body;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Platform, Result};

/// Where the refresh token travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Transport {
    /// In the body: for programs and native apps.
    #[default]
    Body,
    /// In a cookie that scripts cannot read: for browsers.
    Cookie,
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct LoginRequest {
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
    /// Where the refresh token travels: `body` unless said.
    #[oai(default)]
    transport: Transport,
    /// What the person calls this device, for their list of sessions.
    #[oai(validator(min_length = 1, max_length = 200))]
    device: Option<String>,
}

impl Example for LoginRequest {
    fn example() -> Self {
        Self {
            email: "alice@acme.test".into(),
            password: "demo-huntzen-2026".into(),
            transport: Transport::Body,
            device: Some("Alice’s phone".into()),
        }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct RefreshRequest {
    /// Absent where it travels in the cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    refresh_token: Option<String>,
}

impl Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh_token: Some("q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into()) }
    }
}

/// Who is signed in.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SignedInUser {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    pub company_id: Option<CompanyId>,
    pub display_name: String,
    pub locale: Locale,
}

#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct SessionAnswer {
    /// Send it as `Authorization: Bearer`.
    access_token: String,
    /// Absent where it travels in the cookie. Each one is used once; the answer to `/auth/refresh` holds the next.
    refresh_token: Option<String>,
    /// Seconds until the access token expires.
    expires_in: i64,
    pub user: SignedInUser,
}

impl Example for SessionAnswer {
    fn example() -> Self {
        Self {
            access_token: "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln".into(),
            refresh_token: Some("q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into()),
            expires_in: 900,
            user: SignedInUser {
                id: UserId(uuid::Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a12)),
                email: "alice@acme.test".into(),
                role: Role::Employee,
                company_id: Some(CompanyId(uuid::Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a11))),
                display_name: "Alice Martin".into(),
                locale: Locale::Fr,
            },
        }
    }
}

#[derive(ApiResponse)]
pub enum SessionResponse {
    /// Signed in.
    #[oai(status = 200)]
    SignedIn(
        Json<SessionAnswer>,
        /// The refresh token, where it travels in the cookie.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
pub enum LogoutResponse {
    /// Signed out.
    #[oai(status = 204)]
    SignedOut(
        /// Clears the cookie.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

/// The cookie's name. `__Host-` makes browsers insist on Secure, the root path and this very host; development
/// without TLS cannot use it.
fn cookie_name(config: &Config) -> &'static str {
    if config.public_url.scheme() == "https" { "__Host-huntzen_refresh" } else { "huntzen_refresh" }
}

fn cookie(config: &Config, value: &str, max_age: std::time::Duration) -> String {
    let mut cookie = Cookie::new_with_str(cookie_name(config), value);
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_secure(config.public_url.scheme() == "https");
    cookie.set_same_site(SameSite::Strict);
    cookie.set_max_age(max_age);
    cookie.to_string()
}

pub fn answer(platform: &Platform, session: Session, transport: Transport) -> SessionResponse {
    let in_cookie = transport == Transport::Cookie;
    let max_age = platform.config.refresh_token_ttl.to_std().unwrap_or_default();
    let set_cookie = in_cookie.then(|| cookie(&platform.config, &session.refresh_token, max_age));
    let person = session.person;
    SessionResponse::SignedIn(
        Json(SessionAnswer {
            access_token: session.access_token,
            refresh_token: (!in_cookie).then_some(session.refresh_token),
            expires_in: platform.tokens.access_ttl.num_seconds(),
            user: SignedInUser {
                id: person.id,
                email: person.email,
                role: person.role,
                company_id: person.company_id,
                display_name: person.display_name,
                locale: person.locale,
            },
        }),
        set_cookie,
    )
}

/// A cookie is only believed where the page that sent it is ours (security standard, section 3).
fn check_origin(platform: &Platform, origin: Option<&str>) -> Result<()> {
    let own = platform.config.public_url.origin().ascii_serialization();
    match origin {
        Some(origin) if origin == own || platform.config.cors_origins.iter().any(|allowed| allowed == origin) => Ok(()),
        _ => Err(Refusal::OriginRefused.into()),
    }
}

pub struct SessionApi;

#[OpenApi(prefix_path = "/api/v1")]
impl SessionApi {
    /// Log in
    ///
    /// Opens a session. A wrong address and a wrong password get the same answer in the same time.
    #[oai(path = "/auth/login", method = "post", operation_id = "login", tag = "Tag::Auth")]
    async fn login(&self, it: Anonymous, body: Body<LoginRequest>) -> Result<SessionResponse> {
        let body = body.0;
        let password = SecretString::from(body.password);
        let session =
            service::log_in(&it.platform, &it.request, &body.email, &password, body.device.as_deref()).await?;
        Ok(answer(&it.platform, session, body.transport))
    }

    /// Renew the access token
    ///
    /// Takes the refresh token from the body, or from the cookie where the request's `Origin` is ours.
    /// Each refresh token is used once. A request that is sent twice within 30 seconds is absorbed; a token
    /// that comes again later ends the session, for somebody may have copied it.
    #[oai(path = "/auth/refresh", method = "post", operation_id = "refreshSession", tag = "Tag::Auth")]
    async fn refresh(
        &self,
        it: Anonymous,
        request: &poem::Request,
        /// The page that asks; needed with the cookie.
        #[oai(name = "Origin")]
        origin: Header<Option<String>>,
        body: Body<RefreshRequest>,
    ) -> Result<SessionResponse> {
        if let Some(token) = &body.refresh_token {
            let session = service::refresh(&it.platform, &it.request, token).await?;
            return Ok(answer(&it.platform, session, Transport::Body));
        }
        let token = refresh_cookie(request, &it.platform.config).ok_or(Error::InvalidRefreshToken)?;
        check_origin(&it.platform, origin.0.as_deref())?;
        let session = service::refresh(&it.platform, &it.request, &token).await?;
        Ok(answer(&it.platform, session, Transport::Cookie))
    }

    /// Log out
    ///
    /// Ends this session at once: its access token and its refresh tokens open nothing any more.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout", tag = "Tag::Auth")]
    async fn logout(&self, cx: Authorized<perm::ManageSelf>) -> Result<LogoutResponse> {
        service::log_out(&cx).await?;
        Ok(LogoutResponse::SignedOut(cookie(&cx.platform().config, "", std::time::Duration::ZERO)))
    }
}

fn refresh_cookie(request: &poem::Request, config: &Config) -> Option<String> {
    let name = cookie_name(config);
    request
        .headers()
        .get_all(poem::http::header::COOKIE)
        .iter()
        .filter_map(|header: &HeaderValue| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// `GET /.well-known/jwks.json`: the keys that verify access tokens.
#[poem::handler]
#[allow(clippy::needless_pass_by_value)] // extractors are values
pub fn jwks(platform: poem::web::Data<&std::sync::Arc<Platform>>) -> poem::web::Json<serde_json::Value> {
    poem::web::Json(platform.tokens.jwks())
}
