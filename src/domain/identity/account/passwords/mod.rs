//! Passwords that are forgotten, set anew, or changed.
//!
//! Who forgot one asks by address. The request does the same work whether the address has an account or not; a job
//! looks further, and mails a link that works once, for half an hour. A password that was set or changed ends every
//! other session and every other link.

mod api;
mod jobs;
pub mod model;
mod service;
mod store;

pub use api::PasswordsApi;
pub(in crate::domain::identity) use jobs::jobs;
pub(in crate::domain::identity) use service::confirm;
