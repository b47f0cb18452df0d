//! What is over its time goes: each night, by the one table of durations. Sessions, notifications, jobs, answers, places in
//! lines and the audit log are removed by their own modules, by the same table.

mod jobs;
mod store;

pub use jobs::{RemoveExpired, register as jobs};
