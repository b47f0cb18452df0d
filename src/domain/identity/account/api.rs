//! `/me`.

use poem_openapi::param::Header;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::super::Tag;
use super::super::session::bodies::SessionAnswer;
use super::model::Profile;
use super::service;
use crate::platform::Result;
use crate::platform::auth::{Authorized, Role, perm};
use crate::platform::http::{Body, Etag, Tagged};
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::locale::Locale;

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
}

impl From<Profile> for MeAnswer {
    fn from(it: Profile) -> Self {
        Self {
            id: it.id,
            email: it.email,
            role: it.role,
            company_id: it.company_id,
            display_name: it.display_name,
            locale: it.locale,
            time_zone: it.time_zone,
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
        }
    }
}

/// What to change; what is absent stays.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct MeChange {
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: Option<String>,
    locale: Option<Locale>,
    #[oai(validator(min_length = 1, max_length = 64))]
    time_zone: Option<String>,
}

impl Example for MeChange {
    fn example() -> Self {
        Self { display_name: None, locale: Some(Locale::En), time_zone: Some("Europe/London".into()) }
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
        Ok(Tagged::new(profile.into(), &etag, if_none_match.0.as_deref()))
    }

    /// Change one's own account
    #[oai(path = "/me", method = "patch", operation_id = "updateMe", tag = "Tag::Me")]
    async fn update_me(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<MeChange>,
    ) -> Result<Tagged<MeAnswer>> {
        let MeChange { display_name, locale, time_zone } = body.0;
        let change = service::ProfileChange { display_name, locale, time_zone };
        let profile = service::change_profile(&cx, change, if_match.0.as_deref()).await?;
        let etag = Etag::of(profile.updated_at);
        Ok(Tagged::new(profile.into(), &etag, None))
    }
}
