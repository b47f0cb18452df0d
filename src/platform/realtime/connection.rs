//! One socket: its person, its events, and its end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::types::ToJSON;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use socketioxide::ack::AckStream;
use socketioxide::extract::SocketRef;
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::door::Received;
use super::entrance::{Entrance, hang_up};
use super::namespace::{Namespace, Renewal, Renewed};
use crate::platform::auth::Caller;
use crate::platform::http::{body, error};
use crate::platform::problem::{Error, Problem, Result};
use crate::platform::telemetry::reports::Place;
use crate::platform::telemetry::traces;
use crate::platform::{Context, Platform, RequestInfo};

/// A token that ran out is renewed within this time, or the socket is closed.
const RENEWED_WITHIN: TimeDelta = TimeDelta::minutes(1);
/// How often a socket is looked at without a reason.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// What answers the events of one socket.
pub trait Visitor: Send + Sized + 'static {
    /// What is read before a client hears that it is in.
    type Begun: Send + 'static;

    /// Reads it; a fault refuses the client, which comes again.
    fn begin(cx: &Context) -> impl Future<Output = Result<Self::Begun>> + Send;

    /// What it answers and tells, for the document; an event that is not in it is refused.
    fn namespace() -> Option<Namespace> {
        None
    }

    /// The answer to an event, without `ok`.
    fn event(
        &mut self,
        at: &Connection,
        name: &str,
        data: Value,
    ) -> impl Future<Output = Result<Map<String, Value>>> + Send;

    /// There may be something to send: after [`Connection::waker`] was notified, and every second. An error is noted, and
    /// tried again with the next reason.
    fn look(&mut self, at: &Connection) -> impl Future<Output = Result<()>> + Send;

    /// In the place of [`Visitor::look`] while the token has run out and may still be renewed: says that its person is
    /// there, and shows nothing.
    fn keep_alive(&mut self, at: &Connection) -> impl Future<Output = Result<()>> + Send {
        let _ = at;
        std::future::ready(Ok(()))
    }

    /// The socket is closed.
    fn leave(&mut self, at: &Connection) -> impl Future<Output = ()> + Send;
}

/// The reader has not taken what was sent before. Nothing is lost: it is read again when there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A socket, and who is at its other end.
pub struct Connection {
    platform: Arc<Platform>,
    socket: SocketRef,
    caller: Caller,
    expires_at: DateTime<Utc>,
    info: RequestInfo,
    waker: Arc<Notify>,
    namespace: Option<Arc<Namespace>>,
}

impl Connection {
    pub(super) fn new(
        platform: Arc<Platform>,
        socket: SocketRef,
        caller: Caller,
        expires_at: DateTime<Utc>,
        info: RequestInfo,
        namespace: Option<Arc<Namespace>>,
    ) -> Self {
        Self { platform, socket, caller, expires_at, info, waker: Arc::default(), namespace }
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    /// In whose name a use case runs.
    pub fn context(&self) -> Context {
        Context::new(self.platform.clone(), self.caller, self.info.clone())
    }

    /// Notify it to have [`Visitor::look`] called.
    pub fn waker(&self) -> Arc<Notify> {
        self.waker.clone()
    }

    pub fn emit(&self, event: &str, data: &Value) -> Result<(), Full> {
        debug_assert!(self.tells(event), "{event} is not in the document");
        taken(&self.socket.emit(event, data))
    }

    /// The client may say that it has it.
    pub fn emit_with_ack(&self, event: &str, data: &Value) -> Result<Option<AckStream<Value>>, Full> {
        debug_assert!(self.tells(event), "{event} is not in the document");
        match self.socket.emit_with_ack(event, data) {
            Ok(ack) => Ok(Some(ack)),
            Err(error) => taken(&Err(error)).map(|()| None),
        }
    }

    fn tells(&self, event: &str) -> bool {
        self.namespace.as_ref().is_none_or(|it| it.has_told(event))
    }

    /// As every request: a token that counts, of a session that goes on.
    pub async fn check(&self) -> Result<()> {
        if self.platform.clock.now() >= self.expires_at {
            return Err(Error::TokenExpired.into());
        }
        if self.platform.sessions.is_revoked(self.caller.session_id, &self.platform).await? {
            return Err(Error::Unauthenticated.into());
        }
        Ok(())
    }

    /// Takes a newer token of the same person in the same role.
    async fn renew(&mut self, data: Value) -> Result<Map<String, Value>> {
        let Renewal { token } = body::check(data)?;
        let token = SecretString::from(token);
        let now = self.platform.clock.now();
        let (caller, expires_at) = self.platform.tokens.verify_access_until(token.expose_secret(), now)?;
        let is_same = (caller.user_id, caller.role, caller.company_id)
            == (self.caller.user_id, self.caller.role, self.caller.company_id);
        if expires_at <= now {
            return Err(Error::TokenExpired.into());
        }
        if !is_same || self.platform.sessions.is_revoked(caller.session_id, &self.platform).await? {
            return Err(Error::Unauthenticated.into());
        }
        self.caller = caller;
        self.expires_at = expires_at;
        Ok(answer(&Renewed { expires_at }))
    }

    /// What changes something waits until the platform is maintained no more; who reads, and who is in the middle of something,
    /// goes on.
    async fn admit(&self, event: &str) -> Result<()> {
        self.check().await?;
        if self.namespace.as_ref().is_none_or(|it| it.is_for_later(event)) {
            self.check_maintenance().await?;
        }
        Ok(())
    }

    /// Refuses, while the platform is maintained, what an event that goes on does in some of its forms.
    pub async fn check_maintenance(&self) -> Result<()> {
        self.platform.maintenance.refuse(&self.platform).await
    }

    async fn answer<V: Visitor>(&mut self, visitor: &mut V, received: Received) {
        let Received { name, data, ack } = received;
        let known = self.namespace.as_ref().map(|it| it.taken(&name));
        // a name that a client made up is told nobody
        let event = known.flatten().unwrap_or("unknown");
        let span = self.platform.traces.event(self.path(), event);
        let answering = async {
            match data {
                None => Err(Error::MalformedJson.into()),
                Some(data) if name == "auth:refresh" => self.renew(data).await,
                Some(_) if known == Some(None) => Err(Error::UnknownEvent.into()),
                Some(data) => match self.admit(&name).await {
                    Ok(()) => visitor.event(self, &name, data).await,
                    Err(refused) => Err(refused),
                },
            }
        };
        let answered = traces::within(span.as_ref(), answering).await;
        let outcome = match &answered {
            Ok(_) => "ok",
            Err(problem) if problem.status().is_server_error() => "failed",
            Err(_) => "refused",
        };
        metrics::counter!(
            "huntzen_socket_events_total", "namespace" => self.path(), "event" => event, "outcome" => outcome
        )
        .increment(1);
        if let Some(span) = span {
            let failed = answered.as_ref().err().filter(|it| it.status().is_server_error());
            span.ended(outcome, failed.map(Problem::code));
        }
        let answer = match answered {
            Ok(mut answer) => {
                answer.insert("ok".into(), true.into());
                Value::Object(answer)
            }
            Err(problem) => {
                error::log(&problem, "socket", &self.info.id);
                self.report(&problem, event);
                refusal_for(&problem, &self.info)
            }
        };
        // where there is no room for it the client asks again, under the same name
        let _ = ack.send(&answer);
    }

    /// Closes the socket, whether its client reads or not.
    pub fn end(&self) {
        hang_up(&self.socket);
    }

    fn report(&self, problem: &Problem, event: &str) {
        if problem.status().is_server_error() {
            let transaction = format!("{} {event}", self.path());
            let place = Place { operation: "socket", transaction: &transaction, request_id: Some(&self.info.id) };
            self.platform.reports.problem(problem, place);
        }
    }

    fn path(&self) -> &'static str {
        self.namespace.as_ref().map_or("none", |it| it.path)
    }
}

