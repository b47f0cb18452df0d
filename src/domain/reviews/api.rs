//! `/consultations/{id}/review`, `/practitioners/{id}/reviews`, `/admin/reviews`.

use chrono::{DateTime, NaiveDate, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi, Tags};
use serde::Serialize;
use uuid::Uuid;

use super::model::{Mark, Moderated, Own, Rejection, Shown, Status};
use super::service;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::crypto::health_text::{HealthText, never_shown};
use crate::platform::http::idempotency::{Fingerprint, Print};
use crate::platform::http::{Body, Etag, IdempotencyKey, Page, PageQuery, Tagged};
use crate::platform::ids::{ConsultationId, PractitionerId, ReviewId};

#[derive(Tags)]
enum Tag {
    /// What employees say of sessions that were held.
    Reviews,
}

const SESSION: ConsultationId = ConsultationId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0c01));
const PRACTITIONER: PractitionerId = PractitionerId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0b01));
const REVIEW: ReviewId = ReviewId(Uuid::from_u128(0x6f1c_52d0_8e4b_4a77_b3d9_51c2_9be0_7f44));

fn words() -> HealthText {
    HealthText::new("I felt listened to from the first minute.".into())
}

/// Stars and words.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ReviewRequest {
    /// 1 to 5.
    #[oai(validator(minimum(value = "1"), maximum(value = "5")))]
    rating: i16,
    /// Without names, please: everybody who sees the practitioner reads it.
    #[oai(validator(min_length = 1, max_length = 2000, pattern = r"\S"))]
    text: HealthText,
}

impl Fingerprint for ReviewRequest {
    fn print(&self, into: &mut Print) -> Result<()> {
        let Self { rating, text } = self;
        into.plain(rating)?;
        into.words(text);
        Ok(())
    }
}

never_shown!(ReviewRequest, ReviewPatch);

impl Example for ReviewRequest {
    fn example() -> Self {
        Self { rating: 5, text: words() }
    }
}

/// A change; what is absent stays.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ReviewPatch {
    /// 1 to 5.
    #[oai(validator(minimum(value = "1"), maximum(value = "5")))]
    rating: Option<i16>,
    #[oai(validator(min_length = 1, max_length = 2000, pattern = r"\S"))]
    text: Option<HealthText>,
}

impl Example for ReviewPatch {
    fn example() -> Self {
        Self { rating: Some(4), text: None }
    }
}

/// A review of one's own.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct OwnReview {
    consultation_id: ConsultationId,
    practitioner_id: PractitionerId,
    status: Status,
    rating: i16,
    /// Absent where it does not open; the operator is told.
    text: Option<HealthText>,
    /// Of a rejected one: why.
    rejected_for: Option<Rejection>,
    written_at: DateTime<Utc>,
}

impl From<Own> for OwnReview {
    fn from(it: Own) -> Self {
        let Own { consultation_id, practitioner_id, status, rating, text, rejected_for, written_at, .. } = it;
        Self { consultation_id, practitioner_id, status, rating, text, rejected_for, written_at }
    }
}

impl Example for OwnReview {
    fn example() -> Self {
        Self {
            consultation_id: SESSION,
            practitioner_id: PRACTITIONER,
            status: Status::Pending,
            rating: 5,
            text: Some(words()),
            rejected_for: None,
            written_at: DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default(),
        }
    }
}

/// What was published: neither who wrote it nor when.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct PublishedReview {
    rating: i16,
    text: String,
}

impl From<Shown> for PublishedReview {
    fn from(it: Shown) -> Self {
        Self { rating: it.rating, text: it.body }
    }
}

impl Example for PublishedReview {
    fn example() -> Self {
        Self { rating: 5, text: words().expose().to_owned() }
    }
}

/// A place in a text, counted in characters (Unicode code points).
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct MarkAnswer {
    /// The first one, from 0.
    from: usize,
    /// The one after the last.
    to: usize,
}

/// Whom it is about.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ReviewedPractitioner {
    id: PractitionerId,
    display_name: String,
}

