//! The lines of each kind of file, page by page: how they are read, and how they are written.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use futures_util::TryStreamExt;
use rust_i18n::t;
use uuid::Uuid;

use super::csv;
use super::model::{Kind, Params};
use super::store::{self, PayrollLine, SessionRow};
use crate::domain::usage::model::{Breakdown, Count, Dimension, Line, Month, Months};
use crate::domain::usage::{self, words};
use crate::platform::locale::Locale;
use crate::platform::storage;
use crate::platform::{Result, Tx};

/// Sessions that are read at once.
const BATCH: usize = 5000;
/// Lines that are written before others have their turn.
const TURN: usize = 500;

/// Some lines of a file, as they were read.
pub enum Page {
    Counters(Vec<Line>),
    Payroll(Vec<PayrollLine>),
    Sessions(Vec<SessionRow>),
}

impl Page {
    pub fn rows(&self) -> usize {
        match self {
            Self::Counters(lines) => lines.len(),
            Self::Payroll(lines) => lines.len(),
            Self::Sessions(lines) => lines.len(),
        }
    }
}

/// Reads a file's lines page by page.
pub struct Reader<'a> {
    kind: Kind,
    params: &'a Params,
    /// Where the last page ended; `None`: nothing is left.
    place: Option<Place>,
}

enum Place {
    /// The next month.
    Month(NaiveDate),
    /// After this session.
    Session(DateTime<Utc>, Uuid),
}

impl<'a> Reader<'a> {
    pub fn new(kind: Kind, params: &'a Params) -> Self {
        let place = match kind {
            Kind::Usage | Kind::Payroll => Place::Month(params.from.first_day()),
            Kind::PractitionerActivity => Place::Session(DateTime::UNIX_EPOCH, Uuid::nil()),
        };
        Self { kind, params, place: Some(place) }
    }

    /// How many lines there will be.
    pub async fn count(&self, tx: &mut Tx) -> Result<i32> {
        match self.kind {
            Kind::Usage => usage::store::count_lines(tx, &self.months(), self.params.by).await,
            Kind::PractitionerActivity => store::count_sessions(tx, &self.months()).await,
            Kind::Payroll => store::count_payroll(tx, &self.months()).await,
        }
    }

    /// The next lines; `None` at the end.
    pub async fn next(&mut self, tx: &mut Tx) -> Result<Option<Page>> {
        match self.place.take() {
            None => Ok(None),
            Some(Place::Month(month)) if month > self.params.to.first_day() => Ok(None),
            // a month is at most some thousand lines
            Some(Place::Month(month)) => {
                let this = Months { from: month.into(), to: month.into() };
                let page = if self.kind == Kind::Payroll {
                    Page::Payroll(store::list_payroll(tx, month).await?)
                } else {
                    Page::Counters(usage::store::stream_lines(tx, &this, self.params.by).try_collect().await?)
                };
                self.place = month.checked_add_months(chrono::Months::new(1)).map(Place::Month);
                Ok(Some(page))
            }
            Some(Place::Session(at, id)) => {
                let next = store::NextSessions { months: &self.months(), after: (at, id), batch: BATCH };
                let sessions = store::list_sessions(tx, &next).await?;
                // a short page is the last one
                if let Some(row) = sessions.last().filter(|_| sessions.len() == BATCH) {
                    let last = row.line()?;
                    self.place = Some(Place::Session(last.starts_at, last.id));
                }
                Ok(Some(Page::Sessions(sessions)))
            }
        }
    }

    fn months(&self) -> Months {
        Months { from: self.params.from, to: self.params.to }
    }
}

/// Writes lines as they stand in the file, in the words of its reader.
pub struct Writer<'a> {
    kind: Kind,
    params: &'a Params,
    /// Of a session's line by their keys: a million lines say the same few.
    words: HashMap<&'static str, String>,
}

impl<'a> Writer<'a> {
    pub fn new(kind: Kind, params: &'a Params) -> Self {
        Self { kind, params, words: session_words(params.locale) }
    }

    pub fn head(&self) -> Vec<u8> {
        let word = |name: &str| t!(format!("exports.column.{name}"), locale = self.params.locale.as_str()).into_owned();
        let columns: Vec<String> = match self.kind {
            Kind::Usage => {
                let dimensions = dimensions(self.params.by).map(Dimension::as_str);
                let names = std::iter::once("month").chain(dimensions);
                let names = names.chain(["sessions", "minutes", "people", "withheld"]);
                names.map(|name| words::column(name, self.params.locale).into_owned()).collect()
            }
            Kind::PractitionerActivity => ACTIVITY.iter().map(|name| word(name)).collect(),
            Kind::Payroll => PAYROLL.iter().map(|name| word(name)).collect(),
        };
        csv::head(self.params, &columns)
    }

