//! The events of a socket.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::arrivals::{Arrivals, What};
use super::hub::{Hub, Place};
use super::payloads::{
    self, AboutCall, CallAnswer, DescriptionEvent, EnteredAnswer, IceEvent, JoinCallEvent, MuteEvent, SteppedAnswer,
};
use crate::domain::calls::error::Error;
use crate::domain::calls::model::{Call, HEARD_EVERY, Here, News, Sent, SignalKind, Told};
use crate::domain::calls::service::{self, Entered};
use crate::platform::http::body;
use crate::platform::ids::{CompanyId, ConsultationId};
use crate::platform::problem::Error as Refusal;
use crate::platform::realtime::{Connection, Full, Namespace, Visitor, answer};
use crate::platform::{Context, Problem, Result};

/// Consultations whose rooms one socket is in; those that have closed do not count.
const MOST_ROOMS: usize = 8;

/// One consultation of a socket.
struct Room {
    company_id: CompanyId,
    closes_at: DateTime<Utc>,
    device: Uuid,
    told: Told,
    sent: Sent,
    /// When it last said that it is there.
    heard_at: DateTime<Utc>,
    /// When the clock alone is a reason to look.
    due: Option<DateTime<Utc>>,
}

/// One socket in the namespace.
pub struct Visit {
    hub: Arc<Hub>,
    place: Arc<Place>,
    /// The name of this connection.
    seat: Uuid,
    rooms: HashMap<ConsultationId, Room>,
    arrivals: Arrivals,
}

impl Visit {
    pub fn new(hub: Arc<Hub>, at: &Connection) -> Self {
        let (place, seat) = (Arc::new(Place::new(at.waker())), at.platform().new_id());
        let arrivals = Arrivals::new(at.waker());
        Self { hub, place, seat, rooms: HashMap::new(), arrivals }
    }

    fn room(&mut self, id: ConsultationId) -> Result<&mut Room> {
        self.rooms.get_mut(&id).ok_or_else(|| Error::NotJoined.into())
    }

    fn here(&mut self, id: ConsultationId) -> Result<Here> {
        let (seat, device) = (self.seat, self.room(id)?.device);
        Ok(Here { device, seat })
    }

    /// From now on the socket is told of the calls. Once more renews what expires.
    async fn join(&mut self, at: &Connection, event: JoinCallEvent) -> Result<EnteredAnswer> {
        let JoinCallEvent { consultation_id: id, device_id, resumes } = event;
        let is_new = !self.rooms.contains_key(&id);
        if is_new && self.rooms.len() >= MOST_ROOMS {
            self.forget_closed(at.platform().clock.now());
            if self.rooms.len() >= MOST_ROOMS {
                return Err(Error::TooManyRooms.into());
            }
        }
        let device = match (device_id, self.rooms.get(&id)) {
            (Some(device), _) => device,
            (None, Some(room)) => room.device,
            (None, None) => at.platform().new_id(),
        };
        if is_new {
            // before it is read: what changes meanwhile wakes the socket
            self.hub.join(id, &self.place);
        }
        let entered = service::enter(&at.context(), id, Here { device, seat: self.seat }, resumes).await;
        let entered = match entered {
            Ok(entered) => entered,
            Err(refused) => {
                if is_new {
                    self.hub.leave(id, &self.place);
                }
                return Err(refused);
            }
        };
        let Entered { company_id, closes_at, ice_servers, expires_at, call } = entered;
        let told = match (&call, self.rooms.get(&id)) {
            // the answer does not say how it ended: that is told
            (Some(call), Some(room)) if call.phase().is_none() => room.told,
            (Some(call), _) => Told::of(call, self.seat),
            (None, _) => Told::default(),
        };
        let heard_at = at.platform().clock.now();
        let due = call.as_ref().and_then(|call| call.due(self.seat, heard_at));
        if told.rings() {
            self.arrivals.note(What::Ringing(id));
        }
        // what was sent to this connection is not sent to it again
        let sent = self.rooms.get(&id).map(|room| room.sent).unwrap_or_default();
        self.rooms.insert(id, Room { company_id, closes_at, device, told, sent, heard_at, due });
        // what waits for it comes after the answer
        self.place.keep(id);
        at.waker().notify_one();
        Ok(EnteredAnswer {
            device_id: device,
            ice_servers: ice_servers.into_iter().map(Into::into).collect(),
            expires_at,
            closes_at,
            call: call.and_then(|call| CallAnswer::of(&call, self.seat)),
        })
    }

