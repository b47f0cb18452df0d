//! `/practitioners/{id}/slots` and `/consultations`.

mod bodies;

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{OpenApi, Tags};

use bodies::{
    BookingRequest, BookingResponse, CalendarResponse, CancelRequest, EventAnswer, EventsAnswer, JoinAnswer,
    RescheduleRequest, SlotsAnswer,
};
pub use bodies::{ConsultationAnswer, IceServerAnswer};

use super::joining;
use super::model::Status;
use super::reschedule::{self, Move};
use super::service::{self, Asked, Booking};
use super::slots::{self, SlotQuery};
use super::store::Listing;
use crate::domain::practitioners::Mode;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Etag, IdempotencyKey, Page, PageQuery, Tagged, Written};
use crate::platform::ids::{ConsultationId, PractitionerId};

#[derive(Tags)]
pub(super) enum Tag {
    /// Free slots, booked sessions, and what happens to them.
    Consultations,
}

pub struct ConsultationsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Consultations")]
impl ConsultationsApi {
    /// Free slots of a practitioner
    ///
    /// What is listed can be booked, as long as nobody takes it meanwhile: notice, horizon, buffers, the company's
    /// contract and the employee's own consultations are taken into account. What is kept for those who wait is listed for
    /// the one who is asked. Starts lie on full and half hours of
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
    /// practitioner outside of the company's network is not found. Both people get a mail with a calendar entry. A time that
    /// is kept for somebody who waits is taken for everybody else; booking it, or any other time of the practitioner, ends
    /// the wait.
    ///
    /// With a practitioner who confirms by hand the answer is `pending`: the time is held, and counts, until `expiresAt`
    /// (a day, and at the latest two hours before the start). Without an answer it is cancelled then.
    #[oai(path = "/consultations", method = "post", operation_id = "bookConsultation")]
    async fn book(
        &self,
        cx: Authorized<perm::BookConsultation>,
        /// Makes a repetition safe: for 24 hours the same key gets the same answer. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<BookingRequest>,
    ) -> Result<BookingResponse> {
        let wanted = Booking::from(body.0);
        let key = IdempotencyKey::of(key.0, "bookConsultation", &(), &wanted)?;
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

    /// Confirm a request
    ///
    /// By a practitioner who confirms by hand, until the request lapses: later is `409 request_expired`. Both people get
    /// a mail with a calendar entry.
    #[oai(path = "/consultations/:id/confirm", method = "post", operation_id = "confirmConsultation")]
    async fn confirm(
        &self,
        cx: Authorized<perm::RunConsultation>,
        id: Path<ConsultationId>,
        /// Makes a repetition safe: for 24 hours the same key gets the same answer. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        /// The version that the client has. Where it is given and another, the answer is 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Json<ConsultationAnswer>> {
        let key = IdempotencyKey::new(key.0, "confirmConsultation", &id.0)?;
        let asked = Asked { if_match: if_match.0.as_deref(), key: key.as_ref() };
        Ok(Json(service::confirm(&cx, id.0, asked).await?.into()))
    }

    /// Cancel a consultation
    ///
    /// Until its start: later is `409 too_late`. Where somebody moves it at the same moment, the answer is `412 stale`.
    /// Only what is pending or confirmed can be cancelled. The time is free again, or kept for those who wait for it; both
    /// people get a mail that withdraws the calendar entry. What an employee cancels within the company's cancellation
    /// window counts against their sessions all the same, where the company says so: `cancellation` tells beforehand,
    /// `counts` of the answer and the mail afterwards.
    /// It does not where the practitioner has moved the session. The reason is shown to nobody but the two people; about
    /// somebody whose account was erased it is not kept.
    #[oai(path = "/consultations/:id/cancel", method = "post", operation_id = "cancelConsultation")]
    async fn cancel(
        &self,
        cx: Authorized<perm::CancelConsultation>,
        id: Path<ConsultationId>,
        /// Makes a repetition safe: for 24 hours the same key gets the same answer. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        /// The version that the client has. Where it is given and another, the answer is 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<CancelRequest>,
    ) -> Result<Json<ConsultationAnswer>> {
        let reason = body.reason.as_ref();
        let key = IdempotencyKey::of(key.0, "cancelConsultation", &id.0, &body.0)?;
        let asked = Asked { if_match: if_match.0.as_deref(), key: key.as_ref() };
        Ok(Json(service::cancel(&cx, id.0, reason, asked).await?.into()))
    }

    /// Move a consultation to another time
    ///
    /// It stays the same consultation, in the same state; its own time counts as free, so that it can move to one that
    /// overlaps with it. Refused as a booking is; whoever loses the new time to somebody else (`409 slot_taken`, with
    /// `nearest`) keeps the old one. An employee can move what is confirmed until the company's cancellation window
    /// begins, and what the practitioner has moved until its start; a practitioner until its start, as long as they are
    /// active (`409 practitioner_inactive`) and the employee is covered then (`409 employee_not_covered`). Later is
    /// `409 too_late_to_reschedule`; more than ten times is `409 rescheduled_too_often`. Both people get a mail that
    /// changes the calendar entry. An employee whose session was moved by the practitioner cancels without cost.
    #[oai(path = "/consultations/:id/reschedule", method = "post", operation_id = "rescheduleConsultation")]
    async fn reschedule(
        &self,
        cx: Authorized<perm::RescheduleConsultation>,
        id: Path<ConsultationId>,
        /// Makes a repetition safe: for 24 hours the same key gets the same answer. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        /// The version that the client has. Where it is given and another, the answer is 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<RescheduleRequest>,
    ) -> Result<Json<ConsultationAnswer>> {
        let wanted = Move::from(body.0);
        let key = IdempotencyKey::new(key.0, "rescheduleConsultation", &(id.0, &wanted))?;
        let moved = reschedule::reschedule(&cx, id.0, &wanted, if_match.0.as_deref(), key.as_ref()).await?;
        Ok(Json(moved.into()))
    }

    /// Join a session
    ///
    /// What the mode needs: a Jitsi link with its token (the practitioner moderates), or the room of a call with ICE
    /// servers, or the conversation. Open from ten minutes before the start until half an hour after the planned end:
    /// earlier is `403 not_open_yet`, later `410 closed`, both with `opensAt` and `closesAt`. Tokens and credentials end at
    /// `expiresAt`; ask again for new ones. Where the operator has no video server, video is `503 video_not_configured`.
    /// Nothing is recorded but that one joined. Maintenance keeps nobody out.
    #[oai(path = "/consultations/:id/join", method = "post", operation_id = "joinConsultation")]
    async fn join(&self, cx: Authorized<perm::JoinConsultation>, id: Path<ConsultationId>) -> Result<Json<JoinAnswer>> {
        Ok(Json(joining::join(&cx, id.0).await?.into()))
    }

    /// Start a session
    ///
    /// From ten minutes before the booked time until half an hour after its end: earlier is `403 not_open_yet`, later
    /// `410 closed`, both with `opensAt` and `closesAt`. During maintenance as well.
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
    /// The time between start and end is what counts. A session that nobody ends within half an hour after its planned end
    /// ended then, also where this is asked later. During maintenance as well.
    #[oai(path = "/consultations/:id/end", method = "post", operation_id = "endConsultation")]
    async fn end(
        &self,
        cx: Authorized<perm::RunConsultation>,
        id: Path<ConsultationId>,
    ) -> Result<Json<ConsultationAnswer>> {
        Ok(Json(service::end(&cx, id.0).await?.into()))
    }

    /// Say that the other one did not come
    ///
    /// From ten minutes after the start (`409 no_show_too_early`) until a day after the end (`409 no_show_too_late`), of a
    /// session that is confirmed, or in progress. Said by the practitioner, it counts against the employee's sessions where
    /// the company says so, unless the server saw the employee join; of a session in progress the answer is then
    /// `409 employee_was_there`. Said by the employee, it does not count; the answer is `409 practitioner_was_there` where
    /// the server saw the practitioner join. Both people get a mail.
    #[oai(path = "/consultations/:id/no-show", method = "post", operation_id = "reportNoShow")]
    async fn no_show(
        &self,
        cx: Authorized<perm::ReportNoShow>,
        id: Path<ConsultationId>,
        /// Makes a repetition safe: for 24 hours the same key gets the same answer. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        /// The version that the client has. Where it is given and another, the answer is 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Json<ConsultationAnswer>> {
        let key = IdempotencyKey::new(key.0, "reportNoShow", &id.0)?;
        let asked = Asked { if_match: if_match.0.as_deref(), key: key.as_ref() };
        Ok(Json(service::no_show(&cx, id.0, asked).await?.into()))
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
    /// Private and with a neutral title. Of a cancelled consultation, it withdraws the entry. Of a request there is none
    /// until it is confirmed: `409 illegal_transition`.
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