    pub async fn write(&self, page: &Page, file: &mut storage::Writer) -> Result<()> {
        match page {
            Page::Counters(lines) => file.write(&counters(self.params, lines)).await,
            Page::Payroll(lines) => file.write(&payroll(self.params, lines)).await,
            Page::Sessions(rows) => {
                for rows in rows.chunks(TURN) {
                    file.write(&self.sessions(rows)?).await?;
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        }
    }

    fn sessions(&self, rows: &[SessionRow]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(rows.len() * 128);
        for row in rows {
            let it = row.line()?;
            let fields: [Cow<'_, str>; ACTIVITY.len()] = [
                it.starts_at.to_rfc3339_opts(SecondsFormat::Secs, true).into(),
                (it.ends_at - it.starts_at).num_minutes().to_string().into(),
                self.word(it.specialty),
                self.word(it.mode),
                self.word(it.status),
                number(it.duration_minutes),
                number(it.seen_minutes),
                self.word(if it.times_differ { "yes" } else { "no" }),
                it.hourly_rate.to_string().into(),
                it.currency.into(),
                it.amount.to_string().into(),
            ];
            csv::line(&mut bytes, self.params, &fields);
        }
        Ok(bytes)
    }

    /// What the reader calls it.
    fn word<'b>(&'b self, key: &'b str) -> Cow<'b, str> {
        self.words.get(key).map_or(key, String::as_str).into()
    }
}

/// Nothing where there is none.
fn number(it: Option<i32>) -> Cow<'static, str> {
    it.map(|it| it.to_string().into()).unwrap_or_default()
}

fn dimensions(by: Option<Breakdown>) -> impl Iterator<Item = Dimension> {
    by.into_iter().flat_map(|by| std::iter::once(by.rows()).chain(by.columns()))
}

fn counters(params: &Params, lines: &[Line]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        let mut fields = vec![line.month.to_string()];
        for (dimension, key) in dimensions(params.by).zip([&line.row, &line.column]) {
            fields.push(if line.is_total {
                words::total(params.locale).into_owned()
            } else {
                words::value(dimension, key, line, params.locale).into_owned()
            });
        }
        fields.extend(match line.count {
            Count::Shown { sessions, minutes, people } => {
                let minutes = minutes.map(|it| it.to_string()).unwrap_or_default();
                [sessions.to_string(), minutes, people.to_string(), String::new()]
            }
            Count::Withheld(why) => {
                let reason = words::withheld(why, params.locale).into_owned();
                [String::new(), String::new(), String::new(), reason]
            }
        });
        csv::line(&mut bytes, params, &fields);
    }
    bytes
}

const ACTIVITY: [&str; 11] = [
    "starts_at",
    "planned_minutes",
    "specialty",
    "mode",
    "status",
    "minutes",
    "seen_minutes",
    "times_differ",
    "hourly_rate_minor",
    "currency",
    "amount_minor",
];

/// The words of a session's line by their keys.
fn session_words(locale: Locale) -> HashMap<&'static str, String> {
    let mut words = HashMap::new();
    let mut put = |group: &str, keys: &[&'static str]| {
        for key in keys {
            words.insert(*key, t!(format!("{group}.{key}"), locale = locale.as_str()).into_owned());
        }
    };
    put("usage.specialty", &["psychology", "coaching", "nutrition", "sleep", "physiotherapy", "social_work"]);
    put("usage.mode", &["video", "audio", "chat"]);
    put("exports.status", &["pending", "confirmed", "in_progress", "completed", "cancelled", "no_show"]);
    put("exports.answer", &["yes", "no"]);
    words
}

const PAYROLL: [&str; 16] = [
    "month",
    "practitioner_id",
    "practitioner",
    "completed",
    "cancelled_by_employee",
    "cancelled_otherwise",
    "missed_by_employee",
    "missed_otherwise",
    "open",
    "minutes",
    "currency",
    "amount_minor",
    "flagged",
    "flagged_minutes",
    "flagged_amount_minor",
    "restored",
];

fn payroll(params: &Params, lines: &[PayrollLine]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let [yes, no] = ["yes", "no"]
        .map(|answer| t!(format!("exports.answer.{answer}"), locale = params.locale.as_str()).into_owned());
    for it in lines {
        let fields = [
            Month::from(it.month).to_string(),
            it.practitioner_id.to_string(),
            it.practitioner_name.clone(),
            it.completed.to_string(),
            it.cancelled_by_employee.to_string(),
            it.cancelled_otherwise.to_string(),
            it.missed_by_employee.to_string(),
            it.missed_otherwise.to_string(),
            it.open.to_string(),
            it.minutes.to_string(),
            it.currency.clone(),
            it.amount.to_string(),
            it.flagged.to_string(),
            it.flagged_minutes.to_string(),
            it.flagged_amount.to_string(),
            if it.is_restored { yes.clone() } else { no.clone() },
        ];
        csv::line(&mut bytes, params, &fields);
    }
    bytes
}
