//! What an erasure takes and leaves, and the receipt of it. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Enum;
use rust_i18n::t;
use serde::Deserialize;

use crate::domain::privacy::notice::{Duration, duration_of};
use crate::platform::ids::PrivacyRequestId;
use crate::platform::locale::Locale;
use crate::platform::mail;

/// How long it can be taken back.
pub const WAIT: TimeDelta = TimeDelta::days(7);

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, Enum)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ErasureStatus", rename_all = "snake_case")]
pub enum Status {
    /// It can be taken back.
    Waiting,
    Begun,
    Done,
    Withdrawn,
    /// It could not be carried out.
    Refused,
}

/// Why an account cannot be erased now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, Enum)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ErasureObstacle", rename_all = "snake_case")]
pub enum Obstacle {
    /// A practitioner has sessions ahead.
    SessionsAhead,
    /// A practitioner keeps records whose legal time is not over.
    RecordsKept,
    /// The last admin of a company or of the platform.
    LastAdmin,
}

impl Obstacle {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionsAhead => "sessions_ahead",
            Self::RecordsKept => "records_kept",
            Self::LastAdmin => "last_admin",
        }
    }
}

/// What somebody asked for.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Request {
    pub id: PrivacyRequestId,
    pub status: Status,
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub reason: Option<Obstacle>,
}

/// What there is of somebody, in numbers. The database counts it (`app.erasure_facts`).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Facts {
    pub journal_entries: i64,
    pub conversations: i64,
    pub files: i64,
    pub notifications: i64,
    pub reasons: i64,
    pub sessions_ahead: i64,
    pub waiting: i64,
    pub consultations: i64,
    /// Until when the last of the notes about the person is kept; absent: there is none.
    pub notes_until: Option<DateTime<Utc>>,
}

/// A line of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// A word of the program.
    pub what: &'static str,
    pub count: Option<i64>,
    /// Of what is kept.
    pub until: Option<DateTime<Utc>>,
}

/// What is erased, and what is kept and until when. The grounds stand in the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub erased: Vec<Line>,
    pub kept: Vec<Line>,
}

impl Receipt {
    /// Of an erasure at a moment.
    pub fn new(facts: &Facts, durations: &[Duration], at: DateTime<Utc>) -> Self {
        let counted = [
            ("journal", facts.journal_entries),
            ("messages", facts.conversations),
            ("reasons", facts.reasons),
            ("files", facts.files),
            ("sessions_ahead", facts.sessions_ahead),
            ("waiting", facts.waiting),
            ("notifications", facts.notifications),
        ];
        let line = |what, count, until| Line { what, count, until };
        let mut erased = vec![line("account", None, None), line("access", None, None)];
        erased.extend(counted.into_iter().filter(|it| it.1 > 0).map(|(what, count)| line(what, Some(count), None)));
        let after = |record| duration_of(durations, record).map(|it| it.after(at));
        let mut kept = Vec::new();
        if facts.consultations > 0 {
            kept.push(line("consultations", Some(facts.consultations), None));
        }
        if facts.notes_until.is_some() {
            kept.push(line("notes", None, facts.notes_until));
        }
        kept.push(line("audit", None, after("audit_entry")));
        kept.push(line("consents", None, after("consent")));
        kept.push(line("request", None, after("privacy_request")));
        kept.push(line("ledger", None, None));
        Self { erased, kept }
    }
}

impl Line {
    /// In a person's language and zone.
    pub fn words(&self, list: &str, time_zone: &str, locale: Locale) -> String {
        let count = self.count.unwrap_or_default();
        let until = self.until.map(|at| mail::moment(at, time_zone, locale)).unwrap_or_default();
        let is_counted = matches!(self.what, "journal" | "messages" | "reasons" | "consultations");
        let one = if is_counted && locale.is_singular(count) { "_one" } else { "" };
        let key = format!("privacy.receipt.{list}.{}{one}", self.what);
        t!(key, locale = locale.as_str(), count = count, until = until).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durations() -> Vec<Duration> {
        let of = |record: &str, years, days| Duration {
            record: record.into(),
            profession: "any".into(),
            years,
            days,
            since: "end".into(),
            ground: "x".into(),
        };
        vec![of("audit_entry", None, Some(1095)), of("consent", Some(5), None), of("privacy_request", Some(5), None)]
    }

    #[test]
    fn a_receipt_says_what_there_was_and_nothing_else() {
        let at = "2026-03-01T10:00:00Z".parse().unwrap();
        let facts = Facts { journal_entries: 3, consultations: 2, ..Facts::default() };
        let receipt = Receipt::new(&facts, &durations(), at);
        let names = |lines: &[Line]| lines.iter().map(|it| it.what).collect::<Vec<_>>();
        assert_eq!(names(&receipt.erased), ["account", "access", "journal"]);
        assert_eq!(names(&receipt.kept), ["consultations", "audit", "consents", "request", "ledger"]);
        assert_eq!(receipt.kept[2].until, Some("2031-03-01T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn every_line_has_words_in_both_languages() {
        let facts = Facts {
            journal_entries: 1,
            conversations: 1,
            files: 1,
            notifications: 1,
            reasons: 1,
            sessions_ahead: 1,
            waiting: 1,
            consultations: 1,
            notes_until: Some(DateTime::default()),
        };
        let receipt = Receipt::new(&facts, &durations(), DateTime::default());
        for locale in [Locale::Fr, Locale::En] {
            for (list, lines) in [("erased", &receipt.erased), ("kept", &receipt.kept)] {
                for line in lines {
                    let words = line.words(list, "Europe/Paris", locale);
                    assert!(!words.starts_with("privacy.") && !words.contains("%{"), "{words}");
                    for plural in ["1 entries", "1 conversations", "1 texts", "1 entrées", "1 textes", "1 appointments"]
                    {
                        assert!(!words.contains(plural), "{words}");
                    }
                    let more =
                        Line { count: line.count.map(|_| 2), ..line.clone() }.words(list, "Europe/Paris", locale);
                    assert!(!more.contains("2 entry") && !more.contains("2 texte.") && !more.contains("%{"), "{more}");
                }
            }
        }
    }
}