    /// The answer to a step of the caller's own, who is told nothing else of it.
    fn stepped(&mut self, at: &Connection, id: ConsultationId, call: &Call) -> Result<SteppedAnswer> {
        let seat = self.seat;
        let now = at.platform().clock.now();
        let room = self.room(id)?;
        room.told = Told::of(call, seat);
        room.heard_at = now;
        room.due = call.due(seat, now);
        Ok(SteppedAnswer { call_id: call.id, call: CallAnswer::of(call, seat) })
    }

    async fn signal(
        &mut self,
        at: &Connection,
        id: ConsultationId,
        kind: SignalKind,
        contents: &str,
    ) -> Result<Map<String, Value>> {
        payloads::check_size(kind, contents)?;
        let company = self.room(id)?.company_id;
        service::signal(&at.context(), company, id, self.seat, kind, contents.as_bytes()).await?;
        Ok(Map::new())
    }

    /// Sends what is new of a consultation's calls, as far as there is room.
    async fn deliver(&mut self, at: &Connection, id: ConsultationId) -> Result<Result<(), Full>> {
        let (cx, seat, now) = (at.context(), self.seat, at.platform().clock.now());
        let Some(room) = self.rooms.get_mut(&id) else { return Ok(Ok(())) };
        if room.due.is_some_and(|due| due <= now) {
            service::keep(&cx, id, seat).await?;
            room.heard_at = now;
        }
        loop {
            let (calls, waiting) = service::read(&cx, room.company_id, id, seat, room.told.number, room.sent).await?;
            for call in &calls {
                for news in room.told.news(call, seat) {
                    let (event, data) = payloads::event(id, call.id, news);
                    if !matches!(news, News::Ringing { .. }) {
                        if at.emit(event, &data).is_err() {
                            return Ok(Err(Full));
                        }
                        continue;
                    }
                    // whoever rings learns that it does
                    match at.emit_with_ack(event, &data) {
                        Ok(Some(ack)) => self.arrivals.expect(What::Ringing(id), ack),
                        Ok(None) => {}
                        Err(Full) => return Ok(Err(Full)),
                    }
                }
                room.told = room.told.after(call, seat);
                room.due = call.due(seat, room.heard_at);
            }
            let Some(call) = calls.last().filter(|_| !waiting.is_empty()) else { return Ok(Ok(())) };
            for signal in &waiting {
                match service::open(&cx, room.company_id, signal) {
                    Some(contents) => {
                        let (event, data) = payloads::signal(id, call.id, signal, contents);
                        match at.emit_with_ack(event, &data) {
                            Ok(Some(ack)) => self.arrivals.expect(What::Signal(signal.id), ack),
                            Ok(None) => {}
                            Err(Full) => return Ok(Err(Full)),
                        }
                    }
                    // nobody can read it
                    None => self.arrivals.note(What::Signal(signal.id)),
                }
                room.sent = Sent { call: call.number, number: signal.number };
            }
        }
    }

    /// What the client says that it has waits for it no longer, and what it hears ringing rings.
    async fn note_arrived(&self, at: &Connection) -> Result<()> {
        let mut arrived = self.arrivals.take();
        let (cx, mut noted) = (at.context(), Ok(()));
        if !arrived.signals.is_empty() {
            noted = service::forget(&cx, &arrived.signals).await;
            if noted.is_ok() {
                arrived.signals.clear();
            }
        }
        while let (Ok(()), Some(id)) = (&noted, arrived.rings.last()) {
            noted = service::note_rung(&cx, *id).await;
            if noted.is_ok() {
                arrived.rings.pop();
            }
        }
        self.arrivals.keep(arrived);
        noted
    }

    /// Rooms that have closed make room for others.
    fn forget_closed(&mut self, now: DateTime<Utc>) {
        let closed: Vec<_> = self.rooms.iter().filter(|(_, room)| room.closes_at <= now).map(|(id, _)| *id).collect();
        for id in closed {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ConsultationId) {
        if self.rooms.remove(&id).is_some() {
            self.hub.leave(id, &self.place);
        }
    }
}

impl Visitor for Visit {
    type Begun = ();

