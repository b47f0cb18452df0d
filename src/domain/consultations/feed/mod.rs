//! A practitioner's consultations as a calendar to subscribe to, for whoever has its address.
//!
//! The address is the secret, as calendar programs cannot log in: 256 random bits, kept as a hash, taken back by
//! deleting the feed. The calendar says that there are appointments, and nothing of with whom or of what kind. Each
//! entry is the one of the mails (same UID), so a program that has both shows one.

mod api;
mod service;
mod store;

pub use api::FeedApi;
