//! SQL of reviews.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::model::{Rejection, Shown, Status};
use crate::platform::db::broken_constraint;
use crate::platform::ids::{CompanyId, ConsultationId, PractitionerId, ReviewId, UserId};
use crate::platform::{Result, Tx};

/// Words as they are kept.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(clippy::struct_field_names)] // as the columns are called
pub struct Sealed {
    pub sealed: Vec<u8>,
    /// Under which key; `None`: it is of an earlier release.
    pub key_id: Option<Uuid>,
    /// Of the words: a verdict is a version of the review, and leaves them.
    pub sealed_version: i32,
}

/// The key of a review.
#[derive(sqlx::FromRow)]
pub struct StoredKey {
    pub review: ReviewId,
    pub company_id: CompanyId,
    pub person_id: UserId,
    pub id: Uuid,
    /// `None`: it was destroyed.
    pub wrapped: Option<Vec<u8>>,
}

/// Of those that the caller may open.
pub async fn list_keys(tx: &mut Tx, ids: &[ReviewId]) -> Result<Vec<StoredKey>> {
    Ok(sqlx::query_as("SELECT review, company_id, person_id, id, wrapped FROM app.review_keys($1)")
        .bind(ids)
        .fetch_all(tx.conn())
        .await?)
}

pub async fn keep_key(tx: &mut Tx, review: ReviewId, id: Uuid, wrapped: &[u8], at: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.keep_review_key($1, $2, $3, $4)")
        .bind(review)
        .bind(id)
        .bind(wrapped)
        .bind(at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A review of the caller's own, sealed.
#[derive(Debug, sqlx::FromRow)]
pub struct KeptOwn {
    pub id: ReviewId,
    pub company_id: CompanyId,
    pub consultation_id: ConsultationId,
    pub practitioner_id: PractitionerId,
    pub status: Status,
    pub version: i32,
    pub rating: i16,
    #[sqlx(flatten)]
    pub words: Sealed,
    pub rejected_for: Option<Rejection>,
    pub written_at: DateTime<Utc>,
}

/// A review without its author, sealed.
#[derive(Debug, sqlx::FromRow)]
pub struct KeptModerated {
    pub id: ReviewId,
    pub practitioner_id: PractitionerId,
    pub practitioner_name: String,
    pub status: Status,
    pub version: i32,
    pub rating: i16,
    #[sqlx(flatten)]
    pub words: Sealed,
    pub rejected_for: Option<Rejection>,
    pub written_at: DateTime<Utc>,
}

/// Whether a session is the caller's own.
pub async fn is_own_session(tx: &mut Tx, id: ConsultationId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM app.consultations WHERE id = $1)")
        .bind(id)
        .fetch_one(tx.conn())
        .await?)
}

/// Which of some words are names that a moderator should look at.
pub async fn names_among(tx: &mut Tx, session: ConsultationId, words: &[String]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT app.names_among($1, $2)").bind(session).bind(words).fetch_all(tx.conn()).await?)
}

pub struct New<'a> {
    pub id: ReviewId,
    pub company_id: CompanyId,
    pub user_id: UserId,
    pub session: ConsultationId,
    pub rating: i16,
    pub words: &'a Sealed,
    pub at: DateTime<Utc>,
}

pub async fn insert(tx: &mut Tx, new: &New<'_>) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO app.reviews (id, company_id, consultation_id, user_id, rating, sealed, key_id, written_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.id)
    .bind(new.company_id)
    .bind(new.session)
    .bind(new.user_id)
    .bind(new.rating)
    .bind(&new.words.sealed)
    .bind(new.words.key_id)
    .bind(new.at)
    .execute(tx.conn())
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) => Err(match broken_constraint(&error) {
            Some("reviews_session_held") => Error::SessionNotHeld.into(),
            Some("reviews_once") => Error::ReviewExists.into(),
            _ => error.into(),
        }),
    }
}

pub async fn find_own(tx: &mut Tx, session: ConsultationId) -> Result<Option<KeptOwn>> {
    Ok(sqlx::query_as(
        "SELECT id, company_id, consultation_id, practitioner_id, status, version, rating, sealed, key_id, sealed_version,
                rejected_for, written_at
         FROM app.reviews WHERE consultation_id = $1 AND company_id = app.company_id()",
    )
    .bind(session)
    .fetch_optional(tx.conn())
    .await?)
}

