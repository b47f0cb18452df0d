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
use super::people::Present;
use crate::platform::auth::{Caller, Permission};
use crate::platform::problem::{Error, Problem, Result};
use crate::platform::{Context, Platform, RequestInfo};

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

/// Somebody who may enter, the line of their events, and what was read for them.
struct Admitted<B> {
    caller: Caller,
    expires_at: DateTime<Utc>,
    waiting: Mutex<Option<(mpsc::Receiver<Box<Received>>, B)>>,
}

/// Opens a namespace. `welcome` makes what answers the events of one socket.
pub fn open<V: Visitor>(
    io: &Io,
    path: &'static str,
    permission: Permission,
    platform: &Arc<Platform>,
    welcome: impl Fn(&Connection, V::Begun) -> V + Clone + Send + Sync + 'static,
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
            let (caller, expires_at) = admit(&platform, permission, &auth?).await?;
            let present = entrance.people.enter(caller.user_id).ok_or(Error::TooManyRequests)?;
            // before the client hears that it is in: what comes later is told
            let begun = V::begin(&Context::new(platform.clone(), caller, info(&socket))).await?;
            let (sender, inbox) = mpsc::channel(WAITING);
            socket.on_fallback(Letterbox { sender, path, entrance, present, platform });
            let waiting = Mutex::new(Some((inbox, begun)));
            socket.extensions.insert(Arc::new(Admitted { caller, expires_at, waiting }));
            Ok::<_, Problem>(())
        }
    };
    let enter = move |socket: SocketRef| {
        let (platform, welcome, namespace) = (platform.clone(), welcome.clone(), namespace.clone());
        async move {
            let Some(admitted) = socket.extensions.get::<Arc<Admitted<V::Begun>>>() else { return };
            let waiting = admitted.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some((inbox, begun)) = waiting else { return };
            let gone = CancellationToken::new();
            let leaves = gone.clone();
            socket.on_disconnect(move || {
                leaves.cancel();
                async {}
            });
            if !socket.connected() {
                gone.cancel();
            }
            let (caller, expires_at, info) = (admitted.caller, admitted.expires_at, info(&socket));
            let connection = Connection::new(platform, socket, caller, expires_at, info, namespace);
            let visitor = welcome(&connection, begun);
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

fn info(socket: &Socket) -> RequestInfo {
    socket.req_parts().extensions.get::<RequestInfo>().cloned().unwrap_or_default()
}

/// Takes events in the order in which they come, as long as they are neither too many nor too large.
struct Letterbox {
    /// Boxed, for a channel keeps room for some events, whether any come or not.
    sender: mpsc::Sender<Box<Received>>,
    path: &'static str,
    entrance: Arc<Entrance>,
    present: Present,
    platform: Arc<Platform>,
}

impl MessageHandler<LocalAdapter, Received> for Letterbox {
    fn call(&self, socket: Arc<Socket>, mut packet: Packet, ack_id: Option<i64>) {
        let is_large = size(&packet) > LARGEST_EVENT;
        let name = Event::from_message_parts(&socket, &mut packet, &ack_id).map(|name| name.0).unwrap_or_default();
        let Ok(ack) = AckSender::from_message_parts(&socket, &mut packet, &ack_id);
        let mut verdict = if is_large { self.entrance.refuse(self.path) } else { self.entrance.admit(self.path) };
        // however many sockets share what one person may ask
        if verdict == Verdict::Admit && self.platform.limits.check_event(self.present.user).is_err() {
            verdict = self.entrance.refuse(self.path);
        }
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
