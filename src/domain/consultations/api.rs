//! `/practitioners/{id}/slots` and `/consultations`.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use chrono_tz::Tz;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi, Tags};
use serde::Serialize;
use uuid::Uuid;

use super::model::{Consultation, DoneBy, Event, EventKind, Status};
use super::service::{self, Booking};
use super::slots::{self, Slot, SlotList, SlotQuery};
use super::store::Listing;
use crate::domain::practitioners::Mode;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Etag, IdempotencyKey, Page, PageQuery, Tagged, Written, written};
use crate::platform::ids::{CompanyId, ConsultationId, PractitionerId};

#[derive(Tags)]
pub(super) enum Tag {
    /// Free slots, booked sessions, and what happens to them.
    Consultations,
}

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

#[derive(Debug, Object)]
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
}

impl Example for BookingRequest {
    fn example() -> Self {
        Self {
            practitioner_id: example_practitioner().id,
            starts_at: example_start(),
            duration_minutes: 45,
            mode: Mode::Video,
        }
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
            created_at: example_start() - TimeDelta::days(3),
        }
    }
}

/// A fact about a consultation. Facts are never changed.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct EventAnswer {
    kind: EventKind,
    at: DateTime<Utc>,
    /// Who said so; `auto` is the schedule.
    actor_role: DoneBy,
}

impl From<Event> for EventAnswer {
    fn from(it: Event) -> Self {
        Self { kind: it.kind, at: it.at, actor_role: it.actor_role }
    }
}

impl Example for EventAnswer {
    fn example() -> Self {
        Self { kind: EventKind::Started, at: example_start(), actor_role: DoneBy::Practitioner }
    }
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct EventsAnswer {
    /// In order of time.
    items: Vec<EventAnswer>,
}

impl Example for EventsAnswer {
    fn example() -> Self {
        Self { items: vec![EventAnswer::example()] }
    }
}

fn example_id(last: u128) -> Uuid {
    Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a00 | last)
}

fn example_start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default()
}

