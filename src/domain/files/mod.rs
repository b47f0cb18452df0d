//! Files that people bring: avatars, logos, pictures of articles, attachments of conversations, an employee's documents.
//!
//! ```text
//! uploading ──its object is in place──→ ready ──deleted, replaced, its message taken back, never sent──→ deleted ──→ gone
//!     └──────too large, not what it says, cut off, too slow, the storage is away──────────────────────→ deleted ──→ gone
//! ```
//!
//! **Order.** The row comes first, then the object, then the row says that it is ready: wherever a crash cuts in, what is
//! left is known and is collected ([`jobs`]), and nobody reads half a file. The row keeps room for the file from the start,
//! so that many at once are never more than a person may have.
//!
//! **What comes in** is told by what it holds ([`sniff`]) and must be called accordingly. Pictures are written anew
//! (`platform::images`); a PDF stays as it is, and is never shown, only downloaded. Nothing else is taken.
//!
//! **At rest** attachments are sealed piece by piece under the key of their conversation (`platform::crypto::pieces`), and so
//! are their names: they go where the conversation goes, also by its erasure. Documents are sealed under a key of their
//! person's own. What is stored is called by a random key.
//!
//! **Who reads** which file the database decides (`app.readable_file` in `policies/files.sql`).

mod api;
mod error;
pub mod jobs;
mod keys;
pub mod model;
pub mod privacy;
mod service;
pub mod sniff;
mod source;
mod store;
mod stream;

pub use api::{FileResponse, FilesApi};
pub use error::Error;
pub use model::{Purpose, Stored, name_document};
pub use service::{Bringing, Fetched, fetch, receive};
pub use stream::{Sink, begun, is_damage, opened};

use crate::platform::jobs::Registry;

/// The handlers and schedules of this module.
pub fn jobs(registry: &mut Registry) {
    jobs::register(registry);
}
