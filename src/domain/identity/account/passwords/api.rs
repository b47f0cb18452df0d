//! `/auth/forgot-password`, `/auth/reset-password`, `/auth/change-password`.

use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::service;
use crate::domain::identity::Tag;
use crate::domain::identity::session::api::device;
use crate::platform::Result;
use crate::platform::auth::{Anonymous, Authorized, perm};
use crate::platform::http::Body;

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ForgotPasswordRequest {
    /// The address of the account.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for ForgotPasswordRequest {
    fn example() -> Self {
        Self { email: "alice@acme.test".into(), device_token: None }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ResetPasswordRequest {
    /// The token of the link in the mail.
    #[oai(validator(min_length = 1, max_length = 200))]
    token: String,
    /// 12 to 128 characters of any kind.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
}

impl Example for ResetPasswordRequest {
    fn example() -> Self {
        Self { token: "q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into(), password: "four quiet words here".into() }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ChangePasswordRequest {
    #[oai(validator(min_length = 1, max_length = 1024))]
    current_password: String,
    /// 12 to 128 characters of any kind; not the present one.
    #[oai(validator(min_length = 1, max_length = 1024))]
    new_password: String,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for ChangePasswordRequest {
    fn example() -> Self {
        Self {
            current_password: "demo-huntzen-2026".into(),
            new_password: "four quiet words here".into(),
            device_token: None,
        }
    }
}

#[derive(ApiResponse)]
pub enum ForgotPasswordResponse {
    /// Noted. Whether the address has an account is not said.
    #[oai(status = 202)]
    Noted,
}

#[derive(ApiResponse)]
pub enum PasswordResponse {
    /// The password is set.
    #[oai(status = 204)]
    Set,
}

pub struct PasswordsApi;

#[OpenApi(prefix_path = "/api/v1")]
impl PasswordsApi {
    /// Ask for a link that sets a new password
    ///
    /// The answer is the same, at the same time, whether the address has an account or not. A link is mailed to
    /// people who can log in; it works once, for 30 minutes. Of several links the last three work, and the first that is
    /// used ends the others. Nothing is mailed to somebody who is suspended or has not accepted their invitation, nor to
    /// the work address of somebody who has left that company. Asking again for the same address takes longer each time
    /// (`429 too_many_attempts`, `Retry-After`), but for devices from which its person logged in before.
    #[oai(path = "/auth/forgot-password", method = "post", operation_id = "forgotPassword", tag = "Tag::Auth")]
    async fn forgot_password(
        &self,
        it: Anonymous,
        request: &poem::Request,
        body: Body<ForgotPasswordRequest>,
    ) -> Result<ForgotPasswordResponse> {
        let ForgotPasswordRequest { email, device_token } = body.0;
        let device = device(&it.platform, request, None, device_token);
        service::forget(&it.platform, &it.request, &email, &device).await?;
        Ok(ForgotPasswordResponse::Noted)
    }

    /// Set a new password with a mailed link
    ///
    /// Works once. Every session of the account ends, everywhere, and so does every other link that was mailed; the
    /// person is told by mail and logs in with the new password. A second factor stays as it is.
    #[oai(path = "/auth/reset-password", method = "post", operation_id = "resetPassword", tag = "Tag::Auth")]
    async fn reset_password(&self, it: Anonymous, body: Body<ResetPasswordRequest>) -> Result<PasswordResponse> {
        let ResetPasswordRequest { token, password } = body.0;
        service::reset(&it.platform, &it.request, &token, &password.into()).await?;
        Ok(PasswordResponse::Set)
    }

    /// Change one's own password
    ///
    /// Needs the present one; each wrong one makes the next wait longer (`429 too_many_attempts`, `Retry-After`). Every
    /// session ends at once, this one as well: log in with the new password. The person is told by mail. A device from which the person logged
    /// in before is slowed down by its own failures only.
    #[oai(path = "/auth/change-password", method = "post", operation_id = "changePassword", tag = "Tag::Auth")]
    async fn change_password(
        &self,
        cx: Authorized<perm::ManageSelf>,
        request: &poem::Request,
        body: Body<ChangePasswordRequest>,
    ) -> Result<PasswordResponse> {
        let ChangePasswordRequest { current_password, new_password, device_token } = body.0;
        let device = device(cx.platform(), request, None, device_token);
        service::change(&cx, &current_password.into(), &new_password.into(), &device).await?;
        Ok(PasswordResponse::Set)
    }
}
