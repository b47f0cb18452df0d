//! `/practitioners`, as a list.

use chrono::{DateTime, Utc};
use poem_openapi::param::Query as Param;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::model::{Found, Sort};
use super::service::{self, Query};
use crate::domain::practitioners::api::Tag;
use crate::domain::practitioners::model::Rating;
use crate::domain::practitioners::{Filter, Mode, Specialty, Status};
use crate::platform::Result;
use crate::platform::auth::{Authorized, Role, perm};
use crate::platform::http::Page;
use crate::platform::ids::{FileId, PractitionerId};

/// Words that are looked for; more narrow nothing.
const MOST_WORDS: usize = 8;

/// A practitioner in a list.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct PractitionerItem {
    id: PractitionerId,
    display_name: String,
    specialties: Vec<Specialty>,
    languages: Vec<String>,
    modes: Vec<Mode>,
    /// When the caller could have the first session, of the practitioner's shortest length. Absent where nothing is free
    /// within the horizon, and for those who do not book.
    next_free_at: Option<DateTime<Utc>>,
    /// Shown to platform admins.
    status: Option<Status>,
    /// Their picture, fetched with an access token.
    avatar_url: Option<String>,
    /// What clients say of them on average, 1 to 5, from three reviews on.
    rating: Option<f64>,
    /// How many reviews that is.
    review_count: Option<i32>,
}

impl PractitionerItem {
    pub fn of(it: Found, role: Role) -> Self {
        Self {
            id: it.listed.id,
            display_name: it.listed.display_name,
            specialties: it.listed.specialties,
            languages: it.listed.languages,
            modes: it.listed.modes,
            next_free_at: it.next_free_at,
            status: (role == Role::PlatformAdmin).then_some(it.listed.status),
            avatar_url: it.listed.avatar_id.map(FileId::url),
            rating: it.listed.rating.map(Rating::stars),
            review_count: it.listed.rating.map(|it| it.reviews),
        }
    }
}

impl Example for PractitionerItem {
    fn example() -> Self {
        Self {
            id: PractitionerId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0b01)),
            display_name: "Dr Claire Martin".into(),
            specialties: vec![Specialty::Psychology, Specialty::Sleep],
            languages: vec!["fr".into(), "en".into()],
            modes: vec![Mode::Video, Mode::Audio],
            next_free_at: DateTime::from_timestamp(1_795_527_000, 0),
            status: None,
            avatar_url: Some(FileId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0af1)).url()),
            rating: Some(4.7),
            review_count: Some(12),
        }
    }
}

pub struct DirectoryApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Practitioners")]
impl DirectoryApi {
    /// List practitioners
    ///
    /// Active practitioners: employees and HR see their company's network, company admins everybody whom they may choose
    /// for it; platform admins also those who wait to be verified or take no bookings any more. By name, by what clients
    /// say, or who has time first. Pages by time show everybody once, although times move between two of them; they end after the thousand
    /// who have time first. A page of those who are free before a time may hold fewer than `limit`, even none, and still
    /// have a next one.
    #[oai(path = "/practitioners", method = "get", operation_id = "listPractitioners")]
    #[allow(clippy::too_many_arguments)] // one for each parameter of the query
    async fn list(
        &self,
        cx: Authorized<perm::ListPractitioners>,
        /// Who offer this field of care.
        specialty: Param<Option<Specialty>>,
        /// Who speak this language (ISO 639-1).
        #[oai(validator(pattern = "^[a-z]{2}$"))]
        language: Param<Option<String>>,
        /// Who hold sessions in this way.
        mode: Param<Option<Mode>>,
        /// Words that all occur in name, bio or fields of care (in French or English), in any order; accents, case and
        /// small slips in longer words do not matter.
        #[oai(validator(max_length = 100))]
        q: Param<Option<String>>,
        /// Who have a free session that starts before this instant. For employees and platform admins.
        #[oai(name = "freeBefore")]
        free_before: Param<Option<DateTime<Utc>>>,
        /// `next_free`, for employees and platform admins: who has time first; `rating`: of whom clients say the best. By
        /// name unless said.
        sort: Param<Option<Sort>>,
        /// For platform admins, who otherwise see practitioners in every state. Others see active ones.
        status: Param<Option<Status>>,
        /// 1–100; 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Param<Option<u32>>,
        /// `nextCursor` of the page before, of the same order.
        cursor: Param<Option<String>>,
    ) -> Result<Json<Page<PractitionerItem>>> {
        let words = q.0.as_deref().unwrap_or_default().split_whitespace().take(MOST_WORDS).map(ToOwned::to_owned);
        let filter = Filter {
            specialty: specialty.0,
            language: language.0,
            mode: mode.0,
            words: words.collect(),
            question: None,
            status: status.0,
            network_only: false,
        };
        let query = Query {
            filter,
            free_before: free_before.0,
            sort: sort.0.unwrap_or_default(),
            limit: limit.0,
            cursor: cursor.0,
        };
        let found = service::search(&cx, query).await?;
        let role = cx.caller().role;
        let items = found.items.into_iter().map(|it| PractitionerItem::of(it, role)).collect();
        Ok(Json(Page { items, next_cursor: found.next_cursor }))
    }
}
