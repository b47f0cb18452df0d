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
/// How long whoever does not use their account has to come back, once they were told.
pub const WAIT_FOR_UNUSED: TimeDelta = TimeDelta::days(30);

/// Who asked for an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, Enum)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ErasureAskedBy", rename_all = "snake_case")]
pub enum AskedBy {
    Person,
    /// Nobody had used the account for as long as one is kept.
    Platform,
}

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

impl AskedBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Platform => "platform",
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
    pub asked_by: AskedBy,
}

/// What there is of somebody, in numbers. The database counts it (`app.erasure_facts`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)] // an erasure that an earlier release began counted less
pub struct Facts {
    pub journal_entries: i64,
    pub conversations: i64,
    pub files: i64,
    pub notifications: i64,
    pub reasons: i64,
    pub sessions_ahead: i64,
    pub waiting: i64,
    pub consultations: i64,
    pub last_session: Option<DateTime<Utc>>,
    pub messages: i64,
    pub calls: i64,
    pub last_call: Option<DateTime<Utc>>,
    pub mails: i64,
    pub exports: i64,
    pub reviews: i64,
    pub drafts: i64,
    pub articles: i64,
    pub keys: i64,
    /// The last month that a practitioner was paid for.
    pub last_payroll: Option<DateTime<Utc>>,
    /// Whether there is an entry of a directory, the employer's, and since when its person is gone from there.
    pub directory_entry: bool,
    pub left_at: Option<DateTime<Utc>>,
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
    /// Of an erasure at a moment. Conversations are open for so many days after their session.
    pub fn new(facts: &Facts, durations: &[Duration], at: DateTime<Utc>, open_days: u16) -> Self {
        let counted = [
            ("journal", facts.journal_entries),
            ("messages", facts.conversations),
            ("reasons", facts.reasons),
            ("reviews", facts.reviews),
            ("drafts", facts.drafts),
            ("files", facts.files),
            ("sessions_ahead", facts.sessions_ahead),
            ("waiting", facts.waiting),
            ("notifications", facts.notifications),
        ];
        let line = |what, count, until| Line { what, count, until };
        let mut erased = vec![line("account", None, None), line("access", None, None)];
        erased.extend(counted.into_iter().filter(|it| it.1 > 0).map(|(what, count)| line(what, Some(count), None)));
        let end = |record, since: DateTime<Utc>| duration_of(durations, record).map(|it| it.after(since));
        let after = |record| end(record, at);
        let mut kept = Vec::new();
        if facts.directory_entry {
            // as the employer decides, and no longer than that once they left
            kept.push(line("directory", None, facts.left_at.and_then(|left| end("former_employee", left))));
        }
        if facts.consultations > 0 {
            // a session stays with the last note about it
            let until = end("consultation", facts.last_session.unwrap_or(at)).max(facts.notes_until);
            kept.push(line("consultations", Some(facts.consultations), until));
        }
        if facts.messages > 0 {
            let closed = at + TimeDelta::days(open_days.into());
            kept.push(line("messages", Some(facts.messages), end("message", closed)));
        }
        if facts.calls > 0 {
            kept.push(line("calls", Some(facts.calls), end("call", facts.last_call.unwrap_or(at))));
        }
        if facts.notes_until.is_some() {
            kept.push(line("notes", None, facts.notes_until));
        }
        if let Some(month) = facts.last_payroll {
            kept.push(line("payroll", None, end("payroll", month)));
        }
        if facts.articles > 0 {
            kept.push(line("articles", Some(facts.articles), None));
        }
        if facts.exports > 0 {
            kept.push(line("exports", Some(facts.exports), after("usage_export")));
        }
        if facts.mails > 0 {
            kept.push(line("mails", Some(facts.mails), after("mail_record")));
        }
        if facts.keys > 0 {
            kept.push(line("keys", Some(facts.keys), after("destroyed_key")));
        }
        kept.push(line("audit", None, after("audit_entry")));
        kept.push(line("jobs", None, after("job_failed")));
        kept.push(line("consents", None, after("consent")));
        kept.push(line("request", None, after("privacy_request")));
        kept.push(line("ledger", None, None));
        kept.push(line("backups", None, None));
        Self { erased, kept }
    }
}

