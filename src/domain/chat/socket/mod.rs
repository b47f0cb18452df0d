//! Chat, live: the namespace `/chat`.
//!
//! A socket joins conversations; from then on it is told what changes in them, in the order of revisions, whoever changed
//! it on whichever node. It is told by reading: the conversation's id and revision are announced, the socket's task reads what
//! changed after the last revision that it was sent, as its own person under row security, and sends that ([`delivery`]).
//! A change that came over a socket of this node is handed to the others here as it is, where it is the next one that they
//! are to be sent. So little waits in memory for a slow reader, and nothing is sent twice or in another order. What was not
//! announced, because a node died after its commit or the way between nodes was broken, is found within seconds: each node
//! compares the revisions of the conversations that are looked at, all in one statement.
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
use tokio::time::Instant;

use super::{CHANGED, store};
use crate::platform::Platform;
use crate::platform::auth::Permission;
use crate::platform::realtime::{self, Io, News};

/// What nodes tell each other of who is here and who writes.
const LIVE: &str = "chat_live";
/// How often a node says that it is there.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How often the revisions of what is looked at are compared.
const COMPARED_EVERY: Duration = Duration::from_secs(3);

/// Opens the namespace. The future hears the other nodes, for as long as it is run.
pub fn open(io: &Io, platform: &Arc<Platform>) -> BoxFuture<'static, ()> {
    let hub = Arc::new(Hub::new(platform));
    let seats = hub.clone();
    realtime::open(io, "/chat", Permission::Chat, platform, move |at, ()| Seat::new(seats.clone(), at));
    let platform = platform.clone();
    Box::pin(async move {
        let hears = realtime::follow(&platform, &[CHANGED, LIVE], |news| match news {
            News::Told { channel: CHANGED, about } => hub.changed(about),
            News::Told { about, .. } => hub.heard(about, Instant::now()),
            News::Missed => hub.missed(Instant::now()),
        });
        let lives = async {
            loop {
                tokio::time::sleep(ALIVE_EVERY).await;
                hub.say_alive(Instant::now());
            }
        };
        let compares = async {
            loop {
                tokio::time::sleep(COMPARED_EVERY).await;
                let (looked_at, known) = hub.revisions();
                if looked_at.is_empty() {
                    continue;
                }
                match store::beyond(&platform, &looked_at, &known).await {
                    Ok(changed) => changed.into_iter().for_each(|(id, rev)| hub.reached(id, rev)),
                    Err(error) => tracing::debug!(%error, "revisions are compared a moment later"),
                }
            }
        };
        tokio::join!(hears, lives, compares);
    })
}
