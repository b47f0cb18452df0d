//! `/files` and `/me/avatar`.

use chrono::{DateTime, Utc};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::{Example, Type};
use poem_openapi::{ApiResponse, Object, OpenApi, Tags};
use uuid::Uuid;

use super::model::{MediaType, Purpose, Stored, disposition};
use super::service::{self, Bringing, Fetched};
use crate::platform::Result;
use crate::platform::auth::{Authorized, Permission, perm};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::http::upload::Upload;
use crate::platform::ids::FileId;

#[derive(Tags)]
enum Tag {
    /// Pictures and documents that people bring.
    Files,
    /// One's own account.
    Me,
}

/// A file that is there.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct FileAnswer {
    id: FileId,
    purpose: Purpose,
    /// What it is called, where it keeps a name.
    name: Option<HealthText>,
    /// As it was found by what the file holds, and kept.
    media_type: String,
    /// Of what is kept: pictures are written anew.
    size_bytes: u64,
    /// Where it is fetched, with an access token.
    url: String,
    created_at: DateTime<Utc>,
    /// Until when an attachment must be sent with a message.
    expires_at: Option<DateTime<Utc>>,
}

impl From<Stored> for FileAnswer {
    fn from(it: Stored) -> Self {
        Self {
            id: it.id,
            purpose: it.purpose,
            name: it.name,
            media_type: it.media.name().to_owned(),
            size_bytes: it.bytes,
            url: it.id.url(),
            created_at: it.created_at,
            expires_at: it.expires_at,
        }
    }
}

impl Example for FileAnswer {
    fn example() -> Self {
        let id = FileId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0af1));
        Self {
            id,
            purpose: Purpose::Avatar,
            name: None,
            media_type: "image/jpeg".into(),
            size_bytes: 48_213,
            url: id.url(),
            created_at: DateTime::from_timestamp(1_795_440_600, 0).unwrap_or_default(),
            expires_at: None,
        }
    }
}

#[derive(ApiResponse)]
pub enum FileResponse {
    /// The file is there.
    #[oai(status = 201)]
    Created(Json<FileAnswer>),
}

#[derive(ApiResponse)]
enum GoneResponse {
    /// It is gone.
    #[oai(status = 204)]
    Gone,
}

pub struct FilesApi;

#[OpenApi(prefix_path = "/api/v1")]
impl FilesApi {
    /// Bring a file
    ///
    /// A form with `purpose` and then `file`. `avatar` (everybody: one’s own picture, cut to a square), `logo` (company
    /// admins: the company’s), `article_image` (practitioners and staff), `document` (employees: for themselves alone, sealed
    /// with its name; PDF as well). Pictures are JPEG, PNG or WebP, named accordingly;
    /// they are written anew, without whatever else stood in them. What is larger than its purpose allows is
    /// `413 file_too_large` as soon as that is known, with `mostBytes`; of another type `415 file_type_refused`; not what
    /// its name says `415 file_type_mismatch`. `409 file_quota_exceeded`: one’s files leave no room. Attachments of
    /// conversations have a route of their own.
    #[oai(path = "/files", method = "post", operation_id = "createFile", tag = "Tag::Files")]
    async fn create(
        &self,
        cx: Authorized<perm::BringFile>,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        form: Upload<true>,
    ) -> Result<FileResponse> {
        let file = form.file().await?;
        let purpose = Purpose::read(file.purpose.as_deref())?;
        let bringing = Bringing::own(&cx, purpose, idempotency_key.0).await?;
        let stored = service::receive(&cx, bringing, file).await?;
        Ok(FileResponse::Created(Json(stored.into())))
    }

    /// Fetch a file
    ///
    /// For whom it is: one’s own; what came in one’s own conversations; avatars of practitioners whom one may see, and of
    /// one’s clients; the own company’s logo. It is answered for saving, under its name, and is never shown by itself.
    /// Fetch it anew with a valid token each time: nothing may keep it. `410 file_erased`: its key was destroyed, with the
    /// account that it was about.
    #[oai(path = "/files/:id", method = "get", operation_id = "getFile", tag = "Tag::Files")]
    async fn get(&self, cx: Authorized<perm::ReadFile>, id: Path<FileId>) -> Result<FileContent> {
        Ok(FileContent(service::fetch(&cx, id.0).await?))
    }

    /// Delete a file
    ///
    /// One’s own; the company’s logo as its admin. An attachment that was sent goes with its message:
    /// `409 attachment_sent`.
    #[oai(path = "/files/:id", method = "delete", operation_id = "deleteFile", tag = "Tag::Files")]
    async fn delete(&self, cx: Authorized<perm::BringFile>, id: Path<FileId>) -> Result<GoneResponse> {
        service::delete(&cx, Permission::BringFile, id.0).await?;
        Ok(GoneResponse::Gone)
    }

    /// Set one’s own picture
    ///
    /// As `POST /files` with `avatar`; it takes the place of the one before.
    #[oai(path = "/me/avatar", method = "put", operation_id = "setAvatar", tag = "Tag::Me")]
    async fn set_avatar(&self, cx: Authorized<perm::ManageSelf>, form: Upload<false>) -> Result<FileResponse> {
        let bringing = Bringing::plainly(Permission::ManageSelf, Purpose::Avatar);
        let stored = service::receive(&cx, bringing, form.file().await?).await?;
        Ok(FileResponse::Created(Json(stored.into())))
    }

    /// Take one’s own picture away
    ///
    /// Where there is none, nothing changes.
    #[oai(path = "/me/avatar", method = "delete", operation_id = "deleteAvatar", tag = "Tag::Me")]
    async fn delete_avatar(&self, cx: Authorized<perm::ManageSelf>) -> Result<GoneResponse> {
        service::delete_avatar(&cx).await?;
        Ok(GoneResponse::Gone)
    }
}

/// The bytes of a file, for saving.
struct FileContent(Fetched);

const HEADERS: [(&str, &str); 4] = [
    ("Content-Disposition", "Always `attachment`, with the file’s name (RFC 8187)."),
    ("Cache-Control", "Always `private, no-store`."),
    ("Content-Security-Policy", "Always `sandbox` and nothing allowed."),
    ("X-Content-Type-Options", "Always `nosniff`."),
];

impl IntoResponse for FileContent {
    fn into_response(self) -> Response {
        let Fetched { media, name, bytes, pieces } = self.0;
        let mut response = Response::builder()
            .status(StatusCode::OK)
            .header(header::CONTENT_TYPE, media.name())
            .header(header::CONTENT_LENGTH, bytes)
            .header(header::CACHE_CONTROL, "private, no-store")
            .header(header::EXPIRES, "0")
            .header(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; frame-ancestors 'none'")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .body(Body::from_bytes_stream(pieces));
        if let Ok(value) = HeaderValue::try_from(disposition(name.expose())) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
        response
    }
}

impl ApiResponse for FileContent {
    fn meta() -> MetaResponses {
        let binary = || {
            MetaSchemaRef::Inline(Box::new(MetaSchema {
                format: Some("binary"),
                example: Some("the bytes of the file".into()),
                ..MetaSchema::new("string")
            }))
        };
        let content = MediaType::ALL.into_iter().map(|it| MetaMediaType { content_type: it.name(), schema: binary() });
        let headers = HEADERS.into_iter().map(|(name, words)| MetaHeader {
            name: name.to_owned(),
            description: Some(words.to_owned()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        });
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The file.",
                status: Some(200),
                status_range: None,
                content: content.collect(),
                headers: headers.collect(),
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}
