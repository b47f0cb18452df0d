//! What a connection keeps of itself, while namespaces are entered and left on it.

use std::sync::{Arc, Mutex, PoisonError};

use socketioxide::extract::SocketRef;
use socketioxide::socket::Socket;
use tokio::time::Instant;

use super::line::{Cut, Lines};
use super::pace::{Pace, Verdict};

#[derive(Default)]
pub(super) struct Entrance {
    /// By namespace: whoever enters anew goes on where they were.
    paces: Mutex<Vec<(&'static str, Pace)>>,
    /// Of a WebSocket that came as such.
    pub cut: Arc<Cut>,
    /// Where one is found that began by polling.
    lines: Arc<Lines>,
}

impl Entrance {
    pub fn new(lines: Arc<Lines>) -> Self {
        Self { lines, ..Self::default() }
    }

    pub fn of(socket: &Socket) -> Arc<Self> {
        socket.req_parts().extensions.get::<Arc<Self>>().cloned().unwrap_or_default()
    }

    /// Counts an event of a namespace, or that somebody wants to enter it.
    pub fn admit(&self, namespace: &'static str) -> Verdict {
        self.with_pace(namespace, |pace| pace.admit(Instant::now()))
    }

    /// Counts what is refused for another reason.
    pub fn refuse(&self, namespace: &'static str) -> Verdict {
        self.with_pace(namespace, Pace::refuse)
    }

    fn with_pace(&self, namespace: &'static str, judge: impl FnOnce(&mut Pace) -> Verdict) -> Verdict {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pace)) = paces.iter_mut().find(|(name, _)| *name == namespace) {
            return judge(pace);
        }
        let mut pace = Pace::new(Instant::now());
        let verdict = judge(&mut pace);
        paces.reserve_exact(1);
        paces.push((namespace, pace));
        verdict
    }
}

/// Closes a socket: with a word, or, where a reader who takes nothing leaves no room for that, with its WebSocket. Who polls
/// and takes nothing is shown nothing either; the next look closes, or the heartbeat.
pub(super) fn hang_up(socket: &SocketRef) {
    if socket.clone().disconnect().is_err() {
        let it = Entrance::of(socket);
        it.cut.cut();
        it.lines.cut(socket.id);
    }
}
