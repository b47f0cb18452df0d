//! Overrides of a practitioner's hours, told with what is booked in them.
//!
//! What is booked in time that is closed afterwards stays: only the two people in it decide about a session. The answer
//! names those sessions, so that the practitioner can move or cancel them. Closing time and booking it exclude each
//! other: whichever comes second sees the first.

pub mod api;
pub(super) mod service;

pub use api::OverridesApi;
