//! One's own account.

pub mod api;
pub mod model;
pub mod service;
pub mod store;

pub use api::AccountApi;
