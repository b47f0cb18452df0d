//! The journal: a person's own diary, with a mood and tags.
//!
//! **Sealed.** Words, mood and tags of an entry are sealed before they reach the database, under the key of the person's
//! journal ([`crate::platform::crypto::envelope`]), which their erasure destroys. Mood and tags are sealed apart from the
//! words, so that trend and search read some hundred bytes an entry. What the database sees of an entry: whose it is, its
//! day, when it was written and changed, its length in steps of 256 bytes, and whether it is private.
//!
//! **Searching** for a tag or a mood opens those facts of the entries in question, and looks. An index over tags would be
//! quicker and tell which entries share one; a journal has 5,000 entries at most, kept by the database, and opening
//! as many takes less time than a page takes to load.
//!
//! **Private entries** come sealed from the browser, under a key that the server never has: it is wrapped there under a
//! passphrase and under a recovery code, and the wraps are kept here ([`private`], docs/private-journal.md). Our database,
//! backups and staff tools cannot read them. The server knows what it knows of any entry; they are found by day alone and
//! count in no trend. An entry names the key that it is sealed under, and the database does not let that key be exchanged
//! for another one while an entry names it: a new passphrase wraps the same key anew.

mod api;
mod error;
mod keys;
mod model;
pub mod privacy;
mod private;
mod service;
mod store;

pub use api::JournalApi;
pub use error::Error;
pub use keys::{Column, document, subject};
pub use model::{Entry, Facts};
pub use store::{KEY, LIST};
