//! The key of a journal, and what it opens.

use super::error::Error;
use super::model::{Content, Facts, Kept, KeptFacts, Read, StoredKey, body_of};
use super::store;
use crate::platform::crypto::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::seal::SealError;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::{Context, Problem, Result, Tx};
use uuid::Uuid;

/// A person's journal.
pub fn subject(person: UserId, company: CompanyId) -> Subject {
    Subject { purpose: KeyPurpose::JOURNAL, id: person.0, person, company }
}

/// Where something of a journal is kept.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    Words,
    Facts,
    ByPassphrase,
    ByRecoveryCode,
}

pub fn document(column: Column, row: Uuid, version: i32) -> Document {
    let (table, column) = match column {
        Column::Words => ("journal_entries", "sealed"),
        Column::Facts => ("journal_entries", "facts"),
        Column::ByPassphrase => ("journal_keys", "by_passphrase"),
        Column::ByRecoveryCode => ("journal_keys", "by_recovery_code"),
    };
    Document { domain: "journal", table, column, row, version }
}

fn own(cx: &Context) -> Result<Subject> {
    let caller = cx.caller();
    let company = caller.company_id.ok_or_else(|| Problem::internal("an employee has a company"))?;
    Ok(subject(caller.user_id, company))
}

/// What a journal is read with.
pub enum Reader {
    /// Nothing was written yet.
    None,
    Erased,
    Key(Box<SubjectKey>),
    /// The key itself does not open.
    Broken(SealError),
}

/// The key of the caller's own journal.
pub async fn reader(cx: &Context, tx: &mut Tx) -> Result<Reader> {
    let found = store::find_key(tx).await?;
    unwrap(cx, found)
}

fn unwrap(cx: &Context, key: Option<StoredKey>) -> Result<Reader> {
    Ok(match key {
        None => Reader::None,
        Some(StoredKey { wrapped: None, .. }) => Reader::Erased,
        Some(StoredKey { id, wrapped: Some(wrapped) }) => {
            match SubjectKey::unwrap(id, own(cx)?, &wrapped, &cx.platform().keyring) {
                Ok(key) => Reader::Key(Box::new(key)),
                Err(error) => Reader::Broken(error),
            }
        }
    })
}

/// The key to write with. It is made with the first entry.
pub async fn for_writing(cx: &Context, tx: &mut Tx) -> Result<SubjectKey> {
    let found = if let Some(key) = store::find_key(tx).await? {
        key
    } else {
        let platform = cx.platform();
        let key = SubjectKey::new(cx.new_id(), own(cx)?, &platform.entropy);
        let wrapped = key.wrap(&platform.keyring, &platform.entropy)?;
        // of two who write first at the same moment, one has made it
        store::keep_key(tx, key.id(), &wrapped, cx.now()).await?.ok_or(Error::JournalErased)?
    };
    match unwrap(cx, Some(found))? {
        Reader::Key(key) => Ok(*key),
        Reader::Erased => Err(Error::JournalErased.into()),
        Reader::Broken(error) => Err(Problem::internal(error)),
        Reader::None => Err(Problem::internal("a journal has no key after it was kept")),
    }
}

impl Reader {
    /// The text in a column; `Ok(None)`: the key was destroyed.
    pub fn text(
        &self,
        column: Column,
        row: Uuid,
        version: i32,
        sealed: &[u8],
    ) -> Result<Option<HealthText>, SealError> {
        match self {
            Self::Key(key) => key.open(&document(column, row, version), sealed).map(Some),
            Self::Erased => Ok(None),
            Self::Broken(error) => Err(*error),
            Self::None => Err(SealError::UnknownKey),
        }
    }

    fn facts(&self, row: Uuid, version: i32, sealed: Option<&[u8]>) -> Result<Option<Facts>, SealError> {
        let Some(sealed) = sealed else { return Ok(None) };
        self.text(Column::Facts, row, version, sealed)?.map(|words| Facts::from_words(&words)).transpose()
    }

    /// Mood and tags of an entry. Of one that does not open there are none, and it is noted.
    pub fn open_facts(&self, kept: &KeptFacts) -> Option<Facts> {
        self.facts(kept.id.0, kept.version, kept.facts.as_deref()).unwrap_or_else(|error| {
            tracing::error!(%error, entry_id = %kept.id, "an entry of a journal does not open");
            None
        })
    }

    /// An entry as its person reads it. What does not open is left out, and noted; the others are there.
    pub fn open(&self, kept: &Kept) -> Read {
        let is_private = kept.private_key_id.is_some();
        let opened = self.text(Column::Words, kept.id.0, kept.version, &kept.sealed).and_then(|words| {
            let body = words.map(|words| body_of(&words, is_private)).transpose()?;
            Ok((body, self.facts(kept.id.0, kept.version, kept.facts.as_deref())?))
        });
        let (content, body, facts) = match opened {
            Ok((Some(body), facts)) => (Content::Text, Some(body), facts),
            Ok((None, _)) => (Content::Erased, None, None),
            Err(error) => {
                tracing::error!(%error, entry_id = %kept.id, "an entry of a journal does not open");
                (Content::Unreadable, None, None)
            }
        };
        let Kept { id, day, version, created_at, updated_at, .. } = *kept;
        Read { id, day, version, is_private, content, body, facts, created_at, updated_at }
    }
}
