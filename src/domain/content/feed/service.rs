//! Makes the feed.

use super::model::render;
use super::store;
use crate::platform::db::Actor;
use crate::platform::http::Etag;
use crate::platform::locale::Locale;
use crate::platform::{Platform, RequestInfo, Result};

/// Articles in the feed.
const LATEST: i32 = 50;

/// The feed as a document, with its version.
pub struct Feed {
    pub xml: String,
    pub etag: Etag,
}

pub async fn read(platform: &Platform, request: &RequestInfo, language: Option<Locale>) -> Result<Feed> {
    let locale = language.unwrap_or(request.locale);
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let items = store::list(&mut tx, locale, LATEST).await?;
    let xml = render(&items, locale, platform.config.public_url.as_str().trim_end_matches('/'));
    let etag = Etag::of_content(xml.as_bytes());
    Ok(Feed { xml, etag })
}
