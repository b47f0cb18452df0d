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
//! Counting and publishing have a queue of their own, and no statement of them is cut short: they take as long as they take, and
//! neither wait for other jobs nor have them wait.
//!
//! Choices:
//! - A month is published once, three days after its end: by then whatever people can say of a session has been said. A session
//!   that comes to light later is in no number of usage: a correction would tell of one person. Nor does another threshold,
//!   another time zone, another department or somebody who leaves change what is published. The program's clock and the
//!   database's have to say twice, 50 minutes apart, that a month is over.
//! - By specialty, mode or department, by specialty and mode, and by specialty and department. Modes are not crossed with
//!   departments, nor all three: of such tables nobody can say what they tell together.
//! - HR arranges the directory. So a person counts in the department in which their entry has been, active, since before the
//!   month began (`placed_since`, `active_since`), otherwise in the rest; a group is as large as those of them who had an account
//!   by then; and nobody is told like few. Departments with fewer entries than the threshold and ten more are counted together,
//!   with the rest.
//! - Numbers of people are rounded down to five; sessions are exact where they are shown; minutes are told of months in which
//!   nothing is withheld.
//! - A number that rests on fewer people than the company's threshold is withheld, and so is one that rests on nearly everybody of
//!   its group: fewer than five did not come. With these another one is, the first in a fixed order, so that what can be had by
//!   subtraction leaves a range; where it does not, the whole table is withheld. The reason is `small_group` for all of them: which
//!   it is would tell. (`derivable` is what months published earlier said of the latter.) A month of fewer people is withheld as
//!   a whole, one without any as well, and so every month of a company with fewer people than that: it sees what it bought.
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
