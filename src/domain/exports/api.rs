//! `/exports`.

use chrono::{DateTime, TimeZone, Utc};
use poem::Body as Stream;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi, Tags};
use serde::Serialize;
use uuid::Uuid;

use super::model::{Delimiter, Export, Failure, Kind, Params, Status};
use super::service;
use crate::domain::usage::model::{Breakdown, Months};
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, IdempotencyKey, Page, PageQuery};
use crate::platform::ids::{CompanyId, ExportId};
use crate::platform::{Context, Result};

#[derive(Tags)]
enum Tag {
    /// Files made by a job, to be fetched within seven days by whoever asked for them.
    Exports,
}

fn example_time(hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 7, 1, hour, 5, 0).single().unwrap_or_default()
}

/// How the file is written.
#[derive(Clone, Debug, Default, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportFormat {
    /// `comma` unless said.
    #[oai(default)]
    delimiter: Delimiter,
    /// Begins with a byte order mark, by which Excel knows UTF-8.
    #[oai(default)]
    bom: bool,
}

/// A file to be made.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ExportRequest {
    kind: Kind,
    /// By platform admins, of usage: which company.
    company_id: Option<CompanyId>,
    /// The first month, `YYYY-MM`.
    #[oai(validator(pattern = "^[2-9][0-9]{3}-(0[1-9]|1[0-2])$"))]
    from: String,
    /// The last month, `YYYY-MM`; at most 24 months are covered.
    #[oai(validator(pattern = "^[2-9][0-9]{3}-(0[1-9]|1[0-2])$"))]
    to: String,
    /// Of usage, as `by` of `/reports/usage`. Only totals unless said.
    #[oai(validator(
        pattern = "^(specialty|mode|department|specialty,(mode|department)|(mode|department),specialty)$"
    ))]
    by: Option<String>,
    #[oai(default)]
    format: ExportFormat,
}

impl Example for ExportRequest {
    fn example() -> Self {
        Self {
            kind: Kind::Usage,
            company_id: None,
            from: "2026-01".into(),
            to: "2026-06".into(),
            by: Some("specialty".into()),
            format: ExportFormat { delimiter: Delimiter::Semicolon, bom: true },
        }
    }
}

/// A file that was asked for.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct ExportAnswer {
    id: ExportId,
    kind: Kind,
    status: Status,
    /// How far it is, in percent.
    progress: i32,
    /// Why there is no file.
    failure: Option<Failure>,
    /// The company that it is about.
    company_id: Option<CompanyId>,
    from: String,
    to: String,
    by: Option<String>,
    format: ExportFormat,
    /// Lines of the file, without its header.
    row_count: Option<i32>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    /// From then on the file is gone.
    expires_at: Option<DateTime<Utc>>,
}

impl From<Export> for ExportAnswer {
    fn from(it: Export) -> Self {
        Self {
            id: it.id,
            kind: it.kind,
            status: it.status,
            progress: it.progress(),
            failure: it.failure,
            company_id: it.company_id,
            from: it.params.from.to_string(),
            to: it.params.to.to_string(),
            by: it.params.by.map(|by| by.as_str().to_owned()),
            format: ExportFormat { delimiter: it.params.delimiter, bom: it.params.bom },
            row_count: it.row_count,
            created_at: it.created_at,
            finished_at: it.finished_at,
            expires_at: it.expires_at,
        }
    }
}

impl Example for ExportAnswer {
    fn example() -> Self {
        Self {
            id: ExportId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0c01)),
            kind: Kind::Usage,
            status: Status::Ready,
            progress: 100,
            failure: None,
            company_id: Some(CompanyId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a11))),
            from: "2026-01".into(),
            to: "2026-06".into(),
            by: Some("specialty".into()),
            format: ExportFormat { delimiter: Delimiter::Semicolon, bom: true },
            row_count: Some(42),
            created_at: example_time(9),
            finished_at: Some(example_time(9)),
            expires_at: Some(example_time(9) + chrono::TimeDelta::days(7)),
        }
    }
}

