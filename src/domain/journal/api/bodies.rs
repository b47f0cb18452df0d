//! Bodies of requests and answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Days, NaiveDate, Utc};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use uuid::Uuid;

use crate::domain::journal::model::{Content, Entry, Facts, LONGEST_BODY, Period, Read, Step};
use crate::domain::journal::private;
use crate::domain::journal::service::{Before, Ring, Trend, Wraps};
use crate::platform::Result;
use crate::platform::crypto::health_text::{HealthText, never_shown};
use crate::platform::http::idempotency::{Fingerprint, Print};
use crate::platform::ids::JournalEntryId;
use crate::platform::problem::{Error as Refusal, FieldErrors};

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct EntryRequest {
    /// At most 20,000 characters; of a private entry what the browser sealed, as base64.
    #[oai(validator(min_length = 1, max_length = 120_000, pattern = r"\S"))]
    body: HealthText,
    /// 1 (very low) to 5 (very good). Not of a private entry, which holds it inside.
    #[oai(validator(minimum(value = "1"), maximum(value = "5")))]
    mood: Option<i16>,
    /// Words to find it by, of 40 characters at most. Not of a private entry, which holds them inside.
    #[oai(validator(max_items = 10))]
    tags: Option<Vec<HealthText>>,
    /// Today, unless said. A private entry says it.
    date: Option<NaiveDate>,
    /// Whether the browser sealed it.
    sealed: Option<bool>,
}

impl EntryRequest {
    /// The entry, and the day that it says.
    pub fn entry(self) -> Result<(Entry, Option<NaiveDate>)> {
        let mut faults = FieldErrors::new();
        let day = self.date;
        let entry = if self.sealed == Some(true) {
            faults.check(self.mood.is_none(), "/mood", "journal_inside");
            faults.check(self.tags.is_none(), "/tags", "journal_inside");
            faults.check(day.is_some(), "/date", "required");
            let read = private::read_entry(self.body.expose());
            let Some((key, place)) = read else {
                faults.add("/body", "journal_sealed");
                return faults.finish().and_then(|()| Err(Refusal::Invalid.into()));
            };
            Entry::Private { sealed: self.body, key, place }
        } else {
            if self.body.expose().chars().count() > LONGEST_BODY {
                faults.add_with("/body", "max_length", &[("max", LONGEST_BODY.to_string())]);
            }
            faults.check(self.mood.is_some(), "/mood", "required");
            let facts = Facts::new(self.mood.unwrap_or_default(), self.tags.as_deref().unwrap_or_default());
            facts.check(&mut faults);
            Entry::Open { body: self.body, facts }
        };
        faults.finish()?;
        Ok((entry, day))
    }
}

impl Fingerprint for EntryRequest {
    fn print(&self, into: &mut Print) -> Result<()> {
        let Self { body, mood, tags, date, sealed } = self;
        into.words(body);
        into.plain(&(mood, date, sealed, tags.is_some()))?;
        into.all_words(tags.iter().flatten());
        Ok(())
    }
}

impl Example for EntryRequest {
    fn example() -> Self {
        Self {
            body: HealthText::new("Slept through for the first time this week.".into()),
            mood: Some(4),
            tags: Some(vec![HealthText::new("sleep".into())]),
            date: None,
            sealed: None,
        }
    }
}

never_shown!(EntryRequest, KeysRequest);

/// An entry of a journal.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct EntryAnswer {
    id: JournalEntryId,
    date: NaiveDate,
    /// Whether the browser sealed it: `body` is for the browser to open then.
    sealed: bool,
    /// Whether there is a text, and why not.
    content: Content,
    body: Option<HealthText>,
    mood: Option<i16>,
    tags: Option<Vec<HealthText>>,
    /// Grows with each change.
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Read> for EntryAnswer {
    fn from(it: Read) -> Self {
        let (mood, tags) = it.facts.map(|facts| (facts.mood, facts.tags)).unzip();
        Self {
            id: it.id,
            date: it.day,
            sealed: it.is_private,
            content: it.content,
            body: it.body,
            mood,
            tags,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}

impl Example for EntryAnswer {
    fn example() -> Self {
        Self {
            id: JournalEntryId(example_id(0x70)),
            date: example_time().date_naive(),
            sealed: false,
            content: Content::Text,
            body: Some(EntryRequest::example().body),
            mood: Some(4),
            tags: Some(vec![HealthText::new("sleep".into())]),
            version: 1,
            created_at: example_time(),
            updated_at: example_time(),
        }
    }
}

/// A week or a month in which something was written.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TrendStep {
    /// Its first day.
    from: NaiveDate,
    /// Its last day.
    to: NaiveDate,
    /// How many entries.
    entries: i32,
    /// Of their moods, to two places.
    average: f64,
    lowest: i16,
    highest: i16,
}

impl From<Step> for TrendStep {
    fn from(it: Step) -> Self {
        let Step { from, to, entries, average, lowest, highest } = it;
        Self { from, to, entries, average, lowest, highest }
    }
}

/// Moods over time.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct TrendAnswer {
    period: Period,
    from: NaiveDate,
    to: NaiveDate,
    /// The earliest first.
    items: Vec<TrendStep>,
    /// Entries of that time whose mood the server does not know.
    private_entries: u32,
}

