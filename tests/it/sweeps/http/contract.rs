//! What the OpenAPI document promises: bodies that fit it, and what is wrong with an answer that does not.

use huntzen::app;
use huntzen::platform::http::openapi::{self, Operation};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::Answer;

pub struct Contract {
    document: Value,
    pub operations: Vec<Operation>,
}

impl Contract {
    pub fn load() -> Self {
        let document = app::openapi().unwrap();
        let operations = openapi::operations(&document);
        Self { document, operations }
    }

    /// Everything that it says, in small letters.
    pub fn words(&self) -> String {
        self.document.to_string().to_lowercase()
    }

    pub fn described(&self, operation: &Operation) -> &Value {
        &self.document["paths"][&operation.path][operation.method.to_lowercase()]
    }

    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|target| target.strip_prefix('#')) {
            Some(pointer) => self.resolve(self.document.pointer(pointer).unwrap_or(&Value::Null)),
            None => match value.pointer("/allOf/0") {
                Some(inner) if value.get("properties").is_none() => self.resolve(inner),
                _ => value,
            },
        }
    }

    /// A value that fits a schema, as its example says where there is one.
    pub fn example(&self, schema: &Value, depth: usize) -> Value {
        for place in [schema, self.resolve(schema)] {
            for key in ["example", "default"] {
                if let Some(value) = place.get(key) {
                    return value.clone();
                }
            }
        }
        let schema = self.resolve(schema);
        if let Some(first) = schema.pointer("/enum/0") {
            return first.clone();
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("string"), Some("uuid")) => json!(Uuid::new_v4()),
            (Some("string"), Some("date")) => json!("2026-01-01"),
            (Some("string"), Some("date-time")) => json!("2026-01-01T00:00:00Z"),
            (Some("string"), Some("email")) => json!("somebody@example.org"),
            (Some("string"), _) => json!("2026-01"),
            (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
            (Some("boolean"), _) => json!(true),
            (Some("array"), _) if depth < 4 => json!([self.example(&schema["items"], depth + 1)]),
            (Some("object"), _) if depth < 4 => schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, of)| (name.clone(), self.example(of, depth + 1)))
                .collect(),
            _ => Value::Null,
        }
    }

    pub fn body_schema(&self, operation: &Operation) -> Option<&Value> {
        let content = &self.described(operation)["requestBody"]["content"];
        let (_, json) = content.as_object()?.iter().find(|(kind, _)| kind.starts_with("application/json"))?;
        Some(&json["schema"])
    }

    /// The body that the document gives as an example.
    pub fn good_body(&self, operation: &Operation) -> Option<Value> {
        Some(self.example(self.body_schema(operation)?, 0))
    }

    /// The query parameters without which the operation is not asked, with values that fit.
    pub fn required_query(&self, operation: &Operation) -> Vec<(String, String)> {
        let parameters = self.described(operation)["parameters"].as_array().into_iter().flatten();
        parameters
            .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
            .map(|parameter| {
                let value = match self.example(&parameter["schema"], 0) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (parameter["name"].as_str().unwrap().to_owned(), value)
            })
            .collect()
    }

    /// What is wrong with an answer whatever was asked: its form, and that the document knows of it.
    pub fn faults(&self, operation: &Operation, answer: &Answer) -> Vec<String> {
        let status = answer.status.as_u16();
        let mut faults = Vec::new();
        let media = answer.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
        let media = media.split(';').next().unwrap_or_default().to_owned();
        if status >= 500 {
            faults.push("an error of the server".to_owned());
        }
        if status >= 400 {
            faults.extend(problem_faults(answer, &media));
        }
        let documented = self.resolve(&self.described(operation)["responses"][status.to_string()]);
        if documented.is_null() {
            faults.push("is not in the document".to_owned());
        } else if !answer.bytes.is_empty()
            && documented["content"]
                .as_object()
                .is_none_or(|content| !content.keys().any(|kind| kind.split(';').next() == Some(media.as_str())))
        {
            faults.push(format!("is {media}, which is not in the document"));
        }
        faults
    }
}

fn problem_faults(answer: &Answer, media: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if media != "application/problem+json" {
        faults.push(format!("is {media}"));
    }
    for member in ["type", "title", "status", "detail", "code", "requestId"] {
        if answer.json[member].is_null() || answer.json[member] == "" {
            faults.push(format!("has no {member}"));
        }
    }
    let details = answer.json["errors"].as_array().into_iter().flatten().map(|error| &error["detail"]);
    for words in details.chain([&answer.json["title"], &answer.json["detail"]]) {
        let words = words.as_str().unwrap_or_default();
        if words.is_empty() || words.contains("field.") || words.contains("problem.") || words.contains("%{") {
            faults.push(format!("says {words:?}"));
        }
    }
    if answer.json["requestId"] != answer.headers.get("x-request-id").map_or("", |value| value.to_str().unwrap()) {
        faults.push("has another request id than its header".to_owned());
    }
    faults
}

/// A fault as a line: what was asked by whom, and what came.
pub fn complaint(operation: &Operation, what: &str, answer: &Answer, fault: &str) -> String {
    let text: String = answer.text().chars().take(200).collect();
    format!("{} {} with {what}: {} {fault}: {text}", operation.method, operation.path, answer.status.as_u16())
}
