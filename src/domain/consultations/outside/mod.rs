//! What is booked and not on offer any more: the practitioner has changed their hours, lengths or modes, closed time, or
//! become busy elsewhere.
//!
//! Such sessions stay: only the two people in one decide about it. Whoever changes the weekly hours is told of them with
//! the answer, as with overrides ([`super::overrides`]); and at any time they are listed, each with the rules that it
//! breaks, by the function that lists slots. Changing the hours and booking exclude each other, so that none is missed.

pub mod api;
mod service;
mod store;

pub use api::OutsideApi;
