//! A JSON body, checked against its own schema so that every fault is reported with a pointer.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use bytes::Bytes;
use chrono::{NaiveDateTime, NaiveTime};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, ValidationError, Validator};
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::payload::{Json, ParsePayload, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use serde_json::{Value, json};
use zeroize::Zeroize;

use super::schema;
use crate::platform::problem::{Error, FieldErrors, Problem, Result};

/// More faults than these are not reported: the answer stays small whatever was sent.
const MOST_FAULTS: usize = 100;

/// The body of a request, as JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = Bytes::from_request(request, body).await?;
        Ok(Self(parse(&bytes)?))
    }
}
poem_openapi::impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);

/// What was sent, wiped where it is refused: it may hold words about somebody's health.
struct Sent(Value);

impl Drop for Sent {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

/// Reads a `T`, or tells everything that is wrong with what was sent.
fn parse<T: ParseFromJSON>(bytes: &[u8]) -> Result<T> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        Problem::from(Error::MalformedJson)
            .with_arg("line", error.line().to_string())
            .with_arg("column", error.column().to_string())
    })?;
    let may_hold_nul = bytes.windows(6).any(|six| six == br"\u0000");
    check_value(value, may_hold_nul)
}

/// The same of JSON that came another way.
pub fn check<T: ParseFromJSON>(value: Value) -> Result<T> {
    check_value(value, true)
}

fn check_value<T: ParseFromJSON>(value: Value, may_hold_nul: bool) -> Result<T> {
    let mut sent = Sent(value);
    let mut faults = FieldErrors::new();
    if may_hold_nul {
        refuse_nul(&sent.0, &mut String::new(), &mut faults);
    }
    for error in validator::<T>()?.iter_errors(&sent.0).take(MOST_FAULTS) {
        explain(&error, &mut faults);
    }
    faults.finish()?;
    // what a schema cannot say: a type of our own that refuses a value
    T::parse_from_json(Some(sent.0.take())).map_err(|_| Problem::from(Error::Invalid).at("", "invalid"))
}

/// PostgreSQL keeps no NUL in a text, so none gets that far.
fn refuse_nul(value: &Value, pointer: &mut String, faults: &mut FieldErrors) {
    let end = pointer.len();
    match value {
        Value::String(text) if text.contains('\0') => faults.add(pointer.clone(), "nul_character"),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&child("", &index.to_string()));
                refuse_nul(item, pointer, faults);
                pointer.truncate(end);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                pointer.push_str(&child("", name));
                refuse_nul(member, pointer, faults);
                pointer.truncate(end);
            }
        }
        _ => {}
    }
}

/// The pointer to a member (RFC 6901).
fn child(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Notes a fault that the schema found, in words that repeat nothing of what was sent.
fn explain(error: &ValidationError<'_>, faults: &mut FieldErrors) {
    let at = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            faults.add(child(at, property.as_str().unwrap_or_default()), "required");
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(MOST_FAULTS) {
                faults.add(child(at, name), "unknown_property");
            }
        }
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(many) => many.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(", "),
            };
            faults.add_with(at, "type", &[("expected", expected)]);
        }
        ValidationErrorKind::Enum { options } => {
            let texts = |all: &Vec<Value>| {
                all.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect::<Vec<_>>()
            };
            let allowed = options.as_array().map(texts).unwrap_or_default().join(", ");
            faults.add_with(at, "enum", &[("allowed", allowed)]);
        }
        ValidationErrorKind::MinLength { limit } => faults.add_with(at, "min_length", &[("min", limit.to_string())]),
        ValidationErrorKind::MaxLength { limit } => faults.add_with(at, "max_length", &[("max", limit.to_string())]),
        ValidationErrorKind::MinItems { limit } => faults.add_with(at, "min_items", &[("min", limit.to_string())]),
        ValidationErrorKind::MaxItems { limit } => faults.add_with(at, "max_items", &[("max", limit.to_string())]),
        ValidationErrorKind::UniqueItems => faults.add(at, "unique_items"),
        ValidationErrorKind::Minimum { limit } => faults.add_with(at, "minimum", &[("min", limit.to_string())]),
        ValidationErrorKind::Maximum { limit } => faults.add_with(at, "maximum", &[("max", limit.to_string())]),
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            faults.add_with(at, "exclusive_minimum", &[("min", limit.to_string())]);
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            faults.add_with(at, "exclusive_maximum", &[("max", limit.to_string())]);
        }
        ValidationErrorKind::Pattern { .. } => faults.add(at, "pattern"),
        ValidationErrorKind::Format { format } => faults.add_with(at, "format", &[("format", format.clone())]),
        ValidationErrorKind::AnyOf { context }
        | ValidationErrorKind::OneOfNotValid { context }
        | ValidationErrorKind::OneOfMultipleValid { context } => {
            // the variant that comes nearest tells best what is wrong: of the right type first
            let is_other_type = |fault: &ValidationError<'_>| {
                matches!(fault.kind(), ValidationErrorKind::Type { .. })
                    && fault.instance_path() == error.instance_path()
            };
            let nearest = |branch: &&Vec<ValidationError<'_>>| (branch.iter().any(is_other_type), branch.len());
            match context.iter().filter(|branch| !branch.is_empty()).min_by_key(nearest) {
                Some(branch) => branch.iter().for_each(|error| explain(error, faults)),
                None => faults.add(at, "invalid"),
            }
        }
        _ => faults.add(at, "invalid"),
    }
}

