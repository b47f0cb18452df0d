//! `/practitioners` and their weekly hours.

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{ApiResponse, Object, OpenApi, Tags};
use serde::Serialize;
use uuid::Uuid;

mod hours;

pub use hours::{AvailabilityAnswer, AvailabilityRequest};

use super::model::{Change, Check, Mode, Money, Practitioner, Private, Rating, Specialty, Status, Verification};
use super::service::{self, NewPractitioner};
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Etag, IdempotencyKey, Tagged};
use crate::platform::ids::{FileId, PractitionerId, UserId};
use crate::platform::locale::Locale;

#[derive(Tags)]
pub enum Tag {
    /// Care professionals: who they are, what they offer, when they work.
    Practitioners,
}

const EXAMPLE_ID: PractitionerId = PractitionerId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0b01));

/// A text in both languages.
#[derive(Clone, Debug, Default, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct BioBody {
    #[oai(default, validator(max_length = 5000))]
    fr: String,
    #[oai(default, validator(max_length = 5000))]
    en: String,
}

/// An amount in the currency's smallest unit, such as cents.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoneyBody {
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000")))]
    amount: i32,
    /// ISO 4217.
    #[oai(validator(pattern = "^[A-Z]{3}$"))]
    currency: String,
}

impl From<MoneyBody> for Money {
    fn from(it: MoneyBody) -> Self {
        Self { amount: it.amount, currency: it.currency }
    }
}

/// A practitioner to add.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct PractitionerRequest {
    /// Where the invitation goes, and what they log in with.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// The language of the invitation.
    #[oai(default)]
    locale: Locale,
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: String,
    /// The first one is what their consultations are counted under.
    #[oai(validator(min_items = 1, max_items = 6, unique_items))]
    specialties: Vec<Specialty>,
    /// ISO 639-1.
    #[oai(validator(min_items = 1, max_items = 20, unique_items))]
    languages: Vec<String>,
    #[oai(validator(min_items = 1, max_items = 3, unique_items))]
    modes: Vec<Mode>,
    #[oai(default)]
    bio: BioBody,
    /// The number in the French register RPPS: 11 digits, the last one a check digit.
    #[oai(validator(min_length = 1, max_length = 20))]
    rpps: Option<String>,
    /// The number in the older French register ADELI: 9 digits.
    #[oai(validator(min_length = 1, max_length = 20))]
    adeli: Option<String>,
    /// An IANA name: the zone of their weekly hours.
    #[oai(validator(min_length = 1, max_length = 64))]
    time_zone: String,
    /// The lengths that can be booked, in minutes: 15 to 240 each.
    #[oai(validator(min_items = 1, max_items = 8, unique_items))]
    session_lengths: Vec<i32>,
    /// Kept free before each session.
    #[oai(default, validator(minimum(value = "0"), maximum(value = "120")))]
    buffer_before_minutes: i32,
    /// Kept free after each session.
    #[oai(default, validator(minimum(value = "0"), maximum(value = "120")))]
    buffer_after_minutes: i32,
    /// The least time between booking and start.
    #[oai(default = "default_notice", validator(minimum(value = "0"), maximum(value = "20160")))]
    min_notice_minutes: i32,
    /// How many days ahead can be booked.
    #[oai(default = "default_horizon", validator(minimum(value = "1"), maximum(value = "365")))]
    horizon_days: i32,
    /// Bookings wait to be confirmed by hand: a day at most, and until two hours before the start.
    #[oai(default)]
    confirms_by_hand: bool,
    /// What the platform pays for an hour.
    hourly_rate: MoneyBody,
}

fn default_notice() -> i32 {
    120
}

fn default_horizon() -> i32 {
    60
}

