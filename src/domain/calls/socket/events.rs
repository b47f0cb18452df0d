//! The events of a socket.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use poem_openapi::Object;
use poem_openapi::types::ToJSON;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::hub::{Hub, Place};
use crate::domain::calls::error::Error;
use crate::domain::calls::model::{Call, Here, News, SignalKind, Told};
use crate::domain::calls::service::{self, Entered};
use crate::platform::http::body;
use crate::platform::ids::{CompanyId, ConsultationId};
use crate::platform::problem::Error as Refusal;
use crate::platform::realtime::{Connection, Full, Visitor};
use crate::platform::{Problem, Result};

/// Consultations whose rooms one socket is in.
const MOST_ROOMS: usize = 8;

/// `call:join`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct JoinEvent {
    consultation_id: ConsultationId,
    /// Kept by the client over reconnections and reloads; made by the server where there is none.
    device_id: Option<Uuid>,
    /// The page still has the connection to the other one that it had.
    #[oai(default)]
    resumes: bool,
}

/// `call:ring`, `call:accept`, `call:decline`, `call:hangup`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct About {
    consultation_id: ConsultationId,
}

/// `call:mute`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct MuteEvent {
    consultation_id: ConsultationId,
    muted: bool,
}

/// `signal:offer`, `signal:answer`: a session description (RFC 8866).
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct DescriptionEvent {
    consultation_id: ConsultationId,
    #[oai(validator(max_length = 32768, pattern = "^v=0\\r?\\n"))]
    sdp: String,
}

/// What `RTCIceCandidate.toJSON` gives.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_field_names)] // as browsers have it
struct Candidate {
    #[oai(validator(max_length = 4096))]
    candidate: String,
    #[oai(validator(max_length = 64))]
    sdp_mid: Option<String>,
    #[oai(rename = "sdpMLineIndex", validator(minimum(value = "0"), maximum(value = "64")))]
    sdp_m_line_index: Option<u16>,
    #[oai(validator(max_length = 256))]
    username_fragment: Option<String>,
}

/// `signal:ice`; without a candidate: there are no more.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct IceEvent {
    consultation_id: ConsultationId,
    candidate: Option<Candidate>,
}

/// One consultation of a socket.
struct Room {
    company_id: CompanyId,
    device: Uuid,
    told: Told,
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
}

fn members(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value { members } else { Map::new() }
}

impl Visit {
    pub fn new(hub: Arc<Hub>, at: &Connection) -> Self {
        let (place, seat) = (Arc::new(Place::new(at.waker())), at.platform().new_id());
        Self { hub, place, seat, rooms: HashMap::new() }
    }

    fn room(&mut self, id: ConsultationId) -> Result<&mut Room> {
        self.rooms.get_mut(&id).ok_or_else(|| Error::NotJoined.into())
    }

    fn here(&mut self, id: ConsultationId) -> Result<Here> {
        let (seat, device) = (self.seat, self.room(id)?.device);
        Ok(Here { device, seat })
    }

