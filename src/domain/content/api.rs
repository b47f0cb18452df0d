//! `/articles`, as they are read.

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi, Tags};

use super::markdown::render;
use super::model::{Article, Category, Named, Status, Summary, Text, Translation};
use super::service::{self, Filter, Found, Seen};
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Etag, Page, PageQuery};
use crate::platform::ids::{ArticleId, FileId, UserId};
use crate::platform::locale::Locale;

#[derive(Tags)]
pub enum Tag {
    /// Articles about care and announcements, in French and English.
    Content,
}

/// An article in a list.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct ArticleItem {
    id: ArticleId,
    /// The language of this text: the one asked for, or the one in which the article exists.
    language: Locale,
    /// The article's name in addresses, in this language.
    slug: String,
    title: String,
    summary: String,
    category: Category,
    tags: Vec<String>,
    /// Its picture, fetched with an access token.
    cover_url: Option<String>,
    status: Status,
    /// When a scheduled one is published.
    publish_at: Option<DateTime<Utc>>,
    /// When it was published first.
    published_at: Option<DateTime<Utc>>,
}

pub(super) fn example() -> Summary {
    Summary {
        id: ArticleId(uuid::uuid!("01941f29-7c00-7c1f-8a52-6d0e4b9f3a17")),
        language: Locale::En,
        slug: "sleeping-better-seven-habits".into(),
        title: "Sleeping better: seven habits".into(),
        summary: "What helps most people fall asleep, and when to ask for help.".into(),
        category: Category::Sleep,
        tags: vec!["sleep".into(), "evening".into()],
        cover_id: None,
        status: Status::Published,
        publish_at: None,
        published_at: DateTime::from_timestamp(1_764_576_000, 0),
        created_at: DateTime::from_timestamp(1_764_576_000, 0).unwrap_or_default(),
    }
}

impl Example for ArticleItem {
    fn example() -> Self {
        example().into()
    }
}

impl From<Summary> for ArticleItem {
    fn from(it: Summary) -> Self {
        Self {
            id: it.id,
            language: it.language,
            slug: it.slug,
            title: it.title,
            summary: it.summary,
            category: it.category,
            tags: it.tags,
            cover_url: it.cover_id.map(FileId::url),
            status: it.status,
            publish_at: it.publish_at,
            published_at: it.published_at,
        }
    }
}

/// The same article in a language.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TranslationAnswer {
    language: Locale,
    slug: String,
}

/// A text of an article, as it is written.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TextAnswer {
    language: Locale,
    slug: String,
    title: String,
    summary: String,
    /// Markdown.
    body: String,
}

impl From<Text> for TextAnswer {
    fn from(it: Text) -> Self {
        let Text { language, slug, title, summary, body } = it;
        Self { language, slug, title, summary, body }
    }
}

/// An article to read.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct ArticleAnswer {
    id: ArticleId,
    /// The language of this text: the one asked for, or the one in which the article exists.
    language: Locale,
    /// The article's name in addresses, in this language.
    slug: String,
    title: String,
    summary: String,
    category: Category,
    tags: Vec<String>,
    /// Its picture, fetched with an access token.
    cover_url: Option<String>,
    status: Status,
    /// When a scheduled one is published.
    publish_at: Option<DateTime<Utc>>,
    /// When it was published first.
    published_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    /// Sanitised: it can be put into a page as it is. Its pictures are of `/api/v1/files`.
    html: String,
    /// Every language in which the article exists.
    translations: Vec<TranslationAnswer>,
    /// For who may write it: what was written, in each language.
    texts: Option<Vec<TextAnswer>>,
    /// For who may write it: who began it.
    author_id: Option<UserId>,
    /// For who may write it: the picture of `coverUrl`.
    cover_id: Option<FileId>,
}

impl Example for ArticleAnswer {
    fn example() -> Self {
        let summary = example();
        let translations = vec![
            Translation { language: Locale::En, slug: summary.slug.clone() },
            Translation { language: Locale::Fr, slug: "mieux-dormir-sept-habitudes".into() },
        ];
        let updated_at = summary.created_at;
        let body = "Get up at the **same time** every day.".to_owned();
        let html = render(&body);
        Seen { article: Article { summary, body, translations, updated_at, author_id: None }, html, texts: None }.into()
    }
}

