//! Accounts as the platform's staff see them: a list without secrets, suspend, activate. And what only the operator of
//! the installation does, at the command line: the first platform admin, a lost second factor.

pub mod api;
pub mod error;
pub mod events;
pub mod operator;
pub mod service;
mod store;

pub use api::AdministrationApi;
