//! The key of a review, and what it opens.
//!
//! It is the author's, and of their company: erasing the account destroys it. Who moderates may not learn whose a review is,
//! so the program itself reads the key for them ([`Context::begin_as_program`]).

use super::model::Words;
use super::store::{self, Sealed, StoredKey};
use crate::platform::crypto::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::older_forms::OlderForm;
use crate::platform::crypto::rewrap;
use crate::platform::crypto::seal::{self, Purpose, SealError};
use crate::platform::ids::{CompanyId, ReviewId, UserId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

/// Where words of earlier releases are, sealed under a master key itself. The place names neither person nor company.
pub const SEALED: rewrap::Sealed =
    rewrap::Sealed { purpose: Purpose::new("reviews.text"), table: "reviews", column: "sealed" };
/// As what they are sealed anew.
pub const OLDER_FORM: OlderForm = OlderForm {
    sealed: SEALED,
    place: |row, _| older_place(ReviewId(row)),
    purpose: KeyPurpose::REVIEW,
    document: |row| document(ReviewId(row), 1),
};

/// Where the words of a review were sealed to by earlier releases.
pub fn older_place(id: ReviewId) -> seal::Place {
    let rewrap::Sealed { purpose, table, column } = SEALED;
    seal::Place { purpose, table, column, row: id.0, person: None, company: None }
}

/// Where a version of the words is kept.
pub fn document(id: ReviewId, version: i32) -> Document {
    Document { domain: "reviews", table: SEALED.table, column: SEALED.column, row: id.0, version }
}

fn subject(id: ReviewId, author: UserId, company: CompanyId) -> Subject {
    Subject { purpose: KeyPurpose::REVIEW, id: id.0, person: author, company }
}

/// The keys of some reviews, each with its own.
pub struct Keys(Vec<StoredKey>);

impl Keys {
    /// Of the caller's own.
    pub async fn own(tx: &mut Tx, ids: &[ReviewId]) -> Result<Self> {
        Ok(Self(store::list_keys(tx, ids).await?))
    }

    /// Of anybody's, for whoever moderates them.
    pub async fn of_all(cx: &Context, ids: &[ReviewId]) -> Result<Self> {
        let mut tx = cx.begin_as_program().await?;
        Self::own(&mut tx, ids).await
    }

    fn find(&self, cx: &Context, review: ReviewId) -> std::result::Result<SubjectKey, SealError> {
        let it = self.0.iter().find(|it| it.review == review).ok_or(SealError::UnknownKey)?;
        let wrapped = it.wrapped.as_ref().ok_or(SealError::UnknownKey)?;
        let subject = subject(review, it.person_id, it.company_id);
        SubjectKey::unwrap(it.id, subject, wrapped, &cx.platform().keyring)
    }

    /// What does not open is noted, and left out.
    pub fn open(&self, cx: &Context, review: ReviewId, kept: &Sealed) -> Option<Words> {
        let words = match kept.key_id {
            // of an earlier release
            None => cx.platform().keyring.open(&older_place(review), &kept.sealed).and_then(|it| words(&it)),
            Some(id) => self.find(cx, review).and_then(|key| {
                if key.id() != id {
                    return Err(SealError::UnknownKey);
                }
                words(key.open(&document(review, kept.sealed_version), &kept.sealed)?.expose().as_bytes())
            }),
        };
        words.inspect_err(|error| tracing::error!(%error, review_id = %review, "a review does not open")).ok()
    }
}

fn words(opened: &[u8]) -> std::result::Result<Words, SealError> {
    serde_json::from_slice(opened).map_err(|_| SealError::Forged)
}

/// A new key of a review that the caller is writing. It is kept once the review is there.
pub struct NewKey {
    key: SubjectKey,
    wrapped: Vec<u8>,
}

impl NewKey {
    pub fn new(cx: &Context, review: ReviewId, company: CompanyId) -> Result<Self> {
        let platform = cx.platform();
        let key = SubjectKey::new(cx.new_id(), subject(review, cx.caller().user_id, company), &platform.entropy);
        let wrapped = key.wrap(&platform.keyring, &platform.entropy)?;
        Ok(Self { key, wrapped })
    }

    pub fn seal(&self, cx: &Context, review: ReviewId, words: &Words) -> Result<Sealed> {
        seal(&self.key, cx, review, 1, words)
    }

    pub async fn keep(&self, cx: &Context, tx: &mut Tx, review: ReviewId) -> Result<()> {
        store::keep_key(tx, review, self.key.id(), &self.wrapped, cx.now()).await?;
        // of somebody who was erased meanwhile nothing is kept: nobody is signed in as them any more
        if store::list_keys(tx, &[review]).await?.is_empty() {
            return Err(Refusal::Unauthenticated.into());
        }
        Ok(())
    }
}

/// Other words in the place of some: under the key of the review, which one of an earlier release gets now.
pub async fn seal_next(
    cx: &Context,
    tx: &mut Tx,
    review: ReviewId,
    company: CompanyId,
    known: &Sealed,
    words: &Words,
) -> Result<Sealed> {
    let version = known.sealed_version.saturating_add(1);
    if known.key_id.is_none() {
        let new = NewKey::new(cx, review, company)?;
        new.keep(cx, tx, review).await?;
    }
    let keys = Keys::own(tx, &[review]).await?;
    if keys.0.iter().all(|it| it.wrapped.is_none()) {
        // it was taken back at the same moment, or its author erased
        return Err(Refusal::Stale.into());
    }
    seal(&keys.find(cx, review)?, cx, review, version, words)
}

fn seal(key: &SubjectKey, cx: &Context, review: ReviewId, version: i32, words: &Words) -> Result<Sealed> {
    let json = HealthText::new(serde_json::to_string(words).map_err(Problem::internal)?);
    let sealed = key.seal(&document(review, version), &json, &cx.platform().entropy)?;
    Ok(Sealed { sealed, key_id: Some(key.id()), sealed_version: version })
}
