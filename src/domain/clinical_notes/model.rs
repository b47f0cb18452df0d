//! Notes, their texts, and what can be done to them when.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::Error;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::seal::SealError;
use crate::platform::ids::{CompanyId, ConsultationId, NoteId, UserId};
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Problem, Result};

/// How a note is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "NoteFormat", rename_all = "snake_case")]
pub enum Format {
    /// Subjective, objective, assessment, plan.
    Soap,
    Free,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, Enum)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "NoteStatus", rename_all = "snake_case")]
pub enum Status {
    Draft,
    /// Read only, but for addenda.
    Finalized,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, Enum)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "NoteVersionKind", rename_all = "snake_case")]
pub enum Kind {
    /// The note itself.
    Text,
    Addendum,
}

/// Whether there is a text, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "NoteContent", rename_all = "snake_case")]
pub enum Content {
    Text,
    /// Its key was destroyed.
    Erased,
    /// What is stored does not open; the operator is told.
    Unreadable,
}

/// The four parts of a SOAP note.
#[derive(Clone, Debug)]
pub struct Soap {
    pub subjective: HealthText,
    pub objective: HealthText,
    pub assessment: HealthText,
    pub plan: HealthText,
}

/// What a version of a note says.
#[derive(Clone, Debug)]
pub enum Text {
    Free(HealthText),
    Soap(Soap),
    Addendum(HealthText),
}

/// A text as it is sealed. It says itself what it is: a row that says otherwise was changed.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Sealed<T> {
    Free(T),
    Soap { subjective: T, objective: T, assessment: T, plan: T },
    Addendum(T),
}

impl Text {
    pub fn kind(&self) -> Kind {
        if matches!(self, Self::Addendum(_)) { Kind::Addendum } else { Kind::Text }
    }

    /// `None`: of an addendum.
    pub fn format(&self) -> Option<Format> {
        match self {
            Self::Free(_) => Some(Format::Free),
            Self::Soap(_) => Some(Format::Soap),
            Self::Addendum(_) => None,
        }
    }

    /// A SOAP note says something.
    pub fn check(&self, faults: &mut FieldErrors) {
        if let Self::Soap(Soap { subjective, objective, assessment, plan }) = self {
            let is_empty = [subjective, objective, assessment, plan].iter().all(|it| it.expose().trim().is_empty());
            faults.check(!is_empty, "/body", "empty_note");
        }
    }

    /// What is sealed.
    pub fn to_words(&self) -> Result<HealthText> {
        let words = match self {
            Self::Free(text) => Sealed::Free(text.expose()),
            Self::Addendum(text) => Sealed::Addendum(text.expose()),
            Self::Soap(soap) => Sealed::Soap {
                subjective: soap.subjective.expose(),
                objective: soap.objective.expose(),
                assessment: soap.assessment.expose(),
                plan: soap.plan.expose(),
            },
        };
        HealthText::of_json(&words, 1)
    }

    pub fn from_words(words: &HealthText) -> std::result::Result<Self, SealError> {
        let read: Sealed<HealthText> = serde_json::from_str(words.expose()).map_err(|_| SealError::Malformed)?;
        Ok(match read {
            Sealed::Free(text) => Self::Free(text),
            Sealed::Addendum(text) => Self::Addendum(text),
            Sealed::Soap { subjective, objective, assessment, plan } => {
                Self::Soap(Soap { subjective, objective, assessment, plan })
            }
        })
    }
}

/// A session of the caller's.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Session {
    pub company_id: CompanyId,
    pub practitioner_id: UserId,
}

/// A note without its texts.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Note {
    pub id: NoteId,
    pub company_id: CompanyId,
    pub consultation_id: ConsultationId,
    pub practitioner_id: UserId,
    pub format: Format,
    pub status: Status,
    /// Of the last change of words.
    pub version: i32,
    /// The version that is the note itself.
    pub text_version: i32,
    pub addenda: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub finalized_at: Option<DateTime<Utc>>,
    pub retained_until: DateTime<Utc>,
}

impl Note {
    /// The refusal of whoever knows another version than this one.
    pub fn stale(&self) -> Problem {
        Problem::from(Refusal::Stale).with("version", self.version.into())
    }

    /// The last version may be saved over, or made final.
    pub fn check_draft(&self) -> Result<()> {
        match self.status {
            Status::Draft => Ok(()),
            Status::Finalized => Err(Error::NoteFinalized.into()),
        }
    }

    pub fn check_final(&self) -> Result<()> {
        match self.status {
            Status::Finalized => Ok(()),
            Status::Draft => Err(Error::NoteNotFinalized.into()),
        }
    }
}

/// A note's key as the database keeps it.
pub struct StoredKey {
    pub id: Uuid,
    /// `None`: destroyed.
    pub wrapped: Option<Vec<u8>>,
}

/// A version as it is kept.
pub struct Kept {
    pub version: i32,
    pub kind: Kind,
    pub format: Option<Format>,
    pub sealed: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

/// A version as its author reads it.
#[derive(Clone, Debug)]
pub struct Words {
    pub version: i32,
    pub kind: Kind,
    pub format: Option<Format>,
    pub content: Content,
    pub text: Option<Text>,
    pub created_at: DateTime<Utc>,
}

/// A note with its text and what was added to it.
pub struct Whole {
    pub note: Note,
    pub text: Words,
    pub addenda: Vec<Words>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soap(plan: &str) -> Text {
        let text = |words: &str| HealthText::new(words.to_owned());
        Text::Soap(Soap { subjective: text(""), objective: text(" "), assessment: text("\n"), plan: text(plan) })
    }

    #[test]
    fn texts_come_back_as_what_they_were() {
        for (text, form) in [
            (Text::Free(HealthText::new("a \"quiet\" word".into())), r#"{"free":"a \"quiet\" word"}"#),
            (Text::Addendum(HealthText::new("later".into())), r#"{"addendum":"later"}"#),
            (soap("rest"), r#"{"soap":{"subjective":"","objective":" ","assessment":"\n","plan":"rest"}}"#),
        ] {
            let words = text.to_words().unwrap();
            assert_eq!(words.expose(), form);
            let read = Text::from_words(&words).unwrap();
            assert_eq!((read.kind(), read.format()), (text.kind(), text.format()));
            assert_eq!(read.to_words().unwrap().expose(), form);
        }
        assert!(Text::from_words(&HealthText::new("{}".into())).is_err());
    }

    #[test]
    fn a_soap_note_of_blanks_says_nothing() {
        let faults = |text: Text| {
            let mut faults = FieldErrors::new();
            text.check(&mut faults);
            faults.into_vec().len()
        };
        assert_eq!((faults(soap("  ")), faults(soap("rest"))), (1, 0));
    }
}
