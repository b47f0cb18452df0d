//! Notifications, live: the namespace `/notifications`.
//!
//! A socket is told what is added to its person's list, how many are unread whenever that changes, which of their
//! sessions and conversations have changed, whoever changed it on whichever node, that it rings for them, or that the other one has come to a
//! session, wherever in the program they are; and that the free times of practitioners have changed whom
//! it watches (`slots:watch`). The database's triggers notify ids, and chat announces them ([`hub`]); the socket's task reads what there is to tell as its
//! own person, under row security ([`seat`]). So a slow reader holds nothing in memory, and a lost notification delays what
//! a later one, or the next connection, brings.

mod hub;
mod payloads;
mod seat;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hub::Hub;
pub use payloads::namespace;
use seat::Seat;

use crate::domain::chat;
use crate::platform::Platform;
use crate::platform::auth::Permission;
use crate::platform::realtime::{self, Io, News};

/// What triggers notify: the id of the person whose list has changed.
const LISTS: &str = "notifications_changed";
/// Of one of the two people of a session that has changed, and the session's.
const CONSULTATIONS: &str = "consultation_changed";
/// Of the person for whom it rings, or does no more.
const RINGS: &str = "call_rings";
/// Of one of the two people of a session to which the other one has come, and the session's.
const JOINED: &str = "peer_joined";
/// Of a practitioner whose free times have changed.
const SLOTS: &str = "slots_changed";

/// Opens the namespace. The future hears the database, for as long as it is run.
pub fn open(io: &Io, platform: &Arc<Platform>) -> BoxFuture<'static, ()> {
    let hub = Arc::new(Hub::default());
    let seats = hub.clone();
    realtime::open(io, "/notifications", Permission::Notifications, platform, move |at, end| {
        Seat::new(seats.clone(), at, &end)
    });
    let platform = platform.clone();
    Box::pin(async move {
        realtime::follow(&platform, &[LISTS, CONSULTATIONS, chat::CHANGED, RINGS, JOINED, SLOTS], |news| match news {
            News::Told { channel: LISTS, about } => hub.list_changed(about),
            News::Told { channel: CONSULTATIONS, about } => hub.consultation_changed(about),
            News::Told { channel: chat::CHANGED, about } => hub.conversation_changed(about),
            News::Told { channel: RINGS, about } => hub.call_rings(about),
            News::Told { channel: JOINED, about } => hub.peer_joined(about),
            News::Told { about, .. } => hub.slots_changed(about),
            News::Missed => hub.missed(),
        })
        .await;
    })
}
