//! `/auth/accept-invitation`.

use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::super::Tag;
use super::super::session::api::{SessionResponse, answer, device};
use super::super::session::bodies::Transport;
use super::service;
use crate::platform::Result;
use crate::platform::auth::Anonymous;
use crate::platform::http::Body;
use crate::platform::locale::Locale;

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct AcceptInvitationRequest {
    /// The token of the link in the mail.
    #[oai(validator(min_length = 1, max_length = 200))]
    token: String,
    /// 12 to 128 characters of any kind.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
    /// Must be true: the person agrees to the current terms.
    accept_terms: bool,
    /// How practitioners address the person; the directory's name unless said.
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: Option<String>,
    locale: Option<Locale>,
    /// An IANA name; the company's unless said.
    #[oai(validator(min_length = 1, max_length = 64))]
    time_zone: Option<String>,
    #[oai(default)]
    transport: Transport,
    #[oai(validator(min_length = 1, max_length = 200))]
    device: Option<String>,
}

impl Example for AcceptInvitationRequest {
    fn example() -> Self {
        Self {
            token: "q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into(),
            password: "four quiet words here".into(),
            accept_terms: true,
            display_name: Some("Alice Martin".into()),
            locale: Some(Locale::Fr),
            time_zone: Some("Europe/Paris".into()),
            transport: Transport::Body,
            device: None,
        }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct InvitationAddressRequest {
    /// The token of the link in the mail.
    #[oai(validator(min_length = 1, max_length = 200))]
    token: String,
    /// The address to log in with.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
}

impl Example for InvitationAddressRequest {
    fn example() -> Self {
        Self { token: "q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into(), email: "alice@home.test".into() }
    }
}

#[derive(ApiResponse)]
pub enum InvitationAddressResponse {
    /// A link is on its way to the address.
    #[oai(status = 202)]
    Noted,
}

pub struct InvitationApi;

#[OpenApi(prefix_path = "/api/v1")]
impl InvitationApi {
    /// Accept an invitation
    ///
    /// Sets the password, records the consent to the terms, and signs in. Opening the link consumes nothing;
    /// only this does, once.
    ///
    /// A link that is unknown, used, out of date or replaced by a newer one gets one and the same `410`; so does that
    /// of somebody who has an account already, who can log in. `409 account_exists`: the address that the link was sent
    /// to opens another account already; `POST /auth/invitation-address` sends the link to one that is free.
    #[oai(path = "/auth/accept-invitation", method = "post", operation_id = "acceptInvitation", tag = "Tag::Auth")]
    async fn accept_invitation(
        &self,
        it: Anonymous,
        request: &poem::Request,
        body: Body<AcceptInvitationRequest>,
    ) -> Result<SessionResponse> {
        let body = body.0;
        let session = service::accept_invitation(
            &it.platform,
            &it.request,
            service::Acceptance {
                token: body.token,
                password: body.password.into(),
                accept_terms: body.accept_terms,
                display_name: body.display_name,
                locale: body.locale,
                time_zone: body.time_zone,
                device: device(&it.platform, request, body.device, None),
            },
        )
        .await?;
        Ok(answer(&it.platform, session, body.transport))
    }

    /// Accept an invitation with another address
    ///
    /// Sends a link to the address that the person wants to log in with. It accepts the same invitation, and proves the
    /// mailbox; until then the first link works as before. Who invited learns nothing of it. Answered alike whether the
    /// address is free: that is told to who opens the link. Five an hour for one invitation (`429 too_many_requests`).
    #[oai(
        path = "/auth/invitation-address",
        method = "post",
        operation_id = "chooseInvitationAddress",
        tag = "Tag::Auth"
    )]
    async fn choose_address(
        &self,
        it: Anonymous,
        body: Body<InvitationAddressRequest>,
    ) -> Result<InvitationAddressResponse> {
        service::choose_address(&it.platform, &it.request, &body.token, &body.email).await?;
        Ok(InvitationAddressResponse::Noted)
    }
}