/// A review as moderators read it: without its author.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct ModeratedReview {
    id: ReviewId,
    practitioner: ReviewedPractitioner,
    status: Status,
    /// Grows with each change. `"3"`, in quotes, is its `ETag`.
    version: i32,
    rating: i16,
    /// Absent where it does not open.
    text: Option<HealthText>,
    /// What in the text may tell who somebody is: names of the author, of the practitioner, of people in the author's
    /// company; addresses; telephone numbers. It is not said whose a name is.
    marks: Vec<MarkAnswer>,
    rejected_for: Option<Rejection>,
    /// The day on which it was written.
    written_on: NaiveDate,
}

impl From<Moderated> for ModeratedReview {
    fn from(it: Moderated) -> Self {
        let mark = |Mark { from, to }| MarkAnswer { from, to };
        Self {
            id: it.id,
            practitioner: ReviewedPractitioner { id: it.practitioner_id, display_name: it.practitioner_name },
            status: it.status,
            version: it.version,
            rating: it.rating,
            text: it.text,
            marks: it.marks.into_iter().map(mark).collect(),
            rejected_for: it.rejected_for,
            written_on: it.written_at.date_naive(),
        }
    }
}

impl Example for ModeratedReview {
    fn example() -> Self {
        Self {
            id: REVIEW,
            practitioner: ReviewedPractitioner { id: PRACTITIONER, display_name: "Dr Claire Martin".into() },
            status: Status::Pending,
            version: 1,
            rating: 5,
            text: Some(HealthText::new("Thank you, Claire!".into())),
            marks: vec![MarkAnswer { from: 11, to: 17 }],
            rejected_for: None,
            written_on: NaiveDate::from_ymd_opt(2026, 11, 24).unwrap_or_default(),
        }
    }
}

/// Why a review is not published.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct RejectionRequest {
    /// Its author is told.
    reason: Rejection,
}

impl Example for RejectionRequest {
    fn example() -> Self {
        Self { reason: Rejection::NamesSomebody }
    }
}

#[derive(ApiResponse)]
pub enum ReviewWritten {
    /// It waits for a moderator.
    #[oai(status = 201)]
    Written(
        Json<OwnReview>,
        /// Its version.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum ReviewDeleted {
    /// Nothing of it is left.
    #[oai(status = 204)]
    Deleted,
}

fn tagged(it: Own, if_none_match: Option<&str>) -> Tagged<OwnReview> {
    let etag = Etag::of_version(it.version);
    Tagged::new(it.into(), &etag, if_none_match)
}

fn moderated(it: Moderated, if_none_match: Option<&str>) -> Tagged<ModeratedReview> {
    let etag = Etag::of_version(it.version);
    Tagged::new(it.into(), &etag, if_none_match)
}

pub struct ReviewsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Reviews")]
impl ReviewsApi {
    /// Review a session
    ///
    /// One that was held (`409 session_not_held`), once (`409 review_exists`). It is shown when a moderator has read it:
    /// without its author, without a date, in no order of time.
    #[oai(path = "/consultations/:id/review", method = "post", operation_id = "writeReview")]
    async fn write(
        &self,
        cx: Authorized<perm::WriteReview>,
        id: Path<ConsultationId>,
        /// Makes a repetition safe: for 24 hours the same key writes once. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<ReviewRequest>,
    ) -> Result<ReviewWritten> {
        let key = IdempotencyKey::of(key.0, "writeReview", &id.0, &body.0)?;
        let ReviewRequest { rating, text } = body.0;
        let it = service::write(&cx, id.0, rating, &text, key.as_ref()).await?;
        let etag = Etag::of_version(it.version).as_str().to_owned();
        Ok(ReviewWritten::Written(Json(it.into()), etag))
    }

