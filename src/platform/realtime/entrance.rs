//! What a connection keeps of itself, while namespaces are entered and left on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socketioxide::extract::SocketRef;
use socketioxide::socket::{Sid, Socket};
use tokio::time::Instant;

use super::line::{Cut, Lines};
use super::pace::{Pace, Verdict};
use super::people::People;

/// Whoever is in no namespace any more enters one within this time, or is let go.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Entrance {
    /// By namespace: whoever enters anew goes on where they were.
    paces: Mutex<Vec<(&'static str, Pace)>>,
    /// Of a WebSocket that came as such.
    pub cut: Arc<Cut>,
    /// Where one is found that began by polling.
    lines: Arc<Lines>,
    /// Who is on this node.
    pub people: Arc<People>,
    /// Namespaces that it is in.
    inside: AtomicUsize,
}

/// A namespace that a connection is in. Whoever is in none any more and enters none has no reason to be connected.
pub(super) struct Inside {
    entrance: Arc<Entrance>,
    sid: Sid,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.entrance.inside.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // where the connection has ended as well, nobody holds it then
        let (entrance, sid) = (Arc::downgrade(&self.entrance), self.sid);
        runtime.spawn(async move {
            tokio::time::sleep(COMES_BACK_WITHIN).await;
            if let Some(entrance) = entrance.upgrade()
                && entrance.inside.load(Ordering::Acquire) == 0
            {
                entrance.end(sid);
            }
        });
    }
}

impl Entrance {
    pub fn new(lines: Arc<Lines>, people: Arc<People>) -> Self {
        Self { lines, people, ..Self::default() }
    }

    pub fn of(socket: &Socket) -> Arc<Self> {
        socket.req_parts().extensions.get::<Arc<Self>>().cloned().unwrap_or_default()
    }

    pub fn enter(self: Arc<Self>, sid: Sid) -> Inside {
        self.inside.fetch_add(1, Ordering::AcqRel);
        Inside { entrance: self, sid }
    }

    /// Ends the connection itself, however it is made.
    pub fn end(&self, sid: Sid) {
        self.cut.cut();
        self.lines.cut(sid);
        self.lines.close(sid);
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

/// Closes a socket: with a word, or, where a reader who takes nothing leaves no room for that, with its connection.
pub(super) fn hang_up(socket: &SocketRef) {
    if socket.clone().disconnect().is_err() {
        Entrance::of(socket).end(socket.id);
    }
}