impl Example for PractitionerRequest {
    fn example() -> Self {
        Self {
            email: "dr.martin@huntzen.test".into(),
            locale: Locale::Fr,
            display_name: "Dr Claire Martin".into(),
            specialties: vec![Specialty::Psychology, Specialty::Sleep],
            languages: vec!["fr".into(), "en".into()],
            modes: vec![Mode::Video, Mode::Audio],
            bio: BioBody { fr: "Psychologue clinicienne.".into(), en: "Clinical psychologist.".into() },
            rpps: Some("10003456786".into()),
            adeli: None,
            time_zone: "Europe/Paris".into(),
            session_lengths: vec![30, 60],
            buffer_before_minutes: 0,
            buffer_after_minutes: 10,
            min_notice_minutes: 120,
            horizon_days: 60,
            confirms_by_hand: false,
            hourly_rate: MoneyBody { amount: 9000, currency: "EUR".into() },
        }
    }
}

impl From<PractitionerRequest> for NewPractitioner {
    fn from(it: PractitionerRequest) -> Self {
        Self {
            profile: Practitioner {
                id: PractitionerId(Uuid::nil()),
                display_name: it.display_name,
                specialties: it.specialties,
                languages: it.languages,
                modes: it.modes,
                bio_fr: it.bio.fr,
                bio_en: it.bio.en,
                time_zone: it.time_zone,
                session_lengths: it.session_lengths,
                buffer_before_minutes: it.buffer_before_minutes,
                buffer_after_minutes: it.buffer_after_minutes,
                min_notice_minutes: it.min_notice_minutes,
                horizon_days: it.horizon_days,
                confirms_by_hand: it.confirms_by_hand,
                status: Status::Unverified,
                avatar_id: None,
                rating: None,
                private: Some(Private {
                    email: it.email,
                    rpps: it.rpps,
                    adeli: it.adeli,
                    hourly_rate: it.hourly_rate.into(),
                    verification: None,
                }),
                updated_at: chrono::DateTime::UNIX_EPOCH,
            },
            locale: it.locale,
        }
    }
}

/// What to change; what is absent stays.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct PractitionerChange {
    /// Of who is verified, by platform admins only.
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: Option<String>,
    /// Of who is verified, by platform admins only.
    #[oai(validator(min_items = 1, max_items = 6, unique_items))]
    specialties: Option<Vec<Specialty>>,
    #[oai(validator(min_items = 1, max_items = 20, unique_items))]
    languages: Option<Vec<String>>,
    #[oai(validator(min_items = 1, max_items = 3, unique_items))]
    modes: Option<Vec<Mode>>,
    /// Both languages are replaced.
    bio: Option<BioBody>,
    /// An IANA name. The weekly hours keep their wall-clock times and move with the zone.
    #[oai(validator(min_length = 1, max_length = 64))]
    time_zone: Option<String>,
    #[oai(validator(min_items = 1, max_items = 8, unique_items))]
    session_lengths: Option<Vec<i32>>,
    #[oai(validator(minimum(value = "0"), maximum(value = "120")))]
    buffer_before_minutes: Option<i32>,
    #[oai(validator(minimum(value = "0"), maximum(value = "120")))]
    buffer_after_minutes: Option<i32>,
    #[oai(validator(minimum(value = "0"), maximum(value = "20160")))]
    min_notice_minutes: Option<i32>,
    #[oai(validator(minimum(value = "1"), maximum(value = "365")))]
    horizon_days: Option<i32>,
    /// Whether bookings wait to be confirmed by hand. Those that wait already still do.
    confirms_by_hand: Option<bool>,
    /// By platform admins only. `null` takes it away, unless the practitioner was verified with it.
    #[oai(validator(min_length = 1, max_length = 20))]
    rpps: MaybeUndefined<String>,
    /// By platform admins only. `null` takes it away, unless the practitioner was verified with it.
    #[oai(validator(min_length = 1, max_length = 20))]
    adeli: MaybeUndefined<String>,
    /// By platform admins only.
    hourly_rate: Option<MoneyBody>,
}

/// What a field becomes: absent stays, `null` is taken away.
#[allow(clippy::option_option)] // absent, null and a value are three things
fn changed(value: MaybeUndefined<String>) -> Option<Option<String>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

