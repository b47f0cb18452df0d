//! The way into a namespace: a token, the permission, and a task of one's own.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, Event, SocketRef, TryData};
use socketioxide::handler::{ConnectHandler, FromMessageParts, MessageHandler, Value as Packet};
use socketioxide::socket::Socket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Io;
use super::connection::{Connection, Visitor, refusal, run};
use super::entrance::{Entrance, hang_up};
use super::pace::Verdict;
use crate::platform::auth::{Caller, Permission};
use crate::platform::problem::{Error, Problem, Result};
use crate::platform::{Platform, RequestInfo};

/// Events that wait for their turn.
const WAITING: usize = 32;
/// Of one event.
const LARGEST_EVENT: usize = 64 << 10;

/// `auth` of the client.
#[derive(Deserialize)]
struct Handshake {
    token: SecretString,
}

/// An event as it came.
pub struct Received {
    pub name: String,
    /// `None`: it is no JSON.
    pub data: Option<serde_json::Value>,
    pub ack: AckSender,
}

/// Somebody who may enter, and the line of their events.
struct Admitted {
    caller: Caller,
    expires_at: DateTime<Utc>,
    inbox: Mutex<Option<mpsc::Receiver<Box<Received>>>>,
}

/// Opens a namespace. `welcome` makes what answers the events of one socket.
pub fn open<V: Visitor>(
    io: &Io,
    path: &'static str,
    permission: Permission,
    platform: &Arc<Platform>,
    welcome: impl Fn(&Connection) -> V + Clone + Send + Sync + 'static,
) {
    metrics::gauge!("huntzen_sockets_open", "namespace" => path).increment(0);
    let platform = platform.clone();
    let at_door = platform.clone();
    let namespace = V::namespace().map(Arc::new);
    debug_assert!(namespace.as_ref().is_none_or(|it| (it.path, it.permission) == (path, permission)));
    let check = move |socket: SocketRef, TryData(auth): TryData<Handshake>| {
        let platform = at_door.clone();
        async move {
            // each costs a signature's check
            let entrance = Entrance::of(&socket);
            match entrance.admit(path) {
                Verdict::Admit => {}
                Verdict::Refuse => return Err(Error::TooManyRequests.into()),
                Verdict::Close => {
                    entrance.end(socket.id);
                    return Err(Error::TooManyRequests.into());
                }
            }
            let auth = auth.map_err(|_| Problem::from(Error::Unauthenticated));
            let entered = match auth {
                Ok(auth) => admit(&platform, permission, &auth).await,
                Err(refused) => Err(refused),
            };
            entered.map(|(caller, expires_at)| sit_down(&socket, path, caller, expires_at))
        }
    };
    let enter = move |socket: SocketRef| {
        let (platform, welcome, namespace) = (platform.clone(), welcome.clone(), namespace.clone());
        async move {
            let Some(admitted) = socket.extensions.get::<Arc<Admitted>>() else { return };
            let inbox = admitted.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(inbox) = inbox else { return };
            let gone = CancellationToken::new();
            let leaves = gone.clone();
            socket.on_disconnect(move || {
                leaves.cancel();
                async {}
            });
            if !socket.connected() {
                gone.cancel();
            }
            let info = socket.req_parts().extensions.get::<RequestInfo>().cloned().unwrap_or_default();
            let (caller, expires_at) = (admitted.caller, admitted.expires_at);
            let connection = Connection::new(platform, socket, caller, expires_at, info, namespace);
            let visitor = welcome(&connection);
            run(connection, visitor, inbox, gone).await;
        }
    };
    io.ns(path, enter.with(check));
}

/// Whose token it is, and until when.
async fn admit(platform: &Platform, permission: Permission, auth: &Handshake) -> Result<(Caller, DateTime<Utc>)> {
    let (caller, expires_at) = platform.tokens.verify_access_until(auth.token.expose_secret(), platform.clock.now())?;
    if platform.sessions.is_revoked(caller.session_id, platform).await? {
        return Err(Error::Unauthenticated.into());
    }
    permission.check(&caller)?;
    Ok((caller, expires_at))
}

/// From here on events are taken, before the client hears that it is in.
fn sit_down(socket: &SocketRef, path: &'static str, caller: Caller, expires_at: DateTime<Utc>) {
    let (sender, inbox) = mpsc::channel(WAITING);
    socket.on_fallback(Letterbox { sender, path, entrance: Entrance::of(socket) });
    socket.extensions.insert(Arc::new(Admitted { caller, expires_at, inbox: Mutex::new(Some(inbox)) }));
}

/// Takes events in the order in which they come, as long as they are neither too many nor too large.
struct Letterbox {
    /// Boxed, for a channel keeps room for some events, whether any come or not.
    sender: mpsc::Sender<Box<Received>>,
    path: &'static str,
    entrance: Arc<Entrance>,
}

impl MessageHandler<LocalAdapter, Received> for Letterbox {
    fn call(&self, socket: Arc<Socket>, mut packet: Packet, ack_id: Option<i64>) {
        let is_large = size(&packet) > LARGEST_EVENT;
        let name = Event::from_message_parts(&socket, &mut packet, &ack_id).map(|name| name.0).unwrap_or_default();
        let Ok(ack) = AckSender::from_message_parts(&socket, &mut packet, &ack_id);
        let verdict = if is_large { self.entrance.refuse(self.path) } else { self.entrance.admit(self.path) };
        match verdict {
            Verdict::Admit => {}
            Verdict::Refuse => {
                let cause = if is_large { Error::BodyTooLarge } else { Error::TooManyRequests };
                let _ = ack.send(&refusal(&cause.into(), &socket));
                return;
            }
            Verdict::Close => {
                hang_up(&SocketRef::from(socket));
                return;
            }
        }
        let Ok(TryData(data)) = TryData::<serde_json::Value>::from_message_parts(&socket, &mut packet, &ack_id);
        let received = Box::new(Received { name, data: data.ok(), ack });
        if let Err(mpsc::error::TrySendError::Full(received)) = self.sender.try_send(received) {
            let _ = received.ack.send(&refusal(&Error::TooManyRequests.into(), &socket));
        }
    }
}

fn size(packet: &Packet) -> usize {
    match packet {
        Packet::Str(text, binaries) => text.len() + binaries.iter().flatten().map(bytes::Bytes::len).sum::<usize>(),
        Packet::Bytes(bytes) => bytes.len(),
    }
}
