//! Calendars as values, and when a feed is read next.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::platform::ical::Unreadable;
use crate::platform::ids::CalendarId;
use crate::platform::outgoing;

/// Between two readings of a feed that answers.
pub const EVERY: TimeDelta = TimeDelta::minutes(15);
/// The longest wait before a feed that fails is asked again.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(6);
/// Readings are spread over so much more, so that feeds that were added together are not asked together.
const SPREAD_SECONDS: i64 = 120;
/// A feed is read as a whole at least this often: what recurs without end is known for a year ahead only.
pub const WHOLE_EVERY: TimeDelta = TimeDelta::days(1);
/// How far ahead busy times are kept: the longest horizon of bookings, a session, and a day until the next whole reading.
pub const AHEAD: TimeDelta = TimeDelta::days(368);
/// A feed that has failed for so long is told of.
pub const TOLD_AFTER: TimeDelta = TimeDelta::days(1);

/// Which way a calendar goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "CalendarKind")]
pub enum Kind {
    /// Kept elsewhere; its events block the practitioner's time.
    External,
    /// The practitioner's consultations, for calendar programs to subscribe to.
    Feed,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Feed => "feed",
        }
    }
}

/// How an external calendar is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "CalendarState")]
pub enum State {
    /// Not read yet.
    Waiting,
    Current,
    /// The last reading failed; what was read before still holds.
    Failing,
}

/// What a practitioner sees of a calendar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calendar {
    pub id: CalendarId,
    pub kind: Kind,
    pub label: String,
    pub created_at: DateTime<Utc>,
    pub external: Option<External>,
    /// Of a feed that was made just now.
    pub url: Option<String>,
}

/// How the reading of an external calendar goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct External {
    pub host: String,
    pub read_at: Option<DateTime<Utc>>,
    pub next_read_at: DateTime<Utc>,
    pub failure: Option<Failed>,
}

/// How the reading of an external calendar goes, without which one it is: what its practitioner's helpers may know.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub read_at: Option<DateTime<Utc>>,
    pub failure: Option<Failed>,
}

/// Since when, when last, and why a calendar could not be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    pub code: String,
    pub since: DateTime<Utc>,
    pub at: DateTime<Utc>,
}

impl External {
    pub fn state(&self) -> State {
        State::of(self.failure.as_ref(), self.read_at)
    }
}

impl Health {
    pub fn state(&self) -> State {
        State::of(self.failure.as_ref(), self.read_at)
    }
}

impl State {
    fn of(failure: Option<&Failed>, read_at: Option<DateTime<Utc>>) -> Self {
        match (failure, read_at) {
            (Some(_), _) => Self::Failing,
            (None, Some(_)) => Self::Current,
            (None, None) => Self::Waiting,
        }
    }
}

/// The address of a feed as people paste it; `webcal` is https by another name.
pub fn address(text: &str) -> Option<Url> {
    let text = text.trim();
    let https = ["webcal://", "webcals://"].into_iter().find_map(|scheme| {
        let head = text.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| format!("https://{}", &text.get(scheme.len()..).unwrap_or_default()))
    });
    let mut url = Url::parse(https.as_deref().unwrap_or(text)).ok()?;
    // it never leaves the browser
    url.set_fragment(None);
    Some(url)
}

/// Every reason for which a reading fails.
pub fn failure_codes() -> impl Iterator<Item = &'static str> {
    let unreadable = [Unreadable::NotACalendar, Unreadable::Cut, Unreadable::TooMuch];
    outgoing::Failure::ALL.iter().map(|it| it.code()).chain(unreadable.map(unreadable_code))
}

pub fn unreadable_code(why: Unreadable) -> &'static str {
    match why {
        Unreadable::NotACalendar => "not_a_calendar",
        Unreadable::Cut => "cut_off",
        Unreadable::TooMuch => "too_much",
    }
}

/// When a calendar is read again, after so many failures in a row. `dice` is any number.
pub fn next_reading(now: DateTime<Utc>, failures: i32, dice: u16) -> DateTime<Utc> {
    let doublings = failures.saturating_sub(1).clamp(0, 10);
    let wait = (EVERY * (1 << doublings)).min(LONGEST_WAIT);
    now + wait + TimeDelta::seconds(i64::from(dice) % SPREAD_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_fails_is_asked_less_and_less_often() {
        let now = DateTime::UNIX_EPOCH;
        let waits: Vec<_> = [0, 1, 2, 3, 5, 6, 1000].map(|n| (next_reading(now, n, 0) - now).num_minutes()).into();
        assert_eq!(waits, [15, 15, 30, 60, 240, 360, 360]);
        assert!((0..=u16::MAX).step_by(977).all(|dice| {
            let wait = next_reading(now, 0, dice) - now;
            (EVERY..EVERY + TimeDelta::seconds(SPREAD_SECONDS)).contains(&wait)
        }));
    }

    #[test]
    fn addresses_are_taken_as_they_are_pasted() {
        let read = |text| address(text).map(String::from);
        assert_eq!(read(" webcal://Calendar.example/a.ics#x "), Some("https://calendar.example/a.ics".into()));
        assert_eq!(read("https://calendar.example/a.ics?k=1"), Some("https://calendar.example/a.ics?k=1".into()));
        for bad in ["", "calendar.example/a.ics", "webcal://", "https://"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_failure_has_words() {
        for code in failure_codes() {
            for locale in ["fr", "en"] {
                let key = format!("calendar_failure.{code}");
                assert_ne!(rust_i18n::t!(&key, locale = locale), key, "{locale}");
            }
        }
    }
}
