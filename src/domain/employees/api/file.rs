//! The file of an import, as it comes in; the one to fill in, as it goes out.

use poem::{FromRequest, Request, RequestBody};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::multipart::Upload;
use poem_openapi::{ApiRequest, Multipart};

use super::super::model::Field;
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, Problem, Result};

/// Bytes that a file may have. 10,000 rows have about one million.
const MAX_BYTES: usize = 5 * 1024 * 1024;

/// A body that is a CSV file.
pub struct CsvFile(Vec<u8>);

impl Payload for CsvFile {
    const CONTENT_TYPE: &'static str = "text/csv";

    /// With or without parameters: the file itself tells its encoding.
    fn check_content_type(content_type: &str) -> bool {
        content_type.parse::<mime::Mime>().is_ok_and(|it| it.essence_str() == Self::CONTENT_TYPE)
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some("The file itself."),
            example: Some("email;first name;last name\nalice@acme.test;Alice;Martin\n".into()),
            ..MetaSchema::new("string")
        }))
    }
}

impl ParsePayload for CsvFile {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(Vec::<u8>::from_request(request, body).await?))
    }
}

/// A form with a file, as browsers send it.
#[derive(Multipart)]
pub struct FileForm {
    /// The CSV file.
    file: Upload,
}

/// The file to import.
#[derive(ApiRequest)]
pub enum ImportFile {
    Csv(CsvFile),
    Form(FileForm),
}

impl ImportFile {
    pub(super) async fn into_bytes(self) -> Result<Vec<u8>> {
        let bytes = match self {
            Self::Csv(file) => file.0,
            Self::Form(form) if form.file.size() > MAX_BYTES => return Err(Refusal::BodyTooLarge.into()),
            Self::Form(form) => form.file.into_vec().await.map_err(Problem::internal)?,
        };
        if bytes.len() > MAX_BYTES { Err(Refusal::BodyTooLarge.into()) } else { Ok(bytes) }
    }
}

/// A file to fill in: the header and one person, with the byte order mark and the delimiter that the language's
/// spreadsheets expect.
pub(super) fn template(locale: Locale) -> Result<Vec<u8>> {
    let words = |part: &str, field: Field| {
        rust_i18n::t!(format!("employees.import.{part}.{}", field.name()), locale = locale.as_str()).into_owned()
    };
    let delimiter = if locale == Locale::Fr { b';' } else { b',' };
    let mut file = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    for part in ["column", "example"] {
        file.write_record(Field::ALL.map(|field| words(part, field))).map_err(Problem::internal)?;
    }
    file.into_inner().map_err(|error| Problem::internal(error.to_string()))
}
