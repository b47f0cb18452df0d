//! Client companies: the tenants.
//!
//! A platform admin makes a company with its contract and, where named, its first admin. The company's own people
//! read it; its admins change its name, language and time zone, its settings, its network of practitioners, and who
//! works for it as HR or as admin (its *members*). The contract and the SIREN are the platform's to change.
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
//! - A member's address must be free on the whole platform. A taken one is refused as `address_unavailable` wherever
//!   it is in use. So is one of the company's own directory, account or not: the answer must not tell whether an
//!   employee has accepted an invitation.
//! - Removing a member who never came forgets them, which frees the address for a new invitation. One who has been
//!   there is suspended, because other rows know the account; a platform admin can bring them back. Somebody must be
//!   left who can run the company: the last active admin cannot be removed.

pub mod api;
pub mod error;
pub mod events;
pub mod members;
pub mod model;
pub mod service;
pub mod store;

pub use api::CompaniesApi;
pub use service::{find_in, require_active};
