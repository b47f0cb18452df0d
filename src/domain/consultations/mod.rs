//! Consultations: free slots, booking, and the life of a booked session.
//!
//! A slot is computed, never stored: the practitioner's hours, minus the times that are taken (buffers included),
//! within notice, horizon and contract. [`slots::Offer`] decides what is listed and what can be booked, so a
//! listed slot is refused only because somebody took it meanwhile (or because the person's sessions are used up,
//! which no list of times can show).
//!
//! ```text
//! pending ──→ confirmed ──→ in_progress ──→ completed
//!    │            ├────────────────┴─────→ no_show
//!    └────────────┴───────→ cancelled
//! ```
//!
//! `pending` is a request to a practitioner who confirms by hand; it holds the time, and lapses ([`upkeep`]). Moving a
//! session keeps its state ([`reschedule`]). Every step is an event, which is never changed; how long a session took
//! follows from them. A step is taken on the row that was read, or not at all: whoever acts beside a move is told.
//!
//! What the server saw itself, whom it let in from ten minutes before the present start on, stands beside what was claimed
//! (`policies/consultations.sql`), under these rules:
//!
//! - Either side says from ten minutes after the start that the other did not come, of a session that is confirmed or goes
//!   on; nobody says so of a practitioner who was seen, nor, once it was begun, of an employee who was.
//! - An absence counts for the employee where the company says so, unless they were seen. What is said to have been held
//!   does not count where the employee was seen alone.
//! - Of what nobody said anything: seen together, it was held; seen alone, the other missed it; else nobody did.
//! - Staff look (`timesDiffer`) wherever claim and sight do not fit: see `apply_consultation_event`. Both people are told of
//!   what was not held, and the employee what it costs.
//!
//! What keeps two people from the same hour is the database: exclusion constraints over the practitioner's and
//! over the employee's time. Bookings of one practitioner queue on an advisory lock before they insert, so that
//! forty who race get one winner and thirty-nine clear answers instead of deadlocks.
//!
//! What the contract grants is the database's to keep as well ([`quota`]): a booking locks the company, the person's
//! entry and the practitioner against changes, and counts the person's sessions of the contract year.
//!
//! Time that is given back goes to those who wait for the practitioner before anybody else can have it ([`waitlist`]).
//!
//! What somebody writes about a session is health content, perhaps: it is sealed, and for the two people in it alone
//! ([`reasons`]).

pub mod api;
pub mod calendar;
pub mod departure;
pub mod directory;
pub mod error;
pub mod events;
pub mod feed;
pub mod glance;
pub mod joining;
pub mod model;
pub mod outside;
pub mod overrides;
pub mod privacy;
pub mod quota;
pub mod reactions;
pub mod reschedule;
pub mod service;
pub mod slots;
pub mod store;
pub mod waitlist;

mod booking;
mod reasons;
mod upkeep;

use poem_openapi::OpenApi;

pub use error::Error;
pub use model::{Consultation, EventKind, Status};
pub use reactions::jobs;
pub use reasons::{About, OLDER_FORMS, SEALED, document as reason_document};
pub use store::{Appointment, Person, find_appointment};
pub use upkeep::KeepTime;
pub use waitlist::KeepWaitlist;

/// `/consultations`, and what computes or keeps time: slots, dated changes, the directory by who has time first, waiting.
pub fn apis() -> impl OpenApi {
    (
        api::ConsultationsApi,
        overrides::OverridesApi,
        outside::OutsideApi,
        quota::QuotaApi,
        slots::SlotsApi,
        feed::FeedApi,
        directory::DirectoryApi,
        waitlist::WaitlistApi,
    )
}
