//! The lines of each kind of file, in pieces.

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::TryStreamExt;
use rust_i18n::t;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::csv;
use super::model::{Kind, Params};
use super::store::{self, PayrollLine};
use crate::domain::usage::model::{Breakdown, Count, Dimension, Line, Month, Months};
use crate::domain::usage::{self, words};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// Lines of one piece.
const BATCH: usize = 5000;

/// Some lines as they stand in the file.
pub struct Piece {
    pub bytes: Vec<u8>,
    pub rows: i32,
}

/// Reads a file's lines piece by piece.
pub struct Reader<'a> {
    kind: Kind,
    params: &'a Params,
    /// Where the last piece ended; `None`: nothing is left.
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

    /// How many lines there will be.
    pub async fn count(&self, tx: &mut Tx) -> Result<i32> {
        match self.kind {
            Kind::Usage => usage::store::count_lines(tx, &self.months(), self.params.by).await,
            Kind::PractitionerActivity => store::count_sessions(tx, &self.months()).await,
            Kind::Payroll => store::count_payroll(tx, &self.months()).await,
        }
    }

    /// The next lines; `None` at the end.
    pub async fn next(&mut self, tx: &mut Tx) -> Result<Option<Piece>> {
        match self.place.take() {
            None => Ok(None),
            Some(Place::Month(month)) if month > self.params.to.first_day() => Ok(None),
            // a month is at most some thousand lines
            Some(Place::Month(month)) => {
                let this = Months { from: month.into(), to: month.into() };
                let piece = if self.kind == Kind::Payroll {
                    payroll(self.params, &store::list_payroll(tx, month).await?)
                } else {
                    let lines = usage::store::stream_lines(tx, &this, self.params.by);
                    counters(self.params, &lines.try_collect::<Vec<_>>().await?)
                };
                self.place = month.checked_add_months(chrono::Months::new(1)).map(Place::Month);
                Ok(Some(piece))
            }
            Some(Place::Session(at, id)) => {
                let asked = store::SessionLines {
                    months: &self.months(),
                    after: (at, id),
                    batch: BATCH,
                    delimiter: self.params.delimiter,
                    words: &session_words(self.params.locale),
                };
                let found = store::read_sessions(tx, &asked).await?;
                // a short page is the last one
                let is_full = usize::try_from(found.rows).is_ok_and(|rows| rows == BATCH);
                self.place =
                    found.last_at.zip(found.last_id).filter(|_| is_full).map(|(at, id)| Place::Session(at, id));
                Ok(Some(Piece { bytes: found.lines.into_bytes(), rows: found.rows }))
            }
        }
    }

    fn months(&self) -> Months {
        Months { from: self.params.from, to: self.params.to }
    }
}

fn dimensions(by: Option<Breakdown>) -> impl Iterator<Item = Dimension> {
    by.into_iter().flat_map(|by| std::iter::once(by.rows()).chain(by.columns()))
}

fn counters(params: &Params, lines: &[Line]) -> Piece {
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
    Piece { bytes, rows: i32::try_from(lines.len()).unwrap_or(i32::MAX) }
}

/// `app.activity_lines` writes them in this order.
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
fn session_words(locale: Locale) -> Value {
    let mut words = Map::new();
    let mut put = |group: &str, keys: &[&str]| {
        for key in keys {
            let word = t!(format!("{group}.{key}"), locale = locale.as_str()).into_owned();
            words.insert((*key).to_owned(), word.into());
        }
    };
    put("usage.specialty", &["psychology", "coaching", "nutrition", "sleep", "physiotherapy", "social_work"]);
    put("usage.mode", &["video", "audio", "chat"]);
    put("exports.status", &["pending", "confirmed", "in_progress", "completed", "cancelled", "no_show"]);
    put("exports.answer", &["yes", "no"]);
    Value::Object(words)
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

fn payroll(params: &Params, lines: &[PayrollLine]) -> Piece {
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
    Piece { bytes, rows: i32::try_from(lines.len()).unwrap_or(i32::MAX) }
}
