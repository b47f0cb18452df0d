//! An override, and how it is written.

use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::domain::practitioners::hours::{Window, instant};
use crate::platform::FieldErrors;
use crate::platform::ids::OverrideId;

/// What a dated change does to the hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "OverrideKind", rename_all = "snake_case")]
pub enum Kind {
    /// Extra hours.
    Open,
    /// The weekly hours do not hold; extra hours do.
    Closed,
    /// Nothing holds.
    TimeOff,
}

impl Kind {
    /// The longest that one may last.
    fn longest(self) -> TimeDelta {
        match self {
            Self::Open => TimeDelta::days(1),
            Self::Closed | Self::TimeOff => TimeDelta::days(366),
        }
    }
}

/// A dated change on the wall clock of the practitioner's zone: `starts <= t < ends`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Override {
    pub kind: Kind,
    #[sqlx(rename = "starts_at")]
    pub starts: NaiveDateTime,
    #[sqlx(rename = "ends_at")]
    pub ends: NaiveDateTime,
}

impl Override {
    /// The real time of it; none where the clock skips it. Times that do not exist or exist twice are read as those of
    /// weekly hours are.
    pub fn window(&self, zone: Tz) -> Option<Window> {
        let (start, end) = (instant(self.starts, zone)?, instant(self.ends, zone)?);
        (start < end).then_some(Window { start, end })
    }

    /// Reads dates (whole days, the last one included) and wall-clock times (the last one not included), and notes what
    /// is wrong with them.
    pub fn read(
        kind: Kind,
        from: &str,
        to: &str,
        zone: Tz,
        now: DateTime<Utc>,
        faults: &mut FieldErrors,
    ) -> Option<Self> {
        let starts = moment(from, false);
        let ends = moment(to, true);
        faults.check(starts.is_some(), "/from", "date_or_wall_clock");
        faults.check(ends.is_some(), "/to", "date_or_wall_clock");
        let it = Self { kind, starts: starts?, ends: ends? };
        if it.ends <= it.starts {
            faults.add("/to", "ends_before_start");
        } else if it.ends - it.starts > kind.longest() {
            faults.add("/to", "override_too_long");
        } else if it.ends <= now.with_timezone(&zone).naive_local() {
            faults.add("/to", "in_past");
        } else {
            return Some(it);
        }
        None
    }

    /// Beginning and end as [`Override::read`] reads them: dates where it is whole days.
    pub fn written(&self) -> (String, String) {
        let last_day = self.ends.date().checked_sub_days(Days::new(1));
        let is_whole = self.starts.time() == NaiveTime::MIN && self.ends.time() == NaiveTime::MIN;
        if let Some(last_day) = last_day.filter(|_| is_whole) {
            return (self.starts.date().to_string(), last_day.to_string());
        }
        let text = |at: NaiveDateTime| at.format("%Y-%m-%dT%H:%M").to_string();
        (text(self.starts), text(self.ends))
    }
}

/// A date or a wall-clock time, of years that calendars know.
fn moment(text: &str, is_last: bool) -> Option<NaiveDateTime> {
    let day = |text: &str| NaiveDate::from_str(text).ok().filter(|_| text.len() == 10);
    let found = match text.split_once('T') {
        None => day(text)?.checked_add_days(Days::new(u64::from(is_last)))?.and_time(NaiveTime::MIN),
        Some((date, time)) => day(date)?.and_time(NaiveTime::parse_from_str(time, "%H:%M").ok()?),
    };
    let years = NaiveDate::from_ymd_opt(2000, 1, 1)?..NaiveDate::from_ymd_opt(2200, 1, 1)?;
    years.contains(&found.date()).then_some(found)
}

