//! Accounts, sessions and invitations.
//!
//! A person logs in with an address and a password and gets a short access token and a refresh token,
//! in the body or in a cookie as they choose. Nobody registers: an account begins with an invitation,
//! sent by mail, whose token is kept only as a hash. Answers do not tell whether an address has an account.

pub mod account;
pub mod administration;
pub mod error;
pub mod invitation;
pub mod model;
pub mod safety;
pub mod session;
pub mod throttle;
pub mod two_factor;

use poem_openapi::{OpenApi, Tags};

use crate::platform::jobs::Registry;

#[derive(Tags)]
enum Tag {
    /// Log in, stay logged in, log out; invitations.
    Auth,
    /// One's own account.
    Me,
}

/// `/auth` and `/me`.
pub fn apis() -> impl OpenApi {
    (
        session::SessionApi,
        invitation::InvitationApi,
        account::AccountApi,
        account::PasswordsApi,
        account::AddressApi,
        two_factor::TwoFactorApi,
        administration::AdministrationApi,
    )
}

/// What this module does later.
pub fn jobs(registry: &mut Registry) {
    invitation::jobs(registry);
    session::jobs(registry);
    account::jobs(registry);
    two_factor::jobs(registry);
}
