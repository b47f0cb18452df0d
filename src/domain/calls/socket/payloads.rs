//! What goes over a socket of calls, and what the document says of it.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::types::{ParseFromJSON, ToJSON};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::calls::model::{Call, EndReason, News, Phase, SignalKind};
use crate::domain::calls::store::Waiting;
use crate::domain::consultations::api::IceServerAnswer;
use crate::platform::Result;
use crate::platform::auth::Permission;
use crate::platform::ids::{CallId, ConsultationId};
use crate::platform::problem::FieldErrors;
use crate::platform::realtime::{Namespace, Nothing};

/// Of what is signalled, in bytes: the database keeps no more (`call_signals_size`).
const LARGEST_DESCRIPTION: usize = 32 << 10;
const LARGEST_CANDIDATE: usize = 4800;

/// `call:join`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinCallEvent {
    pub consultation_id: ConsultationId,
    /// Kept by the client over reconnections and reloads; made by the server where there is none.
    pub device_id: Option<Uuid>,
    /// The page still has the connection to the other one that it had.
    #[oai(default)]
    pub resumes: bool,
}

/// `call:ring`, `call:accept`, `call:decline`, `call:hangup`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct AboutCall {
    pub consultation_id: ConsultationId,
}

/// `call:mute`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct MuteEvent {
    pub consultation_id: ConsultationId,
    /// Whether one's microphone is off.
    pub muted: bool,
}

/// `signal:offer`, `signal:answer`: a session description (RFC 8866).
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescriptionEvent {
    pub consultation_id: ConsultationId,
    #[oai(validator(max_length = 32768, pattern = "^v=0\\r?\\n"))]
    pub sdp: String,
}

/// What `RTCIceCandidate.toJSON` gives.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, skip_serializing_if_is_none)]
#[allow(clippy::struct_field_names)] // as browsers have it
pub struct Candidate {
    #[oai(validator(max_length = 4096))]
    pub candidate: String,
    #[oai(validator(max_length = 64))]
    pub sdp_mid: Option<String>,
    #[oai(rename = "sdpMLineIndex", validator(minimum(value = "0"), maximum(value = "64")))]
    pub sdp_m_line_index: Option<u16>,
    #[oai(validator(max_length = 256))]
    pub username_fragment: Option<String>,
}

/// `signal:ice`; without a candidate: there are no more.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct IceEvent {
    pub consultation_id: ConsultationId,
    pub candidate: Option<Candidate>,
}

/// How a call stands.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[allow(clippy::struct_excessive_bools)] // each says something of its own
pub struct CallAnswer {
    id: CallId,
    status: Phase,
    /// Whether one rang oneself.
    outgoing: bool,
    /// Whether this connection is the one of one's own that is in it.
    here: bool,
    rings_until: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    muted: bool,
    peer_muted: bool,
    peer_lost: bool,
    /// Whether a device of the other one's rings, as long as the call does. `call:peer-ringing` says when it begins to.
    peer_rings: bool,
    /// Of a call on another device of one's own: whether that is away. This one may take its place, by ringing.
    device_lost: bool,
}

impl CallAnswer {
    /// `None`: it is over.
    pub fn of(call: &Call, seat: Uuid) -> Option<Self> {
        let status = call.phase()?;
        Some(Self {
            id: call.id,
            status,
            outgoing: call.is_caller,
            here: call.has(seat),
            rings_until: call.rings_until,
            started_at: call.accepted_at,
            muted: call.is_muted,
            peer_muted: call.other.is_muted,
            peer_lost: status == Phase::Connected && call.other.lost_at.is_some(),
            peer_rings: status == Phase::Ringing && call.is_caller && call.other.rings,
            device_lost: status == Phase::Connected && !call.has(seat) && call.lost_at.is_some(),
        })
    }
}

/// What somebody who is let in is told.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct EnteredAnswer {
    pub device_id: Uuid,
    /// Empty where the operator has none.
    pub ice_servers: Vec<IceServerAnswer>,
    /// When their credentials end: join once more for others.
    pub expires_at: DateTime<Utc>,
    /// When the rooms close.
    pub closes_at: DateTime<Utc>,
    /// The call that rings or goes on, where there is one.
    pub call: Option<CallAnswer>,
}

