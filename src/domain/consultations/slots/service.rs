//! Loading offers, and listing slots.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::offer::{Offer, Slot, Span, days};
use super::store;
use crate::domain::consultations::error::Error;
use crate::domain::consultations::store::{Coverage, find_coverage as find_own_coverage};
use crate::domain::practitioners::{self, Mode, Whose};
use crate::platform::auth::{Permission, Role};
use crate::platform::ids::{ConsultationId, PractitionerId};
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result, Tx};

/// The longest time for which slots are listed at once.
const MOST_DAYS: i64 = 62;
const DEFAULT_DAYS: i64 = 14;
/// How far a search for the first free slot looks before it looks further, in days. Each look is a constant number of
/// statements; most practitioners are found by the first one.
const LOOKS: [i64; 3] = [7, 28, 366];

/// Whose offers are wanted, and for which starts: `from..=to`.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    pub whose: Whose<'a>,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// A consultation whose own time counts as free: it is about to be moved.
    pub but_for: Option<ConsultationId>,
}

/// The offers of practitioners, in no order: to employees of those alone who take their company's bookings, to others of
/// everybody whom they can see. A constant number of statements.
pub async fn find_offers(
    cx: &Context,
    tx: &mut Tx,
    coverage: Option<&Coverage>,
    search: &Search<'_>,
) -> Result<Vec<Offer>> {
    find_offers_at(cx.now(), tx, coverage, search).await
}

/// As [`find_offers`], for those who have no caller.
pub async fn find_offers_at(
    now: DateTime<Utc>,
    tx: &mut Tx,
    coverage: Option<&Coverage>,
    search: &Search<'_>,
) -> Result<Vec<Offer>> {
    // whom one has met stays visible, but only the network takes bookings
    let all = practitioners::booking_terms(tx, search.whose, coverage.is_some()).await?;
    let ids: Vec<PractitionerId> = all.iter().map(|terms| terms.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let reach = Offer::reach(search.from, search.to);
    let mut hours = practitioners::hours(tx, &ids, reach.from, reach.until).await?;
    let mut taken = store::list_taken(tx, &ids, reach, search.but_for).await?;
    let mut elsewhere = store::list_elsewhere(tx, &ids, reach).await?;
    let own = match coverage {
        Some(_) => store::list_own_times(tx, reach, search.but_for).await?,
        None => Vec::new(),
    };
    let contract = coverage.map(contract).transpose()?;
    let offers = all.into_iter().map(|terms| Offer {
        now,
        horizon_days: coverage.map_or(terms.horizon_days, |it| it.booking_horizon_days.min(terms.horizon_days)),
        contract,
        hours: hours.remove(&terms.id).unwrap_or_default(),
        taken: taken.remove(&terms.id).unwrap_or_default(),
        elsewhere: elsewhere.remove(&terms.id).unwrap_or_default(),
        own: own.clone(),
        terms,
    });
    Ok(offers.collect())
}

/// The offer of one practitioner; who does not take the caller's bookings is not found.
pub async fn find_offer(
    cx: &Context,
    tx: &mut Tx,
    coverage: Option<&Coverage>,
    id: PractitionerId,
    starts: Span,
    but_for: Option<ConsultationId>,
) -> Result<Offer> {
    let search = Search { whose: Whose::These(&[id]), from: starts.from, to: starts.until, but_for };
    find_offers(cx, tx, coverage, &search).await?.pop().ok_or_else(|| Refusal::NotFound.into())
}

/// Refuses, with the bookings of the practitioner locked, what rests on hours that have changed since they were loaded:
/// trying again helps. So whoever closes time is told of every session in it.
pub async fn check_current(tx: &mut Tx, offer: &Offer) -> Result<()> {
    let is_current = practitioners::is_current(tx, offer.terms.id, offer.terms.version).await?;
    if is_current { Ok(()) } else { Err(Refusal::Conflict.into()) }
}

/// What a first free slot must be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstFree {
    /// Each practitioner's shortest, unless said. Whoever has no such sessions has no slot.
    pub length: Option<TimeDelta>,
    pub mode: Option<Mode>,
}

