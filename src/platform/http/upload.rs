//! A form with one file (RFC 7578), read piece by piece while it comes.

use std::pin::Pin;
use std::time::Duration;

use poem::error::ParseMultipartError;
use poem::http::{Method, header};
use poem::web::Multipart;
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::platform::crypto::health_text::{HealthText, never_shown};
use crate::platform::problem::{Error, Problem, Result};

/// What a form is larger than its file.
pub const FORM_BYTES: u64 = 16 << 10;
/// Who sends nothing for so long has stopped.
const PAUSE: Duration = Duration::from_secs(30);
/// All of a file has come by then.
pub const PATIENCE: Duration = Duration::from_mins(15);
const PIECE_BYTES: usize = 64 << 10;
const LONGEST_TEXT: u64 = 64;
/// How much of a file that is refused may still come, and for how long.
const LET_GO_BYTES: usize = 16 << 20;
const LETTING_GO: Duration = Duration::from_secs(5);

/// The body of a request that brings a file: `file`, and before it `purpose` where there is a choice.
pub struct Upload<const CHOICE: bool> {
    form: Multipart,
    length: Option<u64>,
}

/// The file of a form, as it comes.
pub struct IncomingFile {
    form: Multipart,
    content: Option<Pin<Box<dyn AsyncRead + Send>>>,
    /// `purpose`, where it was said.
    pub purpose: Option<String>,
    /// As the client calls it: words about somebody, perhaps.
    pub name: HealthText,
    /// What the whole form was announced to have.
    pub length: Option<u64>,
}

never_shown!(IncomingFile);

impl<const CHOICE: bool> Payload for Upload<CHOICE> {
    const CONTENT_TYPE: &'static str = "multipart/form-data";

    fn check_content_type(content_type: &str) -> bool {
        content_type.parse::<mime::Mime>().is_ok_and(|it| it.essence_str() == Self::CONTENT_TYPE)
    }

    fn schema_ref() -> MetaSchemaRef {
        let text = |format, words| {
            MetaSchemaRef::Inline(Box::new(MetaSchema {
                format,
                description: Some(words),
                ..MetaSchema::new("string")
            }))
        };
        let mut form = MetaSchema::new("object");
        if CHOICE {
            let words = "What it is for: `avatar`, `logo`, `article_image` or `document`. Comes before the file.";
            form.properties.push(("purpose", text(None, words)));
            form.required.push("purpose");
        }
        form.properties.push(("file", text(Some("binary"), "The file, with its name.")));
        form.required.push("file");
        let purpose = CHOICE.then_some(("purpose", "avatar"));
        form.example = Some(purpose.into_iter().chain([("file", "the bytes of me.jpg")]).collect());
        MetaSchemaRef::Inline(Box::new(form))
    }
}

impl<const CHOICE: bool> ParsePayload for Upload<CHOICE> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let length = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        Ok(Self { form: Multipart::from_request(request, body).await?, length })
    }
}
poem_openapi::impl_apirequest_for_payload!(Upload<CHOICE>, const CHOICE: bool);

impl<const CHOICE: bool> Upload<CHOICE> {
    /// Reads on to the file.
    pub async fn file(mut self) -> Result<IncomingFile> {
        let mut purpose = None;
        loop {
            let Some(field) = in_time(self.form.next_field()).await? else {
                return Err(Problem::from(Error::Invalid).at("/file", "required"));
            };
            match field.name().unwrap_or_default() {
                "file" => {
                    let name = HealthText::new(field.file_name().unwrap_or_default().to_owned());
                    let content: Pin<Box<dyn AsyncRead + Send>> = Box::pin(field.into_async_read());
                    return Ok(IncomingFile {
                        form: self.form,
                        content: Some(content),
                        purpose,
                        name,
                        length: self.length,
                    });
                }
                "purpose" if CHOICE && purpose.is_none() => {
                    let mut text = String::new();
                    let mut short = field.into_async_read().take(LONGEST_TEXT);
                    let read = tokio::time::timeout(PAUSE, short.read_to_string(&mut text)).await;
                    read.map_err(|_| Error::RequestTimeout)?.map_err(incomplete)?;
                    purpose = Some(text);
                }
                other => return Err(Problem::from(Error::Invalid).at(pointer(other), "unknown_property")),
            }
        }
    }
}

impl IncomingFile {
    /// Reads on into `buffer`, until it holds a piece of the file's or the file ends; whether there is more. The file has
    /// ended only when the form has.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<bool> {
        let Some(content) = &mut self.content else { return Ok(false) };
        buffer.reserve(PIECE_BYTES);
        let read = tokio::time::timeout(PAUSE, content.read_buf(buffer)).await;
        if read.map_err(|_| Error::RequestTimeout)?.map_err(incomplete)? > 0 {
            return Ok(true);
        }
        self.content = None;
        match in_time(self.form.next_field()).await? {
            None => Ok(false),
            Some(field) if field.name() == Some("purpose") && self.purpose.is_none() => {
                Err(Problem::from(Error::Invalid).at("/purpose", "before_file"))
            }
            Some(field) => {
                Err(Problem::from(Error::Invalid).at(pointer(field.name().unwrap_or_default()), "unknown_property"))
            }
        }
    }
}

impl IncomingFile {
    /// Lets some of what still comes go by: a client that is sending hears a refusal only when it may finish.
    pub async fn let_go(&mut self) {
        let going = async {
            let (mut gone, mut piece) = (0, Vec::new());
            while gone < LET_GO_BYTES && matches!(self.read(&mut piece).await, Ok(true)) {
                gone += piece.len();
                piece.clear();
            }
        };
        let _ = tokio::time::timeout(LETTING_GO, going).await;
    }
}

/// Whether a request brings a file, so that it may be larger and take longer than others.
pub fn brings_file(method: &Method, path: &str) -> bool {
    let Some(path) = path.strip_prefix("/api/v1/") else { return false };
    match *method {
        Method::POST => path == "files" || path.starts_with("conversations/") && path.ends_with("/attachments"),
        Method::PUT => path == "me/avatar",
        _ => false,
    }
}

fn pointer(name: &str) -> String {
    format!("/{}", name.chars().take(64).collect::<String>().replace('~', "~0").replace('/', "~1"))
}

async fn in_time<T>(step: impl Future<Output = Result<T, ParseMultipartError>>) -> Result<T> {
    tokio::time::timeout(PAUSE, step).await.map_err(|_| Error::RequestTimeout)?.map_err(incomplete)
}

fn incomplete(error: impl std::error::Error + Send + Sync + 'static) -> Problem {
    Problem::from(Error::UploadIncomplete).with_source(error).with_header("connection", "close")
}