    async fn begin(_cx: &Context) -> Result<()> {
        Ok(())
    }

    fn namespace() -> Option<Namespace> {
        Some(payloads::namespace())
    }

    async fn event(&mut self, at: &Connection, name: &str, data: Value) -> Result<Map<String, Value>> {
        let cx = at.context();
        Ok(match name {
            "call:join" => answer(&self.join(at, body::check(data)?).await?),
            "call:ring" => {
                let AboutCall { consultation_id: id } = body::check(data)?;
                let call = service::ring(&cx, id, self.here(id)?).await?;
                answer(&self.stepped(at, id, &call)?)
            }
            "call:accept" => {
                let AboutCall { consultation_id: id } = body::check(data)?;
                let call = service::accept(&cx, id, self.here(id)?).await?;
                answer(&self.stepped(at, id, &call)?)
            }
            "call:decline" | "call:hangup" => {
                let AboutCall { consultation_id: id } = body::check(data)?;
                let (company, seat) = (self.room(id)?.company_id, self.seat);
                let call = service::hang_up(&cx, company, id, seat, name == "call:decline").await?;
                answer(&self.stepped(at, id, &call)?)
            }
            "call:mute" => {
                let MuteEvent { consultation_id: id, muted } = body::check(data)?;
                self.room(id)?;
                service::mute(&cx, id, self.seat, muted).await?;
                Map::new()
            }
            "signal:offer" | "signal:answer" => {
                let DescriptionEvent { consultation_id: id, sdp } = body::check(data)?;
                let kind = if name == "signal:offer" { SignalKind::Offer } else { SignalKind::Answer };
                self.signal(at, id, kind, &sdp).await?
            }
            "signal:ice" => {
                let IceEvent { consultation_id: id, candidate } = body::check(data)?;
                self.signal(at, id, SignalKind::Ice, &payloads::kept(candidate)).await?
            }
            _ => return Err(Refusal::UnknownEvent.into()),
        })
    }

    async fn look(&mut self, at: &Connection) -> Result<()> {
        let now = at.platform().clock.now();
        let mut changed = self.place.take_changed();
        let is_due = |room: &Room| room.closes_at <= now || room.due.is_some_and(|due| due <= now);
        changed.extend(self.rooms.iter().filter(|(_, room)| is_due(room)).map(|(id, _)| *id));
        let mut failed: Option<Problem> = self.note_arrived(at).await.err();
        for id in changed {
            match self.deliver(at, id).await {
                // what was to be told of a room that has closed is told
                Ok(Ok(())) if self.rooms.get(&id).is_some_and(|room| room.closes_at <= now) => self.forget(id),
                Ok(Ok(())) => {}
                // a reader who takes nothing is let go by the heartbeat of their own connection
                Ok(Err(Full)) => self.place.keep(id),
                Err(problem) if problem.code() == "not_found" => self.forget(id),
                Err(problem) => {
                    self.place.keep(id);
                    failed = Some(problem);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn keep_alive(&mut self, at: &Connection) -> Result<()> {
        let (cx, seat, now) = (at.context(), self.seat, at.platform().clock.now());
        for (id, room) in self.rooms.iter_mut().filter(|(_, room)| room.due.is_some_and(|due| due <= now)) {
            service::keep(&cx, *id, seat).await?;
            room.heard_at = now;
            room.due = Some(now + HEARD_EVERY);
            // it is told what has become of it with the next token
            self.place.keep(*id);
        }
        Ok(())
    }

    async fn leave(&mut self, at: &Connection) {
        let rooms: Vec<_> = self.rooms.keys().copied().collect();
        for id in rooms {
            self.forget(id);
            // who is not heard is lost all the same, a little later
            if let Err(error) = service::leave(&at.context(), id, self.seat).await {
                tracing::debug!(%error, "that somebody left a call is not noted");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Visit;
    use crate::platform::realtime::weight;

    #[test]
    fn a_socket_that_does_nothing_holds_no_room_for_what_it_might() {
        assert!(weight::<Visit>() < 4_000, "{}", weight::<Visit>());
    }
}
