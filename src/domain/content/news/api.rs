//! `/news`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::model::{Audience, Change, News, Source, Text, Texts};
use super::service;
use crate::domain::content::api::Tag;
use crate::domain::content::markdown::render_all;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Etag, IdempotencyKey, Page, PageQuery, Tagged};
use crate::platform::ids::{CompanyId, NewsId};
use crate::platform::locale::Locale;
use crate::platform::problem::Problem;
use crate::platform::{Context, Result};

const NEWS: NewsId = NewsId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0d01));
const COMPANY: CompanyId = CompanyId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a11));

/// A text in a language.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewsText {
    #[oai(validator(min_length = 1, max_length = 200, pattern = r"\S"))]
    title: String,
    /// Markdown, as of articles.
    #[oai(validator(min_length = 1, max_length = 5000, pattern = r"\S"))]
    body: String,
}

/// Texts by language; one at least.
#[derive(Clone, Debug, Default, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, skip_serializing_if_is_none)]
pub struct NewsTexts {
    fr: Option<NewsText>,
    en: Option<NewsText>,
}

impl From<NewsTexts> for Texts {
    fn from(it: NewsTexts) -> Self {
        let text = |it: NewsText| Text { title: it.title.trim().to_owned(), body: it.body };
        Self { fr: it.fr.map(text), en: it.en.map(text) }
    }
}

impl From<Texts> for NewsTexts {
    fn from(it: Texts) -> Self {
        let text = |it: Text| NewsText { title: it.title, body: it.body };
        Self { fr: it.fr.map(text), en: it.en.map(text) }
    }
}

fn texts() -> NewsTexts {
    let text = |title: &str, body: &str| Some(NewsText { title: title.into(), body: body.into() });
    NewsTexts {
        fr: text("Une semaine sans réunion", "Du 7 au 11 décembre, les **après-midis** sont à vous."),
        en: text("A week without meetings", "From 7 to 11 December, **afternoons** are yours."),
    }
}

/// An announcement to make.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct NewNews {
    texts: NewsTexts,
    /// Until when readers see it; without an end unless said.
    expires_at: Option<DateTime<Utc>>,
    /// By platform admins: the companies whose people read it. Everybody unless said, practitioners included.
    #[oai(validator(min_items = 1, max_items = 1000))]
    company_ids: Option<Vec<CompanyId>>,
}

impl Example for NewNews {
    fn example() -> Self {
        Self { texts: texts(), expires_at: DateTime::from_timestamp(1_796_947_200, 0), company_ids: None }
    }
}

/// A change; what is absent stays.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct NewsPatch {
    /// All the texts that it has from now on.
    texts: Option<NewsTexts>,
    /// Until when readers see it; null: without an end.
    expires_at: MaybeUndefined<DateTime<Utc>>,
    /// By platform admins: the companies whose people read it; null: everybody.
    #[oai(validator(min_items = 1, max_items = 1000))]
    company_ids: MaybeUndefined<Vec<CompanyId>>,
}

impl Example for NewsPatch {
    fn example() -> Self {
        Self { texts: Some(texts()), expires_at: MaybeUndefined::Null, company_ids: MaybeUndefined::Undefined }
    }
}

/// An announcement.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct NewsAnswer {
    id: NewsId,
    source: Source,
    /// The language of this text: the one asked for, or the one that there is.
    language: Locale,
    title: String,
    /// Sanitised: it can be put into a page as it is.
    html: String,
    published_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// When the reader said that they have read it.
    read_at: Option<DateTime<Utc>>,
    /// For who may write it: what was written, in each language.
    texts: Option<NewsTexts>,
    /// Of the platform's, for platform admins: the companies whose people read it. Absent: everybody.
    company_ids: Option<Vec<CompanyId>>,
}

impl NewsAnswer {
    /// Of several at once, in their order.
    async fn of_all(cx: &Context, news: Vec<News>) -> Result<Vec<Self>> {
        let body = |it: &News| it.texts.in_language(cx.locale()).map(|(_, text)| text.body.clone()).unwrap_or_default();
        let html = render_all(news.iter().map(body).collect()).await?;
        Ok(news.into_iter().zip(html).map(|(it, html)| Self::with(cx, it, html)).collect())
    }

    async fn of(cx: &Context, it: News) -> Result<Self> {
        Self::of_all(cx, vec![it]).await?.pop().ok_or_else(|| Problem::internal("one text was rendered as none"))
    }

    fn with(cx: &Context, it: News, html: String) -> Self {
        let (language, title) = match it.texts.in_language(cx.locale()) {
            Some((language, text)) => (language, text.title.clone()),
            None => (cx.locale(), String::new()),
        };
        let may_write = Source::written_by(cx.caller().role) == Some(it.source);
        let company_ids = match it.audience {
            Some(Audience::Companies(ids)) => Some(ids),
            _ => None,
        };
        Self {
            id: it.id,
            source: it.source,
            language,
            title,
            html,
            published_at: it.published_at,
            expires_at: it.expires_at,
            read_at: it.read_at,
            texts: may_write.then(|| it.texts.into()),
            company_ids,
        }
    }
}

