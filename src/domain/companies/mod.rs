//! Client companies: the tenants.
//!
//! A platform admin makes a company with its contract and, where named, its first admin. The company's own people
//! read it; its admins change its name and language, its settings, its network of practitioners, and who works for it as
//! HR or as admin (its *members*). The contract, the SIREN and the time zone are the platform's to change.
//!
//! Choices:
//! - A suspended company's people read everything that they could before, and neither book nor change anything
//!   (`403 company_suspended`); what is booked takes place. Platform admins can still change it.
//! - Archiving ends the contract: HR and admins are signed out at once and cannot sign in, invitations open nothing,
//!   and what is booked is cancelled with notice. Employees keep their accounts and read their own history.
//! - An archive can be undone by activating the company, for a customer who returns or a mistake; what was cancelled
//!   stays cancelled. Suspending an archived company is refused. A step that was taken already changes nothing.
//! - Settings have a version of their own; the network shares the company's, since its mode is a column of it.
//!   The list of a restricted network is kept while the network is open.
//! - An invited member is an entry of the company's own until they accept. Inviting asks nothing of the accounts: every
//!   address is answered the same, but for those that the list of members shows. Inviting again renews the entry and
//!   sends a new link. An address that has an account elsewhere is told of by `409 account_exists` to who accepts.
//! - Removing an invited member withdraws the invitation. The account of one who has been there stays, suspended and
//!   without its address, because other rows know it; the address is free for a new invitation, which makes a new
//!   account. Somebody must be left who can run the company: the last active admin cannot be removed.
//! - The role of a member is changed by inviting them anew; there is no route for it.

pub mod api;
pub mod error;
pub mod events;
pub mod members;
pub mod model;
pub mod service;
pub mod store;

pub use api::CompaniesApi;
pub use service::{find_in, require_active};
