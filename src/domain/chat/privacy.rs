//! What a person's copy of their data holds of their conversations: of an employee's everything, for it is about them; of a
//! practitioner's what they wrote themselves, for the rest is about somebody else (RGPD, 15(4)).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::model::{Content, Message, Which};
use super::service;
use crate::platform::auth::Role;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::ids::ConsultationId;
use crate::platform::{Context, Result};

const PAGE: u32 = 100;

/// Where a list of conversations goes on.
pub type After = Option<(DateTime<Utc>, ConsultationId)>;

/// Some of the caller's conversations.
pub async fn conversations(cx: &Context, after: After) -> Result<(Vec<ConsultationId>, After)> {
    let found = service::list(cx, after, PAGE.into()).await?;
    let next = found.last().filter(|_| found.len() == PAGE as usize).map(|last| (last.last_at, last.id));
    Ok((found.into_iter().map(|it| it.id).collect(), next))
}

/// Messages of one of them in the order of their last changes, and the revision after which they go on.
pub async fn messages(cx: &Context, of: ConsultationId, after: i64) -> Result<(Vec<Value>, Option<i64>)> {
    let found = service::read(cx, of, Which::ChangedAfter(after), PAGE).await?;
    let next = found.has_more.then_some(found.rev);
    let me = cx.caller().user_id;
    let is_theirs = |it: &&Message| cx.caller().is(Role::Employee) || it.sender_id == me;
    let written = |it: &Message| {
        let content = match it.content {
            Content::Text => "text",
            Content::Deleted => "deleted",
            Content::Erased => "erased",
            Content::Unreadable => "unreadable",
        };
        json!({
            "consultation_id": it.conversation_id,
            "number": it.seq,
            "from": if it.sender_id == me { "me" } else { "practitioner" },
            "content": content,
            "body": it.body.as_ref().map(HealthText::expose),
            "attachments": it.attachments.iter().map(|it| json!({ "id": it.id, "name": it.name.expose() })).collect::<Vec<_>>(),
            "created_at": it.created_at,
            "edited_at": it.edited_at,
            "deleted_at": it.deleted_at,
        })
    };
    Ok((found.messages.iter().filter(is_theirs).map(written).collect(), next))
}
