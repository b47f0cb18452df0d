//! What can be booked: one function ([`Offer`]) for the list, the booking and the explanation, and its loader.
//!
//! [`find_offers`] asks a constant number of statements, for however many practitioners: their terms and who may see
//! them, weekly hours, taken times, and the caller's own ones. [`find_first_free`] widens the time that it looks at, so
//! that a network is searched without reading a year of bookings.

pub mod api;
mod explain;
mod offer;
mod service;
pub(super) mod store;
mod why;

pub use api::SlotsApi;
pub use offer::{Offer, Slot, Span, days};
pub use service::{
    FirstFree, Search, SlotList, SlotQuery, check_current, check_listable, company_zone, contract, find_coverage,
    find_first_free, find_listable, find_offer, find_offers, find_offers_at, list_slots,
};
pub use why::{Reason, Why};