/// One that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Kept {
    pub id: OverrideId,
    #[sqlx(flatten)]
    pub it: Override,
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Paris;

    use super::*;

    fn read(kind: Kind, from: &str, to: &str) -> Result<(String, String), Vec<(String, &'static str)>> {
        let mut faults = FieldErrors::new();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let it = Override::read(kind, from, to, Paris, now, &mut faults);
        it.map(|it| it.written())
            .ok_or_else(|| faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect())
    }

    #[test]
    fn days_and_wall_clock_times_are_read_as_they_are_written() {
        for (kind, from, to) in [
            (Kind::Open, "2026-12-24T18:00", "2026-12-24T21:30"),
            (Kind::Open, "2026-12-24", "2026-12-24"),
            (Kind::Open, "2026-12-24T22:00", "2026-12-25T02:00"),
            (Kind::Closed, "2026-12-25", "2026-12-25"),
            (Kind::TimeOff, "2026-12-24T12:00", "2027-01-03T00:00"),
            (Kind::TimeOff, "2027-01-01", "2028-01-01"),
            // today is not over
            (Kind::Closed, "2026-11-21", "2026-11-21"),
        ] {
            assert_eq!(read(kind, from, to), Ok((from.to_owned(), to.to_owned())), "{from} {to}");
        }
        assert_eq!(
            read(Kind::Closed, "2026-12-24T00:00", "2026-12-26T00:00"),
            Ok(("2026-12-24".to_owned(), "2026-12-25".to_owned()))
        );
    }

    #[test]
    fn what_is_no_range_is_refused_where_it_is_wrong() {
        for (kind, from, to, pointer, code) in [
            (Kind::Closed, "2026-12-25", "2026-12-24", "/to", "ends_before_start"),
            (Kind::Closed, "2026-12-25T10:00", "2026-12-25T10:00", "/to", "ends_before_start"),
            (Kind::Open, "2026-12-25", "2026-12-26", "/to", "override_too_long"),
            (Kind::TimeOff, "2027-01-01", "2028-01-02", "/to", "override_too_long"),
            (Kind::Closed, "2026-11-20", "2026-11-20", "/to", "in_past"),
            (Kind::Closed, "2026-11-21T12:00", "2026-11-21T13:00", "/to", "in_past"),
            (Kind::Closed, "2027-02-29", "2027-03-01", "/from", "date_or_wall_clock"),
            (Kind::Closed, "2026-12-25T24:00", "2026-12-26", "/from", "date_or_wall_clock"),
            (Kind::Closed, "2026-12-25T09:00Z", "2026-12-26", "/from", "date_or_wall_clock"),
            (Kind::Closed, "+2026-12-25", "2026-12-26", "/from", "date_or_wall_clock"),
            (Kind::Closed, "2026-12-25", "9999-12-31", "/to", "date_or_wall_clock"),
            (Kind::Closed, "2026-12-25", "", "/to", "date_or_wall_clock"),
        ] {
            assert_eq!(read(kind, from, to), Err(vec![(pointer.to_owned(), code)]), "{from} {to}");
        }
    }

    #[test]
    fn on_the_days_on_which_the_clock_changes_an_override_is_real_time() {
        let real = |from: &str, to: &str| {
            let at = |text: &str| moment(text, false).unwrap();
            let it = Override { kind: Kind::Open, starts: at(from), ends: at(to) };
            it.window(Paris).map(|it| (it.start.format("%dT%H:%M").to_string(), it.end.format("%dT%H:%M").to_string()))
        };
        let pair = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        // 02:00 is followed by 03:00
        assert_eq!(real("2027-03-28T02:15", "2027-03-28T04:00"), pair("28T01:00", "28T02:00"));
        assert_eq!(real("2027-03-28T02:15", "2027-03-28T02:45"), None);
        // 03:00 is followed by 02:00
        assert_eq!(real("2027-10-31T01:00", "2027-10-31T02:30"), pair("30T23:00", "31T00:30"));
        assert_eq!(real("2027-10-31T02:30", "2027-10-31T03:00"), pair("31T00:30", "31T02:00"));
    }
}
