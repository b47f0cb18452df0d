//! Entries, what is sealed of them, and the trend of moods.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::private::{Place, read_entry};
use crate::platform::Result;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::seal::SealError;
use crate::platform::ids::JournalEntryId;
use crate::platform::problem::FieldErrors;

/// Characters of an entry that is not private.
pub const LONGEST_BODY: usize = 20_000;
const LONGEST_TAG: usize = 40;
/// What is sealed is filled up with blanks to a multiple of these bytes: its length tells little.
const STEP: usize = 256;

/// Mood and tags of an entry.
#[derive(Clone)]
pub struct Facts {
    /// 1 (very low) to 5 (very good).
    pub mood: i16,
    pub tags: Vec<HealthText>,
}

#[derive(Deserialize, Serialize)]
struct SealedFacts<T> {
    mood: i16,
    tags: Vec<T>,
}

impl Facts {
    /// Tags without blanks around them, each once, whatever its capitals.
    pub fn new(mood: i16, tags: &[HealthText]) -> Self {
        // ten at most
        let mut seen: Vec<Zeroizing<String>> = Vec::new();
        let mut kept = Vec::new();
        for tag in tags.iter().map(|tag| tag.expose().trim()) {
            let small = Zeroizing::new(tag.to_lowercase());
            if !seen.contains(&small) {
                seen.push(small);
                kept.push(HealthText::new(tag.to_owned()));
            }
        }
        Self { mood, tags: kept }
    }

    pub fn check(&self, faults: &mut FieldErrors) {
        for (index, tag) in self.tags.iter().enumerate() {
            let length = tag.expose().chars().count();
            faults.check((1..=LONGEST_TAG).contains(&length), format!("/tags/{index}"), "journal_tag");
        }
    }

    pub fn has_tag(&self, wanted: &str) -> bool {
        self.tags.iter().any(|tag| tag.expose().to_lowercase() == wanted)
    }

    pub fn to_words(&self) -> Result<HealthText> {
        let tags = self.tags.iter().map(HealthText::expose).collect();
        HealthText::of_json(&SealedFacts { mood: self.mood, tags }, STEP)
    }

    pub fn from_words(words: &HealthText) -> std::result::Result<Self, SealError> {
        let read: SealedFacts<HealthText> = serde_json::from_str(words.expose()).map_err(|_| SealError::Malformed)?;
        Ok(Self { mood: read.mood, tags: read.tags })
    }
}

/// What the words of an entry are sealed as.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum SealedBody<T> {
    Text(T),
    /// Sealed in the browser already.
    Private(T),
}

/// An entry as its person writes it.
#[derive(Clone)]
pub enum Entry {
    Open {
        body: HealthText,
        facts: Facts,
    },
    /// What the browser sealed, the id of the key that it names, and its place.
    Private {
        sealed: HealthText,
        key: Uuid,
        place: Place,
    },
}

impl Entry {
    pub fn body_words(&self) -> Result<HealthText> {
        match self {
            Self::Open { body, .. } => HealthText::of_json(&SealedBody::Text(body.expose()), STEP),
            // its length is filled up already
            Self::Private { sealed, .. } => HealthText::of_json(&SealedBody::Private(sealed.expose()), STEP),
        }
    }

    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Open { facts, .. } => Some(facts),
            Self::Private { .. } => None,
        }
    }

    /// Whether it may stand where this body stood. What the browser sealed is followed by a later text of the same entry
    /// alone: an older one, or another entry, would have come there by mistake.
    pub fn follows(&self, before: &Read) -> bool {
        let Self::Private { place, .. } = self else { return true };
        let known = before.body.as_ref().filter(|_| before.is_private).and_then(|body| read_entry(body.expose()));
        known.is_none_or(|(_, known)| place.follows(known))
    }

    pub fn private_key(&self) -> Option<Uuid> {
        match self {
            Self::Open { .. } => None,
            Self::Private { key, .. } => Some(*key),
        }
    }
}

/// The body of opened words; one of the kind that the row is said to be.
pub fn body_of(words: &HealthText, is_private: bool) -> std::result::Result<HealthText, SealError> {
    let read: SealedBody<HealthText> = serde_json::from_str(words.expose()).map_err(|_| SealError::Malformed)?;
    match (read, is_private) {
        (SealedBody::Text(text), false) | (SealedBody::Private(text), true) => Ok(text),
        _ => Err(SealError::Forged),
    }
}

/// Whether there is a text, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "JournalContent", rename_all = "snake_case")]
pub enum Content {
    Text,
    /// The key of the journal was destroyed.
    Erased,
    /// What is stored does not open; the operator is told.
    Unreadable,
}

/// The person's key as the database keeps it.
pub struct StoredKey {
    pub id: Uuid,
    /// `None`: destroyed.
    pub wrapped: Option<Vec<u8>>,
}

/// An entry as it is kept.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Kept {
    pub id: JournalEntryId,
    pub day: NaiveDate,
    pub version: i32,
    pub sealed: Vec<u8>,
    pub facts: Option<Vec<u8>>,
    pub private_key_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Of an entry what trend and search look at.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct KeptFacts {
    pub id: JournalEntryId,
    pub day: NaiveDate,
    pub version: i32,
    pub facts: Option<Vec<u8>>,
}

