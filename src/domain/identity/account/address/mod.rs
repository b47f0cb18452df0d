//! The address of an account: changed, proved, and kept when the person leaves their company.
//!
//! A new address is only taken once its mailbox proved it; until then everything goes to the old one, which is told and
//! may stop the change. Whether an address has an account already is told to nobody but the holder of that mailbox.
//! The mailbox of somebody who left their company is the employer's: nothing about the account is sent there any more.
//! That they lost it stands on the account, and only the person takes it back:
//!
//! ```text
//! mailbox at work ── the directory says "left" ──────────────▶ lost ── proves it, employed again ──▶ mailbox at work
//!        │          (or: 30 days after the company's archiving)   │
//!        └──────────── proves a private address ─────────────────┴──▶ private, for good
//! ```
//!
//! What all who leave are told goes to the directory's address, in the same words whether or not they have an account.

mod api;
mod jobs;
mod service;
mod store;

pub use api::AddressApi;
pub(in crate::domain::identity) use jobs::jobs;
pub use jobs::{
    ARCHIVED_GRACE, TellLeaver, TellLeaverPrivately, TellPeopleOfArchiving, TellPeopleOfReturn, TellReturner,
};
pub(super) use service::{ask_for_change, withdraw_change};
