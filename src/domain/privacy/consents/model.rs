//! Documents, their versions, and how somebody stands to them. Pure.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::domain::identity::model::{PRIVACY_NOTICE_VERSION, TERMS_VERSION};

/// What can be agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ConsentDocument", rename_all = "snake_case")]
pub enum Document {
    /// The terms of use, on which the account rests.
    Terms,
    /// That the privacy notice was read.
    PrivacyNotice,
    /// News of the service by mail.
    News,
    /// Being asked how satisfied one is.
    Surveys,
}

impl Document {
    pub const ALL: [Self; 4] = [Self::Terms, Self::PrivacyNotice, Self::News, Self::Surveys];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::PrivacyNotice => "privacy_notice",
            Self::News => "news",
            Self::Surveys => "surveys",
        }
    }

    /// The version in force.
    pub fn version(self) -> &'static str {
        match self {
            Self::Terms => TERMS_VERSION,
            Self::PrivacyNotice => PRIVACY_NOTICE_VERSION,
            Self::News | Self::Surveys => "2026-11",
        }
    }

    /// Whether everybody is asked, and nobody can take it back but by ending the account.
    pub fn is_required(self) -> bool {
        matches!(self, Self::Terms | Self::PrivacyNotice)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ConsentDecision", rename_all = "snake_case")]
pub enum Decision {
    Accepted,
    Withdrawn,
}

/// A decision that somebody made.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(clippy::struct_field_names)]
pub struct Decided {
    /// Grows from one to the next.
    pub place: i32,
    pub document: Document,
    pub version: String,
    pub decision: Decision,
    pub decided_at: DateTime<Utc>,
}

/// How somebody stands to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ConsentStanding", rename_all = "snake_case")]
pub enum Standing {
    /// Never asked, or never answered.
    None,
    /// The version in force.
    Accepted,
    /// An earlier version: to be asked again.
    Outdated,
    Withdrawn,
}

impl Standing {
    pub fn of(document: Document, latest: Option<&Decided>) -> Self {
        match latest {
            None => Self::None,
            Some(it) if it.decision == Decision::Withdrawn => Self::Withdrawn,
            Some(it) if it.version == document.version() => Self::Accepted,
            Some(_) => Self::Outdated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_version_is_asked_again() {
        let decided = |version: &str, decision| Decided {
            place: 1,
            document: Document::Terms,
            version: version.to_owned(),
            decision,
            decided_at: DateTime::default(),
        };
        let of = |it: Option<Decided>| Standing::of(Document::Terms, it.as_ref());
        assert_eq!(of(None), Standing::None);
        assert_eq!(of(Some(decided(TERMS_VERSION, Decision::Accepted))), Standing::Accepted);
        assert_eq!(of(Some(decided("2020-01", Decision::Accepted))), Standing::Outdated);
        assert_eq!(of(Some(decided(TERMS_VERSION, Decision::Withdrawn))), Standing::Withdrawn);
    }

    #[test]
    fn documents_are_written_as_the_database_writes_them() {
        for document in Document::ALL {
            assert_eq!(serde_json::to_value(document).unwrap(), document.as_str());
        }
    }
}
