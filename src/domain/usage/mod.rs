//! Usage counters: all that a company ever learns of the care that its people take.
//!
//! A materialized view counts completed sessions, minutes and people by month of the company's time zone, in total
//! and by specialty, mode and department. It is counted anew every hour (`asOf`). Nobody reads the view: functions of
//! the database (`policies/usage.sql`) answer for one company and withhold there what rests on too few people, so
//! that no role ever holds a number that it must not show.
//!
//! Choices:
//! - Only months that were over when they were counted are told. Others are left out of the answer.
//! - One dimension at a time: crossing two makes cells so small that little could be shown.
//! - Numbers of people are rounded down to five; sessions and minutes are exact where they are shown.
//! - A cell with fewer people than the company's threshold is withheld (`small_group`), and with it the smallest
//!   other one (`derivable`), so that what can be had by subtraction rests on enough people. Where even that would
//!   leave a reader one possible value, in any dimension, the whole month is withheld in all of them: they share
//!   the total. A month with too few people, and a company with too few employees, is withheld entirely.
//! - Every value of the dimension has its cell in every month, used or not, so that a withheld month does not tell
//!   what was used.
//! - A month is judged by the threshold that was in force when it closed, for good: whoever could have a month judged by
//!   one threshold after the other would learn of each withheld cell how many people are in it. A change counts for the
//!   months that close after it.
//! - Months are not frozen yet when they are first told: late corrections count.
//!
//! A file of the counters (`/exports`) is written by a job, kept for seven days, and announced by mail. Only who asked
//! for it can fetch it.

pub mod api;
pub mod csv;
pub mod error;
pub mod jobs;
pub mod model;
pub mod service;
pub mod store;
pub mod words;

pub use api::UsageApi;

use crate::platform::jobs::Registry;

/// The handlers and schedules of this module.
pub fn jobs(registry: &mut Registry) {
    jobs::register(registry);
}
