//! What the floors above show of sessions and offers of a caller, many at once: when, and how they stand.

mod store;

pub use store::{Glance, clock, find, find_joined, find_offers, list_changed_since};
