//! Booking a slot.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use super::error::Error;
use super::events::{self, ConsultationBooked, ConsultationRequested};
use super::model::{Consultation, DoneBy, EventKind, Status};
use super::reasons::{self, About, Session};
use super::service::is_contention;
use super::slots::{self, Offer, Slot, Span, Why};
use super::store;
use super::waitlist;
use crate::domain::practitioners::Mode;
use crate::platform::auth::Permission;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::http::IdempotencyKey;
use crate::platform::http::idempotency::{Fingerprint, Print};
use crate::platform::ids::{ConsultationId, PractitionerId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result};

/// The longest horizon that a practitioner or a company can set.
const MOST_AHEAD: TimeDelta = TimeDelta::days(365);
/// How often a booking that got in another's way is tried.
pub(super) const ATTEMPTS: u32 = 5;
/// What a refused person is shown instead.
const NEAREST: usize = 5;
/// Where it is looked for, in days from the time that was wanted: around it, and ahead as long as too little was found.
const LOOKS: [(i64, i64); 3] = [(-7, 7), (7, 28), (28, 366)];

/// What an employee wants.
#[derive(Clone)]
pub struct Booking {
    pub practitioner_id: PractitionerId,
    pub starts_at: DateTime<Utc>,
    pub duration_minutes: i32,
    pub mode: Mode,
    /// What brings them: health content, perhaps.
    pub reason: Option<HealthText>,
}

impl Fingerprint for Booking {
    fn print(&self, into: &mut Print) -> Result<()> {
        let Self { practitioner_id, starts_at, duration_minutes, mode, reason } = self;
        into.plain(&(practitioner_id, starts_at, duration_minutes, mode))?;
        into.all_words(reason);
        Ok(())
    }
}

impl Booking {
    fn length(&self) -> TimeDelta {
        TimeDelta::minutes(self.duration_minutes.into())
    }
}

/// Books a slot. The same key and the same wish get the same answer.
pub async fn book(cx: &Context, wanted: &Booking, key: Option<&IdempotencyKey>) -> Result<Consultation> {
    let mut attempt = 1;
    loop {
        match try_to_book(cx, wanted, key).await {
            // somebody was in the way, or the hours have changed meanwhile
            Err(problem) if is_contention(&problem) || problem.code() == "conflict" => {
                if attempt == ATTEMPTS {
                    return Err(Refusal::Conflict.into());
                }
                attempt += 1;
            }
            Err(problem) if problem.code() == "slot_taken" => return Err(with_nearest(cx, wanted, problem).await?),
            other => return other,
        }
    }
}

async fn try_to_book(cx: &Context, wanted: &Booking, key: Option<&IdempotencyKey>) -> Result<Consultation> {
    let now = cx.now();
    let mut tx = cx.begin(Permission::BookConsultation).await?;
    if let Some(answer) = tx.recall(key).await? {
        return Ok(answer);
    }
    let coverage = slots::find_coverage(cx, &mut tx).await?.ok_or(Refusal::Forbidden)?;
    // who is not there is not found, whatever was asked
    let far = check_reach(wanted.starts_at, now).err();
    let at = if far.is_some() { now } else { wanted.starts_at };
    let starts = Span { from: at, until: at };
    let offer = slots::find_offer(cx, &mut tx, Some(&coverage), wanted.practitioner_id, starts, None).await?;
    if let Some(problem) = far {
        return Err(problem);
    }
    let slot = offer.slot_at(wanted.starts_at, wanted.length(), wanted.mode).map_err(refusal)?;

    store::lock_bookings(&mut tx, cx.caller().user_id, wanted.practitioner_id).await?;
    waitlist::take(&mut tx, wanted.practitioner_id, offer.busy(slot), now).await?;
    let id: ConsultationId = cx.new_id();
    let status = store::insert(&mut tx, id, &offer.terms, slot, wanted.mode, coverage.department_id, now).await?;
    let company_id = cx.caller().company_id.ok_or(Refusal::Forbidden)?;
    store::insert_event(&mut tx, company_id, id, EventKind::Booked, now, DoneBy::Employee).await?;
    let (of, reason) = (Session { id, company_id }, wanted.reason.as_ref());
    reasons::keep(cx, &mut tx, of, About::Booking, reason, DoneBy::Employee).await?;
    if status == Status::Pending {
        events::emit(&mut tx, &ConsultationRequested { consultation_id: id }, id).await?;
    } else {
        events::emit(&mut tx, &ConsultationBooked { consultation_id: id }, id).await?;
    }
    tx.audit_done("consultation.booked", "consultation", id.0).await?;
    let booked = store::find(cx, &mut tx, id)
        .await?
        .ok_or_else(|| Problem::internal("a consultation is not to be seen by whom it was booked"))?;
    tx.remember(key, &booked).await?;
    tx.commit().await?;
    Ok(booked)
}

