//! Sockets: Socket.IO on the port of HTTP, for what happens while people look.
//!
//! ```text
//! client ──→ mount (Origin, polling or WebSocket) ──→ door (token, permission) ──→ connection: one task a socket
//!                                                                                    │ events, one after the other
//! commit ──ids only──→ wire, news ──→ the module's seats wake ──→ reads under row security, sends ◄┘
//! ```
//!
//! **Who.** A namespace lets in whoever shows an access token in `auth`, never in the address, and holds its permission.
//! The session is looked at again at every event, and its end closes the socket, on every node: a connection hears of it
//! from [`crate::platform::auth::revocation`], and where a node cannot hear, it reads before anything is shown. A token that
//! runs out is renewed by `auth:refresh` within a minute, in which its person is shown nothing, and counts as there.
//!
//! **What.** Each event is a use case of the module, with the caller's own [`crate::platform::Context`], answered by an
//! acknowledgement: `{ok: true, …}` or `{ok: false, code, detail}`. The events of a socket run in their order, one at a time.
//!
//! **Said once.** A module tells its events and the types that read and write them ([`Namespace`], [`Visitor::namespace`]);
//! what is not in it is refused, and `/asyncapi.json` is made of it.
//!
//! **How much.** Twenty events a second and 64 KB each, then refusals, then the end; two hundred a second and 128 sockets for
//! one person on a node ([`people`]); whoever enters a namespace anew on the
//! same connection goes on where they were ([`entrance`]). What a slow reader has not taken waits in the database, not here:
//! a socket is told what changed by reading it, when there is room. A WebSocket that takes nothing for a quarter of a minute
//! while something waits is given up, and one whose session has ended is cut though it reads nothing ([`line`]).
//!
//! **Other nodes.** Who changed something announces it after the commit, with its id and revision ([`wire`]); functions of
//! the database notify what happens without a request. Each node hears it and wakes the sockets that look at it; they read
//! it as themselves. Texts never pass between nodes, and a notification that somebody forged shows nobody anything.

mod asyncapi;
mod connection;
mod door;
mod entrance;
mod line;
mod mount;
mod namespace;
mod news;
mod pace;
mod people;
mod wire;

pub use asyncapi::document;
#[cfg(test)]
pub use connection::weight;
pub use connection::{Connection, Full, Visitor, answer};
pub use door::open;
pub use mount::{Mount, mount};
pub use namespace::{Namespace, Nothing};
pub use news::{News, follow, tell};
pub use wire::{Wire, carry, changed, people_of};

/// A Socket.IO server without adapter: nodes hear of each other through the database.
pub type Io = socketioxide::SocketIo;
