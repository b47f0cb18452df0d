//! Bodies of requests and answers.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{Example, ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{ApiResponse, Object};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::clinical_notes::model::{Content, Format, Kind, Note, Soap, Status, Text, Whole, Words};
use crate::platform::Result;
use crate::platform::crypto::health_text::{HealthText, Words as Letters, never_shown};
use crate::platform::http::Etag;
use crate::platform::http::idempotency::{Fingerprint, Print};
use crate::platform::ids::{ConsultationId, NoteId};
use crate::platform::problem::{Error as Refusal, Problem};

/// Characters of a free text.
const LONGEST_TEXT: usize = 20_000;

/// A text, or the four parts of a SOAP note.
#[derive(Debug)]
pub enum TextOr<T, S> {
    Free(T),
    Soap(S),
}

impl<T: Type, S: Type> Type for TextOr<T, S> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("text_or_{}", S::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            any_of: vec![T::schema_ref(), S::schema_ref()],
            ..MetaSchema::ANY
        }))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
        S::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: ParseFromJSON, S: ParseFromJSON> ParseFromJSON for TextOr<T, S> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(text @ Value::String(_)) => {
                T::parse_from_json(Some(text)).map(Self::Free).map_err(ParseError::propagate)
            }
            other => S::parse_from_json(other).map(Self::Soap).map_err(ParseError::propagate),
        }
    }
}

impl<T: ToJSON, S: ToJSON> ToJSON for TextOr<T, S> {
    fn to_json(&self) -> Option<Value> {
        match self {
            Self::Free(text) => text.to_json(),
            Self::Soap(soap) => soap.to_json(),
        }
    }
}

/// A free text of a note as it is sent.
pub struct FreeText(HealthText);

impl Type for FreeText {
    const IS_REQUIRED: bool = true;

    type RawValueType = Letters;
    type RawElementValueType = Letters;

    fn name() -> Cow<'static, str> {
        "string".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(1),
            max_length: Some(LONGEST_TEXT),
            pattern: Some(r"\S".to_owned()),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Letters> {
        self.0.as_raw_value()
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Letters> + 'a> {
        self.0.raw_element_iter()
    }
}

impl ParseFromJSON for FreeText {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        HealthText::parse_from_json(value).map(Self).map_err(ParseError::propagate)
    }
}

impl ToJSON for FreeText {
    fn to_json(&self) -> Option<Value> {
        self.0.to_json()
    }
}

/// The parts of a SOAP note. One of them at least says something.
#[derive(Default, Object)]
#[oai(rename = "SoapRequest", rename_all = "camelCase", deny_unknown_fields)]
pub struct SoapRequest {
    /// What the employee tells.
    #[oai(validator(max_length = 5000))]
    subjective: Option<HealthText>,
    /// What is observed.
    #[oai(validator(max_length = 5000))]
    objective: Option<HealthText>,
    /// What the practitioner makes of it.
    #[oai(validator(max_length = 5000))]
    assessment: Option<HealthText>,
    /// What is to follow.
    #[oai(validator(max_length = 5000))]
    plan: Option<HealthText>,
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct NoteRequest {
    format: Format,
    /// Of `free` a text of at most 20,000 characters, of `soap` the four parts, each of at most 5,000.
    body: TextOr<FreeText, SoapRequest>,
}

impl NoteRequest {
    pub fn text(self) -> Result<Text> {
        let part = |text: Option<HealthText>| text.unwrap_or_else(|| HealthText::new(String::new()));
        match (self.format, self.body) {
            (Format::Free, TextOr::Free(FreeText(text))) => Ok(Text::Free(text)),
            (Format::Soap, TextOr::Soap(SoapRequest { subjective, objective, assessment, plan })) => {
                Ok(Text::Soap(Soap {
                    subjective: part(subjective),
                    objective: part(objective),
                    assessment: part(assessment),
                    plan: part(plan),
                }))
            }
            (Format::Free, TextOr::Soap(_)) => Err(Problem::from(Refusal::Invalid).at("/body", "free_is_text")),
            (Format::Soap, TextOr::Free(_)) => Err(Problem::from(Refusal::Invalid).at("/body", "soap_is_parts")),
        }
    }
}

impl Example for NoteRequest {
    fn example() -> Self {
        let part = |text: &str| Some(HealthText::new(text.to_owned()));
        let body = SoapRequest {
            subjective: part("Sleeps four hours a night since the move."),
            objective: part("Tired, oriented, speaks fluently."),
            assessment: part("Adjustment, no sign of depression."),
            plan: part("Sleep diary; next session in two weeks."),
        };
        Self { format: Format::Soap, body: TextOr::Soap(body) }
    }
}

impl Fingerprint for NoteRequest {
    fn print(&self, into: &mut Print) -> Result<()> {
        let Self { format, body } = self;
        into.plain(format)?;
        match body {
            TextOr::Free(FreeText(text)) => into.words(text),
            TextOr::Soap(SoapRequest { subjective, objective, assessment, plan }) => {
                for part in [subjective, objective, assessment, plan] {
                    into.all_words(part);
                }
            }
        }
        Ok(())
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct AddendumRequest {
    #[oai(validator(min_length = 1, max_length = 5000, pattern = r"\S"))]
    pub body: HealthText,
}

impl Fingerprint for AddendumRequest {
    fn print(&self, into: &mut Print) -> Result<()> {
        let Self { body } = self;
        into.words(body);
        Ok(())
    }
}

never_shown!(NoteRequest, SoapRequest, AddendumRequest);

impl Example for AddendumRequest {
    fn example() -> Self {
        Self { body: HealthText::new("By telephone on the 3rd: sleeps through again.".into()) }
    }
}

/// The parts of a SOAP note.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SoapAnswer {
    subjective: HealthText,
    objective: HealthText,
    assessment: HealthText,
    plan: HealthText,
}

type Said = TextOr<HealthText, SoapAnswer>;

fn said(text: Text) -> Said {
    match text {
        Text::Free(text) | Text::Addendum(text) => TextOr::Free(text),
        Text::Soap(Soap { subjective, objective, assessment, plan }) => {
            TextOr::Soap(SoapAnswer { subjective, objective, assessment, plan })
        }
    }
}

/// What was added to a final note.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct AddendumAnswer {
    version: i32,
    content: Content,
    body: Option<HealthText>,
    created_at: DateTime<Utc>,
}

impl From<Words> for AddendumAnswer {
    fn from(it: Words) -> Self {
        let body = match it.text {
            Some(Text::Addendum(text)) => Some(text),
            _ => None,
        };
        Self { version: it.version, content: it.content, body, created_at: it.created_at }
    }
}

/// A note.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct NoteAnswer {
    id: NoteId,
    consultation_id: ConsultationId,
    format: Format,
    status: Status,
    /// Grows with each text that is saved, and with each addendum.
    version: i32,
    /// Whether there is a text, and why not.
    content: Content,
    /// Of `free` a text, of `soap` the four parts.
    body: Option<Said>,
    /// In the order in which they were added.
    addenda: Vec<AddendumAnswer>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    finalized_at: Option<DateTime<Utc>>,
    /// Until when the law wants it to be kept; each change keeps it for longer.
    retained_until: DateTime<Utc>,
}