impl Example for PractitionerChange {
    fn example() -> Self {
        Self {
            display_name: None,
            specialties: None,
            languages: Some(vec!["fr".into(), "en".into(), "es".into()]),
            modes: None,
            bio: None,
            time_zone: None,
            session_lengths: Some(vec![45, 60]),
            buffer_before_minutes: None,
            buffer_after_minutes: Some(15),
            min_notice_minutes: None,
            horizon_days: None,
            confirms_by_hand: None,
            rpps: MaybeUndefined::Undefined,
            adeli: MaybeUndefined::Undefined,
            hourly_rate: None,
        }
    }
}

impl From<PractitionerChange> for Change {
    fn from(it: PractitionerChange) -> Self {
        let (bio_fr, bio_en) = it.bio.map(|bio| (bio.fr, bio.en)).unzip();
        Self {
            display_name: it.display_name,
            specialties: it.specialties,
            languages: it.languages,
            modes: it.modes,
            bio_fr,
            bio_en,
            time_zone: it.time_zone,
            session_lengths: it.session_lengths,
            buffer_before_minutes: it.buffer_before_minutes,
            buffer_after_minutes: it.buffer_after_minutes,
            min_notice_minutes: it.min_notice_minutes,
            horizon_days: it.horizon_days,
            confirms_by_hand: it.confirms_by_hand,
            rpps: changed(it.rpps),
            adeli: changed(it.adeli),
            hourly_rate: it.hourly_rate.map(Into::into),
        }
    }
}

/// A practitioner. Address, register numbers and rate are shown to themselves and to platform admins only.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct PractitionerAnswer {
    id: PractitionerId,
    display_name: String,
    /// The first one is what their consultations are counted under.
    specialties: Vec<Specialty>,
    /// ISO 639-1.
    languages: Vec<String>,
    modes: Vec<Mode>,
    bio: BioBody,
    /// An IANA name: the zone of their weekly hours.
    time_zone: String,
    /// Minutes.
    session_lengths: Vec<i32>,
    buffer_before_minutes: i32,
    buffer_after_minutes: i32,
    min_notice_minutes: i32,
    horizon_days: i32,
    /// Whether bookings wait until they are confirmed by hand.
    confirms_by_hand: bool,
    status: Status,
    /// Their picture, fetched with an access token.
    avatar_url: Option<String>,
    /// What clients say of them on average, 1 to 5, from three reviews on.
    rating: Option<f64>,
    /// How many reviews that is.
    review_count: Option<i32>,
    email: Option<String>,
    rpps: Option<String>,
    adeli: Option<String>,
    hourly_rate: Option<MoneyBody>,
    /// Shown to themselves and to platform admins. Absent where nobody has verified them yet.
    verification: Option<PractitionerVerification>,
}

/// That the platform has verified a practitioner.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct PractitionerVerification {
    verified_at: DateTime<Utc>,
    /// What was looked at. `earlier`: they were there before this was recorded.
    checks: Vec<Check>,
    /// The account of the admin who verified them; platform admins see it.
    verified_by: Option<UserId>,
}

impl From<Verification> for PractitionerVerification {
    fn from(it: Verification) -> Self {
        Self { verified_at: it.at, checks: it.checks, verified_by: it.by }
    }
}