/// The caller's own, by session.
pub async fn list_own(tx: &mut Tx, after: Option<ConsultationId>, most: usize) -> Result<Vec<KeptOwn>> {
    Ok(sqlx::query_as(
        "SELECT id, company_id, consultation_id, practitioner_id, status, version, rating, sealed, key_id, sealed_version,
                rejected_for, written_at
         FROM app.reviews
         WHERE user_id = app.user_id() AND company_id = app.company_id()
           AND consultation_id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)
         ORDER BY consultation_id LIMIT $2",
    )
    .bind(after)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(tx.conn())
    .await?)
}

/// Puts other words in the place of the known ones; they wait for a moderator. False: they were not the present ones.
pub async fn save(tx: &mut Tx, known: &KeptOwn, rating: i16, words: &Sealed, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE app.reviews SET status = 'pending', version = version + 1, rating = $3, sealed = $4, rejected_for = NULL,
                written_at = $5, moderated_at = NULL, key_id = $6, sealed_version = $7
         WHERE id = $1 AND version = $2",
    )
    .bind(known.id)
    .bind(known.version)
    .bind(rating)
    .bind(&words.sealed)
    .bind(at)
    .bind(words.key_id)
    .bind(words.sealed_version)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn delete(tx: &mut Tx, known: &KeptOwn) -> Result<bool> {
    let done = sqlx::query("DELETE FROM app.reviews WHERE id = $1 AND version = $2")
        .bind(known.id)
        .bind(known.version)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether the caller sees a practitioner.
pub async fn sees_practitioner(tx: &mut Tx, id: PractitionerId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM app.practitioners WHERE id = $1)")
        .bind(id)
        .fetch_one(tx.conn())
        .await?)
}

/// What was published of a practitioner, in the order of the random ids.
pub async fn list_shown(tx: &mut Tx, of: PractitionerId, after: Option<ReviewId>, fetch: i64) -> Result<Vec<Shown>> {
    Ok(sqlx::query_as(
        "SELECT id, rating, body FROM app.published_reviews
         WHERE practitioner_id = $1 AND id > coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid)
         ORDER BY id LIMIT $3",
    )
    .bind(of)
    .bind(after)
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// Where the queue of moderators goes on.
pub type Place = (DateTime<Utc>, ReviewId);

macro_rules! select_moderated {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.practitioner_id, p.display_name AS practitioner_name, r.status, r.version, r.rating, r.sealed,
                    r.key_id, r.sealed_version, r.rejected_for, r.written_at
             FROM app.reviews r JOIN app.practitioners p ON p.id = r.practitioner_id WHERE ",
            $rest
        )
    };
}

/// The ones of a status that were written first.
pub async fn list_moderated(
    tx: &mut Tx,
    status: Status,
    after: Option<Place>,
    fetch: i64,
) -> Result<Vec<KeptModerated>> {
    Ok(sqlx::query_as(select_moderated!(
        "r.status = $1 AND (r.written_at, r.id) > (coalesce($2::timestamptz, '-infinity'),
                                                   coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
         ORDER BY r.written_at, r.id LIMIT $4"
    ))
    .bind(status)
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

pub async fn find_moderated(tx: &mut Tx, id: ReviewId) -> Result<Option<KeptModerated>> {
    Ok(sqlx::query_as(select_moderated!("r.id = $1")).bind(id).fetch_optional(tx.conn()).await?)
}

/// What a moderator decides.
pub enum Verdict<'a> {
    /// With the words as they are to be read.
    Publish(&'a str),
    Reject(Rejection),
}

/// False: these were not the present words.
pub async fn moderate(tx: &mut Tx, known: &KeptModerated, verdict: Verdict<'_>, at: DateTime<Utc>) -> Result<bool> {
    let (status, words, reason) = match verdict {
        Verdict::Publish(words) => (Status::Published, Some(words), None),
        Verdict::Reject(reason) => (Status::Rejected, None, Some(reason)),
    };
    let outcome: String = sqlx::query_scalar("SELECT app.moderate_review($1, $2, $3, $4, $5, $6)")
        .bind(known.id)
        .bind(known.version)
        .bind(status)
        .bind(words)
        .bind(reason)
        .bind(at)
        .fetch_one(tx.conn())
        .await?;
    Ok(outcome == "done")
}