#[derive(ApiResponse)]
pub enum AcceptedExport {
    /// The file will be made.
    #[oai(status = 202)]
    Accepted(Json<ExportAnswer>),
}

#[derive(ApiResponse)]
pub enum ExportFile {
    /// The file.
    #[oai(status = 200, content_type = "text/csv; charset=utf-8")]
    Csv(
        Binary<Stream>,
        /// Names the file, and keeps browsers from showing it.
        #[oai(header = "Content-Disposition")]
        String,
        /// Always `private, no-store`.
        #[oai(header = "Cache-Control")]
        String,
        /// Always `nosniff`.
        #[oai(header = "X-Content-Type-Options")]
        String,
    ),
}

pub struct ExportsApi;

#[OpenApi(prefix_path = "/api/v1")]
impl ExportsApi {
    /// Ask for a file
    ///
    /// A job makes it; a mail and a notification tell when it is ready. It can be fetched for seven days by whoever asked for it.
    /// Header and words are in the language of the request. HR and company admins export `usage`, practitioners their own
    /// `practitioner_activity`, platform admins `usage` and `payroll`. Payroll is of published months only; the same request
    /// for published months makes the same file. Its last column says of which months the platform was restored from a backup
    /// without them: they may have been published, and paid, by other numbers before. Whoever waits for ten of them gets `409 too_many_exports`.
    #[oai(path = "/exports", method = "post", operation_id = "requestExport", tag = "Tag::Exports")]
    async fn request_export(
        &self,
        cx: Authorized<perm::Export>,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<ExportRequest>,
    ) -> Result<AcceptedExport> {
        let key = IdempotencyKey::new(idempotency_key.0, "requestExport", &body.0)?;
        let params = params(&cx, &body)?;
        let made = service::request(&cx, key.as_ref(), body.kind, body.company_id, params).await?;
        Ok(AcceptedExport::Accepted(Json(made.into())))
    }

    /// One's own files
    ///
    /// Newest first.
    #[oai(path = "/exports", method = "get", operation_id = "listExports", tag = "Tag::Exports")]
    async fn list_exports(
        &self,
        cx: Authorized<perm::Export>,
        /// 1–100; 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<ExportAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::list(&cx, &page).await?;
        Ok(Json(Page::new(&page, rows, |row| row.id, Into::into)))
    }

    /// One of one's files
    ///
    /// Tells whether it is ready.
    #[oai(path = "/exports/:id", method = "get", operation_id = "getExport", tag = "Tag::Exports")]
    async fn get_export(&self, cx: Authorized<perm::Export>, id: Path<ExportId>) -> Result<Json<ExportAnswer>> {
        Ok(Json(service::get(&cx, id.0).await?.into()))
    }

    /// Fetch a file
    ///
    /// Refused with `409 not_ready` until it is ready, and with `410 expired` once its seven days are over.
    #[oai(path = "/exports/:id/download", method = "get", operation_id = "downloadExport", tag = "Tag::Exports")]
    async fn download_export(&self, cx: Authorized<perm::Export>, id: Path<ExportId>) -> Result<ExportFile> {
        let (export, file_key) = service::fetch(&cx, id.0).await?;
        let (_, bytes) = cx.platform().storage.read(&file_key).await?;
        Ok(ExportFile::Csv(
            Binary(Stream::from_bytes_stream(bytes)),
            format!("attachment; filename=\"{}\"", export.file_name()),
            "private, no-store".to_owned(),
            "nosniff".to_owned(),
        ))
    }
}

fn params(cx: &Context, body: &ExportRequest) -> Result<Params> {
    let Months { from, to } = Months::read(&body.from, &body.to, "/")?;
    let by = Breakdown::read(body.by.as_deref(), "/by")?;
    let ExportFormat { delimiter, bom } = body.format;
    Ok(Params { from, to, by, delimiter, bom, locale: cx.locale() })
}
