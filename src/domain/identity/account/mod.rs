//! One's own account: its profile, its password, its address.

pub mod address;
pub mod api;
mod links;
pub mod model;
pub mod passwords;
pub mod service;
pub mod store;

pub use address::AddressApi;
pub use api::AccountApi;
pub use passwords::PasswordsApi;

use crate::platform::jobs::Registry;

/// What this module does later.
pub(super) fn jobs(registry: &mut Registry) {
    passwords::jobs(registry);
    address::jobs(registry);
}