impl From<Practitioner> for PractitionerAnswer {
    fn from(it: Practitioner) -> Self {
        let (email, rpps, adeli, rate, verification) = match it.private {
            Some(it) => (Some(it.email), it.rpps, it.adeli, Some(it.hourly_rate), it.verification),
            None => (None, None, None, None, None),
        };
        Self {
            id: it.id,
            display_name: it.display_name,
            specialties: it.specialties,
            languages: it.languages,
            modes: it.modes,
            bio: BioBody { fr: it.bio_fr, en: it.bio_en },
            time_zone: it.time_zone,
            session_lengths: it.session_lengths,
            buffer_before_minutes: it.buffer_before_minutes,
            buffer_after_minutes: it.buffer_after_minutes,
            min_notice_minutes: it.min_notice_minutes,
            horizon_days: it.horizon_days,
            confirms_by_hand: it.confirms_by_hand,
            status: it.status,
            avatar_url: it.avatar_id.map(FileId::url),
            rating: it.rating.map(Rating::stars),
            review_count: it.rating.map(|it| it.reviews),
            email,
            rpps,
            adeli,
            hourly_rate: rate.map(|rate| MoneyBody { amount: rate.amount, currency: rate.currency }),
            verification: verification.map(Into::into),
        }
    }
}

impl Example for PractitionerAnswer {
    fn example() -> Self {
        let mut it = NewPractitioner::from(PractitionerRequest::example()).profile;
        it.id = EXAMPLE_ID;
        it.status = Status::Active;
        it.rating = Some(Rating { tenths: 47, reviews: 12 });
        it.avatar_id = Some(FileId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0af1)));
        if let Some(private) = &mut it.private {
            private.verification = Some(Verification {
                at: DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default(),
                by: Some(UserId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a01))),
                checks: vec![Check::Identity, Check::Rpps],
            });
        }
        it.into()
    }
}

/// What was looked at.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct VerificationRequest {
    /// At least one. A register can be named only where the practitioner has a number in it, and must be for psychology
    /// and physiotherapy, which are registered professions.
    #[oai(validator(min_items = 1, max_items = 5, unique_items))]
    checks: Vec<Check>,
}

impl Example for VerificationRequest {
    fn example() -> Self {
        Self { checks: vec![Check::Identity, Check::Rpps, Check::Insurance] }
    }
}

/// What became of a practitioner's bookings.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct DeactivationAnswer {
    status: Status,
    /// Sessions that were booked before and are yet to begin.
    sessions_ahead: i64,
    /// Whether these are being cancelled, and both people of each told by mail. Otherwise they stay, and take place.
    cancelling: bool,
}

impl Example for DeactivationAnswer {
    fn example() -> Self {
        Self { status: Status::Inactive, sessions_ahead: 3, cancelling: false }
    }
}

