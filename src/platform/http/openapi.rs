//! The OpenAPI document, completed with what the framework does not know, and its pages.
//!
//! ```
//! use huntzen::platform::http::openapi;
//! use poem_openapi::OpenApiService;
//!
//! let service = OpenApiService::new((), "", "");
//! let document = openapi::document(&[service.spec()]).unwrap();
//! assert!(openapi::operations(&document).is_empty());
//! let routes = openapi::routes(poem::Route::new(), &document).unwrap().nest("/", service);
//! ```
//!
//! Paths in the document are whole paths, as a client sends them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use poem::http::header;
use poem::{Response, Route, get};
use poem_openapi::OpenApiService;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::page::{DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT};
use super::schema;
use crate::platform::auth::Permission;
use crate::platform::problem::{Problem, Result};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// An operation of the document, for sweeps and for the edge.
#[derive(Clone, Debug)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// The whole path, parameters in braces.
    pub path: String,
    pub operation_id: String,
    /// `None`: nobody needs to be signed in.
    pub permission: Option<String>,
    pub roles: Vec<String>,
    pub parameters: Vec<Parameter>,
}

/// A parameter of an operation.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: String,
    /// `query`, `path`, `header` or `cookie`.
    pub place: String,
    /// The `field.*` code of a value that does not fit.
    pub fault: &'static str,
}

/// One document out of the framework's documents, completed.
pub fn document(specs: &[String]) -> Result<Value> {
    let mut tags = BTreeMap::new();
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for spec in specs {
        let spec: Spec = serde_json::from_str(spec).map_err(Problem::internal)?;
        tags.extend(spec.tags.into_iter().map(|tag| (tag.name, tag.description)));
        schemas.extend(spec.components.schemas);
        for (path, operations) in spec.paths.0 {
            match paths.entry(path).or_insert_with(|| json!({})) {
                Value::Object(known) => known.extend(operations),
                other => *other = Value::Object(operations),
            }
        }
    }
    for (path, operations) in &mut paths {
        for method in METHODS {
            if let Some(Value::Object(operation)) = operations.get_mut(method) {
                complete_operation(operation, path, method);
            }
        }
    }
    close_request_schemas(&paths, &mut schemas);
    let mut responses = shared_responses();
    let used = Value::Object(paths.clone()).to_string();
    responses.retain(|name, _| used.contains(&format!("\"#/components/responses/{name}\"")));
    schemas.insert("Problem".into(), problem_schema());
    schemas.sort_keys();
    paths.sort_keys();

    let tags: Vec<_> = tags
        .into_iter()
        .map(|(name, description)| json!({ "name": name, "description": description.unwrap_or_else(|| name.clone()) }))
        .collect();
    let mut document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "HuntZen Care",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "AGPL-3.0-or-later", "url": "https://www.gnu.org/licenses/agpl-3.0.html" },
            "contact": { "name": "HuntZen Care", "url": "https://huntzen.care" },
        },
        "servers": [{ "url": "/", "description": "This server" }],
        "tags": tags,
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": shared_headers(),
            "responses": responses,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of `POST /api/v1/auth/login`.",
                },
            },
        },
    });
    schema::complete(&mut document);
    Ok(document)
}

/// The operations of a document made by [`document`].
pub fn operations(document: &Value) -> Vec<Operation> {
    let texts = |value: Option<&Value>| -> Vec<String> {
        let all = value.and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let paths = document.get("paths").and_then(Value::as_object);
    let mut found = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
            found.push(Operation {
                method: method.to_ascii_uppercase(),
                path: path.clone(),
                operation_id: text(operation.get("operationId")).unwrap_or_default(),
                permission: text(operation.get("x-permission")),
                roles: texts(operation.get("x-roles")),
                parameters: parameters
                    .map(|one| Parameter {
                        name: text(one.get("name")).unwrap_or_default(),
                        place: text(one.get("in")).unwrap_or_default(),
                        fault: fault_of(one.get("schema").unwrap_or(&Value::Null), document),
                    })
                    .collect(),
            });
        }
    }
    found
}