/// The compiled schema of `T`, made when first asked for.
fn validator<T: Type>() -> Result<Arc<Validator>> {
    static COMPILED: LazyLock<RwLock<HashMap<&'static str, Arc<Validator>>>> = LazyLock::new(RwLock::default);

    let name = std::any::type_name::<T>();
    if let Some(found) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Ok(found.clone());
    }
    let compiled = Arc::new(compile::<T>()?);
    COMPILED.write().unwrap_or_else(PoisonError::into_inner).insert(name, compiled.clone());
    Ok(compiled)
}

fn compile<T: Type>() -> Result<Validator> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let mut schemas = serde_json::to_value(&registry.schemas).map_err(Problem::internal)?;
    let mut root = serde_json::to_value(T::schema_ref()).map_err(Problem::internal)?;
    let has_union = schemas.to_string().contains("\"discriminator\"");
    for part in [&mut schemas, &mut root] {
        schema::complete(part);
        if !has_union {
            schema::close(part);
        }
        schema::to_json_schema(part);
    }
    let document = json!({ "allOf": [root], "components": { "schemas": schemas } });
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_format("local-time", |text: &str| text.parse::<NaiveTime>().is_ok())
        .with_format("local-date-time", |text: &str| text.parse::<NaiveDateTime>().is_ok())
        .build(&document)
        .map_err(|error| Problem::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, Utc};
    use poem_openapi::{Enum, Object};
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Enum)]
    #[oai(rename_all = "snake_case")]
    enum Mode {
        Video,
        Chat,
    }

    #[derive(Debug, Object)]
    #[oai(rename_all = "camelCase", deny_unknown_fields)]
    struct Part {
        #[oai(validator(minimum(value = "1"), maximum(value = "5", exclusive)))]
        number_of: u8,
    }

    #[derive(Debug, Object)]
    #[oai(rename_all = "camelCase", deny_unknown_fields)]
    struct Whole {
        id: Uuid,
        starts_at: DateTime<Utc>,
        day: NaiveDate,
        mode: Mode,
        #[oai(validator(min_length = 2, max_length = 5))]
        name: String,
        #[oai(validator(pattern = "^[a-z]+$"))]
        slug: Option<String>,
        other: Option<Mode>,
        #[oai(validator(min_items = 1, max_items = 2))]
        parts: Vec<Part>,
    }

    fn faults(body: &str) -> Vec<(String, &'static str)> {
        let problem = parse::<Whole>(body.as_bytes()).unwrap_err();
        let mut found: Vec<_> = problem.errors().iter().map(|fault| (fault.pointer.clone(), fault.code)).collect();
        found.sort();
        found
    }

    const GOOD: &str = r#"{"id": "0197a3c0-0000-7000-8000-000000000000", "startsAt": "2026-03-01T09:00:00Z",
        "day": "2026-03-01", "mode": "video", "name": "Zoé", "slug": null, "parts": [{"numberOf": 4}]}"#;

    #[test]
    fn a_good_body_is_read_and_null_stands_for_an_absent_option() {
        let whole = parse::<Whole>(GOOD.as_bytes()).unwrap();
        assert_eq!(whole.name, "Zoé");
        assert!(whole.slug.is_none() && whole.other.is_none());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let body = r#"{"id": "x", "startsAt": "yesterday", "day": "2026-02-30", "mode": "smoke", "name": "a",
            "slug": "A", "other": "smoke", "parts": [{"numberOf": 5}, {"numberOf": 0}, {"numberOf": 300, "a/b": 1}],
            "more": true}"#;
        let expected = [
            ("/day", "format"),
            ("/id", "format"),
            ("/mode", "enum"),
            ("/more", "unknown_property"),
            ("/name", "min_length"),
            ("/other", "enum"),
            ("/parts", "max_items"),
            ("/parts/0/numberOf", "exclusive_maximum"),
            ("/parts/1/numberOf", "minimum"),
            ("/parts/2/a~1b", "unknown_property"),
            ("/parts/2/numberOf", "exclusive_maximum"),
            ("/slug", "pattern"),
            ("/startsAt", "format"),
        ];
        assert_eq!(faults(body), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    }

    #[test]
    fn missing_properties_and_wrong_types_are_named() {
        let expected = [
            ("/day", "required"),
            ("/id", "type"),
            ("/mode", "required"),
            ("/name", "type"),
            ("/parts", "type"),
            ("/startsAt", "required"),
        ];
        let found = faults(r#"{"id": 1, "name": null, "parts": {}}"#);
        assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
        assert_eq!(faults("[]"), [(String::new(), "type")]);
    }

    #[test]
    fn a_nul_character_is_refused_where_it_is() {
        assert_eq!(faults(&GOOD.replace("Zoé", r"Zo\u0000")), [("/name".to_owned(), "nul_character")]);
        // an escaped backslash before u0000 is harmless text
        assert!(parse::<Whole>(GOOD.replace("Zoé", r"\\u00").as_bytes()).is_ok());
    }

    #[test]
    fn what_is_refused_is_wiped() {
        let mut sent = json!({ "words": "I cannot sleep", "parts": [{ "more": ["at night"] }], "mood": 2 });
        wipe(&mut sent);
        assert_eq!(sent, json!({ "words": "", "parts": [{ "more": [""] }], "mood": 2 }));
    }

    #[test]
    fn what_is_not_json_is_a_bad_request() {
        let deep = "[".repeat(100_000);
        for bytes in [b"{".as_slice(), b"", b"{\"name\": \"\xff\"}", b"{} {}", b"{\"n\": 1e999}", deep.as_bytes()] {
            let problem = parse::<Whole>(bytes).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (400, "malformed_json"));
        }
    }
}