    /// Read one's own review of a session
    #[oai(path = "/consultations/:id/review", method = "get", operation_id = "getOwnReview")]
    async fn own(
        &self,
        cx: Authorized<perm::WriteReview>,
        id: Path<ConsultationId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<OwnReview>> {
        Ok(tagged(service::read_own(&cx, id.0).await?, if_none_match.0.as_deref()))
    }

    /// Change one's own review of a session
    ///
    /// It waits for a moderator again, and is not shown meanwhile.
    #[oai(path = "/consultations/:id/review", method = "patch", operation_id = "changeReview")]
    async fn change(
        &self,
        cx: Authorized<perm::WriteReview>,
        id: Path<ConsultationId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<ReviewPatch>,
    ) -> Result<Tagged<OwnReview>> {
        let ReviewPatch { rating, text } = body.0;
        let it = service::change(&cx, id.0, rating, text.as_ref(), if_match.0.as_deref()).await?;
        Ok(tagged(it, None))
    }

    /// Take one's own review of a session back
    ///
    /// Nothing of it is left; another one can be written.
    #[oai(path = "/consultations/:id/review", method = "delete", operation_id = "deleteReview")]
    async fn delete(
        &self,
        cx: Authorized<perm::WriteReview>,
        id: Path<ConsultationId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<ReviewDeleted> {
        service::take_back(&cx, id.0, if_match.0.as_deref()).await?;
        Ok(ReviewDeleted::Deleted)
    }

    /// Read what was published of a practitioner
    ///
    /// Whom the caller sees; practitioners read what was published of themselves. In an order that has nothing to do with
    /// time. The average is in the practitioner's profile, from three reviews on.
    #[oai(path = "/practitioners/:id/reviews", method = "get", operation_id = "listReviews")]
    async fn list(
        &self,
        cx: Authorized<perm::ReadReviews>,
        id: Path<PractitionerId>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<PublishedReview>>> {
        let page: PageQuery<ReviewId> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::list(&cx, id.0, &page).await?;
        Ok(Json(Page::new(&page, rows, |row| row.id, PublishedReview::from)))
    }

    /// List reviews to moderate
    ///
    /// Without their authors: the one that was written first comes first.
    #[oai(path = "/admin/reviews", method = "get", operation_id = "listModeratedReviews")]
    async fn queue(
        &self,
        cx: Authorized<perm::ModerateReviews>,
        /// `pending` unless said.
        status: Query<Option<Status>>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<ModeratedReview>>> {
        let page: PageQuery<(DateTime<Utc>, ReviewId)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::queue(&cx, status.0.unwrap_or_default(), &page).await?;
        Ok(Json(Page::new(&page, rows, |row| (row.written_at, row.id), ModeratedReview::from)))
    }

    /// Read a review to moderate
    #[oai(path = "/admin/reviews/:id", method = "get", operation_id = "getModeratedReview")]
    async fn moderated(
        &self,
        cx: Authorized<perm::ModerateReviews>,
        id: Path<ReviewId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<ModeratedReview>> {
        Ok(moderated(service::moderate(&cx, id.0).await?, if_none_match.0.as_deref()))
    }

    /// Publish a review
    ///
    /// `If-Match` says which words were read: others are not published (`412 stale`).
    #[oai(path = "/admin/reviews/:id/publish", method = "post", operation_id = "publishReview")]
    async fn publish(
        &self,
        cx: Authorized<perm::ModerateReviews>,
        id: Path<ReviewId>,
        /// The version that was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Tagged<ModeratedReview>> {
        Ok(moderated(service::publish(&cx, id.0, if_match.0.as_deref()).await?, None))
    }

    /// Reject a review
    ///
    /// Also one that was published: it is shown no more. Its author learns why, and may change it.
    #[oai(path = "/admin/reviews/:id/reject", method = "post", operation_id = "rejectReview")]
    async fn reject(
        &self,
        cx: Authorized<perm::ModerateReviews>,
        id: Path<ReviewId>,
        /// The version that was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<RejectionRequest>,
    ) -> Result<Tagged<ModeratedReview>> {
        Ok(moderated(service::reject(&cx, id.0, body.0.reason, if_match.0.as_deref()).await?, None))
    }
}