/// Adds `/openapi.json`, `/openapi.yaml` and the documentation at `/docs`.
pub fn routes(route: Route, document: &Value) -> Result<Route> {
    let json = serde_json::to_vec(document).map_err(Problem::internal)?;
    let yaml = serde_yaml_ng::to_string(document).map_err(Problem::internal)?;
    let page = OpenApiService::new((), "", "").swagger_ui_html();
    let cut = |after: &str, before: &str| {
        let rest = page.split_once(after).map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split_once(before)).map(|(part, _)| part.to_owned()).unwrap_or_default()
    };
    let style = cut("<style charset=\"UTF-8\">", "</style>");
    let script = cut("<script charset=\"UTF-8\">", "</script>\n</head>");
    Ok(route
        .at("/openapi.json", asset("application/json", json))
        .at("/openapi.yaml", asset("application/yaml", yaml.into_bytes()))
        .at("/docs", asset("text/html; charset=utf-8", PAGE.as_bytes().to_vec()))
        .at("/docs/style.css", asset("text/css; charset=utf-8", style.into_bytes()))
        .at("/docs/viewer.js", asset("text/javascript; charset=utf-8", script.into_bytes()))
        .at("/docs/start.js", asset("text/javascript; charset=utf-8", START.as_bytes().to_vec())))
}

/// What a page of ours may load: scripts and styles from here only.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HuntZen Care API</title>
<link rel="stylesheet" href="/docs/style.css">
<link rel="icon" href="data:,">
<div id="ui"></div>
<script src="/docs/viewer.js"></script>
<script src="/docs/start.js"></script>
</html>
"#;

const START: &str =
    "SwaggerUIBundle({ dom_id: '#ui', url: '/openapi.json', deepLinking: true, validatorUrl: null });\n";

const DESCRIPTION: &str = "Online care that companies offer their employees: practitioners, free slots, \
    consultations, and figures that never tell about a person.\n\n\
    Errors are `application/problem+json` (RFC 9457) with a stable `code`; their words follow `Accept-Language` \
    (en, fr). What a caller may not see is answered by 404. Times are RFC 3339 in UTC. Lists take `limit` and \
    `cursor` and answer `items` and `nextCursor`. A POST that creates takes an `Idempotency-Key`, kept for 24 \
    hours. `x-permission` and `x-roles` tell who may call an operation.";

/// A page that is the same for everybody.
pub fn asset(kind: &'static str, body: Vec<u8>) -> poem::RouteMethod {
    let body = Bytes::from(body);
    get(poem::endpoint::make_sync(move |_| {
        Response::builder()
            .content_type(kind)
            .header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)
            .header(header::CACHE_CONTROL, "public, max-age=300")
            .body(body.clone())
    }))
}

/// The framework's document, as far as it is used.
#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    tags: Vec<Tag>,
    paths: Paths,
    components: Components,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Components {
    #[serde(default)]
    schemas: Map<String, Value>,
}

/// Two interfaces that share a path make the framework write it twice; both are kept.
struct Paths(Vec<(String, Map<String, Value>)>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Paths;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("paths")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Paths, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Paths(all))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn complete_operation(operation: &mut Map<String, Value>, path: &str, method: &str) {
    let permission = permission_of(operation);
    match permission {
        Some(permission) => {
            let roles: Vec<_> = permission.roles().iter().map(|role| role.as_str()).collect();
            operation.insert("security".into(), json!([{ "bearer": [] }]));
            operation.insert("x-permission".into(), permission.name().into());
            operation.insert("x-roles".into(), json!(roles));
        }
        None => {
            operation.insert("security".into(), json!([]));
        }
    }
    if !operation.contains_key("summary") {
        let id = operation.get("operationId").cloned().unwrap_or_default();
        operation.insert("summary".into(), id);
    }
    tidy_parameters(operation);

