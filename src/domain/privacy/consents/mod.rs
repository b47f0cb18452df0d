//! What people agree to, and take back.

mod api;
mod model;
mod service;
mod store;

pub use api::ConsentsApi;
