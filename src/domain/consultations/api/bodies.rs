//! Bodies of requests and answers.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use chrono_tz::Tz;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, Union};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::consultations::joining::{IceServer, Room};
use crate::domain::consultations::model::{Cancellation, Consultation, DoneBy, Event, EventKind, MissedBy, Status};
use crate::domain::consultations::reschedule::Move;
use crate::domain::consultations::service::Booking;
use crate::domain::consultations::slots::{Slot, SlotList};
use crate::domain::practitioners::Mode;
use crate::platform::Result;
use crate::platform::crypto::health_text::{HealthText, never_shown};
use crate::platform::http::idempotency::{Fingerprint, Print};
use crate::platform::http::written;
use crate::platform::ids::{CompanyId, ConsultationId, PractitionerId};

/// A time that can be booked.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct SlotAnswer {
    /// With the offset of the zone that was asked for.
    starts_at: DateTime<FixedOffset>,
    ends_at: DateTime<FixedOffset>,
}

impl Example for SlotAnswer {
    fn example() -> Self {
        let starts_at = example_start().with_timezone(&Tz::Europe__Paris).fixed_offset();
        Self { starts_at, ends_at: starts_at + TimeDelta::minutes(45) }
    }
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct SlotsAnswer {
    /// In order of time.
    items: Vec<SlotAnswer>,
    /// The IANA name of the zone in which the times are written.
    time_zone: String,
}

impl Example for SlotsAnswer {
    fn example() -> Self {
        Self { items: vec![SlotAnswer::example()], time_zone: "Europe/Paris".into() }
    }
}

impl From<SlotList> for SlotsAnswer {
    fn from(it: SlotList) -> Self {
        let local = |at: DateTime<Utc>| at.with_timezone(&it.zone).fixed_offset();
        let item = |slot: &Slot| SlotAnswer { starts_at: local(slot.starts_at), ends_at: local(slot.ends_at) };
        Self { items: it.slots.iter().map(item).collect(), time_zone: it.zone.name().to_owned() }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct BookingRequest {
    practitioner_id: PractitionerId,
    /// The start of a slot that was listed.
    starts_at: DateTime<Utc>,
    /// One of the practitioner's session lengths.
    #[oai(validator(minimum(value = "5"), maximum(value = "480")))]
    duration_minutes: i32,
    /// One of the practitioner's modes.
    mode: Mode,
    /// What the practitioner should know beforehand. Kept sealed; read by the two people of the session alone.
    #[oai(validator(max_length = 2000))]
    reason: Option<HealthText>,
}

impl From<BookingRequest> for Booking {
    fn from(it: BookingRequest) -> Self {
        let BookingRequest { practitioner_id, starts_at, duration_minutes, mode, reason } = it;
        Self { practitioner_id, starts_at, duration_minutes, mode, reason }
    }
}

impl Example for BookingRequest {
    fn example() -> Self {
        Self {
            practitioner_id: example_practitioner().id,
            starts_at: example_start(),
            duration_minutes: 45,
            mode: Mode::Video,
            reason: None,
        }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct CancelRequest {
    /// Why. Kept sealed; read by the two people of the session alone.
    #[oai(validator(max_length = 2000))]
    pub reason: Option<HealthText>,
}

never_shown!(BookingRequest, CancelRequest, Booking);

impl Fingerprint for CancelRequest {
    fn print(&self, into: &mut Print) -> Result<()> {
        let Self { reason } = self;
        into.all_words(reason);
        Ok(())
    }
}

impl Example for CancelRequest {
    fn example() -> Self {
        Self { reason: Some(HealthText::new("I cannot make it that day.".into())) }
    }
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct RescheduleRequest {
    /// The start of a slot that is listed, or one that overlaps with the consultation's own time.
    starts_at: DateTime<Utc>,
    /// One of the practitioner's session lengths; as before, unless said.
    #[oai(validator(minimum(value = "5"), maximum(value = "480")))]
    duration_minutes: Option<i32>,
    /// One of the practitioner's modes; as before, unless said.
    mode: Option<Mode>,
}

impl From<RescheduleRequest> for Move {
    fn from(it: RescheduleRequest) -> Self {
        Self { starts_at: it.starts_at, duration_minutes: it.duration_minutes, mode: it.mode }
    }
}

impl Example for RescheduleRequest {
    fn example() -> Self {
        Self { starts_at: example_start() + TimeDelta::hours(1), duration_minutes: None, mode: None }
    }
}

/// Who gives the session.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct PractitionerOf {
    id: PractitionerId,
    display_name: String,
}

/// Whose session it is.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct EmployeeOf {
    display_name: String,
}

/// What cancelling costs.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct CancellationOf {
    /// Until then it does not count against the employee's sessions.
    #[serde(serialize_with = "written::instant")]
    free_until: DateTime<Utc>,
    /// Whether it counts if it is cancelled now.
    counts_now: bool,
}

/// A booked session.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
#[serde(rename_all = "camelCase")]
pub struct ConsultationAnswer {
    id: ConsultationId,
    status: Status,
    practitioner: PractitionerOf,
    /// For the practitioner only.
    #[serde(skip_serializing_if = "Option::is_none")]
    employee: Option<EmployeeOf>,
    /// For the platform only.
    #[serde(skip_serializing_if = "Option::is_none")]
    company_id: Option<CompanyId>,
    #[serde(serialize_with = "written::instant")]
    starts_at: DateTime<Utc>,
    #[serde(serialize_with = "written::instant")]
    ends_at: DateTime<Utc>,
    /// As booked.
    duration_minutes: i32,
    mode: Mode,
    /// The field of care that it is counted under.
    specialty: String,
    #[serde(serialize_with = "written::optional_instant", skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "written::optional_instant", skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    /// As held, from start to end; begun minutes count as whole ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual_minutes: Option<i32>,
    #[serde(serialize_with = "written::optional_instant", skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by: Option<DoneBy>,
    /// For the employee, as long as they can cancel it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancellation: Option<CancellationOf>,
    /// For the employee, once it is over: whether it counts against their sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<bool>,
    /// Of a request: until when it waits for the practitioner.
    #[serde(serialize_with = "written::optional_instant", skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// Of a session that did not take place: who is said not to have come.
    #[serde(skip_serializing_if = "Option::is_none")]
    missed_by: Option<MissedBy>,
    /// For the practitioner and the platform: how long the server saw both people in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_minutes: Option<i32>,
    /// For the practitioner and the platform: whether somebody should look at it. What is said to have been held is then
    /// longer than planned by more than ten minutes, or more than ten minutes and a quarter apart from what was seen, or one
    /// of the two was never seen; of what was missed, somebody was seen who is said not to have come, or not seen who says
    /// so, or it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    times_differ: Option<bool>,
    /// What the employee wrote when booking: for the two people in it, and of one consultation alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What was written when it was cancelled, for the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<String>,
    #[serde(serialize_with = "written::instant")]
    created_at: DateTime<Utc>,
}

impl From<Consultation> for ConsultationAnswer {
    fn from(it: Consultation) -> Self {
        Self {
            duration_minutes: it.planned_minutes(),
            id: it.id,
            status: it.status,
            practitioner: PractitionerOf { id: it.practitioner_id, display_name: it.practitioner_name },
            employee: it.employee_name.map(|display_name| EmployeeOf { display_name }),
            company_id: it.company_id,
            starts_at: it.starts_at,
            ends_at: it.ends_at,
            mode: it.mode,
            specialty: it.specialty,
            started_at: it.started_at,
            ended_at: it.ended_at,
            actual_minutes: it.actual_minutes,
            cancelled_at: it.cancelled_at,
            cancelled_by: it.cancelled_by,
            cancellation: it
                .cancellation
                .map(|Cancellation { free_until, counts_now }| CancellationOf { free_until, counts_now }),
            counts: it.counts,
            expires_at: it.expires_at.filter(|_| it.status == Status::Pending),
            missed_by: it.missed_by,
            times_differ: it.seen_minutes.and(it.times_differ),
            seen_minutes: it.seen_minutes,
            reason: it.reasons.booking,
            cancel_reason: it.reasons.cancelling,
            created_at: it.created_at,
        }
    }
}

impl Example for ConsultationAnswer {
    fn example() -> Self {
        Self {
            id: ConsultationId(example_id(0x0c)),
            status: Status::Confirmed,
            practitioner: example_practitioner(),
            employee: None,
            company_id: None,
            starts_at: example_start(),
            ends_at: example_start() + TimeDelta::minutes(45),
            duration_minutes: 45,
            mode: Mode::Video,
            specialty: "psychology".into(),
            started_at: None,
            ended_at: None,
            actual_minutes: None,
            cancelled_at: None,
            cancelled_by: None,
            cancellation: Some(CancellationOf {
                free_until: example_start() - TimeDelta::hours(24),
                counts_now: false,
            }),
            counts: None,
            expires_at: None,
            missed_by: None,
            seen_minutes: None,
            times_differ: None,
            reason: None,
            cancel_reason: None,
            created_at: example_start() - TimeDelta::days(3),
        }
    }
}

/// A fact about a consultation. Facts are never changed.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct EventAnswer {
    kind: EventKind,
    at: DateTime<Utc>,
    /// Who said so; `auto` is the schedule.
    actor_role: DoneBy,
    /// Of `RESCHEDULED`: the start before.
    moved_from: Option<DateTime<Utc>>,
    /// Of `RESCHEDULED`: the start from then on.
    moved_to: Option<DateTime<Utc>>,
}

impl From<Event> for EventAnswer {
    fn from(it: Event) -> Self {
        Self { kind: it.kind, at: it.at, actor_role: it.actor_role, moved_from: it.moved_from, moved_to: it.moved_to }
    }
}

impl Example for EventAnswer {
    fn example() -> Self {
        Self {
            kind: EventKind::Started,
            at: example_start(),
            actor_role: DoneBy::Practitioner,
            moved_from: None,
            moved_to: None,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct EventsAnswer {
    /// In order of time.
    pub items: Vec<EventAnswer>,
}

impl Example for EventsAnswer {
    fn example() -> Self {
        Self { items: vec![EventAnswer::example()] }
    }
}

/// A video session.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct VideoAnswer {
    /// Opens the session in a browser.
    url: String,
    /// The token alone, for a page that embeds the session.
    token: String,
    domain: String,
    room: String,
    /// When the token ends, and the session closes.
    expires_at: DateTime<Utc>,
}

impl Example for VideoAnswer {
    fn example() -> Self {
        Self {
            url: "https://meet.example.org/4b0c1d9a7e2f4b6f8a1c3e5d7f9b0a2c?jwt=eyJhbGciOiJIUzI1NiJ9.e30.AA".into(),
            token: "eyJhbGciOiJIUzI1NiJ9.e30.AA".into(),
            domain: "meet.example.org".into(),
            room: "4b0c1d9a7e2f4b6f8a1c3e5d7f9b0a2c".into(),
            expires_at: example_start() + TimeDelta::minutes(75),
        }
    }
}

/// A server that helps a call to connect, as `RTCPeerConnection` takes it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct IceServerAnswer {
    urls: Vec<String>,
    /// Of relays.
    username: Option<String>,
    /// Of relays.
    credential: Option<String>,
}

impl From<IceServer> for IceServerAnswer {
    fn from(it: IceServer) -> Self {
        Self { urls: it.urls, username: it.username, credential: it.credential }
    }
}

impl Example for IceServerAnswer {
    fn example() -> Self {
        Self {
            urls: vec!["turns:turn.example.org:5349?transport=tcp".into()],
            username: Some("1795531500:1f2e3d4c5b6a7988".into()),
            credential: Some("+gcl3UuD7Bbd5AAkuVlx3sUvoWc=".into()),
        }
    }
}

/// A call, signalled over Socket.IO.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct AudioAnswer {
    namespace: String,
    room: String,
    /// Empty where the operator has none.
    ice_servers: Vec<IceServerAnswer>,
    /// When the credentials end; the session may last longer.
    expires_at: DateTime<Utc>,
}

impl Example for AudioAnswer {
    fn example() -> Self {
        Self {
            namespace: "/audio-call".into(),
            room: example_id(0x0c).to_string(),
            ice_servers: vec![IceServerAnswer::example()],
            expires_at: example_start() + TimeDelta::minutes(60),
        }
    }
}

/// A conversation.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct ChatAnswer {
    conversation_id: ConsultationId,
}

impl Example for ChatAnswer {
    fn example() -> Self {
        Self { conversation_id: ConsultationId(example_id(0x0c)) }
    }
}

/// What the session's mode needs.
#[derive(Debug, Union)]
#[oai(discriminator_name = "kind", one_of = true)]
pub enum JoinAnswer {
    #[oai(mapping = "video")]
    Video(VideoAnswer),
    #[oai(mapping = "audio")]
    Audio(AudioAnswer),
    #[oai(mapping = "chat")]
    Chat(ChatAnswer),
}

impl From<Room> for JoinAnswer {
    fn from(it: Room) -> Self {
        match it {
            Room::Video { url, token, domain, room, expires_at } => {
                Self::Video(VideoAnswer { url, token, domain, room, expires_at })
            }
            Room::Audio { namespace, room, ice_servers, expires_at } => Self::Audio(AudioAnswer {
                namespace: namespace.to_owned(),
                room,
                ice_servers: ice_servers.into_iter().map(IceServerAnswer::from).collect(),
                expires_at,
            }),
            Room::Chat { conversation_id } => Self::Chat(ChatAnswer { conversation_id }),
        }
    }
}

pub(super) fn example_id(last: u128) -> Uuid {
    Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a00 | last)
}

