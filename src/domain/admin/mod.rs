//! Running the platform: figures, the queue, the log of mails, the modules of a company, maintenance.
//!
//! Staff see how much and how well, and nobody's data: counts name nobody, jobs are kinds and codes without their payload, the
//! log of mails says which template was sent and not to whom. Whatever they change is in the audit log.
//!
//! A **module** that a company has not: its employees book no session of that kind, by video, call or chat, and its people
//! read no articles. The database refuses it (`policies/operations.sql`); what was booked before is held as agreed.
//!
//! **Maintenance** is [`crate::platform::maintenance`]; here it is switched.

mod api;
mod error;
mod model;
mod service;
mod store;

pub use api::OperationsApi;
pub use error::Error;