impl From<Whole> for NoteAnswer {
    fn from(Whole { note, text, addenda }: Whole) -> Self {
        Self {
            id: note.id,
            consultation_id: note.consultation_id,
            format: note.format,
            status: note.status,
            version: note.version,
            content: text.content,
            body: text.text.map(said),
            addenda: addenda.into_iter().map(AddendumAnswer::from).collect(),
            created_at: note.created_at,
            updated_at: note.updated_at,
            finalized_at: note.finalized_at,
            retained_until: note.retained_until,
        }
    }
}

impl Example for NoteAnswer {
    fn example() -> Self {
        let at = example_time();
        let addendum = AddendumRequest::example().body;
        Self {
            id: NoteId(example_id(0x0e)),
            consultation_id: ConsultationId(example_id(0x0c)),
            format: Format::Free,
            status: Status::Finalized,
            version: 3,
            content: Content::Text,
            body: Some(TextOr::Free(HealthText::new("Sleeps four hours a night since the move.".into()))),
            addenda: vec![AddendumAnswer {
                version: 3,
                content: Content::Text,
                body: Some(addendum),
                created_at: at + TimeDelta::days(2),
            }],
            created_at: at,
            updated_at: at + TimeDelta::days(2),
            finalized_at: Some(at + TimeDelta::minutes(20)),
            retained_until: at + TimeDelta::days(7305),
        }
    }
}

/// A note in a list.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct NoteSummary {
    id: NoteId,
    consultation_id: ConsultationId,
    format: Format,
    status: Status,
    version: i32,
    /// How many.
    addenda: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    finalized_at: Option<DateTime<Utc>>,
    retained_until: DateTime<Utc>,
}

impl From<Note> for NoteSummary {
    fn from(it: Note) -> Self {
        Self {
            id: it.id,
            consultation_id: it.consultation_id,
            format: it.format,
            status: it.status,
            version: it.version,
            addenda: it.addenda,
            created_at: it.created_at,
            updated_at: it.updated_at,
            finalized_at: it.finalized_at,
            retained_until: it.retained_until,
        }
    }
}

impl Example for NoteSummary {
    fn example() -> Self {
        let at = example_time();
        Self {
            id: NoteId(example_id(0x0e)),
            consultation_id: ConsultationId(example_id(0x0c)),
            format: Format::Soap,
            status: Status::Draft,
            version: 2,
            addenda: 0,
            created_at: at,
            updated_at: at + TimeDelta::minutes(5),
            finalized_at: None,
            retained_until: at + TimeDelta::days(7305),
        }
    }
}

/// A version of a note.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct VersionAnswer {
    version: i32,
    kind: Kind,
    /// Not of an addendum.
    format: Option<Format>,
    content: Content,
    body: Option<Said>,
    created_at: DateTime<Utc>,
}

impl From<Words> for VersionAnswer {
    fn from(it: Words) -> Self {
        Self {
            version: it.version,
            kind: it.kind,
            format: it.format,
            content: it.content,
            body: it.text.map(said),
            created_at: it.created_at,
        }
    }
}

impl Example for VersionAnswer {
    fn example() -> Self {
        Self {
            version: 1,
            kind: Kind::Text,
            format: Some(Format::Free),
            content: Content::Text,
            body: Some(TextOr::Free(HealthText::new("Sleeps badly.".into()))),
            created_at: example_time(),
        }
    }
}

#[derive(ApiResponse)]
pub enum CreatedNote {
    /// The note as it is now.
    #[oai(status = 201)]
    Created(
        Json<NoteAnswer>,
        /// The version of the note, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum WrittenNote {
    /// The note as it is now.
    #[oai(status = 200)]
    Done(
        Json<NoteAnswer>,
        /// The version of the note, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

impl WrittenNote {
    pub fn new(it: Whole) -> Self {
        let etag = Etag::of(it.note.updated_at);
        Self::Done(Json(it.into()), etag.as_str().to_owned())
    }
}

fn example_id(last: u128) -> Uuid {
    Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a00 | last)
}

fn example_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_440_600, 0).unwrap_or_default()
}
