//! `/auth/totp/…` and `/auth/login/totp`.

use chrono::{DateTime, Utc};
use poem_openapi::param::Header;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use secrecy::SecretString;

use super::login::finish;
use super::model::{DIGITS, STEP_SECONDS};
use super::service::{self, Offer, SecondStep};
use crate::domain::identity::Tag;
use crate::domain::identity::session::api::{SessionResponse, answer, device};
use crate::domain::identity::session::bodies::Transport;
use crate::domain::identity::session::cookies::check_origin;
use crate::platform::Result;
use crate::platform::auth::{Anonymous, Authorized, perm};
use crate::platform::http::Body;

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct TotpSetup {
    /// The present password.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
    /// Where a second factor counts already: a code of it.
    #[oai(validator(pattern = r"^[0-9]{3} ?[0-9]{3}$"))]
    code: Option<String>,
    /// Or a recovery code.
    #[oai(validator(min_length = 16, max_length = 40))]
    recovery_code: Option<String>,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for TotpSetup {
    fn example() -> Self {
        Self { password: "demo-huntzen-2026".into(), code: None, recovery_code: None, device_token: None }
    }
}

/// A secret to put into an authenticator app: by the camera, or by hand.
#[derive(Object)]
#[oai(rename_all = "camelCase", example)]
pub struct TotpOffer {
    /// In base32.
    secret: String,
    /// `otpauth://`, to be shown as a QR code.
    uri: String,
    algorithm: String,
    digits: u8,
    /// Seconds that a code lasts.
    period: i64,
    /// The first code must be shown until then.
    expires_at: DateTime<Utc>,
}

impl From<Offer> for TotpOffer {
    fn from(it: Offer) -> Self {
        Self {
            secret: it.secret,
            uri: it.uri,
            algorithm: "SHA1".into(),
            digits: DIGITS,
            period: STEP_SECONDS,
            expires_at: it.expires_at,
        }
    }
}

impl Example for TotpOffer {
    fn example() -> Self {
        Self::from(Offer {
            secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into(),
            uri: "otpauth://totp/HuntZen:alice%40acme.test?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=HuntZen"
                .into(),
            expires_at: DateTime::from_timestamp(1_795_260_000, 0).unwrap_or_default(),
        })
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct TotpEnable {
    /// A first code of the secret that was offered.
    #[oai(validator(pattern = r"^[0-9]{3} ?[0-9]{3}$"))]
    code: String,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for TotpEnable {
    fn example() -> Self {
        Self { code: "287082".into(), device_token: None }
    }
}

/// To be kept in a safe place: they are shown this once. Each opens the account once, in the place of a code.
#[derive(Object)]
#[oai(rename_all = "camelCase", example)]
pub struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

impl Example for RecoveryCodes {
    fn example() -> Self {
        Self { recovery_codes: vec!["8GZ4-1QXC-T0VN-J6WD".into(), "2MFR-97KY-BH3E-5SAP".into()] }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct TotpDisable {
    /// The present password.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
    /// One of both is needed.
    #[oai(validator(pattern = r"^[0-9]{3} ?[0-9]{3}$"))]
    code: Option<String>,
    #[oai(validator(min_length = 16, max_length = 40))]
    recovery_code: Option<String>,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for TotpDisable {
    fn example() -> Self {
        Self {
            password: "demo-huntzen-2026".into(),
            code: Some("287082".into()),
            recovery_code: None,
            device_token: None,
        }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct RecoveryCodesRenewal {
    /// The present password.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
    /// One of both is needed.
    #[oai(validator(pattern = r"^[0-9]{3} ?[0-9]{3}$"))]
    code: Option<String>,
    #[oai(validator(min_length = 16, max_length = 40))]
    recovery_code: Option<String>,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for RecoveryCodesRenewal {
    fn example() -> Self {
        Self {
            password: "demo-huntzen-2026".into(),
            code: Some("123456".into()),
            recovery_code: None,
            device_token: None,
        }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct LoginTotpRequest {
    /// `ticket` of the answer to `POST /auth/login`.
    #[oai(validator(min_length = 1, max_length = 200))]
    ticket: String,
    /// Of the authenticator app. One of both is needed.
    #[oai(validator(pattern = r"^[0-9]{3} ?[0-9]{3}$"))]
    code: Option<String>,
    #[oai(validator(min_length = 16, max_length = 40))]
    recovery_code: Option<String>,
    /// `deviceToken` of an earlier answer, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for LoginTotpRequest {
    fn example() -> Self {
        Self {
            ticket: "q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into(),
            code: Some("287082".into()),
            recovery_code: None,
            device_token: None,
        }
    }
}

#[derive(ApiResponse)]
pub enum TotpDisabled {
    /// Switched off.
    #[oai(status = 204)]
    Done,
}

pub struct TwoFactorApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Auth")]
impl TwoFactorApi {
    /// Log in: the second step
    ///
    /// For accounts with a second factor. The ticket lasts five minutes, five tries, and one success. A code opens one
    /// thing once; a recovery code takes its place. The session is the one that the log-in asked for.
    #[oai(path = "/auth/login/totp", method = "post", operation_id = "loginTotp")]
    async fn log_in(
        &self,
        it: Anonymous,
        request: &poem::Request,
        /// The page that asks; it must be ours where the answer is to be kept in cookies.
        #[oai(name = "Origin")]
        origin: Header<Option<String>>,
        body: Body<LoginTotpRequest>,
    ) -> Result<SessionResponse> {
        let body = body.0;
        let shown = SecondStep::required(body.code, body.recovery_code)?;
        let token = device(&it.platform, request, None, body.device_token).token;
        let may_use_cookies = || origin.0.as_deref().map_or(Ok(()), |origin| check_origin(&it.platform, Some(origin)));
        let (session, in_cookie) =
            finish(&it.platform, &it.request, &body.ticket, &shown, token, may_use_cookies).await?;
        Ok(answer(&it.platform, session, if in_cookie { Transport::Cookie } else { Transport::Body }))
    }

    /// Set up an authenticator app
    ///
    /// Offers a secret for the app, for an hour. It asks for nothing until `POST /auth/totp/enable` was shown a code of
    /// it; a second factor that counts already stays until then. Asking again offers another one.
    #[oai(path = "/auth/totp/setup", method = "post", operation_id = "setUpTotp")]
    async fn set_up(
        &self,
        cx: Authorized<perm::ManageSelf>,
        request: &poem::Request,
        body: Body<TotpSetup>,
    ) -> Result<Json<TotpOffer>> {
        let body = body.0;
        let shown = SecondStep::of(body.code, body.recovery_code)?;
        let device = device(cx.platform(), request, None, body.device_token);
        let offer = service::set_up(&cx, &SecretString::from(body.password), shown.as_ref(), &device).await?;
        Ok(Json(offer.into()))
    }

    /// Enable the second factor
    ///
    /// Shows a first code of the secret that was offered, and gets ten recovery codes, this once. Every other session
    /// ends. Somebody who had to set it up gets a session with all their rights from `POST /auth/refresh`.
    #[oai(path = "/auth/totp/enable", method = "post", operation_id = "enableTotp")]
    async fn enable(
        &self,
        cx: Authorized<perm::ManageSelf>,
        request: &poem::Request,
        body: Body<TotpEnable>,
    ) -> Result<Json<RecoveryCodes>> {
        let device = device(cx.platform(), request, None, body.0.device_token);
        let recovery_codes = service::enable(&cx, &SecretString::from(body.0.code), &device).await?;
        Ok(Json(RecoveryCodes { recovery_codes }))
    }

    /// Disable the second factor
    ///
    /// Every other session ends. Practitioners and platform admins cannot once they must have it: `409 totp_mandatory`.
    #[oai(path = "/auth/totp/disable", method = "post", operation_id = "disableTotp")]
    async fn disable(
        &self,
        cx: Authorized<perm::ManageSelf>,
        request: &poem::Request,
        body: Body<TotpDisable>,
    ) -> Result<TotpDisabled> {
        let body = body.0;
        let shown = SecondStep::required(body.code, body.recovery_code)?;
        let device = device(cx.platform(), request, None, body.device_token);
        service::disable(&cx, &SecretString::from(body.password), &shown, &device).await?;
        Ok(TotpDisabled::Done)
    }

    /// Renew the recovery codes
    ///
    /// For the present password and a code: each new code can replace the second factor. Answers a new set, this once; the
    /// old codes open nothing any more.
    #[oai(path = "/auth/totp/recovery-codes", method = "post", operation_id = "renewRecoveryCodes")]
    async fn renew(
        &self,
        cx: Authorized<perm::ManageSelf>,
        request: &poem::Request,
        body: Body<RecoveryCodesRenewal>,
    ) -> Result<Json<RecoveryCodes>> {
        let body = body.0;
        let device = device(cx.platform(), request, None, body.device_token);
        let shown = SecondStep::required(body.code, body.recovery_code)?;
        let password = SecretString::from(body.password);
        let recovery_codes = service::renew_recovery_codes(&cx, &password, &shown, &device).await?;
        Ok(Json(RecoveryCodes { recovery_codes }))
    }
}