pub(super) fn example_start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default()
}

pub(super) fn example_practitioner() -> PractitionerOf {
    PractitionerOf { id: PractitionerId(example_id(0x0a)), display_name: "Dr Claire Martin".into() }
}

#[derive(ApiResponse)]
pub enum BookingResponse {
    /// Booked. A repetition with the same key gets the same answer.
    #[oai(status = 201)]
    Booked(Json<ConsultationAnswer>),
}

#[derive(ApiResponse)]
pub enum CalendarResponse {
    /// An iCalendar file (RFC 5545) with one private entry.
    #[oai(status = 200, content_type = "text/calendar; charset=utf-8")]
    File(
        PlainText<String>,
        /// Names the file.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;
    use crate::platform::http::Page;

    #[test]
    fn a_page_is_written_as_it_is_described() {
        let empty = ConsultationAnswer::example();
        let at = example_start() + TimeDelta::microseconds(120);
        let filled = ConsultationAnswer {
            employee: Some(EmployeeOf { display_name: "Zoé \"Z\" Roux".into() }),
            company_id: Some(CompanyId(example_id(0x0d))),
            status: Status::NoShow,
            started_at: Some(at),
            ended_at: Some(at),
            actual_minutes: Some(44),
            cancelled_at: Some(at),
            cancelled_by: Some(DoneBy::Auto),
            cancellation: None,
            counts: Some(true),
            expires_at: Some(at),
            missed_by: Some(MissedBy::Unknown),
            seen_minutes: Some(40),
            times_differ: Some(false),
            reason: Some("\u{e9}\n\"".into()),
            cancel_reason: Some("x".into()),
            ..ConsultationAnswer::example()
        };
        for next_cursor in [None, Some("bmV4dA".to_owned())] {
            let page = Page { items: vec![ConsultationAnswer::example()], next_cursor };
            assert_eq!(serde_json::to_string(&page).unwrap(), page.to_json_string());
        }
        let page = Page { items: vec![empty, filled], next_cursor: None };
        assert_eq!(serde_json::to_string(&page).unwrap(), page.to_json_string());
    }
}
