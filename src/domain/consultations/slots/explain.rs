//! Which rules remove a time, for the practitioner and for support.

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::offer::{Slot, Span};
use super::service::find_offer;
use super::store;
use super::why::{Reason, Why};
use crate::domain::practitioners::{self, Mode, Window, calendars};
use crate::platform::auth::Permission;
use crate::platform::ids::PractitionerId;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result};

/// Which time is asked about.
#[derive(Clone, Debug)]
pub struct Question {
    /// An instant, or a time on the practitioner's wall clock.
    pub at: String,
    pub duration_minutes: Option<i32>,
    pub mode: Option<Mode>,
}

/// Why a time is not offered; no reason where it is.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub zone: Tz,
    /// None where the clock skips the time.
    pub slot: Option<Slot>,
    pub length: TimeDelta,
    pub reasons: Vec<Reason>,
    /// How the reading of the calendars goes that are kept elsewhere: a time may be taken, or free, for want of it.
    pub calendars: Vec<calendars::Health>,
}

/// Explains a time to the practitioner, or to the platform's staff: when it is taken, and never by whom.
pub async fn explain(cx: &Context, id: PractitionerId, question: &Question) -> Result<Explanation> {
    let mut tx = practitioners::begin_reading(cx, Permission::ReadAvailability).await?;
    let (zone, _) = practitioners::zone(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let zone: Tz = zone.parse().map_err(|_| Problem::internal("a practitioner is in an unknown time zone"))?;
    let mut errors = FieldErrors::new();
    let asked = read(&question.at, zone);
    errors.check(asked.is_some(), "query:at", "instant_or_wall_clock");
    errors.finish()?;
    let at = match asked {
        Some(Asked::At(at)) => Some(at),
        Some(Asked::Skipped) | None => None,
    };

    let known = at.unwrap_or(cx.now());
    let offer = find_offer(cx, &mut tx, None, id, Span { from: known, until: known }, None).await?;
    let length = question.duration_minutes.map_or(offer.terms.shortest(), |it| TimeDelta::minutes(it.into()));
    let calendars = calendars::list_health(&mut tx, id).await?;
    let Some(starts_at) = at else {
        practitioners::end_reading(cx, tx, id).await?;
        return Ok(Explanation { zone, slot: None, length, reasons: vec![Reason::plain(Why::Skipped)], calendars });
    };
    let slot = Slot { starts_at, ends_at: starts_at + length };
    let mut reasons = offer.reasons(starts_at, length, question.mode);
    if let Some(taken) = reasons.iter_mut().find(|it| it.why == Why::Taken) {
        let window = Window { start: slot.starts_at, end: slot.ends_at };
        match store::list_booked(&mut tx, id, window).await?.first() {
            Some(session) => (taken.from, taken.until) = (Some(session.starts_at), Some(session.ends_at)),
            None => match store::find_kept(&mut tx, id, offer.busy(slot)).await? {
                Some(kept) => {
                    taken.why = Why::Kept;
                    (taken.from, taken.until) = (Some(kept.from), Some(kept.until));
                }
                None => taken.why = Why::Buffer,
            },
        }
    }
    practitioners::end_reading(cx, tx, id).await?;
    Ok(Explanation { zone, slot: Some(slot), length, reasons, calendars })
}

/// A time that somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    At(DateTime<Utc>),
    /// The practitioner's clock never shows it.
    Skipped,
}

/// An instant, or a wall-clock time of the zone. `None`: neither of them.
fn read(text: &str, zone: Tz) -> Option<Asked> {
    // a plus sign that was not escaped arrives as a space
    let at = if let Ok(instant) = DateTime::parse_from_rfc3339(&text.replace(' ', "+")) {
        instant.to_utc()
    } else {
        let wall = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").ok().filter(|_| text.len() == 16)?;
        let Some(first) = zone.from_local_datetime(&wall).earliest() else { return Some(Asked::Skipped) };
        first.to_utc()
    };
    // years that neither calendars nor the database know
    (0..=i64::from(u32::MAX)).contains(&at.timestamp()).then_some(Asked::At(at))
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Paris;

    use super::*;

    #[test]
    fn a_time_is_an_instant_or_what_the_practitioners_clock_shows() {
        let utc = |text: &str| Some(Asked::At(text.parse().unwrap()));
        assert_eq!(read("2027-03-29T10:00:00Z", Paris), utc("2027-03-29T10:00:00Z"));
        assert_eq!(read("2027-03-29T10:00:00 02:00", Paris), utc("2027-03-29T08:00:00Z"));
        assert_eq!(read("2027-03-29T10:00", Paris), utc("2027-03-29T08:00:00Z"));
        // shown twice, and never
        assert_eq!(read("2027-10-31T02:30", Paris), utc("2027-10-31T00:30:00Z"));
        assert_eq!(read("2027-03-28T02:30", Paris), Some(Asked::Skipped));
        for bad in [
            "",
            "now",
            "2027-03-29",
            "2027-02-30T10:00",
            "2027-03-29T25:00",
            "9999-01-01T10:00:00Z",
            "-001-01-01T10:00",
        ] {
            assert_eq!(read(bad, Paris), None, "{bad}");
        }
    }
}
