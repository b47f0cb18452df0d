//! What an article is.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use crate::platform::ids::{ArticleId, FileId, UserId};
use crate::platform::locale::Locale;

/// Letters of a name that is made of a title.
const LONGEST_MADE_SLUG: usize = 80;

/// What an article is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ArticleCategory", rename_all = "snake_case")]
pub enum Category {
    /// How the service works.
    GettingStarted,
    Stress,
    Sleep,
    Work,
    Relationships,
    Nutrition,
    Movement,
}

/// Where an article is on its way to its readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ArticleStatus", rename_all = "snake_case")]
pub enum Status {
    /// Being written.
    Draft,
    /// Published by the clock.
    Scheduled,
    #[default]
    Published,
    /// Not shown any more; its names stay its own.
    Archived,
}

/// An article by its id, or by a name that a text of it has or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Id(ArticleId),
    Slug(String),
}

impl From<String> for Named {
    /// No name has the form of an id: the database sees to it.
    fn from(text: String) -> Self {
        let is_id = text.len() == 36;
        Uuid::from_str(&text).ok().filter(|_| is_id).map_or(Self::Slug(text), |id| Self::Id(ArticleId(id)))
    }
}

/// An article in one of its languages, as lists show it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Summary {
    pub id: ArticleId,
    pub language: Locale,
    pub slug: String,
    pub title: String,
    pub summary: String,
    pub category: Category,
    pub tags: Vec<String>,
    pub cover_id: Option<FileId>,
    pub status: Status,
    /// Of a scheduled one.
    pub publish_at: Option<DateTime<Utc>>,
    /// When it was published first.
    pub published_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Under which name an article is found in a language.
#[derive(Clone, Debug, Deserialize)]
pub struct Translation {
    pub language: Locale,
    pub slug: String,
}

/// An article to read.
#[derive(Clone, Debug)]
pub struct Article {
    pub summary: Summary,
    /// Markdown.
    pub body: String,
    pub translations: Vec<Translation>,
    /// Of the article and all its translations.
    pub updated_at: DateTime<Utc>,
    pub author_id: Option<UserId>,
}

/// An article in a language, as it is written.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Text {
    pub language: Locale,
    pub slug: String,
    pub title: String,
    pub summary: String,
    /// Markdown.
    pub body: String,
}

/// A name for addresses, made of a title: small letters, digits and hyphens.
pub fn slug_of(title: &str) -> String {
    let mut slug = String::new();
    for letter in title.nfd() {
        match letter {
            'a'..='z' | '0'..='9' => slug.push(letter),
            'A'..='Z' => slug.push(letter.to_ascii_lowercase()),
            'œ' | 'Œ' => slug.push_str("oe"),
            'æ' | 'Æ' => slug.push_str("ae"),
            'ß' => slug.push_str("ss"),
            // accents that stood on a letter
            '\u{300}'..='\u{36f}' => {}
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    if slug.len() > LONGEST_MADE_SLUG {
        slug.truncate(LONGEST_MADE_SLUG + 1);
        // not in the middle of a word
        slug.truncate(slug.rfind('-').unwrap_or(LONGEST_MADE_SLUG));
    }
    let slug = slug.trim_end_matches('-');
    match Named::from(slug.to_owned()) {
        Named::Slug(slug) if !slug.is_empty() => slug,
        _ => "article".to_owned(),
    }
}

/// Whether a text is a name for addresses.
pub fn is_slug(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    text.len() <= 120 && text.split('-').all(is_word) && matches!(Named::from(text.to_owned()), Named::Slug(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_titles() {
        for (title, slug) in [
            ("Mieux dormir : sept habitudes", "mieux-dormir-sept-habitudes"),
            ("L’été, ça use… l’œil !", "l-ete-ca-use-l-oeil"),
            ("  --- ", "article"),
            ("睡眠", "article"),
            ("01941f29-7c00-7c1f-8a52-6d0e4b9f3a17", "article"),
        ] {
            assert_eq!(slug_of(title), slug, "{title}");
            assert!(is_slug(&slug_of(title)));
        }
        let long = slug_of(&"beaucoup de mots ".repeat(20));
        assert!(long.len() <= 80 && is_slug(&long), "{long}");
        assert!(is_slug(&slug_of(&"x".repeat(200))));
        for bad in ["", "-", "a-", "-a", "a--b", "A", "é", "a b", "01941f29-7c00-7c1f-8a52-6d0e4b9f3a17"] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    #[test]
    fn an_id_is_told_from_a_name() {
        let id = "01941f29-7c00-7c1f-8a52-6d0e4b9f3a17";
        assert_eq!(Named::from(id.to_owned()), Named::Id(ArticleId(id.parse().unwrap())));
        for name in ["sleep", "01941f297c007c1f8a526d0e4b9f3a17"] {
            assert_eq!(Named::from(name.to_owned()), Named::Slug(name.to_owned()));
        }
    }
}
