//! `/auth`: log in, stay logged in, log out, the list of sessions.

use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::SecretString;

use super::super::Tag;
use super::super::error::Error;
use super::bodies::{LoginAnswer, LoginRequest, RefreshRequest, SessionAnswer, SessionItem, SignedInUser, Transport};
use super::cookies::{Kept, WithCookies, check_origin};
use super::service::{self, DEVICE_TTL, Device, LogIn, Session};
use crate::platform::auth::{Anonymous, Authorized, perm};
use crate::platform::http::{Body, Page, PageQuery};
use crate::platform::ids::SessionId;
use crate::platform::{Platform, Result};

#[derive(ApiResponse)]
pub enum SignIn {
    /// Signed in.
    #[oai(status = 200)]
    SignedIn(
        Json<SessionAnswer>,
        /// The refresh token, and another one that makes the device known, where they travel in cookies.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
pub enum LoggedIn {
    /// Signed in; or a ticket for the second step, where the account has one. The ticket opens nothing else.
    #[oai(status = 200)]
    Done(
        Json<LoginAnswer>,
        /// The refresh token, and another one that makes the device known, where they travel in cookies.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

pub type LoginResponse = WithCookies<LoggedIn>;
pub type SessionResponse = WithCookies<SignIn>;

#[derive(ApiResponse)]
pub enum Ended {
    /// Ended.
    #[oai(status = 204)]
    Done(
        /// Clears the cookie, where the session that asks has ended.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

/// The device that a log-in comes from: a native app sends its token in the body, a browser in a cookie.
pub fn device(platform: &Platform, request: &poem::Request, name: Option<String>, token: Option<String>) -> Device {
    Device { name, token: token.or_else(|| Kept::DeviceToken.of(request, &platform.config)) }
}

pub fn answer(platform: &Platform, session: Session, transport: Transport) -> SessionResponse {
    let (body, cookies) = parts(platform, session, transport);
    WithCookies { answer: SignIn::SignedIn(Json(body), None), cookies }
}

/// The body, and what a browser keeps.
fn parts(platform: &Platform, session: Session, transport: Transport) -> (SessionAnswer, Vec<String>) {
    let (config, now) = (&platform.config, platform.clock.now());
    let in_cookie = transport == Transport::Cookie;
    let mut cookies = Vec::new();
    if in_cookie {
        cookies.push(Kept::RefreshToken.keep_until(config, &session.refresh_token, now, session.expires_at));
        let device = session.device_token.iter();
        cookies.extend(device.map(|token| Kept::DeviceToken.keep(config, token, DEVICE_TTL)));
    }
    let person = session.person;
    let body = SessionAnswer {
        access_token: session.access_token,
        refresh_token: (!in_cookie).then_some(session.refresh_token),
        device_token: session.device_token.filter(|_| !in_cookie),
        expires_in: session.expires_in.num_seconds(),
        user: SignedInUser {
            id: person.id,
            email: person.email,
            role: person.role,
            company_id: person.company_id,
            display_name: person.display_name,
            locale: person.locale,
        },
    };
    (body, cookies)
}

async fn renew(
    it: &Anonymous,
    request: &poem::Request,
    origin: Option<&str>,
    body: RefreshRequest,
) -> Result<SessionResponse> {
    if let Some(token) = &body.refresh_token {
        let session = service::refresh(&it.platform, &it.request, token).await?;
        return Ok(answer(&it.platform, session, Transport::Body));
    }
    let token = Kept::RefreshToken.of(request, &it.platform.config).ok_or(Error::InvalidRefreshToken)?;
    check_origin(&it.platform, origin)?;
    let session = service::refresh(&it.platform, &it.request, &token).await?;
    Ok(answer(&it.platform, session, Transport::Cookie))
}

pub struct SessionApi;

#[OpenApi(prefix_path = "/api/v1")]
impl SessionApi {
    /// Log in
    ///
    /// Opens a session; where the account has a second factor, answers a ticket for `POST /auth/login/totp` instead
    /// (`totpRequired`). A wrong address and a wrong password get the same answer in the same time. Each failure
    /// makes the next attempt wait longer (`429 too_many_attempts`, `Retry-After`), but for devices from which the
    /// person logged in before.
    #[oai(path = "/auth/login", method = "post", operation_id = "login", tag = "Tag::Auth")]
    async fn login(
        &self,
        it: Anonymous,
        request: &poem::Request,
        /// The page that asks; it must be ours where the answer is to be kept in cookies.
        #[oai(name = "Origin")]
        origin: Header<Option<String>>,
        body: Body<LoginRequest>,
    ) -> Result<LoginResponse> {
        let body = body.0;
        if body.transport == Transport::Cookie && origin.0.is_some() {
            check_origin(&it.platform, origin.0.as_deref())?;
        }
        let password = SecretString::from(body.password);
        let device = device(&it.platform, request, body.device, body.device_token);
        let in_cookie = body.transport == Transport::Cookie;
        let (answer, cookies) =
            match service::log_in(&it.platform, &it.request, &body.email, &password, &device, in_cookie).await? {
                LogIn::Open(session) => {
                    let (answer, cookies) = parts(&it.platform, *session, body.transport);
                    (LoginAnswer::SignedIn(answer), cookies)
                }
                LogIn::SecondStep(ticket) => (LoginAnswer::SecondStep(ticket.into()), Vec::new()),
            };
        Ok(WithCookies { answer: LoggedIn::Done(Json(answer), None), cookies })
    }

    /// Renew the access token
    ///
    /// Takes the refresh token from the body, or from the cookie where the request's `Origin` is ours.
    /// Each refresh token is used once. A request that is sent twice within 30 seconds is absorbed; a token
    /// that comes again later ends the session, for somebody may have copied it, and the person is told by mail.
    /// A session ends 30 days after its log-in, however often it is renewed.
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
        let renewed = renew(&it, request, origin.0.as_deref(), body.0).await;
        // guesses are counted with everything else that comes from there; a live session's renewals are not
        if let (Err(refused), Some(ip)) = (&renewed, it.request.ip)
            && refused.status().is_client_error()
        {
            it.platform.limits.check_address(ip)?;
        }
        renewed
    }

    /// Log out
    ///
    /// Ends this session at once: its access token and its refresh tokens open nothing any more.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout", tag = "Tag::Auth")]
    async fn logout(&self, cx: Authorized<perm::ManageSelf>) -> Result<Ended> {
        service::end(&cx, cx.caller().session_id).await?;
        Ok(Ended::Done(Some(Kept::RefreshToken.forget(&cx.platform().config))))
    }

    /// List one's sessions
    ///
    /// Where one is logged in, newest log-in first.
    #[oai(path = "/auth/sessions", method = "get", operation_id = "listSessions", tag = "Tag::Auth")]
    async fn list(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<SessionItem>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let sessions = service::list(&cx, &page).await?;
        let current = cx.caller().session_id;
        Ok(Json(Page::new(&page, sessions, |it| it.id, |it| SessionItem::new(it, current))))
    }

    /// End one of one's sessions
    ///
    /// At once, on every server: its access token and its refresh tokens open nothing any more. Ending the session
    /// that asks logs out.
    #[oai(path = "/auth/sessions/:id", method = "delete", operation_id = "endSession", tag = "Tag::Auth")]
    async fn end(&self, cx: Authorized<perm::ManageSelf>, id: Path<SessionId>) -> Result<Ended> {
        service::end(&cx, id.0).await?;
        let own = id.0 == cx.caller().session_id;
        Ok(Ended::Done(own.then(|| Kept::RefreshToken.forget(&cx.platform().config))))
    }

    /// End all of one's sessions
    ///
    /// At once, on every server; with the session that asks, unless `keepCurrent` is true.
    #[oai(path = "/auth/sessions", method = "delete", operation_id = "endAllSessions", tag = "Tag::Auth")]
    async fn end_all(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// Whether the session that asks stays open; it does not unless said.
        #[oai(name = "keepCurrent", default)]
        keep_current: Query<bool>,
    ) -> Result<Ended> {
        service::end_all(&cx, keep_current.0).await?;
        Ok(Ended::Done((!keep_current.0).then(|| Kept::RefreshToken.forget(&cx.platform().config))))
    }
}
