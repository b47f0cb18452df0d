//! The waiting list: whoever finds no time of a practitioner waits for what others give back.
//!
//! ```text
//! entry   waiting ──→ booked | left | lapsed (its own term) | ended (they left the company, or the practitioner left)
//!            └───←── booked: a request that nobody confirmed gives the place back
//! time    held ──→ taken | released
//! offer   open ──→ taken | declined | lapsed | withdrawn
//! ```
//!
//! A session that is cancelled, moved or lapses frees time. Where anybody waits for the practitioner, the very
//! transaction that frees it keeps it (`app.keep_freed_time`): nobody else sees it as free or books it, the database
//! sees to both. Then it is offered to one after the other, in the order of joining: to the first who could book it and
//! wants it, for two hours, or for a quarter of what is left until the practitioner's notice. Whoever is asked books it
//! like any other time; their hold gives way in the same transaction. Whoever declines keeps their place and is not asked
//! about that time again; whoever lets it lapse is not asked again before it is freed anew, and after three times in a
//! row waits no more.
//!
//! Nobody is asked about two times of a practitioner at once. The next in line is asked about the second; where there is
//! none, one for each who is being asked is kept until the answer, so that giving back many times closes nobody's
//! calendar. When nobody is left, everybody can have it.
//!
//! A kept time stays kept until it is passed on: an offer whose time is over can be taken until the schedule has seen
//! that, and nobody comes in between. What is offered can be taken: by the same rules as a booking, looked at again
//! every minute. A session that the person books elsewhere and that uses up their last one, or lies at that time,
//! withdraws the offer in its own transaction; the schedule passes it on within a minute.
//!
//! Only time that somebody had is passed on. Hours that a practitioner opens, and what their other calendars give
//! free, are new to everybody at once.
//!
//! Who waits for whom is health data, perhaps: the person sees their own place, without its number; the practitioner
//! and staff see that a time is kept; HR sees nothing.

pub mod api;
pub mod events;
mod jobs;
pub mod model;
mod service;
mod store;

pub use api::WaitlistApi;
pub use jobs::{KeepWaitlist, jobs};
pub use service::take;
pub use store::{Notice, find_notice};