    /// From now on the socket is told of the calls. Once more renews what expires.
    async fn join(&mut self, at: &Connection, event: JoinEvent) -> Result<Value> {
        let JoinEvent { consultation_id: id, device_id, resumes } = event;
        let is_new = !self.rooms.contains_key(&id);
        if is_new && self.rooms.len() >= MOST_ROOMS {
            return Err(Error::TooManyRooms.into());
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
        let told = call.as_ref().map(|call| Told::of(call, self.seat)).unwrap_or_default();
        let due = call.as_ref().and_then(|call| call.due(self.seat, at.platform().clock.now()));
        self.rooms.insert(id, Room { company_id, device, told, due });
        // what waits for it comes after the answer
        self.place.keep(id);
        at.waker().notify_one();
        let written = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let servers: Vec<_> = ice_servers
            .into_iter()
            .map(|it| {
                let mut server = Map::new();
                server.insert("urls".into(), it.urls.into());
                for (name, value) in [("username", it.username), ("credential", it.credential)] {
                    if let Some(value) = value {
                        server.insert(name.into(), value.into());
                    }
                }
                Value::Object(server)
            })
            .collect();
        Ok(json!({
            "deviceId": device,
            "iceServers": servers,
            "expiresAt": written(expires_at),
            "closesAt": written(closes_at),
            "call": call.and_then(|call| call.view(self.seat)),
        }))
    }

    /// The answer to a step of the caller's own, who is told nothing else of it.
    fn stepped(&mut self, at: &Connection, id: ConsultationId, call: &Call) -> Result<Value> {
        let seat = self.seat;
        let now = at.platform().clock.now();
        let room = self.room(id)?;
        room.told = Told::of(call, seat);
        room.due = call.due(seat, now);
        Ok(json!({"callId": call.id, "call": call.view(seat)}))
    }

    async fn signal(
        &mut self,
        at: &Connection,
        id: ConsultationId,
        kind: SignalKind,
        contents: &[u8],
    ) -> Result<Value> {
        let company = self.room(id)?.company_id;
        service::signal(&at.context(), company, id, self.seat, kind, contents).await?;
        Ok(Value::Null)
    }

    /// Sends what is new of a consultation's calls, as far as there is room.
    async fn deliver(&mut self, at: &Connection, id: ConsultationId) -> Result<Result<(), Full>> {
        let (cx, seat, now) = (at.context(), self.seat, at.platform().clock.now());
        let Some(room) = self.rooms.get_mut(&id) else { return Ok(Ok(())) };
        if room.due.is_some_and(|due| due <= now) {
            service::keep(&cx, id, seat).await?;
        }
        loop {
            let (calls, waiting) = service::read(&cx, room.company_id, id, seat, room.told.number).await?;
            for call in &calls {
                for News { event, data } in room.told.news(id, call, seat) {
                    if at.emit(event, &data).is_err() {
                        return Ok(Err(Full));
                    }
                }
                room.told = Told::of(call, seat);
                room.due = call.due(seat, now);
            }
            let Some(call) = calls.last().filter(|_| !waiting.is_empty()) else { return Ok(Ok(())) };
            let mut taken = Vec::with_capacity(waiting.len());
            let mut is_full = false;
            for signal in &waiting {
                let data = service::open(&cx, room.company_id, signal).map(|contents| match signal.kind {
                    SignalKind::Offer | SignalKind::Answer => {
                        json!({"consultationId": id, "callId": call.id, "sdp": contents})
                    }
                    SignalKind::Ice => {
                        let candidate: Value = serde_json::from_str(&contents).unwrap_or_default();
                        json!({"consultationId": id, "callId": call.id, "candidate": candidate})
                    }
                });
                is_full = data.is_some_and(|data| at.emit(signal.kind.event(), &data).is_err());
                if is_full {
                    break;
                }
                taken.push(signal.id);
            }
            service::forget(&cx, &taken).await?;
            if is_full {
                return Ok(Err(Full));
            }
        }
    }

    fn forget(&mut self, id: ConsultationId) {
        if self.rooms.remove(&id).is_some() {
            self.hub.leave(id, &self.place);
        }
    }
}

impl Visitor for Visit {
    async fn event(&mut self, at: &Connection, name: &str, data: Value) -> Result<Map<String, Value>> {
        let cx = at.context();
        Ok(members(match name {
            "call:join" => self.join(at, body::check(data)?).await?,
            "call:ring" => {
                let About { consultation_id: id } = body::check(data)?;
                let call = service::ring(&cx, id, self.here(id)?).await?;
                self.stepped(at, id, &call)?
            }
            "call:accept" => {
                let About { consultation_id: id } = body::check(data)?;
                let call = service::accept(&cx, id, self.here(id)?).await?;
                self.stepped(at, id, &call)?
            }
            "call:decline" | "call:hangup" => {
                let About { consultation_id: id } = body::check(data)?;
                let (company, seat) = (self.room(id)?.company_id, self.seat);
                let call = service::hang_up(&cx, company, id, seat, name == "call:decline").await?;
                self.stepped(at, id, &call)?
            }
            "call:mute" => {
                let MuteEvent { consultation_id: id, muted } = body::check(data)?;
                self.room(id)?;
                service::mute(&cx, id, self.seat, muted).await?;
                Value::Null
            }
            "signal:offer" | "signal:answer" => {
                let DescriptionEvent { consultation_id: id, sdp } = body::check(data)?;
                let kind = if name == "signal:offer" { SignalKind::Offer } else { SignalKind::Answer };
                self.signal(at, id, kind, sdp.as_bytes()).await?
            }
            "signal:ice" => {
                let IceEvent { consultation_id: id, candidate } = body::check(data)?;
                let contents = candidate.and_then(|it| it.to_json()).unwrap_or_default().to_string();
                self.signal(at, id, SignalKind::Ice, contents.as_bytes()).await?
            }
            _ => return Err(Refusal::UnknownEvent.into()),
        }))
    }

    async fn look(&mut self, at: &Connection) -> Result<()> {
        let now = at.platform().clock.now();
        let mut changed = self.place.take_changed();
        changed.extend(self.rooms.iter().filter(|(_, room)| room.due.is_some_and(|due| due <= now)).map(|(id, _)| *id));
        let mut failed: Option<Problem> = None;
        for id in changed {
            match self.deliver(at, id).await {
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
