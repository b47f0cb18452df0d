//! What goes over a socket of chat, and what the document says of it.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use uuid::Uuid;

use crate::domain::chat::api::{MessageAnswer, MessagesAnswer, ReceiptState};
use crate::platform::auth::Permission;
use crate::platform::crypto::health_text::{HealthText, never_shown};
use crate::platform::ids::{ConsultationId, FileId, MessageId, UserId};
use crate::platform::realtime::{Namespace, Nothing};

/// `conversation:join`, `conversation:leave`, `typing:start`, `typing:stop`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct About {
    pub conversation_id: ConsultationId,
}

/// `message:send`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendEvent {
    pub conversation_id: ConsultationId,
    pub client_id: Uuid,
    /// Plain text. Empty only where files come with it.
    #[oai(validator(max_length = 4000))]
    pub body: HealthText,
    /// Files that were brought to the conversation before (`POST /conversations/{id}/attachments`).
    #[oai(validator(max_items = 10))]
    pub attachment_ids: Option<Vec<FileId>>,
}

/// `message:edit`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditEvent {
    pub id: MessageId,
    #[oai(validator(max_length = 4000))]
    pub body: HealthText,
}

never_shown!(SendEvent, EditEvent);

/// `message:delete`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteEvent {
    pub id: MessageId,
}

/// `message:read`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadEvent {
    pub conversation_id: ConsultationId,
    #[oai(validator(minimum(value = "1")))]
    pub seq: i64,
    /// `read`, unless said. `delivered` for what came by `sync`.
    state: Option<ReceiptState>,
}

impl ReadEvent {
    pub fn is_read(&self) -> bool {
        self.state != Some(ReceiptState::Delivered)
    }
}

/// `sync`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncEvent {
    pub conversation_id: ConsultationId,
    #[oai(validator(minimum(value = "0")))]
    pub after_rev: i64,
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: Option<u32>,
}

/// A message, sent now or before.
#[derive(Object)]
pub struct SentAnswer {
    pub message: MessageAnswer,
}

/// How far one is now.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct NotedAnswer {
    pub delivered_seq: i64,
    pub read_seq: i64,
    pub rev: i64,
}

/// How far somebody has the conversation now.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct ReceiptNews {
    pub conversation_id: ConsultationId,
    pub reader_id: UserId,
    /// Up to which message.
    pub seq: i64,
    pub rev: i64,
}

/// Whether somebody writes at this moment.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct TypingNews {
    pub conversation_id: ConsultationId,
    pub user_id: UserId,
    pub typing: bool,
}

/// Whether somebody looks at the conversation, on any of their devices.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct PresenceNews {
    pub conversation_id: ConsultationId,
    pub user_id: UserId,
    pub online: bool,
}

/// Since when nothing can be sent any more.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct Closed {
    pub conversation_id: ConsultationId,
    pub closed_at: DateTime<Utc>,
}

/// The events of `/chat`.
pub fn namespace() -> Namespace {
    Namespace::new("/chat", Permission::Chat, "The conversation of each consultation, between its two people.")
        .goes_on::<About, MessagesAnswer>("conversation:join", "Is told what changes in a conversation, from now on.")
        .goes_on::<About, Nothing>("conversation:leave", "Is told no more of a conversation.")
        .takes::<SendEvent, SentAnswer>(
            "message:send",
            "Sends a message; the same `clientId` again is the same message.",
        )
        .takes::<EditEvent, SentAnswer>("message:edit", "Puts another text in the place of one of one's own messages.")
        .takes::<DeleteEvent, SentAnswer>("message:delete", "Takes one of one's own messages back.")
        .goes_on::<ReadEvent, NotedAnswer>(
            "message:read",
            "Says that everything up to a message was read, or has arrived. In maintenance only that it has arrived.",
        )
        .goes_on::<About, Nothing>("typing:start", "Says that one writes.")
        .goes_on::<About, Nothing>("typing:stop", "Says that one has stopped.")
        .goes_on::<SyncEvent, MessagesAnswer>("sync", "Reads what changed after a revision: nothing is missed.")
        .delivers::<MessageAnswer>("message:new", "A message, also one's own; in the order of revisions.")
        .tells::<MessageAnswer>("message:edited", "A message with another text.")
        .tells::<MessageAnswer>("message:deleted", "A message that was taken back.")
        .tells::<ReceiptNews>("message:delivered", "Messages have arrived with somebody.")
        .tells::<ReceiptNews>("message:read", "Messages were read by somebody.")
        .tells::<TypingNews>("typing", "Somebody writes, or has stopped. Of the moment: it is not repeated.")
        .tells::<PresenceNews>("presence", "Somebody came, or left. Of the moment: it is not repeated.")
        .tells::<Closed>("conversation:closed", "Nothing can be sent any more.")
}