/// Nobody takes bookings further ahead; the database and the calendar end somewhere, too.
pub(super) fn check_reach(starts_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
    if starts_at < now {
        Err(refusal(Why::InPast))
    } else if starts_at > now + MOST_AHEAD {
        Err(refusal(Why::Horizon))
    } else {
        Ok(())
    }
}

pub(super) fn refusal(why: Why) -> Problem {
    let (pointer, code) = match why {
        // whoever takes no bookings is not there for those who look for a slot
        Why::Status => return Refusal::NotFound.into(),
        Why::Taken | Why::Kept | Why::Buffer | Why::ExternalCalendar => return Error::SlotTaken.into(),
        Why::OwnTime => return Error::AlreadyBookedThen.into(),
        Why::Contract => return Error::ContractEnded.into(),
        Why::Mode => ("/mode", "mode"),
        Why::Length => ("/durationMinutes", "length"),
        Why::InPast => ("/startsAt", "in_past"),
        Why::Notice => ("/startsAt", "notice"),
        Why::Horizon => ("/startsAt", "horizon"),
        // why a practitioner is not there is their own affair
        Why::OutsideHours | Why::Closed | Why::TimeOff => ("/startsAt", "outside_hours"),
        Why::OffGrid | Why::Repeated | Why::Skipped => ("/startsAt", "off_grid"),
    };
    Problem::from(Error::NotOffered).at(pointer, code)
}

/// Adds the nearest slots that are free now.
async fn with_nearest(cx: &Context, wanted: &Booking, problem: Problem) -> Result<Problem> {
    let mut tx = cx.read(Permission::ReadSlots).await?;
    let coverage = slots::find_coverage(cx, &mut tx).await?;
    let mut nearest = Nearest::to(wanted.starts_at, wanted.length());
    while let Some(starts) = nearest.next() {
        let id = wanted.practitioner_id;
        nearest.look(&slots::find_offer(cx, &mut tx, coverage.as_ref(), id, starts, None).await?);
    }
    Ok(nearest.name(problem))
}

/// The free slots that are nearest to a time. Where somebody is booked out around it, the first ones after that.
pub(super) struct Nearest {
    at: DateTime<Utc>,
    length: TimeDelta,
    looks: usize,
    found: Vec<Slot>,
}

impl Nearest {
    pub fn to(at: DateTime<Utc>, length: TimeDelta) -> Self {
        Self { at, length, looks: 0, found: Vec::new() }
    }

    /// For which starts the offer is looked at next; none where enough are found, or nothing is left to be looked at.
    pub fn next(&self) -> Option<Span> {
        let (from, until) = LOOKS.get(self.looks).filter(|_| self.found.len() < NEAREST)?;
        Some(Span { from: self.at + TimeDelta::days(*from), until: self.at + TimeDelta::days(*until) })
    }

    /// Looks at an offer that is known for these starts.
    pub fn look(&mut self, offer: &Offer) {
        let Some(Span { from, until }) = self.next() else { return };
        let left = NEAREST - self.found.len();
        self.found.extend(match self.looks {
            0 => {
                let mut found = offer.nearest(self.at, self.length, until - self.at, left + 1);
                // what was refused a moment ago is not offered again
                found.retain(|slot| slot.starts_at != self.at);
                found.truncate(left);
                found
            }
            _ => offer.following(self.length, from, until, left),
        });
        self.looks += 1;
    }

    pub fn name(self, problem: Problem) -> Problem {
        let slot = |slot: Slot| json!({ "startsAt": utc(slot.starts_at), "endsAt": utc(slot.ends_at) });
        problem.with("nearest", self.found.into_iter().map(slot).collect::<Vec<_>>().into())
    }
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
