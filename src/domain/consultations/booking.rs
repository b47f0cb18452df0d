//! What can be booked, and booking it.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::json;

use super::error::Error;
use super::events::{self, ConsultationBooked};
use super::model::{Consultation, DoneBy, EventKind};
use super::service::is_contention;
use super::slots::{self, Offer, Slot, Span, Why};
use super::store::{self, Coverage};
use crate::domain::practitioners::{self, BookingTerms, Mode, Status as PractitionerStatus};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::IdempotencyKey;
use crate::platform::ids::{ConsultationId, PractitionerId};
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result, Tx};

/// The longest time for which slots are listed at once.
const MOST_DAYS: i64 = 62;
const DEFAULT_DAYS: i64 = 14;
/// The longest horizon that a practitioner or a company can set.
const MOST_AHEAD: TimeDelta = TimeDelta::days(365);
/// How often a booking that got in another's way is tried.
const ATTEMPTS: u32 = 5;
/// What a refused person is shown instead.
const NEAREST: usize = 5;
const NEAREST_AROUND: TimeDelta = TimeDelta::days(7);

/// What an employee wants.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Booking {
    pub practitioner_id: PractitionerId,
    pub starts_at: DateTime<Utc>,
    pub duration_minutes: i32,
    pub mode: Mode,
}

impl Booking {
    fn length(&self) -> TimeDelta {
        TimeDelta::minutes(self.duration_minutes.into())
    }
}

/// Which slots to list.
#[derive(Clone, Debug, Default)]
pub struct SlotQuery {
    /// A date in `tz`, or an instant.
    pub from: Option<String>,
    /// A date in `tz`, that day included, or an instant, not included.
    pub to: Option<String>,
    pub duration_minutes: Option<i32>,
    pub mode: Option<Mode>,
    pub tz: Option<String>,
}

/// Free slots, and the zone in which the asker reads them.
#[derive(Debug)]
pub struct SlotList {
    pub zone: Tz,
    pub slots: Vec<Slot>,
}

/// The free slots of a practitioner, for the caller.
pub async fn list_slots(cx: &Context, id: PractitionerId, query: &SlotQuery) -> Result<SlotList> {
    let mut tx = cx.read(Permission::ReadSlots).await?;
    let (terms, coverage) = find_terms(cx, &mut tx, id).await?;

    let mut errors = FieldErrors::new();
    let zone_name = match (&query.tz, &coverage) {
        (Some(zone), _) => zone.clone(),
        (None, Some(coverage)) => coverage.time_zone.clone(),
        (None, None) => store::find_time_zone(&mut tx).await?,
    };
    let zone: Option<Tz> = zone_name.parse().ok();
    errors.check(zone.is_some(), "query:tz", "time_zone");
    let zone = zone.unwrap_or(Tz::UTC);
    let from = bound(query.from.as_deref(), zone, false, "query:from", &mut errors).unwrap_or(cx.now());
    let to =
        bound(query.to.as_deref(), zone, true, "query:to", &mut errors).unwrap_or(from + TimeDelta::days(DEFAULT_DAYS));
    errors.check(from < to, "query:to", "order");
    // whole days may be an hour or so longer where a clock is put back
    errors.check(to - from <= TimeDelta::days(MOST_DAYS) + TimeDelta::hours(2), "query:to", "range_too_long");
    let length = query.duration_minutes.or_else(|| terms.session_lengths.first().copied()).unwrap_or_default();
    let length = TimeDelta::minutes(length.into());
    let speaks = |mode| terms.modes.contains(&mode);
    errors.check(
        terms.session_lengths.iter().any(|it| TimeDelta::minutes((*it).into()) == length),
        "query:duration",
        "length",
    );
    errors.check(query.mode.is_none_or(speaks), "query:mode", "mode");
    errors.finish()?;

    let offer = find_offer(cx, &mut tx, terms, coverage.as_ref(), from, to).await?;
    Ok(SlotList { zone, slots: offer.free(length, from, to) })
}

