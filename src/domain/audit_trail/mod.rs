//! What was done and opened, by whom: for those who answer for it, and for each person whose data it was.
//!
//! Entries are written by the other modules, each in the transaction of what it does (`platform::audit`). Here they are
//! read: the log by role ([`service`]), the access log of each person, and the hash chain ([`chain`]) that
//! `huntzen audit verify` and a nightly job recompute ([`verify`], [`jobs`]). Which action is whose to see stands in
//! `app.audit_actions()` of `policies/audit.sql`; `docs/audit.md` explains each.

pub mod api;
pub mod chain;
mod figures;
mod jobs;
pub mod model;
mod service;
mod store;
pub mod verify;

pub use api::AuditTrailApi;
pub use figures::figures;
pub use jobs::register as jobs;
pub use service::acknowledge;
