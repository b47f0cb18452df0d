//! Conversations, messages, receipts, and what can be changed when.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Enum;
use sqlx::FromRow;
use uuid::Uuid;

use super::error::Error;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::ids::{CompanyId, ConsultationId, FileId, MessageId, UserId};
use crate::platform::{Problem, Result};

/// Own messages are edited and deleted this long. The database says the same.
const CHANGED_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// What a list tells of a conversation.
#[derive(Clone, Debug)]
pub struct Overview {
    pub id: ConsultationId,
    /// The other one's name.
    pub other_name: String,
    pub other_avatar: Option<FileId>,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub last_seq: i64,
    pub last_rev: i64,
    /// Messages of the other one that the caller has not read; 100 stands for more as well.
    pub unread: i64,
}

/// How a conversation stands in the caller's list.
#[derive(Debug, FromRow)]
pub struct Standing {
    pub id: ConsultationId,
    pub last_at: DateTime<Utc>,
    pub last_seq: i64,
    pub last_rev: i64,
    /// Messages of the other one that the caller has not read; 100 stands for more as well.
    pub unread: i64,
}

/// A conversation of the caller's.
pub struct Conversation {
    pub id: ConsultationId,
    pub company_id: CompanyId,
    /// Whose care it is.
    pub employee: UserId,
    pub practitioner: UserId,
    pub closes_at: DateTime<Utc>,
    pub last_seq: i64,
    pub last_rev: i64,
    /// Its key; there is none before the first message.
    pub key: Option<StoredKey>,
}

/// A conversation's key as the database keeps it.
pub struct StoredKey {
    pub id: Uuid,
    /// `None`: destroyed.
    pub wrapped: Option<Vec<u8>>,
}

impl Conversation {
    pub fn people(&self) -> [UserId; 2] {
        [self.employee, self.practitioner]
    }

    pub fn check_open(&self, now: DateTime<Utc>) -> Result<()> {
        if now < self.closes_at { Ok(()) } else { Err(self.closed()) }
    }

    pub fn closed(&self) -> Problem {
        Problem::from(Error::ConversationClosed).with("closedAt", self.closes_at.to_rfc3339().into())
    }
}

/// Whether a message has a text, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Content {
    Text,
    /// Its sender took it back.
    Deleted,
    /// The employee's account was erased, and with it what was said.
    Erased,
    /// What is stored does not open; the operator is told.
    Unreadable,
}

/// A file that came with a message, as it is kept.
#[derive(Clone)]
pub struct KeptAttachment {
    pub id: FileId,
    pub media_type: String,
    pub size_bytes: i64,
    pub sealed_name: Vec<u8>,
}

/// A file that came with a message.
#[derive(Clone, Debug)]
pub struct Attachment {
    pub id: FileId,
    pub name: HealthText,
    pub media_type: String,
    pub size_bytes: i64,
}

/// A message as it is kept.
#[derive(Clone)]
pub struct Kept {
    pub id: MessageId,
    pub conversation_id: ConsultationId,
    pub sender_id: UserId,
    pub client_id: Uuid,
    pub seq: i64,
    pub rev: i64,
    pub version: i32,
    pub sealed: Option<Vec<u8>>,
    pub attachments: Vec<KeptAttachment>,
    pub created_at: DateTime<Utc>,
    pub edited_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Kept {
    /// The message with what was read of its text.
    pub fn with(&self, content: Content, body: Option<HealthText>) -> Message {
        Message {
            id: self.id,
            conversation_id: self.conversation_id,
            sender_id: self.sender_id,
            client_id: self.client_id,
            seq: self.seq,
            rev: self.rev,
            content,
            body,
            attachments: Vec::new(),
            created_at: self.created_at,
            edited_at: self.edited_at,
            deleted_at: self.deleted_at,
        }
    }

    /// What it is after a change: another text, or none.
    pub fn changed(&self, text: Option<HealthText>, rev: i64, now: DateTime<Utc>) -> Message {
        let is_deleted = text.is_none();
        let content = if is_deleted { Content::Deleted } else { Content::Text };
        Message {
            rev,
            edited_at: if is_deleted { self.edited_at } else { Some(now) },
            deleted_at: is_deleted.then_some(now),
            ..self.with(content, text)
        }
    }

    /// Whether `who` can put another text in its place, or none, now. The database looks again.
    pub fn check_change(&self, who: UserId, now: DateTime<Utc>) -> Result<()> {
        if self.sender_id != who {
            Err(Error::NotYourMessage.into())
        } else if self.deleted_at.is_some() {
            Err(Error::MessageDeleted.into())
        } else if now > self.created_at + CHANGED_WITHIN {
            Err(Error::TooLateToChange.into())
        } else {
            Ok(())
        }
    }
}

/// A message as one of the two reads it.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConsultationId,
    pub sender_id: UserId,
    pub client_id: Uuid,
    pub seq: i64,
    pub rev: i64,
    pub content: Content,
    pub body: Option<HealthText>,
    pub attachments: Vec<Attachment>,
    pub created_at: DateTime<Utc>,
    pub edited_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// How far one of the two has the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub reader_id: UserId,
    pub delivered_seq: i64,
    pub read_seq: i64,
    pub rev: i64,
}

/// Which messages to read.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// The latest before one.
    Before(i64),
    /// What changed after a revision, in the order of revisions.
    ChangedAfter(i64),
}

