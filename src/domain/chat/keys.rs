//! The key of a conversation, and what it opens.

use super::error::Error;
use super::model::{Attachment, Content, Conversation, Kept, Message, StoredKey};
use super::store;
use crate::domain::files;
use crate::platform::crypto::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::seal::SealError;
use crate::platform::ids::MessageId;
use crate::platform::{Context, Problem, Result, Tx};

fn subject(of: &Conversation) -> Subject {
    Subject { purpose: KeyPurpose::CHAT, id: of.id.0, person: of.employee, company: of.company_id }
}

/// Where a version of a message is kept.
pub fn document(message: MessageId, version: i32) -> Document {
    Document { domain: "chat", table: "messages", column: "sealed", row: message.0, version }
}

/// What a conversation's messages are read with.
pub enum Reader {
    /// Nothing was written yet.
    None,
    Erased,
    Key(Box<SubjectKey>),
    /// The key itself does not open.
    Broken(SealError),
}

pub fn reader(cx: &Context, of: &Conversation) -> Reader {
    match &of.key {
        None => Reader::None,
        Some(StoredKey { wrapped: None, .. }) => Reader::Erased,
        Some(StoredKey { id, wrapped: Some(wrapped) }) => {
            match SubjectKey::unwrap(*id, subject(of), wrapped, &cx.platform().keyring) {
                Ok(key) => Reader::Key(Box::new(key)),
                Err(error) => Reader::Broken(error),
            }
        }
    }
}

/// The key to write with. It is made with the first message.
pub async fn for_writing(cx: &Context, tx: &mut Tx, of: &mut Conversation) -> Result<SubjectKey> {
    if of.key.is_none() {
        let platform = cx.platform();
        let key = SubjectKey::new(cx.new_id(), subject(of), &platform.entropy);
        let wrapped = key.wrap(&platform.keyring, &platform.entropy)?;
        // of two who write first at the same moment, one has made it
        let kept = store::keep_key(tx, of.id, key.id(), &wrapped, cx.now()).await?;
        of.key = Some(kept.ok_or(Error::ConversationErased)?);
    }
    match reader(cx, of) {
        Reader::Key(key) => Ok(*key),
        Reader::Erased => Err(Error::ConversationErased.into()),
        Reader::Broken(error) => Err(Problem::internal(error)),
        Reader::None => Err(Problem::internal("a conversation has no key after it was kept")),
    }
}

impl Reader {
    /// The message as its two people read it. What does not open is left out, and noted.
    pub fn open(&self, kept: &Kept) -> Message {
        let (content, body) = match (&kept.sealed, self) {
            (None, _) => (Content::Deleted, None),
            (Some(_), Self::Erased) => (Content::Erased, None),
            (Some(sealed), Self::Key(key)) => match key.open(&document(kept.id, kept.version), sealed) {
                Ok(text) => {
                    let attachments = attachments(key, kept);
                    return Message { attachments, ..kept.with(Content::Text, Some(text)) };
                }
                Err(error) => unreadable(kept, error),
            },
            (Some(_), Self::Broken(error)) => unreadable(kept, *error),
            (Some(_), Self::None) => unreadable(kept, SealError::UnknownKey),
        };
        kept.with(content, body)
    }
}

/// What came with a message. One whose name does not open is left out, and noted.
pub fn attachments(key: &SubjectKey, kept: &Kept) -> Vec<Attachment> {
    let opened =
        kept.attachments.iter().filter_map(|it| match key.open(&files::name_document(it.id), &it.sealed_name) {
            Ok(name) => {
                Some(Attachment { id: it.id, name, media_type: it.media_type.clone(), size_bytes: it.size_bytes })
            }
            Err(error) => {
                tracing::error!(%error, file_id = %it.id, "the name of an attachment does not open");
                None
            }
        });
    opened.collect()
}

fn unreadable(kept: &Kept, error: SealError) -> (Content, Option<HealthText>) {
    tracing::error!(%error, message_id = %kept.id, "a message does not open");
    (Content::Unreadable, None)
}
