//! The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for the day it is lost.
//!
//! A secret is offered and counts once the person has shown a code of it. It is kept sealed; recovery codes are kept as
//! hashes and shown once. The step of a code is taken by a conditional UPDATE, so that a code opens one thing only,
//! whichever route it was shown to. Practitioners and platform admins must have a second factor; after the grace period
//! their sessions manage nothing but their own account until they do ([`setup_is_due`]).

pub mod api;
pub mod error;
pub mod jobs;
pub mod login;
pub mod model;
mod proof;
pub mod service;
mod store;

pub use api::TwoFactorApi;
pub use jobs::jobs;
pub use login::{Ticket, ask, setup_is_due};
pub use proof::{SEALED, SecondStep, begin_proven};
