//! The document of the sockets: `AsyncAPI` 3, made of what the namespaces say of themselves.

use poem_openapi::registry::Registry;
use serde_json::{Map, Value, json};

use super::namespace::{Namespace, Taken};
use crate::platform::http::{openapi, schema};
use crate::platform::problem::{Problem, Result};

const ABOUT: &str = "Socket.IO 4 (Engine.IO 4) at `/socket.io`, by polling and by WebSocket; a channel is a namespace. The \
    access token goes into `auth` of the handshake, never into the address: whoever may not enter gets `connect_error` with \
    a code as its message. Each event of a client is acknowledged: `{ok: true, …}` or `{ok: false, code, detail}`. Events \
    of one socket run in their order; twenty a second, 64 KB each. The codes are those of the HTTP API.";

/// Describes the namespaces.
pub fn document(namespaces: &[Namespace]) -> Result<Value> {
    let mut registry = Registry::new();
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let mut inputs = Vec::new();
    for space in namespaces {
        let id = identifier(space.path.trim_start_matches('/'));
        let mut messages = Map::new();
        for event in &space.takes {
            let name = identifier(event.name);
            let payload = event.payload.schema(&mut registry);
            inputs.push(payload.clone());
            messages.insert(name.clone(), message(event.name, event.about, &payload));
            let answer = format!("{name}.answer");
            messages.insert(answer.clone(), message(&answer, "The acknowledgement.", &answers(event, &mut registry)));
            operations.insert(
                format!("{id}.{name}"),
                json!({
                    "action": "receive", "summary": event.about, "channel": reference(&["channels", &id]),
                    "messages": [reference(&["channels", &id, "messages", &name])],
                    "reply": {
                        "channel": reference(&["channels", &id]),
                        "messages": [reference(&["channels", &id, "messages", &answer])],
                    },
                }),
            );
        }
        for event in &space.tells {
            let name = identifier(event.name);
            // one name may go both ways
            let message_id = if messages.contains_key(&name) { format!("{name}.told") } else { name };
            messages.insert(message_id.clone(), message(event.name, event.about, &event.payload.schema(&mut registry)));
            let mut operation = json!({
                "action": "send", "summary": event.about, "channel": reference(&["channels", &id]),
                "messages": [reference(&["channels", &id, "messages", &message_id])],
            });
            if event.is_acknowledged
                && let Some(members) = operation.as_object_mut()
            {
                members.insert("description".into(), "Acknowledge it, with anything, once it has arrived.".into());
            }
            operations.insert(format!("{id}.{message_id}"), operation);
        }
        let roles: Vec<_> = space.permission.roles().iter().map(|role| role.as_str()).collect();
        channels.insert(
            id,
            json!({
                "address": space.path, "description": space.about, "messages": messages,
                "x-permission": space.permission.name(), "x-roles": roles,
            }),
        );
    }
    let mut schemas = serde_json::to_value(&registry.schemas).map_err(Problem::internal)?;
    if let Some(schemas) = schemas.as_object_mut() {
        openapi::close(&Value::Array(inputs), schemas);
        schemas.insert("Refusal".into(), refusal());
        schemas.sort_keys();
    }
    let mut document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "HuntZen Care, live",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "AGPL-3.0-or-later", "url": "https://www.gnu.org/licenses/agpl-3.0.html" },
            "contact": { "name": "HuntZen Care", "url": "https://huntzen.care" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "here": {
                "host": "{host}", "pathname": "/socket.io/", "protocol": "wss", "protocolVersion": "Socket.IO 5, Engine.IO 4",
                "description": "The server of the HTTP API, on the same port.",
                "variables": { "host": { "default": "care.example.org", "description": "That of PUBLIC_URL." } },
                "security": [reference(&["components", "securitySchemes", "token"])],
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The access token of `POST /api/v1/auth/login`, as `auth: {token}` of the handshake.",
                },
            },
        },
    });
    schema::complete(&mut document);
    schema::to_draft_07(&mut document);
    Ok(document)
}

/// What is acknowledged: the answer, or why not.
fn answers(event: &Taken, registry: &mut Registry) -> Value {
    let ok = json!({ "type": "object", "required": ["ok"], "properties": { "ok": { "const": true } } });
    json!({ "oneOf": [
        { "allOf": [ok, event.answer.schema(registry)] },
        reference(&["components", "schemas", "Refusal"]),
    ] })
}

fn message(name: &str, about: &str, payload: &Value) -> Value {
    json!({ "name": name, "title": name, "summary": about, "contentType": "application/json", "payload": payload })
}

fn refusal() -> Value {
    json!({
        "type": "object",
        "description": "Why an event was refused. Some codes add members of their own, as in the HTTP API.",
        "required": ["ok", "code", "detail"],
        "properties": {
            "ok": { "const": false },
            "code": { "type": "string", "description": "Stable, for programs: `not_found`, `invalid`, `too_many_requests` …" },
            "detail": { "type": "string", "description": "For people, in the language of the handshake's `Accept-Language`." },
            "errors": {
                "type": "array",
                "description": "What is wrong with the payload, each with its place.",
                "items": {
                    "type": "object", "required": ["pointer", "code", "detail"],
                    "properties": {
                        "pointer": { "type": "string", "description": "A JSON pointer into the payload." },
                        "code": { "type": "string" },
                        "detail": { "type": "string" },
                    },
                },
            },
        },
        "example": { "ok": false, "code": "not_found", "detail": "There is nothing here." },
    })
}

fn reference(path: &[&str]) -> Value {
    json!({ "$ref": format!("#/{}", path.join("/")) })
}

/// Identifiers of the document hold no colons.
fn identifier(name: &str) -> String {
    name.replace(':', ".")
}