impl Example for NewsAnswer {
    fn example() -> Self {
        Self {
            id: NEWS,
            source: Source::Platform,
            language: Locale::En,
            title: "A week without meetings".into(),
            html: "<p>From 7 to 11 December, <strong>afternoons</strong> are yours.</p>\n".into(),
            published_at: DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default(),
            expires_at: DateTime::from_timestamp(1_796_947_200, 0),
            read_at: None,
            texts: Some(texts()),
            company_ids: Some(vec![COMPANY]),
        }
    }
}

fn etag(it: &News) -> Etag {
    Etag::of(it.updated_at)
}

async fn tagged(cx: &Context, it: News, if_none_match: Option<&str>) -> Result<Tagged<NewsAnswer>> {
    let etag = etag(&it);
    Ok(Tagged::new(NewsAnswer::of(cx, it).await?, &etag, if_none_match))
}

/// Each company once.
fn audience(ids: Vec<CompanyId>) -> Audience {
    Audience::Companies(ids.into_iter().map(|it| it.0).collect::<BTreeSet<_>>().into_iter().map(CompanyId).collect())
}

#[derive(ApiResponse)]
pub enum NewsAnnounced {
    /// Its readers see it.
    #[oai(status = 201)]
    Announced(
        Json<NewsAnswer>,
        /// Its version.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum NewsDone {
    /// It is so.
    #[oai(status = 204)]
    Done,
}

pub struct NewsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Content")]
impl NewsApi {
    /// News
    ///
    /// The newest first: for employees, HR and admins their company's and the platform's, for practitioners and platform admins
    /// the platform's. Who writes them (HR and admins their company's, platform admins the platform's) also sees what is over.
    #[oai(path = "/news", method = "get", operation_id = "listNews")]
    async fn list(
        &self,
        cx: Authorized<perm::ReadNews>,
        /// Only what the reader has not said that they have read.
        #[oai(default)]
        unread: Query<bool>,
        /// 1–100, 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<NewsAnswer>>> {
        let page: PageQuery<(DateTime<Utc>, NewsId)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::list(&cx, unread.0, &page).await?;
        let answers = NewsAnswer::of_all(&cx, rows).await?;
        Ok(Json(Page::new(&page, answers, |it| (it.published_at, it.id), |it| it)))
    }

    /// Announce something
    ///
    /// HR and admins to the employees of their company; platform admins to everybody, or to the people of `companyIds`.
    #[oai(path = "/news", method = "post", operation_id = "announceNews")]
    async fn announce(
        &self,
        cx: Authorized<perm::WriteNews>,
        /// Makes a repetition safe: for 24 hours the same key announces once. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<NewNews>,
    ) -> Result<NewsAnnounced> {
        let key = IdempotencyKey::new(key.0, "announceNews", &body.0)?;
        let NewNews { texts, expires_at, company_ids } = body.0;
        let it = service::announce(&cx, &texts.into(), expires_at, company_ids.map(audience), key.as_ref()).await?;
        let etag = etag(&it).as_str().to_owned();
        Ok(NewsAnnounced::Announced(Json(NewsAnswer::of(&cx, it).await?), etag))
    }

    /// One announcement
    #[oai(path = "/news/:id", method = "get", operation_id = "getNews")]
    async fn get(
        &self,
        cx: Authorized<perm::ReadNews>,
        id: Path<NewsId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<NewsAnswer>> {
        tagged(&cx, service::read(&cx, id.0).await?, if_none_match.0.as_deref()).await
    }

    /// Change an announcement
    ///
    /// Who has read it has read it still.
    #[oai(path = "/news/:id", method = "patch", operation_id = "updateNews")]
    async fn update(
        &self,
        cx: Authorized<perm::WriteNews>,
        id: Path<NewsId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<NewsPatch>,
    ) -> Result<Tagged<NewsAnswer>> {
        let NewsPatch { texts, expires_at, company_ids } = body.0;
        let change = Change {
            texts: texts.map(Into::into),
            expires_at: match expires_at {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(end) => Some(Some(end)),
            },
            audience: match company_ids {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(Audience::Everybody),
                MaybeUndefined::Value(ids) => Some(audience(ids)),
            },
        };
        tagged(&cx, service::change(&cx, id.0, change, if_match.0.as_deref()).await?, None).await
    }

    /// Take an announcement back
    #[oai(path = "/news/:id", method = "delete", operation_id = "deleteNews")]
    async fn delete(
        &self,
        cx: Authorized<perm::WriteNews>,
        id: Path<NewsId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<NewsDone> {
        service::take_back(&cx, id.0, if_match.0.as_deref()).await?;
        Ok(NewsDone::Done)
    }

    /// Note that one has read an announcement
    ///
    /// Once and again is the same. Nobody else learns of it.
    #[oai(path = "/news/:id/read", method = "post", operation_id = "readNews")]
    async fn read(&self, cx: Authorized<perm::ReadNews>, id: Path<NewsId>) -> Result<NewsDone> {
        service::note_read(&cx, id.0).await?;
        Ok(NewsDone::Done)
    }
}
