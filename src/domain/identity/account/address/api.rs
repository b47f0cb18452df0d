//! `/auth/verify-email`, `/auth/stop-email-change`.

use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::service;
use crate::domain::identity::Tag;
use crate::platform::Result;
use crate::platform::auth::Anonymous;
use crate::platform::http::Body;

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct VerifyEmailRequest {
    /// The token of the link in the mail to the new address.
    #[oai(validator(min_length = 1, max_length = 200))]
    token: String,
}

impl Example for VerifyEmailRequest {
    fn example() -> Self {
        Self { token: "q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into() }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct StopEmailChangeRequest {
    /// The token of the link in the mail to the old address.
    #[oai(validator(min_length = 1, max_length = 200))]
    token: String,
}

impl Example for StopEmailChangeRequest {
    fn example() -> Self {
        Self { token: "q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into() }
    }
}

#[derive(ApiResponse)]
pub enum VerifyEmailResponse {
    /// The account has the new address.
    #[oai(status = 204)]
    Verified,
}

#[derive(ApiResponse)]
pub enum StopEmailChangeResponse {
    /// The account keeps its address.
    #[oai(status = 204)]
    Stopped,
}

pub struct AddressApi;

#[OpenApi(prefix_path = "/api/v1")]
impl AddressApi {
    /// Prove a new address
    ///
    /// With the token that was mailed to the new address: from now on it is the account’s. Opening the link consumes
    /// nothing; only this does, once. The old address is told.
    #[oai(path = "/auth/verify-email", method = "post", operation_id = "verifyEmail", tag = "Tag::Auth")]
    async fn verify_email(&self, it: Anonymous, body: Body<VerifyEmailRequest>) -> Result<VerifyEmailResponse> {
        service::verify(&it.platform, &it.request, &body.token).await?;
        Ok(VerifyEmailResponse::Verified)
    }

    /// Stop a change of address
    ///
    /// With the token that was mailed to the old address: the change that somebody asked for does not happen.
    #[oai(path = "/auth/stop-email-change", method = "post", operation_id = "stopEmailChange", tag = "Tag::Auth")]
    async fn stop_email_change(
        &self,
        it: Anonymous,
        body: Body<StopEmailChangeRequest>,
    ) -> Result<StopEmailChangeResponse> {
        service::stop(&it.platform, &it.request, &body.token).await?;
        Ok(StopEmailChangeResponse::Stopped)
    }
}
