//! Chat: the conversation of each consultation, between its two people.
//!
//! A conversation is there from the booking on, under the consultation's id, and takes messages until some days after
//! the end of the session (`CHAT_OPEN_DAYS`), or until it is cancelled; it stays readable. The database knows the two
//! people of it, and nobody else reads a row (`policies/chat.sql`).
//!
//! **Order.** Each message has the next `seq` of its conversation. Each change of any kind (a message, an edit, a deletion,
//! a receipt) takes the next `rev`. Both are given out under the lock of the conversation's row, so they become visible in
//! their order: a client that asks for everything after the last `rev` it has seen misses nothing, whatever it was.
//!
//! **Once.** A client names each message (`clientId`). Sent again under that name it is the same message.
//!
//! **Texts** are sealed before they reach the database, in an envelope whose key is the conversation's
//! ([`crate::platform::crypto::envelope`]). A deleted message leaves a tombstone, without text. Where the key was destroyed,
//! by the employee's erasure, messages stay as facts without words. A text that does not open is told as such, and noted;
//! the conversation goes on.

mod api;
mod error;
mod keys;
mod model;
pub mod privacy;
mod service;
mod socket;
mod store;

pub use api::ChatApi;
pub use error::Error;
pub use keys::document;
pub use model::Standing;
pub use socket::{namespace, open};
pub use store::{list_changed_since, list_standings};

/// What is announced, and what functions of the database notify: the id of a conversation that has changed, and of those in
/// whose lists it stands otherwise now.
pub const CHANGED: &str = "chat_changed";
