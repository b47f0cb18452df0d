//! Moving a session in place: the same consultation, at another time.
//!
//! Its own time is released first, so that it can move to one that overlaps with it; then one UPDATE under the
//! constraints takes the new time. Whoever loses a race keeps the old one. An employee moves what is agreed as long as
//! cancelling it would not be late, the practitioner until it begins; whom the practitioner moved may move or cancel
//! without cost until it begins. What is still to be confirmed stays so, and waits anew.

mod store;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::booking::{self, ATTEMPTS, Nearest};
use super::error::Error;
use super::events::{self, ConsultationRescheduled, TimeFreed};
use super::model::{Consultation, expires_at};
use super::service::is_contention;
use super::slots::{self, Offer, Span, Why};
use super::waitlist;
use crate::domain::practitioners::Mode;
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Etag, IdempotencyKey};
use crate::platform::ids::ConsultationId;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};
use store::Movable;

/// Where to. What is absent stays.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Move {
    pub starts_at: DateTime<Utc>,
    pub duration_minutes: Option<i32>,
    pub mode: Option<Mode>,
}

impl Move {
    fn length(&self, of: &Movable) -> TimeDelta {
        self.duration_minutes.map_or(of.ends_at - of.starts_at, |minutes| TimeDelta::minutes(minutes.into()))
    }
}

/// Moves a consultation. The same key and the same wish get the same answer.
pub async fn reschedule(
    cx: &Context,
    id: ConsultationId,
    wanted: &Move,
    if_match: Option<&str>,
    key: Option<&IdempotencyKey>,
) -> Result<Consultation> {
    let mut attempt = 1;
    loop {
        match try_to_move(cx, id, wanted, if_match, key).await {
            // somebody was in the way, or the hours have changed meanwhile
            Err(problem) if is_contention(&problem) || problem.code() == "conflict" => {
                if attempt == ATTEMPTS {
                    return Err(Refusal::Conflict.into());
                }
                attempt += 1;
            }
            Err(problem) if problem.code() == "slot_taken" => return Err(with_nearest(cx, id, wanted, problem).await?),
            other => return other,
        }
    }
}

async fn try_to_move(
    cx: &Context,
    id: ConsultationId,
    wanted: &Move,
    if_match: Option<&str>,
    key: Option<&IdempotencyKey>,
) -> Result<Consultation> {
    let now = cx.now();
    let mut tx = cx.begin(Permission::RescheduleConsultation).await?;
    if let Some(answer) = tx.recall(key).await? {
        return Ok(answer);
    }
    let it = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    if let Some(version) = if_match {
        Etag::of(it.updated_at).require(Some(version))?;
    }
    it.standing().check_reschedule(now)?;
    let (length, mode) = (wanted.length(&it), wanted.mode.unwrap_or(it.mode));
    if (wanted.starts_at, length, mode) == (it.starts_at, it.ends_at - it.starts_at, it.mode) {
        return Err(Problem::from(Error::NotOffered).at("/startsAt", "unchanged"));
    }
    booking::check_reach(wanted.starts_at, now)?;
    let offer = find_offer(cx, &mut tx, id, &it, Span { from: wanted.starts_at, until: wanted.starts_at }).await?;
    let slot = offer.slot_at(wanted.starts_at, length, mode).map_err(|why| for_caller(cx, refusal(why)))?;

    super::store::lock_bookings(&mut tx, it.user_id, it.practitioner_id).await?;
    super::slots::check_current(&mut tx, &offer).await?;
    if tx.actor().company_id != Some(it.company_id) {
        tx.enter_company(it.company_id).await?;
    }
    if cx.caller().is(Role::Employee) {
        waitlist::take(&mut tx, it.practitioner_id, offer.busy(slot), now).await?;
    }
    let to = store::Target { slot, busy: offer.busy(slot), mode, expires_at: expires_at(now, slot.starts_at) };
    if !store::save(&mut tx, id, &it, &to, now).await.map_err(|problem| for_caller(cx, problem))? {
        let seen = super::store::find_standing(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
        return Err(seen.check_reschedule(now).err().unwrap_or_else(|| Refusal::Stale.into()));
    }
    let (practitioner_id, starts_at, ends_at) = (it.practitioner_id, it.starts_at, it.ends_at);
    // one that changes its mode alone, or grows, frees nothing
    if starts_at < slot.starts_at || slot.ends_at < ends_at {
        TimeFreed { consultation_id: id, practitioner_id, starts_at, ends_at }.emit(&mut tx, now).await?;
    }
    let sequence = it.ics_sequence + 1;
    let moved = ConsultationRescheduled { consultation_id: id, sequence, moved_from: Some(starts_at) };
    events::emit_nth(&mut tx, &moved, id, sequence).await?;
    tx.audit_done("consultation.rescheduled", "consultation", id.0).await?;
    let after = super::store::find(cx, &mut tx, id).await?.ok_or(Refusal::NotFound)?;
    tx.remember(key, &after).await?;
    tx.commit().await?;
    Ok(after)
}

/// What can be had instead of the session's own time, which is free for it.
async fn find_offer(cx: &Context, tx: &mut Tx, id: ConsultationId, it: &Movable, starts: Span) -> Result<Offer> {
    let coverage = slots::find_coverage(cx, tx).await?;
    let found = slots::find_offer(cx, tx, coverage.as_ref(), it.practitioner_id, starts, Some(id)).await;
    let mut offer = match found {
        // who left the network keeps what is booked, and takes nothing else
        Err(problem) if problem.code() == "not_found" => return Err(Error::NotOffered.into()),
        found => found?,
    };
    if cx.caller().is(Role::Practitioner) {
        // the notice is what they want from others
        offer.terms.min_notice = TimeDelta::zero();
        offer.own = store::list_times_of_client(tx, id, Offer::reach(starts.from, starts.until)).await?;
    }
    Ok(offer)
}

/// Why it cannot be moved there. Whoever has a session with the practitioner knows that they are there.
fn refusal(why: Why) -> Problem {
    if why == Why::Status { Error::PractitionerInactive.into() } else { booking::refusal(why) }
}

/// A practitioner learns of no other practitioner's session, and nothing of what somebody has used or their company pays.
fn for_caller(cx: &Context, problem: Problem) -> Problem {
    match problem.code() {
        // deactivated meanwhile
        "not_found" => Error::PractitionerInactive.into(),
        _ if !cx.caller().is(Role::Practitioner) => problem,
        "already_booked_then" => Error::SlotTaken.into(),
        "quota_exhausted" | "contract_ended" | "company_suspended" | "company_archived" | "not_covered" => {
            Error::EmployeeNotCovered.into()
        }
        _ => problem,
    }
}

/// Adds the nearest slots that are free now.
async fn with_nearest(cx: &Context, id: ConsultationId, wanted: &Move, problem: Problem) -> Result<Problem> {
    let mut tx = cx.read(Permission::RescheduleConsultation).await?;
    let it = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let mut nearest = Nearest::to(wanted.starts_at, wanted.length(&it));
    while let Some(starts) = nearest.next() {
        nearest.look(&find_offer(cx, &mut tx, id, &it, starts).await?);
    }
    Ok(nearest.name(problem))
}
