//! Consultations: free slots, booking, and the life of a booked session.
//!
//! A slot is computed, never stored: the practitioner's hours, minus the times that are taken (buffers included),
//! within notice, horizon and contract. [`slots::Offer`] decides what is listed and what can be booked, so a
//! listed slot is refused only because somebody took it meanwhile (or because the person's sessions are used up,
//! which no list of times can show).
//!
//! ```text
//! confirmed → in_progress → completed
//!     └─────→ cancelled
//! ```
//!
//! What keeps two people from the same hour is the database: exclusion constraints over the practitioner's and
//! over the employee's time. Bookings of one practitioner queue on an advisory lock before they insert, so that
//! forty who race get one winner and thirty-nine clear answers instead of deadlocks.
//!
//! What the contract grants is the database's to keep as well ([`quota`]): a booking locks the company, the person's
//! entry and the practitioner against changes, and counts the person's sessions of the contract year.
//!
//! A booking takes no free text: what brings somebody here is health content, and is accepted only where it can
//! be stored encrypted.

pub mod api;
pub mod calendar;
pub mod departure;
pub mod directory;
pub mod error;
pub mod events;
pub mod feed;
pub mod model;
pub mod quota;
pub mod reactions;
pub mod service;
pub mod slots;
pub mod store;

mod booking;

pub use api::ConsultationsApi;
pub use directory::DirectoryApi;
pub use error::Error;
pub use feed::FeedApi;
pub use model::{Consultation, EventKind, Status};
pub use quota::QuotaApi;
pub use reactions::jobs;
pub use store::{Appointment, Person, find_appointment};
