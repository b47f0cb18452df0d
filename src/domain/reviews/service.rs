//! Write, change, take back; read what was published; moderate.

use chrono::{DateTime, Utc};
use uuid::Builder;

use super::events::ReviewModerated;
use super::keys::{self, Keys, NewKey};
use super::model::{Marks, Moderated, Own, Rejection, Shown, Status, Words};
use super::store::{self, KeptModerated, KeptOwn, New, Place, Verdict};
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::http::{Etag, IdempotencyKey, PageQuery};
use crate::platform::ids::{ConsultationId, PractitionerId, ReviewId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

/// As the database keeps them at most.
const LAST: DateTime<Utc> = match DateTime::from_timestamp(32_503_680_000, 0) {
    Some(last) => last,
    None => DateTime::UNIX_EPOCH,
};

/// The words, with what in them may tell of a person.
async fn marked(tx: &mut Tx, session: ConsultationId, text: &HealthText) -> Result<Words> {
    let marks = Marks::of(text.expose());
    let names = store::names_among(tx, session, &marks.candidates()).await?;
    Ok(Words { text: text.expose().to_owned(), marks: marks.found(&names) })
}

#[allow(clippy::needless_pass_by_value)] // it is taken apart
fn own(cx: &Context, keys: &Keys, kept: KeptOwn) -> Own {
    let text = keys.open(cx, kept.id, &kept.words).map(|words| HealthText::new(words.text));
    let KeptOwn { consultation_id, practitioner_id, status, version, rating, rejected_for, written_at, .. } = kept;
    Own { consultation_id, practitioner_id, status, version, rating, text, rejected_for, written_at }
}

async fn find_own(tx: &mut Tx, session: ConsultationId) -> Result<KeptOwn> {
    store::find_own(tx, session).await?.ok_or_else(|| Refusal::NotFound.into())
}

async fn opened(cx: &Context, tx: &mut Tx, session: ConsultationId) -> Result<Own> {
    let kept = find_own(tx, session).await?;
    let keys = Keys::own(tx, &[kept.id]).await?;
    Ok(own(cx, &keys, kept))
}

/// Says something of a session that was held.
pub async fn write(
    cx: &Context,
    session: ConsultationId,
    rating: i16,
    text: &HealthText,
    once: Option<&IdempotencyKey>,
) -> Result<Own> {
    let mut tx = cx.begin(Permission::WriteReview).await?;
    if tx.recall::<ConsultationId>(once).await?.is_some() {
        return opened(cx, &mut tx, session).await;
    }
    if !store::is_own_session(&mut tx, session).await? {
        return Err(Refusal::NotFound.into());
    }
    let caller = cx.caller();
    let company_id = caller.company_id.ok_or_else(|| Problem::internal("an employee has a company"))?;
    let id = ReviewId(Builder::from_random_bytes(cx.platform().entropy.bytes()).into_uuid());
    let key = NewKey::new(cx, id, company_id)?;
    let words = key.seal(cx, id, &marked(&mut tx, session, text).await?)?;
    let new = New { id, company_id, user_id: caller.user_id, session, rating, words: &words, at: cx.now() };
    store::insert(&mut tx, &new).await?;
    key.keep(cx, &mut tx, id).await?;
    tx.audit_done("review.written", "consultation", session.0).await?;
    // its words are kept in one place
    tx.remember(once, &session).await?;
    finish(cx, tx, session).await
}

pub async fn read_own(cx: &Context, session: ConsultationId) -> Result<Own> {
    let mut tx = cx.read(Permission::WriteReview).await?;
    opened(cx, &mut tx, session).await
}

/// How many of one's own are read at once.
const PAGE: usize = 100;

/// Where a list of one's own goes on.
pub type After = Option<ConsultationId>;

/// All of the caller's own, and where they go on.
pub async fn list_own(cx: &Context, after: After) -> Result<(Vec<Own>, After)> {
    let mut tx = cx.read(Permission::WriteReview).await?;
    let kept = store::list_own(&mut tx, after, PAGE).await?;
    let next = kept.last().filter(|_| kept.len() == PAGE).map(|last| last.consultation_id);
    let keys = Keys::own(&mut tx, &kept.iter().map(|kept| kept.id).collect::<Vec<_>>()).await?;
    Ok((kept.into_iter().map(|kept| own(cx, &keys, kept)).collect(), next))
}

/// Other stars, other words, or both. A moderator looks at it again.
pub async fn change(
    cx: &Context,
    session: ConsultationId,
    rating: Option<i16>,
    text: Option<&HealthText>,
    if_match: Option<&str>,
) -> Result<Own> {
    let mut tx = cx.begin(Permission::WriteReview).await?;
    let known = find_own(&mut tx, session).await?;
    Etag::of_version(known.version).require(if_match)?;
    let words = match text {
        Some(text) => {
            let words = marked(&mut tx, session, text).await?;
            keys::seal_next(cx, &mut tx, known.id, known.company_id, &known.words, &words).await?
        }
        None => known.words.clone(),
    };
    if !store::save(&mut tx, &known, rating.unwrap_or(known.rating), &words, cx.now()).await? {
        return Err(Refusal::Stale.into());
    }
    tx.audit_done("review.changed", "consultation", session.0).await?;
    finish(cx, tx, session).await
}

/// Nothing of it is left.
pub async fn take_back(cx: &Context, session: ConsultationId, if_match: Option<&str>) -> Result<()> {
    let mut tx = cx.begin(Permission::WriteReview).await?;
    let known = find_own(&mut tx, session).await?;
    Etag::of_version(known.version).require(if_match)?;
    if !store::delete(&mut tx, &known).await? {
        return Err(Refusal::Stale.into());
    }
    tx.audit_done("review.deleted", "consultation", session.0).await?;
    tx.commit().await
}

async fn finish(cx: &Context, mut tx: Tx, session: ConsultationId) -> Result<Own> {
    let written = opened(cx, &mut tx, session).await?;
    tx.commit().await?;
    Ok(written)
}

/// What was published of a practitioner whom the caller sees.
pub async fn list(cx: &Context, of: PractitionerId, page: &PageQuery<ReviewId>) -> Result<Vec<Shown>> {
    let mut tx = cx.read(Permission::ReadReviews).await?;
    if !store::sees_practitioner(&mut tx, of).await? {
        return Err(Refusal::NotFound.into());
    }
    store::list_shown(&mut tx, of, page.after, page.fetch()).await
}

/// What a moderator reads, in its order.
async fn moderated(cx: &Context, kept: Vec<KeptModerated>) -> Result<Vec<Moderated>> {
    let keys = Keys::of_all(cx, &kept.iter().map(|kept| kept.id).collect::<Vec<_>>()).await?;
    Ok(kept.into_iter().map(|kept| shown(cx, &keys, kept)).collect())
}

async fn one_moderated(cx: &Context, kept: KeptModerated) -> Result<Moderated> {
    moderated(cx, vec![kept]).await?.pop().ok_or_else(|| Refusal::NotFound.into())
}

fn shown(cx: &Context, keys: &Keys, kept: KeptModerated) -> Moderated {
    let words = keys.open(cx, kept.id, &kept.words);
    let (text, marks) = words.map(|words| (HealthText::new(words.text), words.marks)).unzip();
    Moderated {
        id: kept.id,
        practitioner_id: kept.practitioner_id,
        practitioner_name: kept.practitioner_name,
        status: kept.status,
        version: kept.version,
        rating: kept.rating,
        text,
        marks: marks.unwrap_or_default(),
        rejected_for: kept.rejected_for,
        written_at: kept.written_at,
    }
}

/// What waits for a moderator, or what became of it: the one that was written first comes first.
pub async fn queue(cx: &Context, status: Status, page: &PageQuery<Place>) -> Result<Vec<Moderated>> {
    let mut tx = cx.begin(Permission::ModerateReviews).await?;
    let after = page.after.map(|(at, id)| (at.clamp(DateTime::UNIX_EPOCH, LAST), id));
    let kept = store::list_moderated(&mut tx, status, after, page.fetch()).await?;
    tx.audit_done("review.listed", "review", None).await?;
    tx.commit().await?;
    moderated(cx, kept).await
}

async fn find_moderated(tx: &mut Tx, id: ReviewId) -> Result<KeptModerated> {
    store::find_moderated(tx, id).await?.ok_or_else(|| Refusal::NotFound.into())
}

pub async fn moderate(cx: &Context, id: ReviewId) -> Result<Moderated> {
    let mut tx = cx.begin(Permission::ModerateReviews).await?;
    let kept = find_moderated(&mut tx, id).await?;
    tx.audit_done("review.listed", "review", id.0).await?;
    tx.commit().await?;
    one_moderated(cx, kept).await
}

/// Shows it to everybody who sees the practitioner. `if_match` says which words were read.
pub async fn publish(cx: &Context, id: ReviewId, if_match: Option<&str>) -> Result<Moderated> {
    let mut tx = cx.begin(Permission::ModerateReviews).await?;
    let known = find_moderated(&mut tx, id).await?;
    Etag::of_version(known.version).require(if_match)?;
    if known.status == Status::Published {
        return one_moderated(cx, known).await;
    }
    let keys = Keys::of_all(cx, &[id]).await?;
    let words = keys.open(cx, id, &known.words).ok_or_else(|| Problem::internal("a review does not open"))?;
    if !store::moderate(&mut tx, &known, Verdict::Publish(&words.text), cx.now()).await? {
        return Err(Refusal::Stale.into());
    }
    tx.audit_done("review.published", "review", id.0).await?;
    decided(cx, tx, id).await
}

/// Shows it to nobody; its author learns for which kind of reason.
pub async fn reject(cx: &Context, id: ReviewId, reason: Rejection, if_match: Option<&str>) -> Result<Moderated> {
    let mut tx = cx.begin(Permission::ModerateReviews).await?;
    let known = find_moderated(&mut tx, id).await?;
    Etag::of_version(known.version).require(if_match)?;
    if known.status == Status::Rejected && known.rejected_for == Some(reason) {
        return one_moderated(cx, known).await;
    }
    if !store::moderate(&mut tx, &known, Verdict::Reject(reason), cx.now()).await? {
        return Err(Refusal::Stale.into());
    }
    tx.audit(Entry::done("review.rejected", "review", id.0).with(Detail::Reason, reason.as_str())).await?;
    decided(cx, tx, id).await
}

async fn decided(cx: &Context, mut tx: Tx, id: ReviewId) -> Result<Moderated> {
    let kept = find_moderated(&mut tx, id).await?;
    let told = ReviewModerated { review_id: id, version: kept.version };
    tx.enqueue(&told, Some(&format!("{id}:{}", kept.version)), None).await?;
    tx.commit().await?;
    one_moderated(cx, kept).await
}
