//! Bodies of requests and answers.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object};
use uuid::Uuid;

use crate::domain::chat::model::{Attachment, Content, Excerpt, Message, Overview, Receipt};
use crate::platform::crypto::health_text::{HealthText, never_shown};
use crate::platform::ids::{ConsultationId, FileId, MessageId, UserId};

/// A conversation with somebody.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct ConversationAnswer {
    /// The consultation's id.
    id: ConsultationId,
    /// The other one's name.
    with: String,
    /// The other one's picture, fetched with an access token.
    avatar_url: Option<String>,
    /// When the session begins.
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// Whether messages can be sent.
    is_open: bool,
    /// Until when, or since when they cannot.
    closes_at: DateTime<Utc>,
    /// Of the last message; before there is one, of the booking.
    last_at: DateTime<Utc>,
    /// The number of the last message; 0 before there is one.
    last_seq: i64,
    /// The last revision.
    rev: i64,
    /// Messages of the other one that are not read yet; 100 stands for more as well.
    unread: i64,
}

impl ConversationAnswer {
    pub fn new(it: Overview, now: DateTime<Utc>) -> Self {
        Self {
            id: it.id,
            with: it.other_name,
            avatar_url: it.other_avatar.map(FileId::url),
            starts_at: it.starts_at,
            ends_at: it.ends_at,
            is_open: now < it.closes_at,
            closes_at: it.closes_at,
            last_at: it.last_at,
            last_seq: it.last_seq,
            rev: it.last_rev,
            unread: it.unread,
        }
    }
}

