//! What practitioners did, by month, and what it is worth: for themselves, and for payroll.
//!
//! A month of activity is one of the platform's zone ([`ZONE`]), whoever's it is, and is published for good with the months of
//! usage. Each completed session is paid for itself: its minutes, as they were claimed, times the hourly rate that was in force
//! at its planned start (`app.practitioner_rates` keeps them all), rounded half up to the currency's minor unit; sums are sums of
//! these. Sessions that were missed or cancelled are counted and not paid. Sessions whose claimed and seen times differ are in
//! the sums, and told beside them as well: whoever pays decides.
//!
//! What is corrected after a month was published changes nothing of it: it is settled by hand, outside of the program.

mod api;
mod model;
mod service;
mod store;

pub use api::ActivityApi;
pub use model::Activity;
pub use store::find_published_until;

/// Whose months these are. The views say the same.
pub const ZONE: &str = "Europe/Paris";
