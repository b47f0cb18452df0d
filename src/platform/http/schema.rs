//! What the framework's schemas leave unsaid, said once: the published document and the check of
//! bodies both start from [`complete`], so they cannot disagree.

use serde_json::{Map, Value, json};

/// Members that hold values, not schemas.
const VALUES: [&str; 5] = ["example", "examples", "default", "enum", "const"];

/// Gives integers the bounds of their format, and local dates and times a format that others know.
/// Examples leave out what they leave empty.
pub fn complete(value: &mut Value) {
    visit(value, &|schema| {
        if let Some(example) = schema.get_mut("example") {
            drop_nulls(example);
        }
        let Some(format) = schema.get("format").and_then(Value::as_str) else { return };
        match format {
            "naive-date" => set(schema, "format", json!("date")),
            "naive-time" => set(schema, "format", json!("local-time")),
            "naive-date-time" => set(schema, "format", json!("local-date-time")),
            _ => {
                if let (Some("integer"), Some((least, most))) =
                    (schema.get("type").and_then(Value::as_str), bounds(format))
                {
                    schema.entry("minimum").or_insert(least.into());
                    schema.entry("maximum").or_insert(most.into());
                }
            }
        }
    });
}

/// Refuses properties that an object does not name.
///
/// A union's variants do not name its discriminator, so a document with one is left open;
/// the types' own parsers refuse there.
pub fn close(value: &mut Value) {
    visit(value, &|schema| {
        let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
        if is_object && schema.get("properties").is_some_and(Value::is_object) {
            schema.entry("additionalProperties").or_insert(false.into());
        }
    });
}

/// Turns a schema of OpenAPI 3.0 into JSON Schema 2020-12. An optional property may be null:
/// that is the same as leaving it out.
pub fn to_json_schema(value: &mut Value) {
    visit(value, &|schema| {
        exclusive_bounds(schema);
        if schema.get("type").and_then(Value::as_str) == Some("object") {
            let required = schema.get("required").cloned().unwrap_or_default();
            let is_required = |name: &str| required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
            if let Some(Value::Object(properties)) = schema.get_mut("properties") {
                for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
                    *property = or_null(property);
                }
            }
        }
        if let Some(Value::Bool(nullable)) = schema.remove("nullable")
            && nullable
        {
            let inner = Value::Object(std::mem::take(schema));
            if let Value::Object(wrapped) = or_null(&inner) {
                *schema = wrapped;
            }
        }
    });
}

/// Turns a schema of OpenAPI 3.0 into JSON Schema of draft 7, for readers rather than for checks.
pub fn to_draft_07(value: &mut Value) {
    visit(value, &|schema| {
        exclusive_bounds(schema);
        if let Some(example) = schema.remove("example") {
            schema.insert("examples".into(), json!([example]));
        }
        schema.remove("discriminator");
        if schema.remove("nullable") == Some(true.into())
            && let Some(kind) = schema.remove("type")
        {
            schema.insert("type".into(), json!([kind, "null"]));
        }
    });
}

fn exclusive_bounds(schema: &mut Map<String, Value>) {
    for (flag, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if schema.get(flag).and_then(Value::as_bool).is_some() {
            schema.remove(flag);
            if let Some(bound) = schema.remove(limit) {
                schema.insert(flag.into(), bound);
            }
        }
    }
}

/// `if … else` rather than `anyOf`, so that faults are reported where they are.
fn or_null(schema: &Value) -> Value {
    json!({ "if": { "type": "null" }, "else": schema })
}

/// Calls `change` for every object that may be a schema, the inner ones first.
fn visit(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map.iter_mut() {
                if !VALUES.contains(&name.as_str()) {
                    visit(inner, change);
                }
            }
            change(map);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
        _ => {}
    }
}

fn drop_nulls(example: &mut Value) {
    match example {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn set(schema: &mut Map<String, Value>, name: &str, value: Value) {
    schema.insert(name.into(), value);
}

fn bounds(format: &str) -> Option<(i64, i64)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" => (i64::MIN, i64::MAX),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" => (0, i64::MAX),
        _ => return None,
    })
}