impl From<Trend> for TrendAnswer {
    fn from(it: Trend) -> Self {
        Self {
            period: it.period,
            from: it.from,
            to: it.to,
            items: it.steps.into_iter().map(TrendStep::from).collect(),
            private_entries: u32::try_from(it.private).unwrap_or(u32::MAX),
        }
    }
}

impl Example for TrendAnswer {
    fn example() -> Self {
        let (from, to) = Period::Week.around(example_time().date_naive());
        let step = Step { from, to, entries: 3, average: 3.67, lowest: 3, highest: 5 };
        Self { period: Period::Week, from: from - Days::new(77), to, items: vec![step.into()], private_entries: 0 }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct KeysRequest {
    /// Made by the browser with the key; private entries name it.
    key_id: Uuid,
    /// The key, wrapped under the passphrase, as base64.
    #[oai(validator(min_length = 100, max_length = 300))]
    by_passphrase: HealthText,
    /// The key, wrapped under the recovery code, as base64.
    #[oai(validator(min_length = 100, max_length = 300))]
    by_recovery_code: HealthText,
    /// The present password: whoever holds a session alone exchanges none.
    #[oai(validator(min_length = 1, max_length = 1024))]
    pub password: String,
    /// Where there is a second factor: a code of it …
    #[oai(validator(pattern = r"^[0-9]{3} ?[0-9]{3}$"))]
    pub code: Option<String>,
    /// … or a recovery code of it.
    #[oai(validator(min_length = 16, max_length = 40))]
    pub recovery_code: Option<String>,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub device_token: Option<String>,
}

impl From<KeysRequest> for Wraps {
    fn from(it: KeysRequest) -> Self {
        Self { key_id: it.key_id, by_passphrase: it.by_passphrase, by_recovery_code: it.by_recovery_code }
    }
}

impl Example for KeysRequest {
    fn example() -> Self {
        let (by_passphrase, by_recovery_code) = example_wraps();
        Self {
            key_id: example_id(0x71),
            by_passphrase,
            by_recovery_code,
            password: "demo-huntzen-2026".into(),
            code: None,
            recovery_code: None,
            device_token: None,
        }
    }
}

/// The wrapped key of private entries.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct KeysAnswer {
    /// Whether there is one.
    is_set: bool,
    /// Whether it can be given out, and why not.
    content: Content,
    key_id: Option<Uuid>,
    /// As base64.
    by_passphrase: Option<HealthText>,
    /// As base64.
    by_recovery_code: Option<HealthText>,
    /// Grows with each change; 0 before there is one.
    version: i32,
    /// Wraps that were replaced in the last fortnight; of several changes those of before the first one.
    before: Option<KeysBefore>,
}

/// What to put again where it was replaced by mistake.
#[derive(Debug, Object)]
#[oai(rename = "JournalKeysBefore", rename_all = "camelCase")]
pub struct KeysBefore {
    key_id: Uuid,
    /// As base64.
    by_passphrase: HealthText,
    /// As base64.
    by_recovery_code: HealthText,
    /// Until then they are kept.
    until: DateTime<Utc>,
}

impl From<Before> for KeysBefore {
    fn from(Before { wraps, until }: Before) -> Self {
        let Wraps { key_id, by_passphrase, by_recovery_code } = wraps;
        Self { key_id, by_passphrase, by_recovery_code, until }
    }
}

impl From<Ring> for KeysAnswer {
    fn from(it: Ring) -> Self {
        let Ring { version, content, wraps, before } = it;
        let before = before.map(KeysBefore::from);
        let (key_id, wraps) = wraps.map(|it| (it.key_id, (it.by_passphrase, it.by_recovery_code))).unzip();
        let (by_passphrase, by_recovery_code) = wraps.unzip();
        Self { is_set: version > 0, content, key_id, by_passphrase, by_recovery_code, version, before }
    }
}

impl Example for KeysAnswer {
    fn example() -> Self {
        let (by_passphrase, by_recovery_code) = example_wraps();
        Self {
            is_set: true,
            content: Content::Text,
            key_id: Some(example_id(0x71)),
            by_passphrase: Some(by_passphrase),
            by_recovery_code: Some(by_recovery_code),
            version: 1,
            before: None,
        }
    }
}

#[derive(ApiResponse)]
pub enum CreatedEntry {
    /// The entry.
    #[oai(status = 201)]
    Created(
        Json<EntryAnswer>,
        /// The version of the entry, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum WrittenEntry {
    /// The entry as it is now.
    #[oai(status = 200)]
    Done(
        Json<EntryAnswer>,
        /// The version of the entry, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum WrittenKeys {
    /// The wraps as they are now.
    #[oai(status = 200)]
    Done(
        Json<KeysAnswer>,
        /// The version of the wraps, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

fn example_id(last: u128) -> Uuid {
    Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a00 | last)
}

fn example_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_440_600, 0).unwrap_or_default()
}

/// Of the right form, with nothing inside.
fn example_wraps() -> (HealthText, HealthText) {
    let id = example_id(0x71).into_bytes();
    let rest = [&[0; 16][..], &id, &[0; 60]].concat();
    let hard = [&[1, 1][..], &65_536_u32.to_be_bytes(), &3_u32.to_be_bytes(), &[1]].concat();
    let wrap = |bytes: Vec<u8>| HealthText::new(STANDARD.encode(bytes));
    (wrap([&hard[..], &rest].concat()), wrap([&[1, 2][..], &rest].concat()))
}
