//! A report as it goes out. Whatever is in it is written here.

use chrono::SecondsFormat;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Report, scrub, stack};
use crate::platform::config::Dsn;

const CLIENT: &str = concat!("huntzen/", env!("CARGO_PKG_VERSION"));

/// `X-Sentry-Auth`.
pub fn authorization(dsn: &Dsn) -> String {
    format!("Sentry sentry_version=7, sentry_client={CLIENT}, sentry_key={}", dsn.key.expose_secret())
}

/// The id of the event, and the envelope: a header, the header of its only item, and the event, a line each.
pub fn write(report: Report, environment: &str) -> (String, Vec<u8>) {
    let id = hex::encode(report.id);
    let event = event(report, &id, environment).to_string();
    let header = json!({ "event_id": id, "sdk": { "name": "huntzen", "version": env!("CARGO_PKG_VERSION") } });
    let item = json!({ "type": "event", "length": event.len() });
    (id, format!("{header}\n{item}\n{event}\n").into_bytes())
}

fn event(report: Report, id: &str, environment: &str) -> Value {
    let frames = report.stack.map(|stack| stack::frames(&stack)).unwrap_or_default();
    let mut exception = json!({
        "type": report.kind,
        // of a panic it is the place, which is the program's own
        "value": if report.kind == "panic" { report.message } else { scrub::scrub(&report.message) },
        "mechanism": { "type": "generic", "handled": report.kind != "panic" },
    });
    if !frames.is_empty()
        && let Some(members) = exception.as_object_mut()
    {
        // the innermost one comes last
        let frames: Vec<Value> = frames.iter().rev().map(stack::Frame::to_json).collect();
        members.insert("stacktrace".into(), json!({ "frames": frames }));
    }
    let mut tags = json!({ "operation": report.operation, "code": report.kind });
    if let Some(members) = tags.as_object_mut() {
        members.extend(report.status.map(|status| ("status".to_owned(), status.to_string().into())));
        members.extend(report.request_id.map(|id| ("request_id".to_owned(), id.into())));
    }
    json!({
        "event_id": id,
        "timestamp": report.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        // what Sentry calls programs that are machine code
        "platform": "native",
        "level": if report.is_warning { "warning" } else { "error" },
        "release": format!("huntzen@{}", env!("CARGO_PKG_VERSION")),
        "environment": environment,
        "transaction": report.transaction,
        "fingerprint": [report.kind, report.transaction],
        "exception": { "values": [exception] },
        "tags": tags,
        "extra": { "left_out_before": report.left_out },
    })
}
