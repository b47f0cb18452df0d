//! `/practitioners/{id}/waitlist` and `/me/waitlist`.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::model::{Entry, Offered, Wishes};
use super::service;
use crate::domain::consultations::api::Tag;
use crate::domain::practitioners::Mode;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, IdempotencyKey};
use crate::platform::ids::PractitionerId;

/// What one waits for. What is absent is any.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct WaitlistRequest {
    /// At least one of these must be possible.
    #[oai(validator(min_items = 1, max_items = 3, unique_items))]
    modes: Option<Vec<Mode>>,
    /// One of the practitioner's session lengths.
    #[oai(validator(minimum(value = "5"), maximum(value = "480")))]
    duration_minutes: Option<i32>,
    /// Days of the week by one’s own clock, from 1 (Monday) to 7.
    #[oai(validator(min_items = 1, max_items = 7, unique_items, minimum(value = "1"), maximum(value = "7")))]
    weekdays: Option<Vec<i16>>,
    /// Sessions that begin later are of no use; the wait ends then. A year ahead at most.
    until: Option<DateTime<Utc>>,
}

impl From<WaitlistRequest> for Wishes {
    fn from(it: WaitlistRequest) -> Self {
        let WaitlistRequest { modes, duration_minutes, weekdays, until } = it;
        Self { modes, duration_minutes, weekdays, until }
    }
}

impl Example for WaitlistRequest {
    fn example() -> Self {
        Self { modes: Some(vec![Mode::Video]), duration_minutes: None, weekdays: Some(vec![1, 3]), until: None }
    }
}

/// A time that is kept for the one who is asked, and for nobody else.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
#[allow(clippy::struct_field_names)] // the names of the API
pub struct WaitlistOfferAnswer {
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    offered_at: DateTime<Utc>,
    /// Until when it is kept. Then the next is asked.
    expires_at: DateTime<Utc>,
}

impl From<Offered> for WaitlistOfferAnswer {
    fn from(it: Offered) -> Self {
        let Offered { starts_at, ends_at, offered_at, expires_at } = it;
        Self { starts_at, ends_at, offered_at, expires_at }
    }
}

impl Example for WaitlistOfferAnswer {
    fn example() -> Self {
        let offered_at = example_time();
        let starts_at = offered_at + TimeDelta::days(2);
        Self {
            starts_at,
            ends_at: starts_at + TimeDelta::minutes(45),
            offered_at,
            expires_at: offered_at + TimeDelta::hours(2),
        }
    }
}

/// One’s own place in a practitioner’s line.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct WaitlistAnswer {
    practitioner_id: PractitionerId,
    /// Absent where the practitioner takes no bookings of the company any more.
    practitioner_name: Option<String>,
    joined_at: DateTime<Utc>,
    modes: Option<Vec<Mode>>,
    duration_minutes: Option<i32>,
    weekdays: Option<Vec<i16>>,
    until: Option<DateTime<Utc>>,
    /// What is kept for one at the moment.
    offer: Option<WaitlistOfferAnswer>,
}

impl From<Entry> for WaitlistAnswer {
    fn from(it: Entry) -> Self {
        let Wishes { modes, duration_minutes, weekdays, until } = it.wishes;
        Self {
            practitioner_id: it.practitioner_id,
            practitioner_name: it.practitioner_name,
            joined_at: it.joined_at,
            modes,
            duration_minutes,
            weekdays,
            until,
            offer: it.offer.map(Into::into),
        }
    }
}

fn example_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default()
}

impl Example for WaitlistAnswer {
    fn example() -> Self {
        let WaitlistRequest { modes, duration_minutes, weekdays, until } = WaitlistRequest::example();
        Self {
            practitioner_id: PractitionerId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a0a)),
            practitioner_name: Some("Dr Claire Martin".into()),
            joined_at: example_time() - TimeDelta::days(3),
            modes,
            duration_minutes,
            weekdays,
            until,
            offer: Some(WaitlistOfferAnswer::example()),
        }
    }
}

/// Every line in which one stands.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct WaitlistsAnswer {
    /// In the order of joining; ten at most.
    items: Vec<WaitlistAnswer>,
}

impl Example for WaitlistsAnswer {
    fn example() -> Self {
        Self { items: vec![WaitlistAnswer::example()] }
    }
}

