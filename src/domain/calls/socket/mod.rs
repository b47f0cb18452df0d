//! Calls, live: the namespace `/audio-call`.

mod arrivals;
mod events;
mod hub;
mod payloads;

use std::sync::Arc;

use events::Visit;
use futures_util::future::BoxFuture;
use hub::Hub;
pub use payloads::namespace;

use crate::platform::Platform;
use crate::platform::auth::Permission;
use crate::platform::realtime::{self, Io, News};

/// What the functions of the database notify: a consultation's id.
const CHANGED: &str = "call_changed";

/// Opens the namespace. The future hears the other nodes, for as long as it is run.
pub fn open(io: &Io, platform: &Arc<Platform>) -> BoxFuture<'static, ()> {
    let hub = Arc::new(Hub::default());
    let visits = hub.clone();
    realtime::open(io, "/audio-call", Permission::JoinConsultation, platform, move |at, ()| {
        Visit::new(visits.clone(), at)
    });
    let platform = platform.clone();
    Box::pin(async move {
        realtime::follow(&platform, &[CHANGED], |news| match news {
            News::Told { about, .. } => hub.changed(about),
            News::Missed => hub.missed(),
        })
        .await;
    })
}
