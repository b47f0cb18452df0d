//! Accounts, sessions and invitations.
//!
//! A person logs in with an address and a password and gets a short access token and a refresh token,
//! in the body or in a cookie as they choose. Nobody registers: an account begins with an invitation,
//! sent by mail, whose token is kept only as a hash. Answers do not tell whether an address has an account.

pub mod api;
pub mod error;
pub mod jobs;
pub mod model;
pub mod service;
pub mod store;

pub use api::IdentityApi;
pub use jobs::jobs;
