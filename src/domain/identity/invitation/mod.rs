//! Invitations: an account begins with a link that is sent by mail.

pub mod api;
pub mod jobs;
pub mod service;
pub mod store;

pub use api::InvitationApi;
pub use jobs::{InviteEmployee, InviteUser, jobs};