impl From<Seen> for ArticleAnswer {
    fn from(it: Seen) -> Self {
        let Article { summary, translations, updated_at, author_id, .. } = it.article;
        let other = |it: Translation| TranslationAnswer { language: it.language, slug: it.slug };
        let may_write = it.texts.is_some();
        Self {
            id: summary.id,
            language: summary.language,
            slug: summary.slug,
            title: summary.title,
            summary: summary.summary,
            category: summary.category,
            tags: summary.tags,
            cover_url: summary.cover_id.map(FileId::url),
            status: summary.status,
            publish_at: summary.publish_at,
            published_at: summary.published_at,
            updated_at,
            html: it.html,
            translations: translations.into_iter().map(other).collect(),
            texts: it.texts.map(|texts| texts.into_iter().map(TextAnswer::from).collect()),
            author_id: author_id.filter(|_| may_write),
            cover_id: summary.cover_id.filter(|_| may_write),
        }
    }
}

/// The version of an article in the language in which it is shown.
pub(super) fn etag(it: &Article) -> Etag {
    Etag::of_variant(it.updated_at, it.summary.language.as_str())
}

#[derive(ApiResponse)]
#[allow(clippy::large_enum_variant)] // made once for an answer
pub enum ArticleResponse {
    /// The article as it is now.
    #[oai(status = 200)]
    Fresh(
        Json<ArticleAnswer>,
        /// The version of the article in this language, for `If-Match` and `If-None-Match`.
        #[oai(header = "ETag")]
        String,
    ),
    /// The client's copy is current.
    #[oai(status = 304)]
    NotModified(
        /// As with the article.
        #[oai(header = "ETag")]
        String,
    ),
    /// It has another name now.
    #[oai(status = 308)]
    Moved(
        /// Under its present name.
        #[oai(header = "Location")]
        String,
    ),
}

pub struct ContentApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Content")]
impl ContentApi {
    /// Articles
    ///
    /// The published ones, the newest first. An article that has not been written in the language comes in the other. Who
    /// writes articles also lists what is not published: practitioners their own, platform admins all, the one that was begun
    /// last first.
    #[oai(path = "/articles", method = "get", operation_id = "listArticles")]
    #[allow(clippy::too_many_arguments)] // one for each parameter of the query
    async fn list(
        &self,
        cx: Authorized<perm::ReadArticles>,
        /// `published` unless said. Other states are for practitioners and platform admins.
        status: Query<Option<Status>>,
        /// The language to read in. That of `Accept-Language`, unless said.
        language: Query<Option<Locale>>,
        /// Only articles of this category.
        category: Query<Option<Category>>,
        /// Only articles that carry this tag.
        #[oai(validator(min_length = 1, max_length = 60))]
        tag: Query<Option<String>>,
        /// 1–100, 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<ArticleItem>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let filter = Filter { status: status.0, language: language.0, category: category.0, tag: tag.0 };
        let rows = service::list(&cx, &filter, &page).await?;
        let key = |it: &Summary| match it.status {
            Status::Published => (it.published_at.unwrap_or(it.created_at), it.id),
            _ => (it.created_at, it.id),
        };
        Ok(Json(Page::new(&page, rows, key, ArticleItem::from)))
    }

    /// One article
    ///
    /// By its name in any of its languages, or by its id: the text comes in the language asked for, with its own name in
    /// `slug`. A name that it does not have any more answers `308` with the present one. Who may write it gets what is
    /// written in `texts`, also before it is published.
    #[oai(path = "/articles/:slug", method = "get", operation_id = "getArticle")]
    async fn get(
        &self,
        cx: Authorized<perm::ReadArticles>,
        /// The article's name, or its id.
        slug: Path<String>,
        /// The language to read in. That of `Accept-Language`, unless said.
        language: Query<Option<Locale>>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<ArticleResponse> {
        match service::find(&cx, &Named::from(slug.0), language.0).await? {
            Found::Moved(name) => {
                let wanted = language.0.map(|it| format!("?language={}", it.as_str())).unwrap_or_default();
                Ok(ArticleResponse::Moved(format!("/api/v1/articles/{name}{wanted}")))
            }
            Found::Here(seen) => {
                let etag = etag(&seen.article);
                Ok(if etag.is_known(if_none_match.0.as_deref()) {
                    ArticleResponse::NotModified(etag.as_str().to_owned())
                } else {
                    ArticleResponse::Fresh(Json((*seen).into()), etag.as_str().to_owned())
                })
            }
        }
    }
}
