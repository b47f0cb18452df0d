//! `/practitioners/{id}/overrides`.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};
use chrono_tz::Tz;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::service::{self, Booked, Made};
use crate::domain::consultations::api::Tag;
use crate::domain::consultations::slots::store::Session;
use crate::domain::practitioners::overrides::Kind;
use crate::domain::practitioners::overrides::model::Kept;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, IdempotencyKey, Page, PageQuery};
use crate::platform::ids::{ConsultationId, OverrideId, PractitionerId};
use crate::platform::{Problem, Result};

/// A dated change of the weekly hours.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct OverrideRequest {
    kind: Kind,
    /// The first day (`2026-12-24`), or a time on the practitioner’s wall clock (`2026-12-24T12:00`).
    #[oai(validator(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?$"))]
    from: String,
    /// The last day, that day included, or a time on the practitioner’s wall clock, not included. Extra hours last a day
    /// at most, closed time and time off 366 days.
    #[oai(validator(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?$"))]
    to: String,
}

impl Example for OverrideRequest {
    fn example() -> Self {
        Self { kind: Kind::TimeOff, from: "2026-12-24T12:00".into(), to: "2027-01-03".into() }
    }
}

/// A dated change of the weekly hours, as it is kept.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct OverrideAnswer {
    id: OverrideId,
    kind: Kind,
    /// The first day, or a time on the practitioner’s wall clock.
    from: String,
    /// The last day, that day included, or a time on the practitioner’s wall clock, not included.
    to: String,
    /// When it begins, in the practitioner’s zone; absent where the clock skips all of it.
    starts_at: Option<DateTime<FixedOffset>>,
    /// When it ends; not included.
    ends_at: Option<DateTime<FixedOffset>>,
}

impl OverrideAnswer {
    fn new(kept: &Kept, zone: Tz) -> Self {
        let (from, to) = kept.it.written();
        let local = |at: DateTime<Utc>| at.with_timezone(&zone).fixed_offset();
        let window = kept.it.window(zone);
        Self {
            id: kept.id,
            kind: kept.it.kind,
            from,
            to,
            starts_at: window.map(|it| local(it.start)),
            ends_at: window.map(|it| local(it.end)),
        }
    }
}

const EXAMPLE_ID: Uuid = Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0e01);

fn example_time(text: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(text).unwrap_or_default()
}

impl Example for OverrideAnswer {
    fn example() -> Self {
        let OverrideRequest { kind, from, to } = OverrideRequest::example();
        let starts_at = Some(example_time("2026-12-24T12:00:00+01:00"));
        Self {
            id: OverrideId(EXAMPLE_ID),
            kind,
            from,
            to,
            starts_at,
            ends_at: Some(example_time("2027-01-04T00:00:00+01:00")),
        }
    }
}

/// A session that is booked in time that is closed now.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct BookedSessionAnswer {
    consultation_id: ConsultationId,
    /// In the practitioner’s zone.
    starts_at: DateTime<FixedOffset>,
    ends_at: DateTime<FixedOffset>,
}

impl Example for BookedSessionAnswer {
    fn example() -> Self {
        Self {
            consultation_id: ConsultationId(EXAMPLE_ID),
            starts_at: example_time("2026-12-28T10:00:00+01:00"),
            ends_at: example_time("2026-12-28T10:45:00+01:00"),
        }
    }
}

/// What is booked in time that is closed now. It stays booked: the practitioner moves or cancels it, or holds it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct BookedMeanwhileAnswer {
    count: u64,
    /// In order of time, at most 100.
    sessions: Vec<BookedSessionAnswer>,
}

impl BookedMeanwhileAnswer {
    pub fn new(booked: &Booked, zone: Tz) -> Self {
        let local = |at: DateTime<Utc>| at.with_timezone(&zone).fixed_offset();
        let session = |it: &Session| BookedSessionAnswer {
            consultation_id: it.id,
            starts_at: local(it.starts_at),
            ends_at: local(it.ends_at),
        };
        Self { count: booked.count as u64, sessions: booked.sessions.iter().map(session).collect() }
    }
}