/// A date in a zone, or an instant (RFC 3339). The last day counts whole.
fn bound(
    text: Option<&str>,
    zone: Tz,
    is_last: bool,
    pointer: &str,
    errors: &mut FieldErrors,
) -> Option<DateTime<Utc>> {
    let text = text?;
    let found = match text.parse::<NaiveDate>() {
        Ok(day) => slots::days(day, day, zone).map(|day| if is_last { day.until } else { day.from }),
        // a plus sign that was not escaped arrives as a space
        Err(_) => DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok().map(|at| at.to_utc()),
    }
    // years that neither calendars nor the database know
    .filter(|at| (0..=i64::from(u32::MAX)).contains(&at.timestamp()));
    errors.check(found.is_some(), pointer, "date_or_time");
    found
}

/// Books a slot. The same key and the same wish get the same answer.
pub async fn book(cx: &Context, wanted: &Booking, key: Option<&IdempotencyKey>) -> Result<Consultation> {
    let mut attempt = 1;
    loop {
        match try_to_book(cx, wanted, key).await {
            Err(problem) if is_contention(&problem) => {
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
    let (terms, coverage) = find_terms(cx, &mut tx, wanted.practitioner_id).await?;
    let coverage = coverage.ok_or(Refusal::Forbidden)?;
    // nobody takes bookings further ahead; the database and the calendar end somewhere, too
    if wanted.starts_at < now {
        return Err(refusal(Why::InPast));
    } else if wanted.starts_at > now + MOST_AHEAD {
        return Err(refusal(Why::Horizon));
    }
    let offer = find_offer(cx, &mut tx, terms, Some(&coverage), wanted.starts_at, wanted.starts_at).await?;
    let slot = offer.slot_at(wanted.starts_at, wanted.length(), wanted.mode).map_err(refusal)?;

    store::lock_bookings(&mut tx, cx.caller().user_id, wanted.practitioner_id).await?;
    let id: ConsultationId = cx.new_id();
    store::insert(&mut tx, id, &offer.terms, slot, wanted.mode, coverage.department_id).await?;
    let company = cx.caller().company_id.ok_or(Refusal::Forbidden)?;
    store::insert_event(&mut tx, company, id, EventKind::Booked, now, DoneBy::Employee).await?;
    events::emit(&mut tx, &ConsultationBooked { consultation_id: id }, id).await?;
    tx.audit_done("consultation.booked", "consultation", id.0).await?;
    let booked = store::find(&mut tx, cx.caller().role, id)
        .await?
        .ok_or_else(|| Problem::internal("a consultation is not to be seen by whom it was booked"))?;
    tx.remember(key, &booked).await?;
    tx.commit().await?;
    Ok(booked)
}

/// The practitioner's terms, and for an employee the company's, where both say yes to the caller at all.
async fn find_terms(cx: &Context, tx: &mut Tx, id: PractitionerId) -> Result<(BookingTerms, Option<Coverage>)> {
    let coverage = match cx.caller().role {
        Role::Employee => Some(store::find_coverage(tx, Some(id)).await?),
        _ => None,
    };
    if let Some(coverage) = &coverage {
        check_coverage(coverage, cx.now())?;
    }
    let terms = practitioners::booking_terms(tx, id).await?.ok_or(Refusal::NotFound)?;
    // whom one has met stays visible, but only the network takes bookings
    if let Some(coverage) = &coverage
        && (!coverage.in_network || terms.status != PractitionerStatus::Active)
    {
        return Err(Refusal::NotFound.into());
    }
    Ok((terms, coverage))
}

fn check_coverage(coverage: &Coverage, now: DateTime<Utc>) -> Result<()> {
    match coverage.status.as_str() {
        "active" => {}
        "archived" => return Err(Error::CompanyArchived.into()),
        _ => return Err(Error::CompanySuspended.into()),
    }
    if coverage.has_left {
        return Err(Error::NotCovered.into());
    }
    if now >= contract(coverage)?.until { Err(Error::ContractEnded.into()) } else { Ok(()) }
}

/// The days of the contract, in the company's zone.
pub(super) fn contract(coverage: &Coverage) -> Result<Span> {
    span(coverage.contract_starts_on, coverage.contract_ends_on, company_zone(coverage)?)
}

fn span(first: NaiveDate, last: NaiveDate, zone: Tz) -> Result<Span> {
    slots::days(first, last, zone).ok_or_else(|| Problem::internal("a contract lies outside of the calendar"))
}

pub(super) fn company_zone(coverage: &Coverage) -> Result<Tz> {
    coverage.company_time_zone.parse().map_err(|_| Problem::internal("a company is in an unknown time zone"))
}

/// All that decides about starts in `from..=to`.
async fn find_offer(
    cx: &Context,
    tx: &mut Tx,
    terms: BookingTerms,
    coverage: Option<&Coverage>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Offer> {
    let reach = Offer::reach(&terms, from, to);
    let rules = practitioners::weekly_rules(tx, terms.id).await?;
    let taken = store::list_taken(tx, terms.id, reach).await?;
    let own = if coverage.is_some() { store::list_own_times(tx, reach).await? } else { Vec::new() };
    Ok(Offer {
        now: cx.now(),
        horizon_days: coverage.map_or(terms.horizon_days, |it| it.booking_horizon_days.min(terms.horizon_days)),
        contract: coverage.map(contract).transpose()?,
        terms,
        rules,
        taken,
        own,
    })
}

fn refusal(why: Why) -> Problem {
    let (pointer, code) = match why {
        Why::Taken => return Error::SlotTaken.into(),
        Why::OwnTime => return Error::AlreadyBookedThen.into(),
        Why::Contract => return Error::ContractEnded.into(),
        Why::Mode => ("/mode", "mode"),
        Why::Length => ("/durationMinutes", "length"),
        Why::InPast => ("/startsAt", "in_past"),
        Why::Notice => ("/startsAt", "notice"),
        Why::Horizon => ("/startsAt", "horizon"),
        Why::OutsideHours => ("/startsAt", "outside_hours"),
        Why::OffGrid => ("/startsAt", "off_grid"),
    };
    Problem::from(Error::NotOffered).at(pointer, code)
}

/// Adds the nearest slots that are free now.
async fn with_nearest(cx: &Context, wanted: &Booking, problem: Problem) -> Result<Problem> {
    let mut tx = cx.read(Permission::ReadSlots).await?;
    let (terms, coverage) = find_terms(cx, &mut tx, wanted.practitioner_id).await?;
    let (from, to) = (wanted.starts_at - NEAREST_AROUND, wanted.starts_at + NEAREST_AROUND);
    let offer = find_offer(cx, &mut tx, terms, coverage.as_ref(), from, to).await?;
    let nearest: Vec<_> = offer
        .nearest(wanted.starts_at, wanted.length(), NEAREST_AROUND, NEAREST)
        .into_iter()
        .map(|slot| json!({ "startsAt": utc(slot.starts_at), "endsAt": utc(slot.ends_at) }))
        .collect();
    Ok(problem.with("nearest", nearest.into()))
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_whole_days_of_the_zone_and_instants_are_themselves() {
        let mut errors = FieldErrors::new();
        let mut read = |text: &str, is_last| {
            bound(Some(text), Tz::Europe__Paris, is_last, "query:from", &mut errors).map(utc).unwrap_or_default()
        };
        assert_eq!(read("2026-03-29", false), "2026-03-28T23:00:00Z");
        assert_eq!(read("2026-03-29", true), "2026-03-29T22:00:00Z");
        assert_eq!(read("2026-03-29T10:00:00+02:00", true), "2026-03-29T08:00:00Z");
        assert_eq!(read("2026-03-29T10:00:00 02:00", false), "2026-03-29T08:00:00Z");
        for bad in ["", "today", "2026-02-30", "2026-03-29T10:00:00", "99999-01-01", "-0001-01-01"] {
            assert_eq!(read(bad, false), "", "{bad}");
        }
        assert_eq!(errors.into_vec().len(), 6);
    }
}