fn example_practitioner() -> PractitionerOf {
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

pub struct ConsultationsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Consultations")]
impl ConsultationsApi {
    /// Free slots of a practitioner
    ///
    /// What is listed can be booked, as long as nobody takes it meanwhile: notice, horizon, buffers, the company's
    /// contract and the employee's own consultations are taken into account. Starts lie on full and half hours of
    /// the practitioner's clock where all session lengths and hours do, else on quarters of an hour. At most 62 days
    /// at once.
    #[oai(path = "/practitioners/:id/slots", method = "get", operation_id = "listSlots")]
    #[allow(clippy::too_many_arguments)] // one for each parameter of the route
    async fn list_slots(
        &self,
        cx: Authorized<perm::ReadSlots>,
        /// The practitioner.
        id: Path<PractitionerId>,
        /// The first day, as a date in `tz`, or an instant (RFC 3339). Now, unless said.
        from: Query<Option<String>>,
        /// The last day, as a date in `tz` (that day included), or an instant (not included). Two weeks after `from`,
        /// unless said.
        to: Query<Option<String>>,
        /// The session's length in minutes. The practitioner's shortest, unless said.
        duration: Query<Option<i32>>,
        /// How people meet; a mode that the practitioner does not offer is refused.
        mode: Query<Option<Mode>>,
        /// The IANA name of the zone in which dates are read and times are written. The caller's own, unless said.
        tz: Query<Option<String>>,
    ) -> Result<Json<SlotsAnswer>> {
        let query = SlotQuery { from: from.0, to: to.0, duration_minutes: duration.0, mode: mode.0, tz: tz.0 };
        Ok(Json(slots::list_slots(&cx, id.0, &query).await?.into()))
    }

    /// Book a slot
    ///
    /// Of several who want one slot, exactly one gets it; the others get `409 slot_taken` with `nearest`, up to five
    /// free slots nearby. A time that was never on offer is `422 not_offered` with the reason as the error's code:
    /// `in_past`, `notice`, `horizon`, `outside_hours`, `off_grid`, `length` or `mode`. `409 already_booked_then`: the
    /// employee has another consultation at that time. `409 quota_exhausted`: the contract's sessions of the
    /// year of that day are used up. `403 company_suspended`, `contract_ended` or `not_covered`: the company does not pay. A
    /// practitioner outside of the company's network is not found. Both people get a mail with a calendar entry.
    #[oai(path = "/consultations", method = "post", operation_id = "bookConsultation")]
    async fn book(
        &self,
        cx: Authorized<perm::BookConsultation>,
        /// Makes a repetition safe: for 24 hours the same key gets the same answer. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<BookingRequest>,
    ) -> Result<BookingResponse> {
        let BookingRequest { practitioner_id, starts_at, duration_minutes, mode } = body.0;
        let wanted = Booking { practitioner_id, starts_at, duration_minutes, mode };
        let key = IdempotencyKey::new(key.0, "bookConsultation", &wanted)?;
        let booked = service::book(&cx, &wanted, key.as_ref()).await?;
        Ok(BookingResponse::Booked(Json(booked.into())))
    }

    /// List one's own consultations
    ///
    /// The latest start first. Employees and practitioners get their own; the platform gets all, without the
    /// employees.
    #[oai(path = "/consultations", method = "get", operation_id = "listConsultations")]
    async fn list(
        &self,
        cx: Authorized<perm::ReadConsultations>,
        status: Query<Option<Status>>,
        /// Starts at this instant or later.
        from: Query<Option<DateTime<Utc>>>,
        /// Starts before this instant.
        to: Query<Option<DateTime<Utc>>>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Written<Page<ConsultationAnswer>>> {
        let page: PageQuery<(DateTime<Utc>, ConsultationId)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let by = Listing { status: status.0, from: from.0, to: to.0, after: page.after, fetch: page.fetch() };
        let rows = service::list(&cx, by).await?;
        Ok(Written(Page::new(&page, rows, |row| (row.starts_at, row.id), ConsultationAnswer::from)))
    }

    /// A consultation
    #[oai(path = "/consultations/:id", method = "get", operation_id = "getConsultation")]
    async fn get(
        &self,
        cx: Authorized<perm::ReadConsultations>,
        id: Path<ConsultationId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<ConsultationAnswer>> {
        let it = service::find(&cx, id.0).await?;
        let etag = Etag::of(it.updated_at);
        Ok(Tagged::new(it.into(), &etag, if_none_match.0.as_deref()))
    }

    /// Cancel a consultation
    ///
    /// Until its start: later is `409 too_late`. Only a confirmed consultation can be cancelled. The time is free again;
    /// both people get a mail that withdraws the calendar entry. What an employee cancels within the company's
    /// cancellation window counts against their sessions all the same, where the company says so: `GET /me/quota` tells.
    #[oai(path = "/consultations/:id/cancel", method = "post", operation_id = "cancelConsultation")]
    async fn cancel(
        &self,
        cx: Authorized<perm::CancelConsultation>,
        id: Path<ConsultationId>,
    ) -> Result<Json<ConsultationAnswer>> {
        Ok(Json(service::cancel(&cx, id.0).await?.into()))
    }

    /// Start a session
    ///
    /// From ten minutes before the booked time until its end: earlier is `403 not_open_yet`, later `410 closed`, both
    /// with `opensAt` and `closesAt`.
    #[oai(path = "/consultations/:id/start", method = "post", operation_id = "startConsultation")]
    async fn start(
        &self,
        cx: Authorized<perm::RunConsultation>,
        id: Path<ConsultationId>,
    ) -> Result<Json<ConsultationAnswer>> {
        Ok(Json(service::start(&cx, id.0).await?.into()))
    }

    /// End a session
    ///
    /// The time between start and end is what counts.
    #[oai(path = "/consultations/:id/end", method = "post", operation_id = "endConsultation")]
    async fn end(
        &self,
        cx: Authorized<perm::RunConsultation>,
        id: Path<ConsultationId>,
    ) -> Result<Json<ConsultationAnswer>> {
        Ok(Json(service::end(&cx, id.0).await?.into()))
    }

    /// What happened to a consultation
    #[oai(path = "/consultations/:id/events", method = "get", operation_id = "listConsultationEvents")]
    async fn events(
        &self,
        cx: Authorized<perm::ReadConsultations>,
        id: Path<ConsultationId>,
    ) -> Result<Json<EventsAnswer>> {
        let items = service::list_events(&cx, id.0).await?.into_iter().map(EventAnswer::from).collect();
        Ok(Json(EventsAnswer { items }))
    }

    /// A consultation for one's calendar
    ///
    /// Private and with a neutral title. Of a cancelled consultation, it withdraws the entry.
    #[oai(path = "/consultations/:id/calendar.ics", method = "get", operation_id = "getConsultationCalendar")]
    async fn calendar(
        &self,
        cx: Authorized<perm::TakeCalendarFile>,
        id: Path<ConsultationId>,
    ) -> Result<CalendarResponse> {
        let ics = service::calendar(&cx, id.0).await?;
        Ok(CalendarResponse::File(PlainText(ics), "attachment; filename=\"appointment.ics\"".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

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
