//! The key of a note, and what it opens.

use super::model::{Content, Kept, Note, Session, StoredKey, Text, Words};
use crate::platform::Context;
use crate::platform::crypto::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use crate::platform::crypto::seal::SealError;
use crate::platform::ids::{CompanyId, NoteId, UserId};

/// The note itself. Its person is the author, who keeps it whatever becomes of the employee's account.
pub fn subject(note: NoteId, author: UserId, company: CompanyId) -> Subject {
    Subject { purpose: KeyPurpose::NOTE, id: note.0, person: author, company }
}

/// Where a version of a note is kept.
pub fn document(note: NoteId, version: i32) -> Document {
    Document { domain: "clinical_notes", table: "clinical_note_versions", column: "sealed", row: note.0, version }
}

/// The key of a new note.
pub fn new(cx: &Context, note: NoteId, of: &Session) -> SubjectKey {
    let subject = subject(note, of.practitioner_id, of.company_id);
    SubjectKey::new(cx.new_id(), subject, &cx.platform().entropy)
}

/// What a note's versions are read with.
pub enum Reader {
    Key(Box<SubjectKey>),
    Erased,
    /// The key itself does not open, or is not there.
    Broken(SealError),
}

pub fn reader(cx: &Context, of: &Note, key: Option<&StoredKey>) -> Reader {
    match key {
        None => Reader::Broken(SealError::UnknownKey),
        Some(StoredKey { wrapped: None, .. }) => Reader::Erased,
        Some(StoredKey { id, wrapped: Some(wrapped) }) => {
            let subject = subject(of.id, of.practitioner_id, of.company_id);
            match SubjectKey::unwrap(*id, subject, wrapped, &cx.platform().keyring) {
                Ok(key) => Reader::Key(Box::new(key)),
                Err(error) => Reader::Broken(error),
            }
        }
    }
}

impl Reader {
    /// A version as its author reads it. What does not open is left out, and noted; the others are there.
    pub fn open(&self, note: NoteId, kept: &Kept) -> Words {
        let opened = match self {
            Self::Key(key) => key.open(&document(note, kept.version), &kept.sealed).and_then(|words| {
                let text = Text::from_words(&words)?;
                let is_whole = text.kind() == kept.kind && text.format() == kept.format;
                if is_whole { Ok(Some(text)) } else { Err(SealError::Forged) }
            }),
            Self::Erased => Ok(None),
            Self::Broken(error) => Err(*error),
        };
        let (content, text) = match opened {
            Ok(Some(text)) => (Content::Text, Some(text)),
            Ok(None) => (Content::Erased, None),
            Err(error) => {
                tracing::error!(%error, note_id = %note, version = kept.version, "a note does not open");
                (Content::Unreadable, None)
            }
        };
        let Kept { version, kind, format, created_at, .. } = *kept;
        Words { version, kind, format, content, text, created_at }
    }
}