/// A step, and how the call stands after it.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SteppedAnswer {
    pub call_id: CallId,
    /// Absent: it is over.
    pub call: Option<CallAnswer>,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct RingingNews {
    consultation_id: ConsultationId,
    call_id: CallId,
    rings_until: DateTime<Utc>,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct AcceptedNews {
    consultation_id: ConsultationId,
    call_id: CallId,
    started_at: DateTime<Utc>,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct CallNews {
    consultation_id: ConsultationId,
    call_id: CallId,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct MutedNews {
    consultation_id: ConsultationId,
    call_id: CallId,
    muted: bool,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct LostNews {
    consultation_id: ConsultationId,
    call_id: CallId,
    /// So long they may come back.
    until: DateTime<Utc>,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct BackNews {
    consultation_id: ConsultationId,
    call_id: CallId,
    /// Or with a new page, which offers a connection of its own.
    resumes: bool,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct EndedNews {
    consultation_id: ConsultationId,
    call_id: CallId,
    reason: EndReason,
    by_me: bool,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct DescriptionNews {
    consultation_id: ConsultationId,
    call_id: CallId,
    /// Grows from one signal of a call to the next. One that is known came twice: it was not known that it had arrived.
    number: i32,
    sdp: String,
}

#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct IceNews {
    consultation_id: ConsultationId,
    call_id: CallId,
    /// As in an offer.
    number: i32,
    /// Absent: there are no more.
    candidate: Option<Candidate>,
}

fn payload(it: &impl ToJSON) -> Value {
    it.to_json().unwrap_or_default()
}

/// The event of a piece of news, and its payload.
pub fn event(consultation_id: ConsultationId, call_id: CallId, news: News) -> (&'static str, Value) {
    match news {
        News::Ringing { until: rings_until } => {
            ("call:ringing", payload(&RingingNews { consultation_id, call_id, rings_until }))
        }
        News::Accepted { at: started_at } => {
            ("call:accepted", payload(&AcceptedNews { consultation_id, call_id, started_at }))
        }
        News::PeerRinging => ("call:peer-ringing", payload(&CallNews { consultation_id, call_id })),
        News::Declined => ("call:declined", payload(&CallNews { consultation_id, call_id })),
        News::DeviceLost { until } => ("call:device-lost", payload(&LostNews { consultation_id, call_id, until })),
        News::DeviceBack => ("call:device-back", payload(&CallNews { consultation_id, call_id })),
        News::Muted(muted) => ("call:peer-muted", payload(&MutedNews { consultation_id, call_id, muted })),
        News::Lost { until } => ("call:peer-lost", payload(&LostNews { consultation_id, call_id, until })),
        News::Back { resumes } => ("call:peer-back", payload(&BackNews { consultation_id, call_id, resumes })),
        News::Ended { reason, by_me } => {
            ("call:ended", payload(&EndedNews { consultation_id, call_id, reason, by_me }))
        }
    }
}

/// What a candidate is kept as: `null` where there are no more.
pub fn kept(candidate: Option<Candidate>) -> String {
    candidate.map_or(Value::Null, |it| payload(&it)).to_string()
}

/// Refuses what takes more room than is kept for it: characters may be several bytes long.
pub fn check_size(kind: SignalKind, contents: &str) -> Result<()> {
    let (pointer, largest) = match kind {
        SignalKind::Offer | SignalKind::Answer => ("/sdp", LARGEST_DESCRIPTION),
        SignalKind::Ice => ("/candidate", LARGEST_CANDIDATE),
    };
    let mut faults = FieldErrors::new();
    if contents.len() > largest {
        faults.add_with(pointer, "max_length", &[("max", largest.to_string())]);
    }
    faults.finish()
}

/// The event of a signal, and its payload.
pub fn signal(
    consultation_id: ConsultationId,
    call_id: CallId,
    &Waiting { kind, number, .. }: &Waiting,
    contents: String,
) -> (&'static str, Value) {
    let description = |sdp| payload(&DescriptionNews { consultation_id, call_id, number, sdp });
    match kind {
        SignalKind::Offer => ("signal:offer", description(contents)),
        SignalKind::Answer => ("signal:answer", description(contents)),
        SignalKind::Ice => {
            let kept = serde_json::from_str(&contents).unwrap_or_default();
            let candidate = Option::<Candidate>::parse_from_json(Some(kept)).unwrap_or_default();
            ("signal:ice", payload(&IceNews { consultation_id, call_id, number, candidate }))
        }
    }
}

/// The events of `/audio-call`.
pub fn namespace() -> Namespace {
    Namespace::new(
        "/audio-call",
        Permission::JoinConsultation,
        "The calls of each consultation by audio, between its two people: who rings whom, and what their browsers need to \
         find each other. What is said never passes here.",
    )
    .goes_on::<JoinCallEvent, EnteredAnswer>(
        "call:join",
        "Enters the rooms of a consultation with a device. Once more brings servers with new credentials.",
    )
    .takes::<AboutCall, SteppedAnswer>("call:ring", "Rings the other one. Both at once is one call.")
    .goes_on::<AboutCall, SteppedAnswer>("call:accept", "Accepts the call that rings.")
    .goes_on::<AboutCall, SteppedAnswer>("call:decline", "Declines the call that rings.")
    .goes_on::<AboutCall, SteppedAnswer>("call:hangup", "Ends the call, or one's own ringing.")
    .goes_on::<MuteEvent, Nothing>("call:mute", "Says that one's microphone is off, or on again.")
    .goes_on::<DescriptionEvent, Nothing>("signal:offer", "An offer for the other one's device in the call.")
    .goes_on::<DescriptionEvent, Nothing>("signal:answer", "The answer to an offer.")
    .goes_on::<IceEvent, Nothing>("signal:ice", "A candidate; without one: there are no more.")
    .delivers::<RingingNews>("call:ringing", "The other one rings; on every device.")
    .tells::<CallNews>("call:peer-ringing", "A device of the other one's rings.")
    .tells::<AcceptedNews>("call:accepted", "The other one has accepted.")
    .tells::<CallNews>("call:declined", "The other one has declined.")
    .delivers::<DescriptionNews>("signal:offer", "The other one offers.")
    .delivers::<DescriptionNews>("signal:answer", "The other one answers an offer.")
    .delivers::<IceNews>("signal:ice", "A candidate of the other one's.")
    .tells::<MutedNews>("call:peer-muted", "The other one's microphone is off, or on again.")
    .tells::<LostNews>("call:peer-lost", "The other one's device is away, and may come back.")
    .tells::<BackNews>("call:peer-back", "It is back.")
    .tells::<LostNews>(
        "call:device-lost",
        "The device of one's own that is in the call is away; to one that was shown that the call goes on elsewhere.",
    )
    .tells::<CallNews>("call:device-back", "It is back.")
    .tells::<EndedNews>("call:ended", "The call is over for this device.")
}
