//! `PUT /practitioners/{id}/availability` and `/practitioners/{id}/availability/conflicts`.

use chrono::{DateTime, FixedOffset, Utc};
use chrono_tz::Tz;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::service::{self, Outside};
use crate::domain::consultations::api::Tag;
use crate::domain::consultations::overrides::api::BookedMeanwhileAnswer;
use crate::domain::consultations::overrides::service::Booked;
use crate::domain::consultations::slots::Why;
use crate::domain::practitioners::api::{AvailabilityAnswer, AvailabilityRequest};
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Etag, Tagged};
use crate::platform::ids::{ConsultationId, PractitionerId};

/// So many of the sessions are named; all are counted.
const MOST_NAMED: usize = 100;

/// The weekly hours as they were set, and what is booked outside of the practitioner’s hours now.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct SetAvailabilityAnswer {
    #[oai(flatten)]
    it: AvailabilityAnswer,
    booked: BookedMeanwhileAnswer,
}

impl Example for SetAvailabilityAnswer {
    fn example() -> Self {
        Self { it: AvailabilityAnswer::example(), booked: BookedMeanwhileAnswer::example() }
    }
}

/// A session to come that is not on offer any more.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct ConflictAnswer {
    consultation_id: ConsultationId,
    /// In the practitioner’s zone.
    starts_at: DateTime<FixedOffset>,
    ends_at: DateTime<FixedOffset>,
    /// At least one of `mode`, `length`, `time_off`, `closed`, `outside_hours` and `external_calendar`.
    reasons: Vec<Why>,
}

impl Example for ConflictAnswer {
    fn example() -> Self {
        let at = |text| DateTime::parse_from_rfc3339(text).unwrap_or_default();
        Self {
            consultation_id: ConsultationId(uuid::Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0e02)),
            starts_at: at("2026-12-28T10:00:00+01:00"),
            ends_at: at("2026-12-28T10:45:00+01:00"),
            reasons: vec![Why::OutsideHours],
        }
    }
}

/// What is booked and not on offer any more. It stays booked: the practitioner moves or cancels it, or holds it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct ConflictsAnswer {
    count: u64,
    /// In order of time, at most 100.
    sessions: Vec<ConflictAnswer>,
}

impl ConflictsAnswer {
    fn new(outside: &[Outside], zone: Tz) -> Self {
        let local = |at: DateTime<Utc>| at.with_timezone(&zone).fixed_offset();
        let session = |it: &Outside| ConflictAnswer {
            consultation_id: it.session.id,
            starts_at: local(it.session.starts_at),
            ends_at: local(it.session.ends_at),
            reasons: it.reasons.clone(),
        };
        Self { count: outside.len() as u64, sessions: outside.iter().take(MOST_NAMED).map(session).collect() }
    }
}

impl Example for ConflictsAnswer {
    fn example() -> Self {
        Self { count: 1, sessions: vec![ConflictAnswer::example()] }
    }
}

pub struct OutsideApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Consultations")]
impl OutsideApi {
    /// Set the weekly hours
    ///
    /// Replaces the whole week of the practitioner who asks. Sessions that are booked already stay: `booked` tells how
    /// many lie outside of the hours now, and which. A week that was changed meanwhile, on another device, is not
    /// overwritten.
    #[oai(path = "/practitioners/:id/availability", method = "put", operation_id = "setAvailability")]
    async fn set_availability(
        &self,
        cx: Authorized<perm::SetAvailability>,
        id: Path<PractitionerId>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<AvailabilityRequest>,
    ) -> Result<Tagged<SetAvailabilityAnswer>> {
        let (it, zone, sessions) = service::set_hours(&cx, id.0, &body.read()?, if_match.0.as_deref()).await?;
        let etag = Etag::of(it.version);
        let booked = BookedMeanwhileAnswer::new(&Booked::of(sessions), zone);
        Ok(Tagged::new(SetAvailabilityAnswer { it: it.into(), booked }, &etag, None))
    }

    /// What is booked and not on offer any more
    ///
    /// One’s own sessions to come that nobody could book now, because the hours, session lengths, modes, time zone or
    /// overrides have changed since, or because a calendar kept elsewhere says busy; each with the reasons, as
    /// `explainSlot` names them. They stay booked: move them (`rescheduleConsultation`), cancel them, or hold them.
    #[oai(
        path = "/practitioners/:id/availability/conflicts",
        method = "get",
        operation_id = "listAvailabilityConflicts"
    )]
    async fn conflicts(
        &self,
        cx: Authorized<perm::SetAvailability>,
        id: Path<PractitionerId>,
    ) -> Result<Json<ConflictsAnswer>> {
        let (zone, outside) = service::list(&cx, id.0).await?;
        Ok(Json(ConflictsAnswer::new(&outside, zone)))
    }
}
