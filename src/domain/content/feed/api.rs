//! `/articles/feed.xml`.

use poem_openapi::param::{Header, Query};
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi};

use super::service;
use crate::domain::content::api::Tag;
use crate::platform::Result;
use crate::platform::auth::Anonymous;
use crate::platform::locale::Locale;

/// It may be kept, and is asked for anew each time: `304` costs little.
const CACHE: &str = "public, no-cache";
const VARY: &str = "accept-language";

#[derive(ApiResponse)]
pub enum FeedResponse {
    /// RSS 2.0: the newest articles, each with title and summary.
    #[oai(status = 200, content_type = "application/rss+xml; charset=utf-8")]
    Fresh(
        PlainText<String>,
        /// Changes with what the feed shows.
        #[oai(header = "ETag")]
        String,
        /// How long it may be kept.
        #[oai(header = "Cache-Control")]
        String,
        /// The language may be the reader's.
        #[oai(header = "Vary")]
        String,
    ),
    /// The reader's copy is current.
    #[oai(status = 304)]
    NotModified(
        /// As with the feed.
        #[oai(header = "ETag")]
        String,
        /// As with the feed.
        #[oai(header = "Cache-Control")]
        String,
        /// As with the feed.
        #[oai(header = "Vary")]
        String,
    ),
}

pub struct FeedApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Content")]
impl FeedApi {
    /// The feed of articles
    ///
    /// For programs that follow blogs, which cannot sign in: titles and summaries of the fifty newest articles. The articles
    /// themselves are for who is signed in. One that has not been written in the language comes in the other.
    #[oai(path = "/articles/feed.xml", method = "get", operation_id = "getArticleFeed")]
    async fn feed(
        &self,
        it: Anonymous,
        /// The language to read in. That of `Accept-Language`, unless said.
        language: Query<Option<Locale>>,
        /// The version that the reader has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<FeedResponse> {
        let feed = service::read(&it.platform, &it.request, language.0).await?;
        let tag = feed.etag.as_str().to_owned();
        let (cache, vary) = (CACHE.to_owned(), VARY.to_owned());
        if feed.etag.is_known(if_none_match.0.as_deref()) {
            return Ok(FeedResponse::NotModified(tag, cache, vary));
        }
        Ok(FeedResponse::Fresh(PlainText(feed.xml), tag, cache, vary))
    }
}
