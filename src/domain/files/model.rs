//! What files are for, what they may be, and what they are called.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::error::Error;
use crate::platform::auth::Role;
use crate::platform::config::Config;
use crate::platform::crypto::envelope::Document;
use crate::platform::crypto::health_text::{HealthText, never_shown};
use crate::platform::http::idempotency::{Fingerprint, Print};
use crate::platform::ids::FileId;
use crate::platform::images::{Kind, Shape};
use crate::platform::problem::{Error as Refusal, Problem, Result};

/// What is decoded is held in memory.
const MOST_PICTURE_BYTES: u64 = 12 << 20;
const LONGEST_NAME: usize = 150;
/// Of one person, sent or not.
pub const MOST_FILES: i32 = 20_000;
pub const MOST_AT_ONCE: i32 = 5;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, sqlx::Type)]
#[oai(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Purpose {
    /// A person's picture.
    Avatar,
    /// A company's.
    Logo,
    ArticleImage,
    /// Sent with a message.
    Attachment,
    Document,
}

/// What is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Jpeg,
    Png,
    Webp,
    Pdf,
}

impl Purpose {
    /// Of `POST /files`. Attachments have a route of their own.
    pub fn read(text: Option<&str>) -> Result<Self> {
        let text = text.ok_or_else(|| Problem::from(Refusal::Invalid).at("/purpose", "required"))?;
        [Self::Avatar, Self::Logo, Self::ArticleImage, Self::Document]
            .into_iter()
            .find(|it| it.name() == text)
            .ok_or_else(|| Problem::from(Refusal::Invalid).at("/purpose", "file_purpose"))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Avatar => "avatar",
            Self::Logo => "logo",
            Self::ArticleImage => "article_image",
            Self::Attachment => "attachment",
            Self::Document => "document",
        }
    }

    /// The database says the same (`app.may_bring`).
    pub fn is_for(self, role: Role) -> bool {
        match self {
            Self::Avatar => true,
            Self::Logo => role == Role::CompanyAdmin,
            Self::ArticleImage => matches!(role, Role::Practitioner | Role::PlatformAdmin),
            Self::Attachment => matches!(role, Role::Employee | Role::Practitioner),
            Self::Document => role == Role::Employee,
        }
    }

    /// Health-related: kept under a key, with its name.
    pub fn is_sealed(self) -> bool {
        matches!(self, Self::Attachment | Self::Document)
    }

    pub fn takes(self, media: MediaType) -> bool {
        media != MediaType::Pdf || self.is_sealed()
    }

    pub fn shape(self) -> Shape {
        match self {
            Self::Avatar => Shape::Square(512),
            Self::Logo => Shape::Within(1024),
            Self::ArticleImage => Shape::Within(2560),
            // as it is
            Self::Attachment | Self::Document => Shape::Within(u32::MAX),
        }
    }

    /// The largest file that is taken, before its kind is known.
    pub fn limit(self, config: &Config) -> u64 {
        if self.is_sealed() { config.max_upload_bytes } else { MOST_PICTURE_BYTES.min(config.max_upload_bytes) }
    }

    /// Which rule of `app.retention_rules` ends what nobody sends.
    pub fn unsent_record(self) -> Option<&'static str> {
        (self == Self::Attachment).then_some("unsent_file")
    }
}

impl MediaType {
    pub const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::Webp, Self::Pdf];

    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Pdf => "application/pdf",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The first one is the one that we give.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Png => &["png"],
            Self::Webp => &["webp"],
            Self::Pdf => &["pdf"],
        }
    }

    /// Of a picture.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Self::Jpeg => Some(Kind::Jpeg),
            Self::Png => Some(Kind::Png),
            Self::Webp => Some(Kind::Webp),
            Self::Pdf => None,
        }
    }

    /// The largest file of this kind.
    pub fn limit(self, config: &Config) -> u64 {
        let most = if self == Self::Pdf { u64::MAX } else { MOST_PICTURE_BYTES };
        most.min(config.max_upload_bytes)
    }
}

impl From<Kind> for MediaType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Jpeg => Self::Jpeg,
            Kind::Png => Self::Png,
            Kind::Webp => Self::Webp,
        }
    }
}

pub fn too_large(limit: u64) -> Problem {
    Problem::from(Error::FileTooLarge)
        .with_arg("most", (limit >> 20).max(1).to_string())
        .with("mostBytes", limit.into())
        .with_header("connection", "close")
}

/// What a client calls its file: a name, never a path. It says what is in it, often enough.
pub struct FileName {
    stem: HealthText,
    extension: String,
}

never_shown!(FileName);

impl Fingerprint for FileName {
    fn print(&self, into: &mut Print) -> Result<()> {
        let Self { stem, extension } = self;
        into.words(stem);
        into.plain(extension)
    }
}