/// An entry as its person reads it.
#[derive(Clone)]
pub struct Read {
    pub id: JournalEntryId,
    pub day: NaiveDate,
    pub version: i32,
    pub is_private: bool,
    pub content: Content,
    pub body: Option<HealthText>,
    pub facts: Option<Facts>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Inclusive.
    pub from: Option<NaiveDate>,
    /// Inclusive.
    pub to: Option<NaiveDate>,
    /// In small letters.
    pub tag: Option<String>,
    pub mood: Option<i16>,
}

/// Whether a day can be asked for: of the years that the calendar here knows, far from where dates end.
pub fn is_askable(day: NaiveDate) -> bool {
    (1900..2200).contains(&day.year())
}

impl Filter {
    /// Whether entries have to be opened to be found.
    pub fn looks_inside(&self) -> bool {
        self.tag.is_some() || self.mood.is_some()
    }

    pub fn takes(&self, facts: &Facts) -> bool {
        self.mood.is_none_or(|mood| facts.mood == mood) && self.tag.as_deref().is_none_or(|tag| facts.has_tag(tag))
    }
}

/// How wide a step of the trend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "TrendPeriod", rename_all = "snake_case")]
pub enum Period {
    /// From Monday to Sunday.
    Week,
    Month,
}

impl Period {
    /// The first and the last day of the step that a day is in.
    pub fn around(self, day: NaiveDate) -> (NaiveDate, NaiveDate) {
        match self {
            Self::Week => {
                let first = day - Days::new(day.weekday().num_days_from_monday().into());
                (first, first + Days::new(6))
            }
            Self::Month => {
                let first = day.with_day(1).unwrap_or(day);
                (first, first + Months::new(1) - Days::new(1))
            }
        }
    }

    /// Where a trend begins whose beginning nobody says: a dozen steps.
    pub fn usual_start(self, last: NaiveDate) -> NaiveDate {
        match self {
            Self::Week => self.around(last).0 - Days::new(7 * 11),
            Self::Month => self.around(last).0 - Months::new(11),
        }
    }
}

/// A step of the trend in which something was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub entries: i32,
    pub average: f64,
    pub lowest: i16,
    pub highest: i16,
}

/// Moods by week or month, the earliest first. Steps without an entry are left out.
pub fn trend(period: Period, moods: impl IntoIterator<Item = (NaiveDate, i16)>) -> Vec<Step> {
    let mut steps: BTreeMap<NaiveDate, (NaiveDate, i32, i32, i16, i16)> = BTreeMap::new();
    for (day, mood) in moods {
        let (from, to) = period.around(day);
        let step = steps.entry(from).or_insert((to, 0, 0, mood, mood));
        step.1 += 1;
        step.2 += i32::from(mood);
        step.3 = step.3.min(mood);
        step.4 = step.4.max(mood);
    }
    let of = |(from, (to, entries, sum, lowest, highest))| {
        let average = (f64::from(sum) / f64::from(entries) * 100.0).round() / 100.0;
        Step { from, to, entries, average, lowest, highest }
    };
    steps.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_trend_counts_by_week_and_by_month() {
        let moods = [("2026-03-02", 1), ("2026-03-08", 4), ("2026-03-09", 5), ("2026-02-28", 2)];
        let moods = || moods.map(|(at, mood)| (day(at), mood));
        let step = |from, to, entries, average, lowest, highest| Step {
            from: day(from),
            to: day(to),
            entries,
            average,
            lowest,
            highest,
        };
        assert_eq!(
            trend(Period::Week, moods()),
            [
                step("2026-02-23", "2026-03-01", 1, 2.0, 2, 2),
                step("2026-03-02", "2026-03-08", 2, 2.5, 1, 4),
                step("2026-03-09", "2026-03-15", 1, 5.0, 5, 5),
            ]
        );
        assert_eq!(
            trend(Period::Month, moods()),
            [step("2026-02-01", "2026-02-28", 1, 2.0, 2, 2), step("2026-03-01", "2026-03-31", 3, 3.33, 1, 5)]
        );
        assert_eq!(trend(Period::Week, []), []);
        assert_eq!(Period::Week.usual_start(day("2026-03-11")), day("2025-12-22"));
        assert_eq!(Period::Month.usual_start(day("2026-03-11")), day("2025-04-01"));
    }

    #[test]
    fn the_length_of_what_is_sealed_tells_little() {
        let facts = |tags: &[&str]| {
            Facts::new(3, &tags.iter().map(|tag| HealthText::new((*tag).to_owned())).collect::<Vec<_>>())
        };
        let (none, some) = (facts(&[]).to_words().unwrap(), facts(&["sleep", " Work ", "SLEEP"]).to_words().unwrap());
        assert_eq!((none.expose().len(), some.expose().len()), (STEP, STEP));
        let read = Facts::from_words(&some).unwrap();
        assert_eq!(read.tags.iter().map(HealthText::expose).collect::<Vec<_>>(), ["sleep", "Work"]);
        assert!(read.has_tag("work") && !read.has_tag("wor"));
        let entry = Entry::Open { body: HealthText::new("é".repeat(300)), facts: facts(&[]) };
        let words = entry.body_words().unwrap();
        assert_eq!(words.expose().len(), 3 * STEP);
        assert_eq!(body_of(&words, false).unwrap().expose(), "é".repeat(300));
        assert!(body_of(&words, true).is_err());
    }
}