    let has_body = operation.contains_key("requestBody");
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let has_parameters = parameters.is_some_and(|all| !all.is_empty());
    let has_if_match = parameters.is_some_and(|all| {
        all.iter().any(|one| one["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case("if-match")))
    });
    let names_a_thing = path.contains('{')
        || parameters.is_some_and(|all| all.iter().any(|one| one["name"].as_str().is_some_and(|n| n.ends_with("Id"))));
    let writes = method != "get";
    // a file that is made later, and kept for a while
    let fetches = path.ends_with("/download");
    let applying = [
        ("400", "BadRequest", has_body || has_parameters),
        // a body that strangers send carries a password or a token, which may be refused or out of date
        ("401", "Unauthenticated", permission.is_some() || has_body),
        ("403", "Forbidden", permission.is_some() || (writes && has_body)),
        ("404", "NotFound", names_a_thing || has_body),
        ("408", "RequestTimeout", has_body),
        ("409", "Conflict", writes || fetches),
        ("410", "Gone", fetches || (writes && (permission.is_none() || path.contains('{')))),
        ("412", "Stale", has_if_match),
        ("413", "BodyTooLarge", has_body),
        ("415", "UnsupportedMediaType", has_body),
        ("422", "Invalid", has_body || writes || has_parameters),
        ("428", "PreconditionRequired", has_if_match),
        ("429", "TooManyRequests", true),
        ("500", "Internal", true),
        ("503", "Unavailable", true),
    ];
    let Some(Value::Object(responses)) = operation.get_mut("responses") else { return };
    for (status, answer) in responses.iter_mut() {
        let Value::Object(answer) = answer else { continue };
        if answer.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            let words = if status == "204" { "Done; there is nothing to tell." } else { "Done." };
            answer.insert("description".into(), words.into());
        }
        if let Some(Value::Object(content)) = answer.get_mut("content") {
            let kinds = std::mem::take(content).into_iter();
            content.extend(kinds.map(|(kind, media)| (kind.replace("; charset=utf-8", ""), media)));
        }
        if let Value::Object(headers) = answer.entry("headers").or_insert_with(|| json!({})) {
            let known = std::mem::take(headers).into_iter();
            headers.extend(known.map(|(name, header)| (header_name(&name), header)));
            headers.values_mut().for_each(forget_not_deprecated);
            headers.insert("X-Request-Id".into(), json!({ "$ref": "#/components/headers/X-Request-Id" }));
        }
    }
    for (status, name, applies) in applying {
        if applies && !responses.contains_key(status) {
            responses.insert(status.into(), json!({ "$ref": format!("#/components/responses/{name}") }));
        }
    }
    responses.sort_keys();
}

/// The permission that the extractor hid in the name of its security scheme.
fn permission_of(operation: &Map<String, Value>) -> Option<Permission> {
    let mut schemes = operation.get("security")?.as_array()?.iter().filter_map(Value::as_object).flatten();
    let name = schemes.find_map(|(scheme, _)| scheme.strip_prefix("bearer#"))?;
    Permission::ALL.iter().copied().find(|permission| permission.name() == name)
}

/// The framework writes defaults out; less is clearer.
fn tidy_parameters(operation: &mut Map<String, Value>) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
    for parameter in parameters {
        forget_not_deprecated(parameter);
        if let Value::Object(parameter) = parameter {
            parameter.remove("explode");
            complete_parameter(parameter);
        }
    }
}

/// Some mean the same wherever they are: what they look like, and that they are needed, is said here for all.
fn complete_parameter(parameter: &mut Map<String, Value>) {
    let text = |name| parameter.get(name).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let (is_required, schema) = match (text("in").as_str(), text("name").as_str()) {
        ("query", "limit") => {
            (false, json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT }))
        }
        ("query", "cursor") => (
            false,
            json!({ "type": "string", "format": "cursor", "minLength": 1, "maxLength": MAX_CURSOR,
                            "pattern": "^[A-Za-z0-9_-]+$" }),
        ),
        ("header", "idempotency-key") => (
            false,
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$",
                            "example": "0197a3c0-1234-7abc-8def-0123456789ab" }),
        ),
        ("header", "if-match") => {
            (true, json!({ "type": "string", "pattern": "^\"[0-9a-f]+\"$", "example": "\"640f1c2a9b4c0\"" }))
        }
        ("header", "if-none-match") => {
            (false, json!({ "type": "string", "pattern": "^\"[0-9a-f]+\"$", "example": "\"640f1c2a9b4c0\"" }))
        }
        _ => return,
    };
    parameter.insert("required".into(), is_required.into());
    parameter.insert("schema".into(), schema);
}

fn forget_not_deprecated(part: &mut Value) {
    if let Value::Object(part) = part
        && part.get("deprecated") == Some(&Value::Bool(false))
    {
        part.remove("deprecated");
    }
}

/// The framework writes names of headers in capitals.
fn header_name(name: &str) -> String {
    if name.eq_ignore_ascii_case("etag") {
        return "ETag".into();
    }
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| format!("{first}{}", letters.as_str().to_ascii_lowercase())).unwrap_or_default()
    };
    name.split('-').map(capitalised).collect::<Vec<_>>().join("-")
}

/// Says of every schema that a request uses that it takes no other properties.
fn close_request_schemas(paths: &Map<String, Value>, schemas: &mut Map<String, Value>) {
    let operations = paths.values().filter_map(Value::as_object).flat_map(Map::values);
    close(&operations.map(|operation| operation.get("requestBody").cloned().unwrap_or_default()).collect(), schemas);
}

/// Closes the schemas that `inputs` refer to, and those to which they do.
pub fn close(inputs: &Value, schemas: &mut Map<String, Value>) {
    let mut waiting: Vec<String> = Vec::new();
    references(inputs, &mut waiting);
    let mut closed = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if closed.insert(name.clone())
            && let Some(found) = schemas.get_mut(&name)
        {
            references(found, &mut waiting);
            if found.get("discriminator").is_none() {
                schema::close(found);
            }
        }
    }
}

