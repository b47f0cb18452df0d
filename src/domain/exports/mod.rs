//! Files of numbers: asked for, made by a job, announced, fetched for seven days by whoever asked.
//!
//! ```text
//! pending ── job ──▶ running ──▶ ready ── seven days ──▶ expired
//!    └───────────────┴──▶ failed (could not be made, or who asked may not have it any more)
//! ```
//!
//! | kind | whose | lines |
//! |---|---|---|
//! | `usage` | HR, company admins of their company; staff of one that they name | the published counters of `/reports/usage` |
//! | `practitioner_activity` | a practitioner's own | their sessions, one by one, without anybody's name |
//! | `payroll` | staff | published months of all practitioners, by practitioner and currency; those that were lost by a restore are marked |
//!
//! Choices:
//! - Columns and words are in the language of the request that asked, for good: who repeats the job gets the same bytes. So does
//!   who asks again for published months, which never change.
//! - Files are CSV (RFC 4180), every field quoted, in UTF-8, with the delimiter and the byte order mark that were asked for; a
//!   text that a spreadsheet would run gets a `'` in front.
//! - A file is written in pieces while it is read from the database; how far it is can be seen meanwhile (`progress`). Whether
//!   who asked may still have it (active, same role, same company) is looked at before, in between, at the end, and when it is
//!   fetched.
//! - It is made under a lock of its own: a second worker that was given the same job waits and finds it made.

pub mod api;
pub mod csv;
pub mod error;
pub mod jobs;
pub mod lines;
pub mod model;
pub mod service;
pub mod store;

pub use api::ExportsApi;

use crate::platform::jobs::Registry;

/// The handlers and schedules of this module.
pub fn jobs(registry: &mut Registry) {
    jobs::register(registry);
}