/// A socket that is open, as the metrics count it.
struct Open(&'static str);

impl Open {
    fn new(namespace: &'static str) -> Self {
        metrics::gauge!("huntzen_sockets_open", "namespace" => namespace).increment(1);
        Self(namespace)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("huntzen_sockets_open", "namespace" => self.0).decrement(1);
    }
}

/// The members of a positive answer.
pub fn answer(it: &impl ToJSON) -> Map<String, Value> {
    match it.to_json() {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn taken(sent: &Result<(), SendError>) -> Result<(), Full> {
    match sent {
        Err(SendError::Socket(SocketError::InternalChannelFull)) => Err(Full),
        // a socket that is closed is looked at no more
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The negative acknowledgement, in the words of a problem.
fn refusal_for(problem: &Problem, info: &RequestInfo) -> Value {
    let mut body = problem.to_json(info.locale, &info.id);
    if let Some(members) = body.as_object_mut() {
        for name in ["type", "title", "status", "requestId"] {
            members.shift_remove(name);
        }
        members.insert("ok".into(), false.into());
    }
    body
}

/// The same, for whoever is not let through to their connection.
pub(super) fn refusal(problem: &Problem, socket: &Socket) -> Value {
    let info = socket.req_parts().extensions.get::<RequestInfo>().cloned().unwrap_or_default();
    refusal_for(problem, &info)
}

/// Serves a socket until it is closed.
pub(super) async fn run<V: Visitor>(
    mut at: Connection,
    mut visitor: V,
    mut inbox: mpsc::Receiver<Box<Received>>,
    gone: CancellationToken,
) {
    let _open = Open::new(at.path());
    let _inside = Entrance::of(&at.socket).enter(at.socket.id);
    let mut ended = at.platform.sessions.changes();
    let mut looks = tokio::time::interval(LOOKED_AT_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let waker = at.waker();
    let mut is_over = false;
    loop {
        let mut woken = pin!(waker.notified());
        let must_look = tokio::select! {
            biased;
            () = gone.cancelled() => break,
            _ = ended.changed() => false,
            received = inbox.recv() => {
                let Some(received) = received else { break };
                if !is_over {
                    // boxed, so that a socket that does nothing holds no room for what it might
                    Box::pin(at.answer(&mut visitor, *received)).await;
                }
                false
            }
            () = &mut woken => true,
            _ = looks.tick() => true,
        };
        // a node that hears nothing of sessions that ended reads them, before anything is shown
        let must_look = must_look
            && (at.platform.sessions.is_fresh() || Box::pin(at.platform.sessions.catch_up(&at.platform)).await);
        let now = at.platform.clock.now();
        is_over = is_over
            || at.platform.sessions.is_known_revoked(at.caller.session_id)
            || now >= at.expires_at + RENEWED_WITHIN;
        if is_over {
            at.end();
            continue;
        }
        if !must_look {
            continue;
        }
        // nobody is shown anything on a token that ran out
        let looked = if now < at.expires_at {
            Box::pin(visitor.look(&at)).await
        } else {
            Box::pin(visitor.keep_alive(&at)).await
        };
        if let Err(problem) = looked {
            error::log(&problem, "socket", &at.info.id);
            at.report(&problem, "look");
        }
    }
    // as above: a socket holds room for its end from its beginning otherwise, ten times what it takes itself
    Box::pin(visitor.leave(&at)).await;
}

/// What the task of an idle socket takes of memory.
#[cfg(test)]
pub fn weight<V: Visitor>() -> usize {
    fn of<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }
    of(run::<V>)
}
