//! Clinical notes: what a practitioner writes about a session, for nobody else.
//!
//! ```text
//! draft ──save──→ draft ──finalize──→ finalized ──addendum──→ finalized
//! ```
//!
//! A note is written from the beginning of its session on, as a SOAP note or as free text. A draft is saved as often as
//! one likes, and every text that it ever had is kept. Finalised, it is read only, and amended by addenda.
//!
//! **Nothing is overwritten unseen.** Whoever saves says which version they know (`If-Match`); the database compares it
//! in the statement that takes the next one, so that of two at once one wins and the other is told (`412`), with the
//! version that is there now, and keeps what they wrote.
//!
//! **Only the author reads.** Row security gives the rows to the author alone, and so does the function that gives out the
//! wrapped key; texts are sealed ([`crate::platform::crypto::envelope`]) under a key of the note itself. That key is the
//! author's to keep: the employee's erasure destroys their journal and their chats, and no note, which stays readable by
//! its author for its legal time (`app.retention_rules`, `retained_until`). Nobody deletes a note: the database refuses.
//!
//! **When a practitioner leaves** their notes stay theirs. Deactivating takes away new bookings, not the account: they go
//! on reading, and the database takes nothing more that they write (`409 note_author_left`). They export what they wrote about
//! a person ([`service::export`]). No note passes to somebody else by itself, nor by staff or the company.
//! A practitioner gives to a colleague whom the employee has chosen what continuing needs, as the Code de la santé
//! publique has it (R. 4127-45: with the patient's consent, on the patient's choice).
//!
//! Each opening of a note stands in the audit log, as of the session that it is about, and the employee finds it in their
//! access log: that it was opened, when and by whom, not what it says.

mod api;
mod error;
mod keys;
mod model;
mod service;
mod store;

pub use api::NotesApi;
pub use error::Error;
pub use keys::{document, subject};
pub use model::{Soap, Text};
pub use store::{FIND, WRITE};
