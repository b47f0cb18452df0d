//! Reading consultations, and what happens to them after the booking.

pub use super::booking::{Booking, book};
use super::calendar;
use super::events::{self, ConsultationCancelled, ConsultationConfirmed, ConsultationMissed};
use super::model::{Consultation, DoneBy, Event, EventKind, MissedBy, Status};
use super::reasons::{self, About, Session};
use super::store::{self, Listing};
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::http::{Etag, IdempotencyKey};
use crate::platform::ids::ConsultationId;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

pub async fn list(cx: &Context, by: Listing) -> Result<Vec<Consultation>> {
    let found = store::list(cx, by).await?;
    if cx.caller().is(Role::PlatformAdmin) {
        let mut tx = cx.begin(Permission::ReadConsultations).await?;
        tx.audit(Entry::done("consultation.listed", "consultation", None).with(Detail::Count, found.len())).await?;
        tx.commit().await?;
    }
    Ok(found)
}

pub async fn find(cx: &Context, id: ConsultationId) -> Result<Consultation> {
    let mut tx = begin_reading(cx).await?;
    let mut it = find_seen(cx, &mut tx, id).await?;
    if matches!(cx.caller().role, Role::Employee | Role::Practitioner) {
        let standing = store::find_standing(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
        it.reasons = reasons::read(cx, &mut tx, Session { id, company_id: standing.company_id }).await?;
    }
    end_reading(cx, tx, id).await?;
    Ok(it)
}

/// What others than the employee read leaves a trace, which the employee finds in their access log.
async fn begin_reading(cx: &Context) -> Result<Tx> {
    match cx.caller().role {
        Role::Employee => cx.read(Permission::ReadConsultations).await,
        _ => cx.begin(Permission::ReadConsultations).await,
    }
}

async fn end_reading(cx: &Context, mut tx: Tx, id: ConsultationId) -> Result<()> {
    if cx.caller().is(Role::Employee) {
        return Ok(());
    }
    let standing = store::find_standing(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    tx.enter_company(standing.company_id).await?;
    tx.audit_done("consultation.read", "consultation", id.0).await?;
    tx.commit().await
}

async fn find_seen(cx: &Context, tx: &mut Tx, id: ConsultationId) -> Result<Consultation> {
    store::find(cx, tx, id).await?.ok_or_else(|| Refusal::NotFound.into())
}

pub async fn list_events(cx: &Context, id: ConsultationId) -> Result<Vec<Event>> {
    let mut tx = begin_reading(cx).await?;
    let events = store::list_events(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    end_reading(cx, tx, id).await?;
    Ok(events)
}

/// The text of an `.ics` file for the caller's own calendar.
pub async fn calendar(cx: &Context, id: ConsultationId) -> Result<String> {
    let mut tx = cx.read(Permission::TakeCalendarFile).await?;
    let it = store::find_own_appointment(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    if !it.was_agreed {
        // an entry for what may come to nothing would be withdrawn by no mail
        let standing = store::find_standing(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
        return Err(standing.illegal());
    }
    Ok(calendar::entry(&cx.platform().config, &it, cx.now())?.ics)
}

/// A step in a consultation's life.
#[derive(Clone, Copy)]
enum Step<'a> {
    Confirm,
    /// With what whoever cancels says about it.
    Cancel(Option<&'a HealthText>),
    Start,
    End,
    NoShow,
}

/// How a step is asked for: of which version, and whether it is a repetition.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    pub if_match: Option<&'a str>,
    pub key: Option<&'a IdempotencyKey>,
}

/// Confirms a request, as the practitioner who was asked.
pub async fn confirm(cx: &Context, id: ConsultationId, asked: Asked<'_>) -> Result<Consultation> {
    take(cx, Permission::RunConsultation, id, Step::Confirm, asked).await
}

/// Cancels, until the start. What an employee gives back within the company's cancellation window may count all the same.
pub async fn cancel(
    cx: &Context,
    id: ConsultationId,
    reason: Option<&HealthText>,
    asked: Asked<'_>,
) -> Result<Consultation> {
    take(cx, Permission::CancelConsultation, id, Step::Cancel(reason), asked).await
}

pub async fn start(cx: &Context, id: ConsultationId) -> Result<Consultation> {
    take(cx, Permission::RunConsultation, id, Step::Start, Asked::default()).await
}

pub async fn end(cx: &Context, id: ConsultationId) -> Result<Consultation> {
    take(cx, Permission::RunConsultation, id, Step::End, Asked::default()).await
}

/// Says that the other one did not come.
pub async fn no_show(cx: &Context, id: ConsultationId, asked: Asked<'_>) -> Result<Consultation> {
    take(cx, Permission::ReportNoShow, id, Step::NoShow, asked).await
}

async fn take(
    cx: &Context,
    permission: Permission,
    id: ConsultationId,
    step: Step<'_>,
    asked: Asked<'_>,
) -> Result<Consultation> {
    let (now, by) = (cx.now(), done_by(cx.caller().role));
    let mut tx = cx.begin(permission).await?;
    if let Some(answer) = tx.recall(asked.key).await? {
        return Ok(answer);
    }
    let it = store::find_standing(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    if let Some(version) = asked.if_match {
        Etag::of(it.updated_at).require(Some(version))?;
    }
    if tx.actor().company_id != Some(it.company_id) {
        // a practitioner serves many companies: what follows belongs to this one
        tx.enter_company(it.company_id).await?;
    }
    let mut at = now;
    let (moved, kind, action) = match step {
        Step::Confirm => {
            it.check_confirm(now)?;
            (store::save_confirmed(&mut tx, id, &it, now).await?, EventKind::Confirmed, "consultation.confirmed")
        }
        Step::Cancel(_) => {
            it.check_cancel(now)?;
            (store::save_cancelled(&mut tx, id, &it, now, by).await?, EventKind::Cancelled, "consultation.cancelled")
        }
        Step::Start => {
            it.check_start(now)?;
            let moved = store::save_status(&mut tx, id, &it, Status::InProgress).await?;
            (moved, EventKind::Started, "consultation.started")
        }
        Step::End => {
            it.check_end()?;
            at = it.ended_at(now);
            let moved = store::save_status(&mut tx, id, &it, Status::Completed).await?;
            (moved, EventKind::Ended, "consultation.ended")
        }
        Step::NoShow => {
            it.check_no_show(now)?;
            let missing = if by == DoneBy::Employee { MissedBy::Practitioner } else { MissedBy::Employee };
            (store::save_missed(&mut tx, id, &it, missing).await?, EventKind::NoShow, "consultation.missed")
        }
    };
    if !moved {
        // somebody was faster: it is over, or at another time than the caller knows
        let seen = store::find_standing(&mut tx, id).await?.unwrap_or(it);
        return Err(if seen.status == it.status { Refusal::Stale.into() } else { seen.illegal() });
    }
    store::insert_event(&mut tx, it.company_id, id, kind, at, by).await?;
    match step {
        Step::Confirm => events::emit(&mut tx, &ConsultationConfirmed { consultation_id: id }, id).await?,
        Step::Cancel(reason) => {
            let of = Session { id, company_id: it.company_id };
            reasons::keep(cx, &mut tx, of, About::Cancelling, reason, by).await?;
            events::emit(&mut tx, &ConsultationCancelled { consultation_id: id }, id).await?;
            store::find_time(&mut tx, id).await?.emit(&mut tx, now).await?;
        }
        Step::NoShow => events::emit(&mut tx, &ConsultationMissed { consultation_id: id }, id).await?,
        Step::Start | Step::End => {}
    }
    tx.audit_done(action, "consultation", id.0).await?;
    let after = find_seen(cx, &mut tx, id).await?;
    tx.remember(asked.key, &after).await?;
    tx.commit().await?;
    Ok(after)
}

fn done_by(role: Role) -> DoneBy {
    match role {
        Role::Employee => DoneBy::Employee,
        Role::Practitioner => DoneBy::Practitioner,
        Role::Hr | Role::CompanyAdmin | Role::PlatformAdmin => DoneBy::Platform,
    }
}

/// Whether two transactions got in each other's way, so that trying again helps.
pub(super) fn is_contention(problem: &Problem) -> bool {
    problem
        .source_error()
        .and_then(|source| source.downcast_ref::<sqlx::Error>())
        .and_then(sqlx::Error::as_database_error)
        .and_then(sqlx::error::DatabaseError::code)
        // serialization_failure, deadlock_detected
        .is_some_and(|code| code == "40001" || code == "40P01")
}