/// The first free slot of each practitioner that starts in `from..to`; who has none is not in the answer.
pub async fn find_first_free(
    cx: &Context,
    tx: &mut Tx,
    coverage: Option<&Coverage>,
    search: &Search<'_>,
    wanted: FirstFree,
) -> Result<HashMap<PractitionerId, Slot>> {
    let mut found = HashMap::new();
    let mut left: Option<Vec<PractitionerId>> = None;
    let mut from = search.from;
    for look in LOOKS {
        let to = search.to.min(search.from + TimeDelta::days(look));
        if from >= to || left.as_ref().is_some_and(Vec::is_empty) {
            break;
        }
        let whose = left.as_deref().map_or(search.whose, Whose::These);
        let offers = find_offers(cx, tx, coverage, &Search { whose, from, to, ..*search }).await?;
        let mut without = Vec::new();
        for offer in offers {
            let length = wanted.length.unwrap_or(offer.terms.shortest());
            let meets = wanted.mode.is_none_or(|mode| offer.terms.modes.contains(&mode));
            if !meets || !offer.terms.offers_length(length) || !offer.terms.takes_bookings() {
                continue;
            }
            if let Some(slot) = offer.first(length, from, to) {
                found.insert(offer.terms.id, slot);
            } else if offer.last_start() >= to {
                without.push(offer.terms.id);
            }
        }
        left = Some(without);
        from = to;
    }
    Ok(found)
}

/// What the caller's company grants, if it lets them book today; `None` for those whom no contract limits.
pub async fn find_coverage(cx: &Context, tx: &mut Tx) -> Result<Option<Coverage>> {
    if !cx.caller().is(Role::Employee) {
        return Ok(None);
    }
    let coverage = find_own_coverage(tx).await?;
    check_coverage(&coverage, cx.now())?;
    Ok(Some(coverage))
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
pub fn contract(coverage: &Coverage) -> Result<Span> {
    days(coverage.contract_starts_on, coverage.contract_ends_on, company_zone(coverage)?)
        .ok_or_else(|| Problem::internal("a contract lies outside of the calendar"))
}

pub fn company_zone(coverage: &Coverage) -> Result<Tz> {
    coverage.company_time_zone.parse().map_err(|_| Problem::internal("a company is in an unknown time zone"))
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
    let mut tx = practitioners::begin_reading(cx, Permission::ReadSlots).await?;
    let coverage = find_coverage(cx, &mut tx).await?;

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
    let is_short = to - from <= TimeDelta::days(MOST_DAYS) + TimeDelta::hours(2);
    errors.check(is_short, "query:to", "range_too_long");

    // what was asked badly is not loaded for; but who is not there is not found, whatever was asked
    let span = if from < to && is_short { Span { from, until: to } } else { Span { from: cx.now(), until: cx.now() } };
    let offer = find_offer(cx, &mut tx, coverage.as_ref(), id, span, None).await?;
    let length = query.duration_minutes.map_or(offer.terms.shortest(), |it| TimeDelta::minutes(it.into()));
    errors.check(offer.terms.offers_length(length), "query:duration", "length");
    errors.check(query.mode.is_none_or(|mode| offer.terms.modes.contains(&mode)), "query:mode", "mode");
    errors.finish()?;
    practitioners::end_reading(cx, tx, id).await?;
    Ok(SlotList { zone, slots: offer.free(length, from, to) })
}

/// Refuses whoever cannot list the slots of a practitioner.
pub async fn check_listable(cx: &Context, id: PractitionerId) -> Result<()> {
    let mut tx = cx.read(Permission::ReadSlots).await?;
    let coverage = find_coverage(cx, &mut tx).await?;
    let found = practitioners::booking_terms(&mut tx, Whose::These(&[id]), coverage.is_some()).await?;
    if found.is_empty() { Err(Refusal::NotFound.into()) } else { Ok(()) }
}

/// Those of these practitioners whom the caller can see, and whose slots they could list.
pub async fn find_listable(cx: &Context, ids: &[PractitionerId]) -> Result<Vec<PractitionerId>> {
    let mut tx = cx.read(Permission::ReadSlots).await?;
    let found = practitioners::booking_terms(&mut tx, Whose::These(ids), cx.caller().is(Role::Employee)).await?;
    Ok(found.into_iter().map(|terms| terms.id).collect())
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
        Ok(day) => days(day, day, zone).map(|day| if is_last { day.until } else { day.from }),
        // a plus sign that was not escaped arrives as a space
        Err(_) => DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok().map(|at| at.to_utc()),
    }
    // years that neither calendars nor the database know
    .filter(|at| (0..=i64::from(u32::MAX)).contains(&at.timestamp()));
    errors.check(found.is_some(), pointer, "date_or_time");
    found
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;

    use super::*;

    #[test]
    fn dates_are_whole_days_of_the_zone_and_instants_are_themselves() {
        let mut errors = FieldErrors::new();
        let mut read = |text: &str, is_last| {
            let found = bound(Some(text), Tz::Europe__Paris, is_last, "query:from", &mut errors);
            found.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)).unwrap_or_default()
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