#[derive(ApiResponse)]
pub enum JoinedWaitlist {
    /// Waiting from now on. A repetition with the same key gets the same answer.
    #[oai(status = 201)]
    Joined(Json<WaitlistAnswer>),
    /// Waiting already: the place is kept, the wishes are these.
    #[oai(status = 200)]
    Waiting(Json<WaitlistAnswer>),
}

#[derive(ApiResponse)]
pub enum LeftWaitlist {
    /// Waiting no more.
    #[oai(status = 204)]
    Left,
}

#[derive(ApiResponse)]
pub enum DeclinedOffer {
    /// The next is asked.
    #[oai(status = 204)]
    Declined,
}

pub struct WaitlistApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Consultations")]
impl WaitlistApi {
    /// Wait for a practitioner’s time
    ///
    /// What others give back is kept and offered to those who wait, one after the other in the order of joining: each
    /// has two hours, or a quarter of what is left until the practitioner’s notice, to book it with `POST /consultations`.
    /// Until then nobody else can. Who is asked gets a mail. Only times that one could book are offered. Who declines a time
    /// keeps their place and is not asked about it again; after three offers in a row without an answer one leaves the
    /// line. Who waits already keeps their place, with these wishes (200). On ten lists at most: `409 too_many_waitlists`. Refused as a booking is:
    /// `409 quota_exhausted`, `403 company_suspended`, `contract_ended` or `not_covered`; a practitioner who takes no
    /// bookings of the company is not found. A booking with the practitioner ends the wait.
    #[oai(path = "/practitioners/:id/waitlist", method = "post", operation_id = "joinWaitlist")]
    async fn join(
        &self,
        cx: Authorized<perm::UseWaitlist>,
        /// The practitioner.
        id: Path<PractitionerId>,
        /// Makes a repetition safe: for 24 hours the same key gets the same answer. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<WaitlistRequest>,
    ) -> Result<JoinedWaitlist> {
        let wishes = Wishes::from(body.0);
        let key = IdempotencyKey::new(key.0, "joinWaitlist", &(id.0, &wishes))?;
        let joined = service::join(&cx, id.0, &wishes, key.as_ref()).await?;
        let answer = Json(joined.entry.into());
        Ok(if joined.is_new { JoinedWaitlist::Joined(answer) } else { JoinedWaitlist::Waiting(answer) })
    }

    /// One’s own place in a practitioner’s line
    ///
    /// With the time that is kept for one, if there is one. Who else waits, and how many, is shown to nobody. Not found
    /// where one does not wait.
    #[oai(path = "/practitioners/:id/waitlist", method = "get", operation_id = "getWaitlist")]
    async fn get(
        &self,
        cx: Authorized<perm::UseWaitlist>,
        /// The practitioner.
        id: Path<PractitionerId>,
    ) -> Result<Json<WaitlistAnswer>> {
        Ok(Json(service::find(&cx, id.0).await?.into()))
    }

    /// Wait no more
    ///
    /// What is kept for one goes to the next.
    #[oai(path = "/practitioners/:id/waitlist", method = "delete", operation_id = "leaveWaitlist")]
    async fn leave(
        &self,
        cx: Authorized<perm::UseWaitlist>,
        /// The practitioner.
        id: Path<PractitionerId>,
    ) -> Result<LeftWaitlist> {
        service::leave(&cx, id.0).await?;
        Ok(LeftWaitlist::Left)
    }

    /// Decline what is kept for one
    ///
    /// It goes to the next at once. One keeps one’s place, and is not asked about that time again. Not found where nothing
    /// is offered.
    #[oai(path = "/practitioners/:id/waitlist/offer", method = "delete", operation_id = "declineWaitlistOffer")]
    async fn decline(
        &self,
        cx: Authorized<perm::UseWaitlist>,
        /// The practitioner.
        id: Path<PractitionerId>,
    ) -> Result<DeclinedOffer> {
        service::decline(&cx, id.0).await?;
        Ok(DeclinedOffer::Declined)
    }

    /// Every line in which one stands
    #[oai(path = "/me/waitlist", method = "get", operation_id = "listOwnWaitlists")]
    async fn list(&self, cx: Authorized<perm::UseWaitlist>) -> Result<Json<WaitlistsAnswer>> {
        let items = service::list(&cx).await?.into_iter().map(WaitlistAnswer::from).collect();
        Ok(Json(WaitlistsAnswer { items }))
    }
}
