//! What employees say of sessions that were held: stars and words, shown without who said them.
//!
//! ```text
//! pending ──publish──→ published ⇄ rejected
//!    ↑ └─────reject──────────────────↑  │
//!    └── the author changes it, from any ┘
//! ```
//!
//! **Two rows.** A review belongs to its author: words sealed under a key of its own ([`keys`]), one for each session. What is published is a copy that knows
//! neither author nor session nor time, under an id that is random: ids of version 7 tell when they were made. Readers have
//! that copy and nothing else. It is listed in an order of its own, so that the newest does not stand out.
//!
//! **Moderation** is by people ([`service::publish`], [`service::reject`]). They read the words without their author, and are
//! pointed at what may be a name, an address or a number ([`model::Marks`]). Names are looked for when a review is written:
//! the author's, the practitioner's, those of the author's company. The hint does not say whose name a word is, so it names
//! no author to the moderator either. What an author changes waits for a moderator again, and is not shown meanwhile. They are
//! told what was decided ([`events`]), by a job that does not name them.
//!
//! **The average** follows what is published, and is shown from three reviews on, so that it is nobody's own.

mod api;
mod error;
pub mod events;
mod keys;
pub mod model;
pub mod privacy;
mod service;
mod store;

pub use api::ReviewsApi;
pub use error::Error;
pub use keys::{OLDER_FORM, SEALED, document, older_place};
pub use model::{Marks, Words};
