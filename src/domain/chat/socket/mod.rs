//! Chat, live: the namespace `/chat`.
//!
//! A socket joins conversations; from then on it is told what changes in them, in the order of revisions, whoever changed
//! it on whichever node. It is told by reading: the database notifies the conversation's id, the socket's task reads what
//! changed after the last revision that it was sent, as its own person under row security, and sends that ([`delivery`]).
//! So nothing waits in memory for a slow reader, nothing is sent twice or in another order, and a lost notification delays
//! what a later one, or a reconnection to the database, brings.
//!
//! Who is writing and who is here is told between nodes and kept nowhere ([`hub`]).

mod delivery;
mod events;
mod hub;
mod payloads;

use std::sync::Arc;
use std::time::Duration;

use events::Seat;
use futures_util::future::BoxFuture;
use hub::Hub;
pub use payloads::namespace;

use crate::platform::Platform;
use crate::platform::auth::Permission;
use crate::platform::realtime::{self, Io, News};

/// What the functions of the database notify: a conversation's id.
const CHANGED: &str = "chat_changed";
/// What nodes tell each other of who is here and who writes.
const LIVE: &str = "chat_live";
/// How often a node says that it is there.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Opens the namespace. The future hears the other nodes, for as long as it is run.
pub fn open(io: &Io, platform: &Arc<Platform>) -> BoxFuture<'static, ()> {
    let hub = Arc::new(Hub::new(platform));
    let seats = hub.clone();
    realtime::open(io, "/chat", Permission::Chat, platform, move |at| Seat::new(seats.clone(), at));
    let platform = platform.clone();
    Box::pin(async move {
        let hears = realtime::follow(&platform, &[CHANGED, LIVE], |news| match news {
            News::Told { channel: CHANGED, about } => hub.changed(about),
            News::Told { about, .. } => hub.heard(about),
            News::Missed => hub.missed(),
        });
        let lives = async {
            loop {
                tokio::time::sleep(ALIVE_EVERY).await;
                hub.say_alive();
            }
        };
        tokio::join!(hears, lives);
    })
}
