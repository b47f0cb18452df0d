//! Conditional requests (RFC 9110, 13): `ETag` on single resources, `If-Match` on their changes.

use chrono::{DateTime, Utc};

use crate::platform::problem::{Error, Problem, Result};

/// A strong validator made of a row's `updated_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    pub fn of(updated_at: DateTime<Utc>) -> Self {
        Self(format!("\"{:x}\"", updated_at.timestamp_micros()))
    }

    /// Of what counts its versions.
    pub fn of_version(version: i32) -> Self {
        Self(format!("\"{version}\""))
    }

    /// Of one of several forms that a resource has, such as a language.
    pub fn of_variant(updated_at: DateTime<Utc>, variant: &str) -> Self {
        Self(format!("\"{:x}-{variant}\"", updated_at.timestamp_micros()))
    }

    /// Of what is made anew each time, by what it says.
    pub fn of_content(content: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
        Self(format!("\"{}\"", hex::encode(digest.as_ref().get(..16).unwrap_or_default())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `If-None-Match` names this version: the answer is then 304.
    pub fn is_known(&self, if_none_match: Option<&str>) -> bool {
        if_none_match.is_some_and(|header| self.is_named_in(header))
    }

    /// Refuses a change to a version that is not the present one: 428 without `If-Match`, 412 with another.
    pub fn require(&self, if_match: Option<&str>) -> Result<()> {
        match if_match {
            None => Err(Problem::from(Error::PreconditionRequired).at("header:If-Match", "required")),
            Some(header) if self.is_named_in(header) => Ok(()),
            Some(_) => Err(Error::Stale.into()),
        }
    }

    /// The same for what must not be saved over unseen: `*` names no version, and is as good as nothing.
    pub fn require_named(&self, if_match: Option<&str>) -> Result<()> {
        self.require(if_match.filter(|header| !header.split(',').any(|tag| tag.trim() == "*")))
    }

    fn is_named_in(&self, header: &str) -> bool {
        header.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.0)
    }
}

/// An answer with its validator: `200` with `ETag`, or `304` where the client has it already.
#[derive(poem_openapi::ApiResponse)]
pub enum Tagged<T: poem_openapi::types::ToJSON + Send + Sync> {
    /// The resource as it is now.
    #[oai(status = 200)]
    Fresh(
        poem_openapi::payload::Json<T>,
        /// The version of the resource, for `If-Match` and `If-None-Match`.
        #[oai(header = "ETag")]
        String,
    ),
    /// The client's copy is current.
    #[oai(status = 304)]
    NotModified(
        /// As with the resource.
        #[oai(header = "ETag")]
        String,
    ),
}

impl<T: poem_openapi::types::ToJSON + Send + Sync> Tagged<T> {
    pub fn new(body: T, etag: &Etag, if_none_match: Option<&str>) -> Self {
        if etag.is_known(if_none_match) {
            Self::NotModified(etag.as_str().to_owned())
        } else {
            Self::Fresh(poem_openapi::payload::Json(body), etag.as_str().to_owned())
        }
    }
}