impl Example for BookedMeanwhileAnswer {
    fn example() -> Self {
        Self { count: 1, sessions: vec![BookedSessionAnswer::example()] }
    }
}

/// An override that was added.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct AddedOverrideAnswer {
    #[oai(flatten)]
    it: OverrideAnswer,
    booked: BookedMeanwhileAnswer,
}

impl AddedOverrideAnswer {
    fn new(made: &Made) -> Result<Self> {
        let zone: Tz = made.zone.parse().map_err(|_| Problem::internal("an unknown time zone was kept"))?;
        Ok(Self { it: OverrideAnswer::new(&made.kept, zone), booked: BookedMeanwhileAnswer::new(&made.booked, zone) })
    }
}

impl Example for AddedOverrideAnswer {
    fn example() -> Self {
        Self { it: OverrideAnswer::example(), booked: BookedMeanwhileAnswer::example() }
    }
}

/// What was booked in extra hours that are gone.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct RemovedOverrideAnswer {
    booked: BookedMeanwhileAnswer,
}

impl Example for RemovedOverrideAnswer {
    fn example() -> Self {
        Self { booked: BookedMeanwhileAnswer { count: 0, sessions: Vec::new() } }
    }
}

#[derive(ApiResponse)]
pub enum AddedOverride {
    /// Added. A repetition with the same key gets the same answer.
    #[oai(status = 201)]
    Added(Json<AddedOverrideAnswer>),
}

pub struct OverridesApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Consultations")]
impl OverridesApi {
    /// Dated changes of the weekly hours
    ///
    /// Those that are not over, by their beginning: one’s own; platform admins read everybody’s. `open` adds hours,
    /// `closed` takes weekly hours away, `time_off` takes everything away. All are meant on the practitioner’s wall clock.
    #[oai(path = "/practitioners/:id/overrides", method = "get", operation_id = "listOverrides")]
    async fn list(
        &self,
        cx: Authorized<perm::ReadAvailability>,
        id: Path<PractitionerId>,
        /// 1–100; 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<OverrideAnswer>>> {
        let page: PageQuery<(NaiveDateTime, OverrideId)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let (zone, rows) = service::list(&cx, id.0, &page).await?;
        Ok(Json(Page::new(&page, rows, |row| (row.it.starts, row.id), |row| OverrideAnswer::new(&row, zone))))
    }

    /// Add extra hours, closed time or time off
    ///
    /// By the practitioner. Extra hours on a closed day hold, so both together make special hours; time off beats both.
    /// Two of one kind may touch, not overlap: `409 override_overlaps`. At most 500 that are not over:
    /// `409 too_many_overrides`. Sessions that are booked already stay: `booked` tells how many lie in time that is closed
    /// now, and which.
    #[oai(path = "/practitioners/:id/overrides", method = "post", operation_id = "addOverride")]
    async fn add(
        &self,
        cx: Authorized<perm::SetAvailability>,
        id: Path<PractitionerId>,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<OverrideRequest>,
    ) -> Result<AddedOverride> {
        let key = IdempotencyKey::new(idempotency_key.0, "addOverride", &(id.0, &body.0))?;
        let made = service::add(&cx, id.0, key.as_ref(), (body.kind, &body.from, &body.to)).await?;
        Ok(AddedOverride::Added(Json(AddedOverrideAnswer::new(&made)?)))
    }

    /// Take an override away
    ///
    /// By the practitioner. The weekly hours hold again. Sessions that are booked in extra hours stay: `booked` tells how
    /// many lie in time that is closed now, and which.
    #[oai(path = "/practitioners/:id/overrides/:overrideId", method = "delete", operation_id = "removeOverride")]
    async fn remove(
        &self,
        cx: Authorized<perm::SetAvailability>,
        id: Path<PractitionerId>,
        #[oai(name = "overrideId")] override_id: Path<OverrideId>,
    ) -> Result<Json<RemovedOverrideAnswer>> {
        let (zone, booked) = service::remove(&cx, id.0, override_id.0).await?;
        Ok(Json(RemovedOverrideAnswer { booked: BookedMeanwhileAnswer::new(&booked, zone) }))
    }
}
