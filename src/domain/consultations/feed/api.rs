//! `/calendars/{token}.ics`.

use poem_openapi::param::{Header, Path};
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi};

use super::service;
use crate::domain::consultations::api::Tag;
use crate::platform::Result;
use crate::platform::auth::Anonymous;

/// Calendar programs may keep it for themselves; nobody on the way may.
const CACHE: &str = "private, no-store";

#[derive(ApiResponse)]
pub enum FeedResponse {
    /// An iCalendar file (RFC 5545) with private entries under a neutral title.
    #[oai(status = 200, content_type = "text/calendar; charset=utf-8")]
    Fresh(
        PlainText<String>,
        /// Changes with what the calendar shows.
        #[oai(header = "ETag")]
        String,
        /// Nothing on the way may keep a copy.
        #[oai(header = "Cache-Control")]
        String,
        /// Names the file.
        #[oai(header = "Content-Disposition")]
        String,
    ),
    /// The reader's copy is current.
    #[oai(status = 304)]
    NotModified(
        /// As with the calendar.
        #[oai(header = "ETag")]
        String,
        /// As with the calendar.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

pub struct FeedApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Consultations")]
impl FeedApi {
    /// A practitioner's calendar to subscribe to
    ///
    /// Consultations of the past 30 and the next 365 days, as private entries with a neutral title: no names, no
    /// companies, nothing of what they are about. The address is given out once, when the feed is added, and answers 404
    /// as soon as the feed is deleted or the practitioner's account is suspended.
    #[oai(path = "/calendars/:file", method = "get", operation_id = "getCalendarFeed")]
    async fn feed(
        &self,
        it: Anonymous,
        /// The feed's token, with `.ics`.
        #[oai(validator(max_length = 100))]
        file: Path<String>,
        /// The version that the reader has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<FeedResponse> {
        let feed = service::read(&it.platform, &it.request, &file.0).await?;
        if feed.etag.is_known(if_none_match.0.as_deref()) {
            return Ok(FeedResponse::NotModified(feed.etag.as_str().to_owned(), CACHE.to_owned()));
        }
        Ok(FeedResponse::Fresh(
            PlainText(feed.ics),
            feed.etag.as_str().to_owned(),
            CACHE.to_owned(),
            "attachment; filename=\"calendar.ics\"".to_owned(),
        ))
    }
}
