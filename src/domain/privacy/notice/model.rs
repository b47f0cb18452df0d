//! What the notice is made of. Pure.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use rust_i18n::t;

use crate::platform::locale::Locale;

/// How long records of a kind are kept, as the database says it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Duration {
    pub record: String,
    pub profession: String,
    pub years: Option<i32>,
    pub days: Option<i32>,
    pub minutes: Option<i32>,
    pub since: String,
    pub ground: String,
}

impl Duration {
    /// The end of what is counted from a moment on.
    pub fn after(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        let months = Months::new(u32::try_from(self.years.unwrap_or_default() * 12).unwrap_or_default());
        let days = Days::new(u64::try_from(self.days.unwrap_or_default()).unwrap_or_default());
        let minutes = TimeDelta::minutes(self.minutes.unwrap_or_default().into());
        let from = if self.since == "year_end" { end_of_year(at) } else { at };
        from.checked_add_months(months).and_then(|at| at.checked_add_days(days)).map_or(at, |at| at + minutes)
    }

    /// As people say it: “20 years”, “7 days”.
    pub fn words(&self, locale: Locale) -> Cow<'static, str> {
        let (unit, count) = match (self.years, self.days) {
            (Some(1), _) => ("year", 1),
            (Some(years), _) => ("years", years),
            (None, Some(0)) => ("at_once", 0),
            (None, Some(1)) => ("day", 1),
            (None, Some(days)) => ("days", days),
            (None, None) => ("minutes", self.minutes.unwrap_or_default()),
        };
        t!(format!("privacy.duration.{unit}"), locale = locale.as_str(), count = count).into_owned().into()
    }
}

/// When the year ends that a moment is in.
fn end_of_year(at: DateTime<Utc>) -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(at.year() + 1, 1, 1).map_or(at, |day| day.and_time(NaiveTime::MIN).and_utc())
}

/// The duration of a kind of record, whatever the profession.
pub fn duration_of<'a>(all: &'a [Duration], record: &str) -> Option<&'a Duration> {
    all.iter().find(|it| it.record == record && it.profession == "any")
}

/// What is kept of people, each with the records whose durations say for how long.
pub const DATA: [(&str, &[&str]); 12] = [
    ("account", &["unused_account", "consent"]),
    ("directory", &["former_employee"]),
    ("consultations", &["consultation", "consultation_reason", "call", "call_signal", "waitlist_place"]),
    ("reviews", &["review"]),
    ("messages", &["message"]),
    ("notes", &["clinical_note"]),
    ("journal", &["unused_account", "journal_wrap_before", "destroyed_key"]),
    ("files", &["unused_account", "unsent_file", "unfinished_upload"]),
    ("payroll", &["payroll", "past_override"]),
    ("security", &["session", "mailed_link", "known_device", "failed_attempt", "audit_entry", "repeated_answer"]),
    (
        "service",
        &[
            "notification_read",
            "notification",
            "mail_record",
            "member_invitation",
            "invitation_count",
            "usage_export",
            "usage_export_file",
            "job_done",
            "job_failed",
        ],
    ),
    ("rights", &["privacy_export_file", "privacy_request"]),
];

pub const RIGHTS: [&str; 7] =
    ["access", "rectification", "erasure", "portability", "restriction", "objection", "complaint"];

/// The words of a part of the notice.
pub fn words(key: &str, locale: Locale) -> String {
    t!(format!("privacy.{key}"), locale = locale.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_said_in_both_languages() {
        for locale in [Locale::Fr, Locale::En] {
            for (data, _) in DATA {
                for part in ["name", "what", "why", "ground", "recipients", "kept"] {
                    let key = format!("data.{data}.{part}");
                    assert_ne!(words(&key, locale), format!("privacy.{key}"));
                }
            }
            for right in RIGHTS {
                assert_ne!(words(&format!("right.{right}"), locale), format!("privacy.right.{right}"));
            }
        }
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let of = |years, days| Duration {
            record: "x".into(),
            profession: "any".into(),
            years,
            days,
            minutes: (years.is_none() && days.is_none()).then_some(30),
            since: "end".into(),
            ground: "y".into(),
        };
        assert_eq!(of(Some(20), None).words(Locale::En), "20 years");
        assert_eq!(of(None, Some(7)).words(Locale::Fr), "7 jours");
        assert_eq!(of(None, Some(1)).words(Locale::En), "1 day");
        assert_ne!(of(None, Some(0)).words(Locale::Fr), "0 jours");
        assert_eq!(of(None, None).words(Locale::En), "30 minutes");
        let at = "2026-03-01T10:00:00Z".parse().unwrap();
        assert_eq!(of(None, None).after(at), "2026-03-01T10:30:00Z".parse::<DateTime<Utc>>().unwrap());
        let accounts = Duration { since: "year_end".into(), ..of(Some(10), None) };
        assert_eq!(accounts.after(at), "2037-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
    }
}
