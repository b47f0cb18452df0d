//! `/me`.

use chrono::{DateTime, Utc};
use poem_openapi::param::Header;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use secrecy::SecretString;

use super::super::Tag;
use super::super::session::api::device;
use super::super::session::bodies::SessionAnswer;
use super::super::two_factor::model::required_at;
use super::model::Profile;
use super::service;
use crate::platform::auth::{Authorized, Role, perm};
use crate::platform::http::{Body, Etag, Tagged};
use crate::platform::ids::{CompanyId, FileId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Platform, Result};

/// One's own account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct MeAnswer {
    id: UserId,
    email: String,
    role: Role,
    company_id: Option<CompanyId>,
    display_name: String,
    locale: Locale,
    /// An IANA name.
    time_zone: String,
    /// One’s own picture, fetched with an access token. Set by `PUT /me/avatar`.
    avatar_url: Option<String>,
    /// The address that is to take the place of `email`, while it waits for its proof.
    pending_email: Option<String>,
    /// For employees: false while `email` is the one of the company’s directory. Whoever leaves the company with it
    /// can log in, but no link for a forgotten password goes to that mailbox any more: better have one’s own.
    private_address: Option<bool>,
    /// For employees: true where nothing is sent to `email`, because it is one of a company that they left, or that is
    /// a customer no more. A private address ends that. So does, for who is back, proving the present one: ask for
    /// `email` itself.
    mail_stopped: Option<bool>,
    /// Whether log-in asks for a code as well.
    totp_enabled: bool,
    /// For those whose role needs a second factor: from when on a session without one manages this account only.
    totp_required_at: Option<DateTime<Utc>>,
    /// Documents to agree to (`POST /privacy/consents`): those that have a new version, or were never answered. Nothing is
    /// refused meanwhile.
    consents_due: Vec<String>,
    /// When this account is to be erased: `DELETE /privacy/erasure` takes that back until then.
    erasure_due_at: Option<DateTime<Utc>>,
}

impl MeAnswer {
    fn of(it: Profile, platform: &Platform) -> Self {
        let now = platform.clock.now();
        Self {
            totp_enabled: it.totp_enabled,
            totp_required_at: required_at(it.role, it.activated_at, platform.config.totp_grace),
            consents_due: it.consents_due().into_iter().map(ToOwned::to_owned).collect(),
            erasure_due_at: it.erasure_due_at,
            pending_email: it.pending_email(now).map(ToOwned::to_owned),
            private_address: (it.role == Role::Employee).then_some(it.private_address),
            mail_stopped: (it.role == Role::Employee).then_some(it.mail_stopped),
            id: it.id,
            email: it.email,
            role: it.role,
            company_id: it.company_id,
            display_name: it.display_name,
            locale: it.locale,
            time_zone: it.time_zone,
            avatar_url: it.avatar_id.map(FileId::url),
        }
    }
}

impl Example for MeAnswer {
    fn example() -> Self {
        let user = SessionAnswer::example().user;
        Self {
            id: user.id,
            email: user.email,
            role: user.role,
            company_id: user.company_id,
            display_name: user.display_name,
            locale: user.locale,
            time_zone: "Europe/Paris".into(),
            avatar_url: Some(FileId(uuid::Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0af1)).url()),
            pending_email: Some("alice@home.test".into()),
            private_address: Some(false),
            mail_stopped: Some(false),
            totp_enabled: true,
            totp_required_at: None,
            consents_due: vec!["privacy_notice".into()],
            erasure_due_at: None,
        }
    }
}

/// What to change; what is absent stays.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct MeChange {
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: Option<String>,
    locale: Option<Locale>,
    #[oai(validator(min_length = 1, max_length = 64))]
    time_zone: Option<String>,
    /// Another address. It is taken once its mailbox proved it (`POST /auth/verify-email`, within 24 hours); the present
    /// one is told and may stop it. The present address again withdraws a change that waits, or,
    /// while `mailStopped` and back at the company, proves it anew. The answer is the same
    /// whether an account has the address already.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: Option<String>,
    /// Needed with `email`.
    #[oai(validator(min_length = 1, max_length = 1024))]
    current_password: Option<String>,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for MeChange {
    fn example() -> Self {
        Self {
            display_name: None,
            locale: Some(Locale::En),
            time_zone: Some("Europe/London".into()),
            email: None,
            current_password: None,
            device_token: None,
        }
    }
}

pub struct AccountApi;

#[OpenApi(prefix_path = "/api/v1")]
impl AccountApi {
    /// One's own account
    #[oai(path = "/me", method = "get", operation_id = "getMe", tag = "Tag::Me")]
    async fn me(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<MeAnswer>> {
        let profile = service::profile(&cx).await?;
        let etag = Etag::of(profile.updated_at);
        Ok(Tagged::new(MeAnswer::of(profile, cx.platform()), &etag, if_none_match.0.as_deref()))
    }

    /// Change one's own account
    #[oai(path = "/me", method = "patch", operation_id = "updateMe", tag = "Tag::Me")]
    async fn update_me(
        &self,
        cx: Authorized<perm::ManageSelf>,
        request: &poem::Request,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<MeChange>,
    ) -> Result<Tagged<MeAnswer>> {
        let MeChange { display_name, locale, time_zone, email, current_password, device_token } = body.0;
        let current_password = current_password.map(SecretString::from);
        let device = device(cx.platform(), request, None, device_token);
        let change = service::ProfileChange { display_name, locale, time_zone, email, current_password, device };
        let profile = service::change_profile(&cx, change, if_match.0.as_deref()).await?;
        let etag = Etag::of(profile.updated_at);
        Ok(Tagged::new(MeAnswer::of(profile, cx.platform()), &etag, None))
    }
}
