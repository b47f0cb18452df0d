//! `/privacy/exports`.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use poem::Body as Stream;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use super::model::{Copy, Status};
use super::service;
use crate::domain::privacy::Tag;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{IdempotencyKey, Page, PageQuery};
use crate::platform::ids::PrivacyRequestId;

/// A copy of one's data.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct CopyAnswer {
    id: PrivacyRequestId,
    status: Status,
    /// How far it is, 0 to 100.
    percent: i32,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    /// From then on the file is gone.
    expires_at: Option<DateTime<Utc>>,
    size_bytes: Option<i64>,
}

impl From<Copy> for CopyAnswer {
    fn from(it: Copy) -> Self {
        Self {
            percent: it.percent(),
            id: it.id,
            status: it.status,
            created_at: it.created_at,
            finished_at: it.finished_at,
            expires_at: it.expires_at,
            size_bytes: it.size_bytes,
        }
    }
}

impl Example for CopyAnswer {
    fn example() -> Self {
        let at = Utc.with_ymd_and_hms(2026, 11, 2, 9, 30, 0).single().unwrap_or_default();
        Self {
            id: PrivacyRequestId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0e02)),
            status: Status::Ready,
            percent: 100,
            created_at: at,
            finished_at: Some(at + TimeDelta::minutes(1)),
            expires_at: Some(at + TimeDelta::days(7)),
            size_bytes: Some(482_113),
        }
    }
}

#[derive(ApiResponse)]
enum AcceptedCopy {
    /// It will be made.
    #[oai(status = 202)]
    Accepted(Json<CopyAnswer>),
}

#[derive(ApiResponse)]
enum CopyFile {
    /// The archive.
    #[oai(status = 200, content_type = "application/zip")]
    Zip(
        Binary<Stream>,
        /// Names the file, and keeps browsers from showing it.
        #[oai(header = "Content-Disposition")]
        String,
        /// Always `private, no-store`.
        #[oai(header = "Cache-Control")]
        String,
        /// Always `sandbox` and nothing allowed.
        #[oai(header = "Content-Security-Policy")]
        String,
        /// Always `nosniff`.
        #[oai(header = "X-Content-Type-Options")]
        String,
    ),
}

pub struct CopiesApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Privacy")]
impl CopiesApi {
    /// Ask for a copy of one's data
    ///
    /// A job makes one ZIP of everything that there is about oneself: JSON for programs, pages to be read in the language of
    /// the request, and one's files. A notification and a mail tell when it is ready; it can be fetched for seven days.
    /// While one is being made it is answered again. `429 too_many_copies`: three within a day are enough. A practitioner's
    /// holds what is theirs; their notes are records of care, and are not in it.
    #[oai(path = "/privacy/exports", method = "post", operation_id = "askCopy")]
    async fn ask(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<AcceptedCopy> {
        let once = IdempotencyKey::new(idempotency_key.0, "askCopy", &())?;
        Ok(AcceptedCopy::Accepted(Json(service::ask(&cx, once.as_ref()).await?.into())))
    }

    /// The copies of one's data
    ///
    /// Newest first.
    #[oai(path = "/privacy/exports", method = "get", operation_id = "listCopies")]
    async fn list(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// 1–100; 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<CopyAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::list(&cx, &page).await?;
        Ok(Json(Page::new(&page, rows, |it| (it.created_at, it.id), Into::into)))
    }

    /// A copy of one's data
    ///
    /// How far it is.
    #[oai(path = "/privacy/exports/:id", method = "get", operation_id = "getCopy")]
    async fn get(&self, cx: Authorized<perm::ManageSelf>, id: Path<PrivacyRequestId>) -> Result<Json<CopyAnswer>> {
        Ok(Json(service::find(&cx, id.0).await?.into()))
    }

    /// Fetch a copy of one's data
    ///
    /// `409 copy_not_ready` until it is ready; `410 copy_expired` once its seven days are over. It is sealed where it is
    /// kept, and opened as it is sent.
    #[oai(path = "/privacy/exports/:id/download", method = "get", operation_id = "downloadCopy")]
    async fn download(&self, cx: Authorized<perm::ManageSelf>, id: Path<PrivacyRequestId>) -> Result<CopyFile> {
        let it = service::fetch(&cx, id.0).await?;
        Ok(CopyFile::Zip(
            Binary(Stream::from_bytes_stream(it.pieces)),
            format!("attachment; filename=\"{}\"", it.name),
            "private, no-store".to_owned(),
            "sandbox; default-src 'none'; frame-ancestors 'none'".to_owned(),
            "nosniff".to_owned(),
        ))
    }
}