impl FileName {
    /// Takes the last part of a path, leaves out what cannot be seen or turns text around, and refuses what has no
    /// extension then.
    pub fn read(given: &str) -> Result<Self> {
        let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
        let text: Zeroizing<String> = Zeroizing::new(last.nfc().filter(|it| !is_hidden(*it)).collect());
        let (stem, extension) = text.rsplit_once('.').unwrap_or_default();
        let stem = stem.trim_matches(|it: char| it.is_whitespace() || it == '.');
        let extension = extension.trim().to_ascii_lowercase();
        let is_word = (1..=10).contains(&extension.len()) && extension.bytes().all(|it| it.is_ascii_alphanumeric());
        if stem.is_empty() || !is_word {
            return Err(Problem::from(Refusal::Invalid).at("/file", "file_name"));
        }
        Ok(Self { stem: HealthText::new(stem.chars().take(LONGEST_NAME).collect()), extension })
    }

    pub fn fits(&self, media: MediaType) -> bool {
        media.extensions().contains(&self.extension.as_str())
    }

    /// With the extension of what is kept.
    pub fn of(&self, media: MediaType) -> HealthText {
        let extension = if self.fits(media) { self.extension.as_str() } else { first(media) };
        HealthText::new(format!("{}.{extension}", self.stem.expose()))
    }
}

fn first(media: MediaType) -> &'static str {
    media.extensions().first().copied().unwrap_or_default()
}

/// What a file is called that has no name of its own.
pub fn plain_name(purpose: Purpose, media: MediaType) -> String {
    format!("{}.{}", purpose.name().replace('_', "-"), first(media))
}

/// Control characters, line ends, marks of direction, and what file systems do not take.
fn is_hidden(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}')
        || matches!(it, '<' | '>' | ':' | '"' | '|' | '?' | '*')
}

/// `Content-Disposition` with a name in any script (RFC 6266, RFC 8187).
pub fn disposition(name: &str) -> String {
    use std::fmt::Write;
    let plain: String = name
        .chars()
        .map(|it| if it.is_ascii_graphic() && it != '"' && it != '\\' && it != '%' || it == ' ' { it } else { '_' })
        .collect();
    let mut value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            value.push(byte.into());
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

/// A file that is there.
#[derive(Debug)]
pub struct Stored {
    pub id: FileId,
    pub purpose: Purpose,
    pub media: MediaType,
    pub bytes: u64,
    /// Of those that keep theirs.
    pub name: Option<HealthText>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Where the name of a file is kept.
pub fn name_document(id: FileId) -> Document {
    Document { domain: "files", table: "files", column: "sealed_name", row: id.0, version: 1 }
}

/// What the key of a file's pieces is for.
pub fn content_document(id: FileId) -> Document {
    Document { domain: "files", table: "files", column: "object", row: id.0, version: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_hides_nothing() {
        let name = |given: &str| FileName::read(given).map(|it| format!("{}.{}", it.stem.expose(), it.extension)).ok();
        for (given, expected) in [
            ("Ordonnance été.PDF", Some("Ordonnance été.pdf")),
            ("../../etc/passwd.png", Some("passwd.png")),
            (r"C:\Users\ana\scan.jpeg", Some("scan.jpeg")),
            ("a\u{202e}gnp.exe.png", Some("agnp.exe.png")),
            ("line\r\nSet-Cookie: a=b.png", Some("lineSet-Cookie a=b.png")),
            ("nul\0.png", Some("nul.png")),
            ("...png", None),
            (".png", None),
            ("png", None),
            ("", None),
            ("..", None),
            ("a/", None),
            ("a.png/..", None),
            ("a. ", None),
            ("a.p n g", None),
        ] {
            assert_eq!(name(given).as_deref(), expected, "{given:?}");
        }
        assert_eq!(name(&format!("{}.png", "x".repeat(900))).unwrap().len(), LONGEST_NAME + 4);
        assert!(!FileName::read("invoice.pdf.exe").unwrap().fits(MediaType::Pdf));
        assert_eq!(FileName::read("photo.webp").unwrap().of(MediaType::Jpeg).expose(), "photo.jpg");
        assert_eq!(FileName::read("photo.jpeg").unwrap().of(MediaType::Jpeg).expose(), "photo.jpeg");
    }

    #[test]
    fn a_disposition_says_any_name_and_nothing_else() {
        assert_eq!(disposition("scan.pdf"), "attachment; filename=\"scan.pdf\"; filename*=UTF-8''scan.pdf");
        assert_eq!(
            disposition("été \"100 %\";.pdf"),
            "attachment; filename=\"_t_ _100 __;.pdf\"; filename*=UTF-8''%C3%A9t%C3%A9%20%22100%20%25%22%3B.pdf"
        );
    }
}
