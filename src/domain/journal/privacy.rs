//! What a person's copy of their data holds of their journal: everything, opened; private entries as they came sealed, with
//! the wraps that open them in a browser (docs/private-journal.md).

use serde_json::{Value, json};

use super::model::{Content, Filter, Read};
use super::service;
use super::store::After;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::{Context, Result};

const PAGE: usize = 100;

/// The caller's entries, the latest day first, and where they go on.
pub async fn entries(cx: &Context, after: After) -> Result<(Vec<Value>, After)> {
    let found = service::list(cx, &Filter::default(), after, 100).await?;
    let next = found.last().filter(|_| found.len() == PAGE).map(|last| (last.day, last.id));
    Ok((found.iter().map(entry).collect(), next))
}

fn entry(it: &Read) -> Value {
    let content = match it.content {
        Content::Text => "text",
        Content::Erased => "erased",
        Content::Unreadable => "unreadable",
    };
    let body = it.body.as_ref().map(HealthText::expose);
    let facts = it.facts.as_ref();
    json!({
        "id": it.id,
        "date": it.day,
        "private": it.is_private,
        "content": content,
        (if it.is_private { "sealed" } else { "body" }): body,
        "mood": facts.map(|facts| facts.mood),
        "tags": facts.map(|facts| facts.tags.iter().map(HealthText::expose).collect::<Vec<_>>()),
        "created_at": it.created_at,
        "updated_at": it.updated_at,
    })
}

/// The wraps of the key of private entries, where there are some.
pub async fn keys(cx: &Context) -> Result<Option<Value>> {
    let ring = service::read_keys(cx).await?;
    Ok(ring.wraps.map(|wraps| {
        json!({
            "key_id": wraps.key_id,
            "by_passphrase": wraps.by_passphrase.expose(),
            "by_recovery_code": wraps.by_recovery_code.expose(),
        })
    }))
}
