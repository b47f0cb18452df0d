//! An announcement, in one or two languages.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::Serialize;

use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, NewsId};
use crate::platform::locale::Locale;

/// Who announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "NewsSource", rename_all = "snake_case")]
pub enum Source {
    Platform,
    /// The reader's own.
    Company,
}

impl Source {
    /// Whose news somebody writes.
    pub fn written_by(role: Role) -> Option<Self> {
        match role {
            Role::Hr | Role::CompanyAdmin => Some(Self::Company),
            Role::PlatformAdmin => Some(Self::Platform),
            Role::Employee | Role::Practitioner => None,
        }
    }
}

/// A text in a language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub title: String,
    /// Markdown.
    pub body: String,
}

/// Texts by language; there is one at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    pub fr: Option<Text>,
    pub en: Option<Text>,
}

impl Texts {
    /// Those that there are.
    pub fn each(&self) -> impl Iterator<Item = (Locale, &Text)> {
        let (french, english) = (self.fr.as_ref(), self.en.as_ref());
        french.map(|it| (Locale::Fr, it)).into_iter().chain(english.map(|it| (Locale::En, it)))
    }

    /// The text in a language, or in the other one.
    pub fn in_language(&self, wanted: Locale) -> Option<(Locale, &Text)> {
        self.each().find(|(language, _)| *language == wanted).or_else(|| self.each().next())
    }
}

/// Whom the platform tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    Everybody,
    /// The employees of these.
    Companies(Vec<CompanyId>),
}

/// An announcement as somebody reads it.
#[derive(Clone, Debug)]
pub struct News {
    pub id: NewsId,
    pub source: Source,
    pub texts: Texts,
    pub published_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
    pub read_at: Option<DateTime<Utc>>,
    /// Of the platform's, for who writes them.
    pub audience: Option<Audience>,
}

/// A change; what is absent stays.
#[derive(Clone, Debug, Default)]
#[allow(clippy::option_option)] // absent, nothing and something are three things
pub struct Change {
    pub texts: Option<Texts>,
    /// Inner `None`: without an end.
    pub expires_at: Option<Option<DateTime<Utc>>>,
    pub audience: Option<Audience>,
}