impl Example for ConversationAnswer {
    fn example() -> Self {
        let start = example_time() + TimeDelta::days(2);
        Self {
            id: example_conversation(),
            with: "Dr Claire Martin".into(),
            avatar_url: Some(FileId(example_id(0xf2)).url()),
            starts_at: start,
            ends_at: start + TimeDelta::minutes(45),
            is_open: true,
            closes_at: start + TimeDelta::minutes(45) + TimeDelta::days(14),
            last_at: example_time(),
            last_seq: 3,
            rev: 5,
            unread: 1,
        }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct SendRequest {
    /// Made by the client, once for each message: a UUID of its own.
    pub client_id: Uuid,
    /// Plain text. Empty only where files come with it.
    #[oai(validator(max_length = 4000))]
    pub body: HealthText,
    /// Files that were brought to this conversation before, in their order; each is sent once.
    #[oai(validator(max_items = 10))]
    pub attachment_ids: Option<Vec<FileId>>,
}

impl Example for SendRequest {
    fn example() -> Self {
        Self { client_id: example_id(0xc1), body: example_text(), attachment_ids: None }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct EditRequest {
    /// Plain text, in the place of the one before. Empty only where files came with it.
    #[oai(validator(max_length = 4000))]
    pub body: HealthText,
}

never_shown!(SendRequest, EditRequest);

impl Example for EditRequest {
    fn example() -> Self {
        Self { body: example_text() }
    }
}

/// A file that came with a message.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct AttachmentAnswer {
    id: FileId,
    /// As its sender called it.
    name: HealthText,
    /// As it was found by what it holds.
    media_type: String,
    size_bytes: i64,
    /// Where it is fetched, with an access token.
    url: String,
}

impl From<Attachment> for AttachmentAnswer {
    fn from(it: Attachment) -> Self {
        Self { id: it.id, name: it.name, media_type: it.media_type, size_bytes: it.size_bytes, url: it.id.url() }
    }
}

impl Example for AttachmentAnswer {
    fn example() -> Self {
        let id = FileId(example_id(0xf1));
        let name = HealthText::new("exercises.pdf".into());
        Self { id, name, media_type: "application/pdf".into(), size_bytes: 48_213, url: id.url() }
    }
}

/// A message.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct MessageAnswer {
    id: MessageId,
    conversation_id: ConsultationId,
    /// As the sender's client made it.
    client_id: Uuid,
    /// Its place in the conversation: 1 is the first.
    seq: i64,
    /// The revision of its last change.
    rev: i64,
    sender_id: UserId,
    /// Whether there is a text, and why not.
    content: Content,
    body: Option<HealthText>,
    /// What came with it; gone with its text.
    attachments: Vec<AttachmentAnswer>,
    created_at: DateTime<Utc>,
    edited_at: Option<DateTime<Utc>>,
    deleted_at: Option<DateTime<Utc>>,
}

impl From<Message> for MessageAnswer {
    fn from(it: Message) -> Self {
        Self {
            id: it.id,
            conversation_id: it.conversation_id,
            client_id: it.client_id,
            seq: it.seq,
            rev: it.rev,
            sender_id: it.sender_id,
            content: it.content,
            body: it.body,
            attachments: it.attachments.into_iter().map(Into::into).collect(),
            created_at: it.created_at,
            edited_at: it.edited_at,
            deleted_at: it.deleted_at,
        }
    }
}

impl Example for MessageAnswer {
    fn example() -> Self {
        Self {
            id: MessageId(example_id(0x3e)),
            conversation_id: example_conversation(),
            client_id: example_id(0xc1),
            seq: 3,
            rev: 5,
            sender_id: example_person(),
            content: Content::Text,
            body: Some(example_text()),
            attachments: vec![AttachmentAnswer::example()],
            created_at: example_time(),
            edited_at: None,
            deleted_at: None,
        }
    }
}

#[derive(ApiResponse)]
pub enum MessageResponse {
    /// The message, sent now or before.
    #[oai(status = 201)]
    Sent(Json<MessageAnswer>),
}

/// How far somebody has a conversation.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct ReceiptAnswer {
    reader_id: UserId,
    /// The last message that arrived.
    delivered_seq: i64,
    /// The last message that was read.
    read_seq: i64,
    /// The revision of its last change; 0 where nothing was noted yet.
    rev: i64,
}

impl From<Receipt> for ReceiptAnswer {
    fn from(it: Receipt) -> Self {
        Self { reader_id: it.reader_id, delivered_seq: it.delivered_seq, read_seq: it.read_seq, rev: it.rev }
    }
}

impl Example for ReceiptAnswer {
    fn example() -> Self {
        Self { reader_id: example_person(), delivered_seq: 3, read_seq: 2, rev: 4 }
    }
}

/// A part of a conversation.
#[derive(Object)]
#[oai(rename_all = "camelCase", example)]
pub struct MessagesAnswer {
    items: Vec<MessageAnswer>,
    /// At most one for each of the two.
    receipts: Vec<ReceiptAnswer>,
    /// Everything up to this revision is known now. The next `afterRev`.
    rev: i64,
    /// Whether there is more of what was asked for: with `afterRev`, later changes; otherwise, earlier messages.
    has_more: bool,
    /// Until when messages can be sent, or since when they cannot.
    closes_at: DateTime<Utc>,
}

impl From<Excerpt> for MessagesAnswer {
    fn from(it: Excerpt) -> Self {
        Self {
            items: it.messages.into_iter().map(MessageAnswer::from).collect(),
            receipts: it.receipts.into_iter().map(ReceiptAnswer::from).collect(),
            rev: it.rev,
            has_more: it.has_more,
            closes_at: it.closes_at,
        }
    }
}

impl Example for MessagesAnswer {
    fn example() -> Self {
        Self {
            items: vec![MessageAnswer::example()],
            receipts: vec![ReceiptAnswer::example()],
            rev: 5,
            has_more: false,
            closes_at: example_time() + TimeDelta::days(16),
        }
    }
}

/// What is said of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ReceiptState {
    Delivered,
    Read,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ReadRequest {
    /// Up to which message, this one included.
    #[oai(validator(minimum(value = "1")))]
    pub seq: i64,
    /// `read`, unless said.
    state: Option<ReceiptState>,
}

impl ReadRequest {
    pub fn is_read(&self) -> bool {
        self.state != Some(ReceiptState::Delivered)
    }
}

impl Example for ReadRequest {
    fn example() -> Self {
        Self { seq: 3, state: None }
    }
}

fn example_id(last: u128) -> Uuid {
    Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a00 | last)
}

fn example_conversation() -> ConsultationId {
    ConsultationId(example_id(0x0c))
}

fn example_person() -> UserId {
    UserId(example_id(0xa1))
}

fn example_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_440_600, 0).unwrap_or_default()
}

fn example_text() -> HealthText {
    HealthText::new("Thank you, that helped. See you on Tuesday.".into())
}