/// What messages that are read at once weigh together: whoever asks and takes nothing has the answers wait in memory.
const WEIGHT_AT_ONCE: usize = 64 << 10;
/// Of a message, and of a file that came with it, besides their words.
const WEIGHT: usize = 300;

impl Message {
    /// What it takes in an answer, in bytes.
    fn weight(&self) -> usize {
        let files: usize = self.attachments.iter().map(|it| WEIGHT + written(it.name.expose())).sum();
        WEIGHT + self.body.as_ref().map_or(0, |body| written(body.expose())) + files
    }
}

/// What a text takes as JSON.
fn written(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

/// Of the messages those that are read at once: at least one, at most `limit`.
pub fn fitting(messages: impl Iterator<Item = Message>, limit: usize) -> Vec<Message> {
    let mut left = WEIGHT_AT_ONCE;
    let mut fits = Vec::new();
    for message in messages.take(limit) {
        let weight = message.weight();
        if weight > left && !fits.is_empty() {
            break;
        }
        left = left.saturating_sub(weight);
        fits.push(message);
    }
    fits
}

/// What was read of a conversation.
pub struct Excerpt {
    pub messages: Vec<Message>,
    pub receipts: Vec<Receipt>,
    /// Everything up to this revision is in what was read, or was asked for before.
    pub rev: i64,
    /// The last message of all.
    pub last_seq: i64,
    /// Whether there is more of the kind that was asked for.
    pub has_more: bool,
    pub closes_at: DateTime<Utc>,
}

/// Up to which revision a client has everything: the conversation's as it was before the messages were read, or, where
/// only a part of what changed was read, that of the last change in it.
pub fn complete_until(which: Which, last_rev: i64, has_more: bool, last_read: Option<i64>) -> i64 {
    match (which, has_more, last_read) {
        (Which::ChangedAfter(_), true, Some(read)) => read.min(last_rev),
        _ => last_rev,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        Kept {
            id: MessageId(Uuid::nil()),
            conversation_id: ConsultationId(Uuid::nil()),
            sender_id: UserId(Uuid::from_u128(1)),
            client_id: Uuid::nil(),
            seq: 1,
            rev: 1,
            version: 1,
            sealed: Some(Vec::new()),
            attachments: Vec::new(),
            created_at: DateTime::UNIX_EPOCH,
            edited_at: None,
            deleted_at: None,
        }
    }

    #[test]
    fn ones_own_messages_are_changed_for_fifteen_minutes() {
        let (me, other) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let (sent, limit) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::minutes(15));
        let code = |message: Kept, who, at| message.check_change(who, at).map_err(|problem| problem.code());
        assert_eq!(code(kept(), me, limit), Ok(()));
        assert_eq!(code(kept(), me, limit + TimeDelta::microseconds(1)), Err("too_late_to_change"));
        assert_eq!(code(kept(), other, sent), Err("not_your_message"));
        assert_eq!(code(Kept { deleted_at: Some(sent), ..kept() }, me, sent), Err("message_deleted"));
    }

    #[test]
    fn long_messages_are_read_in_several_parts_and_each_brings_one_at_least() {
        let of = |letter: &str, count: usize| kept().with(Content::Text, Some(HealthText::new(letter.repeat(count))));
        let fit = |message: &Message, count| fitting(std::iter::repeat_n(message.clone(), count), 100).len();
        assert_eq!(fit(&of("x", 200), 0), 0);
        assert_eq!(fit(&of("x", 200), 101), 100);
        assert_eq!(fit(&of("x", 16_000), 101), 4);
        assert_eq!(fit(&of("x", 1 << 20), 3), 1);
        // as JSON has them: six bytes each
        assert_eq!(fit(&of("\u{1}", 4_000), 101), 2);
        assert_eq!(fit(&of("\"", 4_000), 101), 7);
        assert_eq!(fitting([of("x", 200), of("x", 1 << 20), of("x", 200)].into_iter(), 100).len(), 1);
        let file = Attachment {
            id: FileId(Uuid::nil()),
            name: HealthText::new("x".repeat(700)),
            media_type: String::new(),
            size_bytes: 1,
        };
        let with_files = Message { attachments: vec![file; 10], ..of("x", 10) };
        assert_eq!(fit(&with_files, 20), 6);
    }

    #[test]
    fn a_text_is_weighed_as_it_is_written() {
        for text in ["", "plain", "\"\\\n\r\t", "\u{1}\u{1f}\u{8}\u{c}", "é€𐍈"] {
            let json = serde_json::to_string(text).unwrap().len() - 2;
            assert!(written(text) >= json && written(text) <= json + 4 * text.len(), "{text:?}");
        }
    }

    #[test]
    fn a_client_that_read_a_part_goes_on_from_there() {
        let (changes, history) = (Which::ChangedAfter(3), Which::Before(9));
        assert_eq!(complete_until(changes, 20, false, Some(18)), 20);
        assert_eq!(complete_until(changes, 20, false, None), 20);
        assert_eq!(complete_until(changes, 20, true, Some(12)), 12);
        // what came after the conversation was looked at is asked for again
        assert_eq!(complete_until(changes, 20, true, Some(22)), 20);
        assert_eq!(complete_until(history, 20, true, Some(4)), 20);
    }
}