/// The schemas that a value refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let target = map.get("$ref").and_then(Value::as_str);
            found.extend(target.and_then(|target| target.strip_prefix("#/components/schemas/")).map(str::to_owned));
            map.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// What is wrong with a parameter that does not fit its schema.
fn fault_of(schema: &Value, document: &Value) -> &'static str {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let found = target.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        return found.map_or("invalid", |found| fault_of(found, document));
    }
    if let Some(inner) = schema.pointer("/allOf/0") {
        return fault_of(inner, document);
    }
    match (schema.get("type").and_then(Value::as_str), schema.get("format").and_then(Value::as_str)) {
        _ if schema.get("enum").is_some() => "unknown",
        (_, Some("uuid")) => "uuid",
        (_, Some("date")) => "date",
        (_, Some("date-time")) => "date_time",
        (_, Some("email")) => "email",
        (Some("integer" | "number"), _) => "number",
        (Some("array"), _) => schema.get("items").map_or("invalid", |items| fault_of(items, document)),
        _ => "invalid",
    }
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457). Further members may follow, such as the nearest free slots.",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "properties": {
            "type": { "type": "string", "description": "A name for the kind of problem." },
            "title": { "type": "string", "description": "The kind of problem in a few words." },
            "status": { "type": "integer", "description": "The status of the answer." },
            "detail": { "type": "string", "description": "What happened, for a person to read." },
            "code": { "type": "string", "description": "The kind of problem, for a program to read; stable." },
            "requestId": { "type": "string", "description": "The request's `X-Request-Id`, to be quoted to support." },
            "errors": {
                "type": "array",
                "description": "Every fault of the input.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "code", "detail"],
                    "properties": {
                        "pointer": {
                            "type": "string",
                            "description": "A JSON pointer into the body, or `query:`, `path:`, `header:` and a name.",
                        },
                        "code": { "type": "string", "description": "The kind of fault; stable." },
                        "detail": { "type": "string", "description": "The fault, for a person to read." },
                    },
                },
            },
        },
        "example": {
            "type": "urn:huntzen:problem:invalid",
            "title": "Invalid input",
            "status": 422,
            "detail": "Some of the input is not acceptable; `errors` names each place.",
            "code": "invalid",
            "requestId": "0197a3c0-1234-7abc-8def-0123456789ab",
            "errors": [{ "pointer": "/email", "code": "required", "detail": "This is required." }],
        },
    })
}

fn shared_headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "The request's name in the logs: the client's own where well-formed.",
            "schema": { "type": "string", "example": "0197a3c0-1234-7abc-8def-0123456789ab" },
        },
        "Retry-After": {
            "description": "Seconds to wait before the next try.",
            "schema": { "type": "integer", "minimum": 0, "example": 12 },
        },
    })
}

fn shared_responses() -> Map<String, Value> {
    let answers = [
        ("BadRequest", "The request is malformed, or a parameter is not acceptable.", false),
        ("Unauthenticated", "There is no valid access token, or what should identify the caller is wrong.", false),
        ("Forbidden", "The caller's role may not do this.", false),
        ("NotFound", "There is no such thing, or the caller may not see it.", false),
        ("RequestTimeout", "The request did not arrive in time.", false),
        ("Conflict", "The present state does not allow this.", false),
        ("Gone", "The time for this is over.", false),
        ("Stale", "The resource was changed meanwhile: `If-Match` names an older version.", false),
        ("BodyTooLarge", "The body is larger than allowed.", false),
        ("UnsupportedMediaType", "The body's type or coding is not supported.", false),
        ("Invalid", "The input is not acceptable; `errors` names each fault.", false),
        ("PreconditionRequired", "`If-Match` is missing.", false),
        ("TooManyRequests", "Too many requests; `Retry-After` tells when to come back.", true),
        ("Internal", "A failure of the server; nothing of it is shown.", false),
        ("Unavailable", "The server cannot answer now; `Retry-After` tells when to try again.", true),
    ];
    let mut responses = Map::new();
    for (name, description, has_retry_after) in answers {
        let names: &[&str] = if has_retry_after { &["X-Request-Id", "Retry-After"] } else { &["X-Request-Id"] };
        let headers: Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
            .collect();
        responses.insert(
            name.into(),
            json!({
                "description": description,
                "headers": headers,
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            }),
        );
    }
    responses
}