#[derive(ApiResponse)]
pub enum CreatedPractitioner {
    /// The practitioner was added and is invited by mail.
    #[oai(status = 201)]
    Created(
        Json<PractitionerAnswer>,
        /// The version, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

pub struct PractitionersApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Practitioners")]
impl PractitionersApi {
    /// Add a practitioner
    ///
    /// Makes the account and the profile, and sends an invitation by mail. For an address whose practitioner was invited
    /// and has not come yet, it sends a new link and answers with the profile as it is. The practitioner can be booked once
    /// they are verified and have set their weekly hours.
    #[oai(path = "/practitioners", method = "post", operation_id = "createPractitioner")]
    async fn create(
        &self,
        cx: Authorized<perm::CreatePractitioner>,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<PractitionerRequest>,
    ) -> Result<CreatedPractitioner> {
        let key = IdempotencyKey::new(idempotency_key.0, "createPractitioner", &body.0)?;
        let made = service::create(&cx, key.as_ref(), body.0.into()).await?;
        let etag = Etag::of(made.updated_at);
        Ok(CreatedPractitioner::Created(Json(made.into()), etag.as_str().to_owned()))
    }

    /// A practitioner
    ///
    /// The public profile; practitioners themselves and platform admins also get address, register numbers and rate.
    #[oai(path = "/practitioners/:id", method = "get", operation_id = "getPractitioner")]
    async fn get(
        &self,
        cx: Authorized<perm::ReadPractitioner>,
        id: Path<PractitionerId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<PractitionerAnswer>> {
        let it = service::get(&cx, id.0).await?;
        let etag = Etag::of(it.updated_at);
        Ok(Tagged::new(it.into(), &etag, if_none_match.0.as_deref()))
    }

    /// Change a practitioner
    ///
    /// By themselves or by a platform admin. Register numbers and rate are the platform's to change, and so are name and
    /// specialties once somebody is verified: that is what was verified. Sessions that are booked already stay as they are,
    /// with their lengths, modes and buffers: `listAvailabilityConflicts` tells the practitioner which of them are not on
    /// offer any more.
    #[oai(path = "/practitioners/:id", method = "patch", operation_id = "updatePractitioner")]
    async fn update(
        &self,
        cx: Authorized<perm::UpdatePractitioner>,
        id: Path<PractitionerId>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<PractitionerChange>,
    ) -> Result<Tagged<PractitionerAnswer>> {
        let it = service::change(&cx, id.0, body.0.into(), if_match.0.as_deref()).await?;
        let etag = Etag::of(it.updated_at);
        Ok(Tagged::new(it.into(), &etag, None))
    }

    /// Verify a practitioner
    ///
    /// Notes what was looked at, by whom and when, and lets a practitioner who waited for it be found and booked. Asked
    /// again, it replaces what was noted before; an inactive practitioner stays inactive. With `If-Match`, nobody is
    /// verified who has changed their profile since it was looked at.
    #[oai(path = "/practitioners/:id/verify", method = "post", operation_id = "verifyPractitioner")]
    async fn verify(
        &self,
        cx: Authorized<perm::VerifyPractitioner>,
        id: Path<PractitionerId>,
        /// The version that was looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<VerificationRequest>,
    ) -> Result<Json<PractitionerAnswer>> {
        Ok(Json(service::verify(&cx, id.0, &body.checks, if_match.0.as_deref()).await?.into()))
    }

    /// Deactivate a practitioner
    ///
    /// Nobody finds or books them any more. What is booked already stays and takes place, and the answer counts it,
    /// unless `cancelSessions` is set: then it is cancelled, and both people of each session are told by mail. Asked
    /// again, it changes nothing, but can still cancel what stayed.
    #[oai(path = "/practitioners/:id/deactivate", method = "post", operation_id = "deactivatePractitioner")]
    async fn deactivate(
        &self,
        cx: Authorized<perm::VerifyPractitioner>,
        id: Path<PractitionerId>,
        /// Whether what is booked is cancelled.
        #[oai(name = "cancelSessions", default)]
        cancel_sessions: Query<bool>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Json<DeactivationAnswer>> {
        let key = IdempotencyKey::new(idempotency_key.0, "deactivatePractitioner", &(id.0, cancel_sessions.0))?;
        let ahead = service::deactivate(&cx, key.as_ref(), id.0, cancel_sessions.0).await?;
        let cancelling = cancel_sessions.0 && ahead > 0;
        Ok(Json(DeactivationAnswer { status: Status::Inactive, sessions_ahead: ahead, cancelling }))
    }

    /// Reactivate a practitioner
    ///
    /// Who was verified can be found and booked again; who was not waits for that. What was cancelled stays cancelled.
    #[oai(path = "/practitioners/:id/reactivate", method = "post", operation_id = "reactivatePractitioner")]
    async fn reactivate(
        &self,
        cx: Authorized<perm::VerifyPractitioner>,
        id: Path<PractitionerId>,
    ) -> Result<Json<PractitionerAnswer>> {
        Ok(Json(service::reactivate(&cx, id.0).await?.into()))
    }

    /// Weekly hours
    ///
    /// One's own; platform admins read everybody's.
    #[oai(path = "/practitioners/:id/availability", method = "get", operation_id = "getAvailability")]
    async fn availability(
        &self,
        cx: Authorized<perm::ReadAvailability>,
        id: Path<PractitionerId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<AvailabilityAnswer>> {
        let it = service::availability(&cx, id.0).await?;
        let etag = Etag::of(it.version);
        Ok(Tagged::new(it.into(), &etag, if_none_match.0.as_deref()))
    }
}