impl Line {
    /// In a person's language and zone.
    pub fn words(&self, list: &str, time_zone: &str, locale: Locale) -> String {
        let count = self.count.unwrap_or_default();
        let until = self.until.map(|at| mail::moment(at, time_zone, locale)).unwrap_or_default();
        let is_counted =
            matches!((list, self.what), ("erased", "journal" | "messages" | "reasons") | ("kept", "consultations"));
        let one = match self.what {
            "directory" if self.until.is_some() => "_until",
            _ if is_counted && locale.is_singular(count) => "_one",
            _ => "",
        };
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
            minutes: None,
            since: "end".into(),
            ground: "x".into(),
        };
        let years = |record, years| of(record, Some(years), None);
        let mut all = vec![
            of("audit_entry", None, Some(1095)),
            years("consent", 5),
            years("privacy_request", 5),
            years("message", 5),
            years("call", 1),
            years("former_employee", 5),
            years("destroyed_key", 10),
            of("job_failed", None, Some(30)),
            of("mail_record", None, Some(365)),
            of("usage_export", None, Some(365)),
        ];
        all.extend(["consultation", "payroll"].map(|it| Duration { since: "year_end".into(), ..years(it, 10) }));
        all
    }

    #[test]
    fn a_receipt_says_what_there_was_and_nothing_else() {
        let at = "2026-03-01T10:00:00Z".parse().unwrap();
        let facts = Facts { journal_entries: 3, consultations: 2, ..Facts::default() };
        let receipt = Receipt::new(&facts, &durations(), at, 14);
        let names = |lines: &[Line]| lines.iter().map(|it| it.what).collect::<Vec<_>>();
        assert_eq!(names(&receipt.erased), ["account", "access", "journal"]);
        assert_eq!(
            names(&receipt.kept),
            ["consultations", "audit", "jobs", "consents", "request", "ledger", "backups"]
        );
        assert_eq!(receipt.kept[3].until, Some("2031-03-01T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn everything_that_is_kept_has_a_line_and_an_end() {
        let at: DateTime<Utc> = "2026-03-01T10:00:00Z".parse().unwrap();
        let session = Some("2025-11-20T09:00:00Z".parse().unwrap());
        let facts = Facts {
            consultations: 2,
            last_session: session,
            messages: 7,
            calls: 1,
            last_call: session,
            mails: 3,
            exports: 1,
            keys: 4,
            last_payroll: Some("2025-12-01T00:00:00Z".parse().unwrap()),
            directory_entry: true,
            left_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            notes_until: Some("2045-11-20T09:00:00Z".parse().unwrap()),
            ..Facts::default()
        };
        let receipt = Receipt::new(&facts, &durations(), at, 14);
        let until = |what: &str| {
            let line = receipt.kept.iter().find(|it| it.what == what).unwrap_or_else(|| panic!("{what}"));
            line.until.map(|at| at.date_naive().to_string())
        };
        for (what, end) in [
            ("directory", "2031-01-01"),
            // as long as the note about one of them
            ("consultations", "2045-11-20"),
            ("messages", "2031-03-15"),
            ("calls", "2026-11-20"),
            ("notes", "2045-11-20"),
            ("payroll", "2036-01-01"),
            ("exports", "2027-03-01"),
            ("mails", "2027-03-01"),
            ("keys", "2036-03-01"),
            ("jobs", "2026-03-31"),
        ] {
            assert_eq!(until(what).as_deref(), Some(end), "{what}");
        }
        let fewer = Facts { notes_until: None, ..facts };
        let receipt = Receipt::new(&fewer, &durations(), at, 14);
        let sessions = receipt.kept.iter().find(|it| it.what == "consultations").unwrap();
        assert_eq!(sessions.until, Some("2036-01-01T00:00:00Z".parse().unwrap()));
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
            last_session: None,
            messages: 1,
            calls: 1,
            last_call: None,
            mails: 1,
            exports: 1,
            reviews: 1,
            drafts: 1,
            articles: 1,
            keys: 1,
            last_payroll: Some(DateTime::default()),
            directory_entry: true,
            left_at: Some(DateTime::default()),
            notes_until: Some(DateTime::default()),
        };
        let receipt = Receipt::new(&facts, &durations(), DateTime::default(), 14);
        assert!(
            receipt.kept.len() >= 14
                && receipt
                    .kept
                    .iter()
                    .all(|it| { it.until.is_some() || ["articles", "ledger", "backups"].contains(&it.what) })
        );
        let staying = Line { what: "directory", count: None, until: None };
        assert!(!staying.words("kept", "Europe/Paris", Locale::Fr).contains("jusqu’au"));
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
