//! Sessions: log in, stay logged in, log out.
//!
//! A session is a family of refresh tokens, each used once. Whoever proves who a person is — by password, by a
//! second step, by an invitation — opens a session through [`open_session`] and nothing else.

pub mod api;
pub mod bodies;
pub mod cookies;
pub mod jobs;
pub mod keys;
pub mod model;
pub mod service;
pub mod store;

pub use api::SessionApi;
pub use jobs::jobs;
pub use keys::KeysApi;
pub use service::{Device, LogIn, Person, Session, open_session};
