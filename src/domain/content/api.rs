//! `/articles`.

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi, Tags};

use super::model::{Article, Category, Summary, Translation, render};
use super::service::{self, Filter};
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Etag, Page, PageQuery, Tagged};
use crate::platform::ids::ArticleId;
use crate::platform::locale::Locale;

#[derive(Tags)]
enum Tag {
    /// Articles about care, in French and English.
    Content,
}

/// An article in a list.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
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
    published_at: DateTime<Utc>,
}

fn example() -> Summary {
    Summary {
        id: ArticleId(uuid::uuid!("01941f29-7c00-7c1f-8a52-6d0e4b9f3a17")),
        language: Locale::En,
        slug: "sleeping-better-seven-habits".into(),
        title: "Sleeping better: seven habits".into(),
        summary: "What helps most people fall asleep, and when to ask for help.".into(),
        category: Category::Sleep,
        tags: vec!["sleep".into(), "evening".into()],
        published_at: DateTime::from_timestamp(1_764_576_000, 0).unwrap_or_default(),
    }
}

impl Example for ArticleItem {
    fn example() -> Self {
        example().into()
    }
}

impl From<Summary> for ArticleItem {
    fn from(it: Summary) -> Self {
        let Summary { id, language, slug, title, summary, category, tags, published_at } = it;
        Self { id, language, slug, title, summary, category, tags, published_at }
    }
}

/// The same article in a language.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TranslationAnswer {
    language: Locale,
    slug: String,
}

/// An article to read.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
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
    published_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Sanitised: it can be put into a page as it is.
    html: String,
    /// Every language in which the article exists.
    translations: Vec<TranslationAnswer>,
}

impl Example for ArticleAnswer {
    fn example() -> Self {
        let summary = example();
        let translations = vec![
            Translation { language: Locale::En, slug: summary.slug.clone() },
            Translation { language: Locale::Fr, slug: "mieux-dormir-sept-habitudes".into() },
        ];
        let updated_at = summary.published_at;
        let body = "Get up at the **same time** every day.".into();
        Article { summary, body, translations, updated_at }.into()
    }
}

impl From<Article> for ArticleAnswer {
    fn from(it: Article) -> Self {
        let Summary { id, language, slug, title, summary, category, tags, published_at } = it.summary;
        let other = |it: Translation| TranslationAnswer { language: it.language, slug: it.slug };
        Self {
            id,
            language,
            slug,
            title,
            summary,
            category,
            tags,
            published_at,
            updated_at: it.updated_at,
            html: render(&it.body),
            translations: it.translations.into_iter().map(other).collect(),
        }
    }
}

pub struct ContentApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Content")]
impl ContentApi {
    /// Articles
    ///
    /// The published ones, the newest first. An article that has not been written in the language comes in the other.
    #[oai(path = "/articles", method = "get", operation_id = "listArticles")]
    async fn list(
        &self,
        cx: Authorized<perm::ReadArticles>,
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
        let filter = Filter { language: language.0, category: category.0, tag: tag.0 };
        let rows = service::list(&cx, &filter, &page).await?;
        Ok(Json(Page::new(&page, rows, |it| (it.published_at, it.id), ArticleItem::from)))
    }

    /// One article
    ///
    /// By its name in any of its languages: the text comes in the language asked for, with its own name in `slug`.
    #[oai(path = "/articles/:slug", method = "get", operation_id = "getArticle")]
    async fn get(
        &self,
        cx: Authorized<perm::ReadArticles>,
        /// The article's name.
        slug: Path<String>,
        /// The language to read in. That of `Accept-Language`, unless said.
        language: Query<Option<Locale>>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<ArticleAnswer>> {
        let it = service::find(&cx, &slug.0, language.0).await?;
        let etag = Etag::of_variant(it.updated_at, it.summary.language.as_str());
        Ok(Tagged::new(it.into(), &etag, if_none_match.0.as_deref()))
    }
}
