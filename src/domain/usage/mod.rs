//! Usage counters: all that a company ever learns of the care that its people take. And what practitioners did ([`activity`]).
//!
//! ```text
//! consultations ── every hour ──▶ views of what is not published (asOf)
//!                                        │ three days after a month's end, once
//!                                        ▼
//!                       stats.protect ──▶ app.usage_cells ──▶ reports, series, files
//! ```
//!
//! Materialized views count completed sessions, minutes and people of the months that are not published yet, by month of the
//! company's time zone. Nobody reads them. When a month is published, `stats.protect` (`policies/usage.sql`) decides which of its
//! numbers may be shown, and only these are kept; from then on nothing changes them, and nothing is counted twice, so that counting
//! costs the same however long history is.
//!
//! Choices:
//! - A month is published once, three days after its end: by then whatever people can say of a session has been said. A session
//!   that comes to light later is in no number of usage: a correction would tell of one person. Nor does another threshold,
//!   another time zone, another department or somebody who leaves change what is published. The clock has to say twice, an hour
//!   apart, that a month is over.
//! - By specialty, mode or department, by specialty and mode, and by specialty and department. Modes are not crossed with
//!   departments, nor all three: of such tables nobody can say what they tell together.
//! - Departments with fewer employees than the threshold and ten more are counted together, with the people of none.
//! - Numbers of people are rounded down to five; sessions are exact where they are shown, minutes where nothing is withheld beside them.
//! - A number that rests on fewer people than the company's threshold is withheld (`small_group`), and so is one that rests on
//!   nearly everybody of its group: fewer than five did not come. With these others are (`derivable`), so that what can be had by
//!   subtraction rests on enough people, and leaves a range. Where even that is not so, the whole month is withheld. So is it of a
//!   company with fewer employees than the threshold: it sees what it bought.
//! - Every value has its cell in every month, used or not, so that a withheld month does not tell what was used.
//! - A month is judged by the threshold that was in force when it closed.

pub mod activity;
pub mod api;
pub mod error;
pub mod jobs;
pub mod model;
pub mod service;
pub mod store;
pub mod words;

pub use activity::{ActivityApi, ZONE, find_published_until};
pub use api::UsageApi;

use crate::platform::jobs::Registry;

/// The handlers and schedules of this module.
pub fn jobs(registry: &mut Registry) {
    jobs::register(registry);
}
