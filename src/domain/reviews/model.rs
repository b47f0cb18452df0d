//! Words of a review, and what in them a moderator should look at.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::platform::crypto::health_text::HealthText;
use crate::platform::ids::{ConsultationId, PractitionerId, ReviewId};

/// Digits in a row, whatever stands between them, that may be a telephone number.
const FEWEST_DIGITS: usize = 8;
/// Shorter words are too many words of the language.
const SHORTEST_NAME: usize = 3;

/// What becomes of a review.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ReviewStatus", rename_all = "snake_case")]
pub enum Status {
    /// Waits for a moderator.
    #[default]
    Pending,
    Published,
    Rejected,
}

/// Why a moderator does not publish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ReviewRejection", rename_all = "snake_case")]
pub enum Rejection {
    /// It names somebody, or says enough to tell who it is.
    NamesSomebody,
    /// It tells of somebody's health.
    HealthDetails,
    Offensive,
    OffTopic,
    Other,
}

impl Rejection {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NamesSomebody => "names_somebody",
            Self::HealthDetails => "health_details",
            Self::Offensive => "offensive",
            Self::OffTopic => "off_topic",
            Self::Other => "other",
        }
    }
}

/// Where in a text something stands that may tell of a person, counted in characters (Unicode code points): from the first
/// to the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    pub from: usize,
    pub to: usize,
}

/// What is sealed of a review.
#[derive(Serialize, Deserialize)]
pub struct Words {
    pub text: String,
    pub marks: Vec<Mark>,
}

/// A review as its author has it.
#[derive(Debug)]
pub struct Own {
    pub consultation_id: ConsultationId,
    pub practitioner_id: PractitionerId,
    pub status: Status,
    pub version: i32,
    pub rating: i16,
    /// `None`: it does not open.
    pub text: Option<HealthText>,
    pub rejected_for: Option<Rejection>,
    pub written_at: DateTime<Utc>,
}

/// A review as a moderator has it.
#[derive(Debug)]
pub struct Moderated {
    pub id: ReviewId,
    pub practitioner_id: PractitionerId,
    pub practitioner_name: String,
    pub status: Status,
    pub version: i32,
    pub rating: i16,
    pub text: Option<HealthText>,
    pub marks: Vec<Mark>,
    pub rejected_for: Option<Rejection>,
    pub written_at: DateTime<Utc>,
}

/// What everybody reads of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Shown {
    pub id: ReviewId,
    pub rating: i16,
    pub body: String,
}

/// A word of a text: where it stands, and in small letters without accents.
struct Word {
    mark: Mark,
    plain: String,
}

/// The words of a text that may be part of a name.
pub struct Marks {
    words: Vec<Word>,
    /// Addresses and numbers.
    others: Vec<Mark>,
}

impl Marks {
    pub fn of(text: &str) -> Self {
        let letters: Vec<char> = text.chars().collect();
        Self { words: words(&letters), others: [addresses(&letters), numbers(&letters)].concat() }
    }

    /// Each word that could be a name, once.
    pub fn candidates(&self) -> Vec<String> {
        let all: HashSet<&str> = self.words.iter().map(|word| word.plain.as_str()).collect();
        let mut all: Vec<String> =
            all.into_iter().filter(|it| it.len() >= SHORTEST_NAME).map(ToOwned::to_owned).collect();
        all.sort_unstable();
        all
    }

    /// Where the names, addresses and numbers are, in their order.
    pub fn found(self, names: &[String]) -> Vec<Mark> {
        let is_name = |word: &Word| names.contains(&word.plain);
        let mut all: Vec<Mark> = self.words.into_iter().filter(is_name).map(|word| word.mark).collect();
        all.extend(self.others);
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn words(letters: &[char]) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        let plain: String = letter
            .to_lowercase()
            .nfkd()
            .filter(char::is_ascii_alphanumeric)
            .chain(match letter {
                'œ' | 'Œ' => "oe".chars(),
                'æ' | 'Æ' => "ae".chars(),
                'ß' => "ss".chars(),
                _ => "".chars(),
            })
            .collect();
        // an accent that is written apart belongs to the letter before it
        let is_accent = matches!(letter, '\u{300}'..='\u{36f}');
        match found.last_mut() {
            Some(word) if word.mark.to == at && (is_accent || !plain.is_empty()) => {
                word.plain.push_str(&plain);
                word.mark.to = at + 1;
            }
            _ if plain.is_empty() => {}
            _ => found.push(Word { mark: Mark { from: at, to: at + 1 }, plain }),
        }
    }
    found
}

/// What holds an `@` between two other characters.
fn addresses(letters: &[char]) -> Vec<Mark> {
    let mut found = Vec::new();
    let mut from = 0;
    for at in 0..=letters.len() {
        if letters.get(at).is_none_or(|letter| letter.is_whitespace()) {
            let word = letters.get(from..at).unwrap_or_default();
            let is_address = word.iter().enumerate().any(|(n, it)| *it == '@' && n > 0 && n + 1 < word.len());
            if is_address {
                found.push(Mark { from, to: at });
            }
            from = at + 1;
        }
    }
    found
}

/// Digits, with what people write between those of a telephone number.
fn numbers(letters: &[char]) -> Vec<Mark> {
    let mut found = Vec::new();
    let (mut from, mut to, mut digits) = (0, 0, 0);
    for at in 0..=letters.len() {
        match letters.get(at) {
            Some(letter) if letter.is_ascii_digit() => {
                if digits == 0 {
                    from = at;
                }
                digits += 1;
                to = at + 1;
            }
            Some(' ' | '\u{a0}' | '\u{202f}' | '.' | '-' | '/' | '(' | ')' | '+') if digits > 0 => {}
            _ => {
                if digits >= FEWEST_DIGITS {
                    found.push(Mark { from, to });
                }
                digits = 0;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, names: &[&str]) -> Vec<String> {
        let letters: Vec<char> = text.chars().collect();
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let marks = Marks::of(text).found(&names);
        marks.iter().map(|it| letters[it.from..it.to].iter().collect()).collect()
    }

    #[test]
    fn names_are_found_whatever_their_accents_and_capitals() {
        let text = "Merci à Élodie ! ELODIE, l’Elodie d’Élodie-Anne, e\u{301}lodie et élodies";
        let names = ["elodie", "anne"];
        assert_eq!(marked(text, &names), ["Élodie", "ELODIE", "Elodie", "Élodie", "Anne", "e\u{301}lodie"]);
        assert_eq!(Marks::of("Lœuillet à Le Goff").candidates(), ["goff", "loeuillet"]);
        assert!(Marks::of("").candidates().is_empty());
    }

    #[test]
    fn addresses_and_numbers_are_found() {
        let text =
            "😀 Écrivez à ana.silva@example.org, appelez le 06 12.34-56 78 ou +33 (0)6 12 34 56 78 avant 2026. @ a@ @b";
        assert_eq!(marked(text, &[]), ["ana.silva@example.org,", "06 12.34-56 78", "33 (0)6 12 34 56 78"]);
        assert!(marked("En 2024, 10 sur 10", &[]).is_empty());
    }
}
