//! `/articles`, as they are written.

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use super::model::{Change, NewText};
use super::service;
use crate::domain::content::api::{ArticleAnswer, Tag, etag};
use crate::domain::content::model::{Category, Named};
use crate::domain::content::service::Seen;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, IdempotencyKey, Tagged};
use crate::platform::ids::FileId;
use crate::platform::locale::Locale;

/// A text of an article in a language.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextRequest {
    language: Locale,
    /// Its name in addresses: words of small letters and digits, joined by hyphens. The present one, or one made of the
    /// title, unless said.
    #[oai(validator(min_length = 1, max_length = 120))]
    slug: Option<String>,
    #[oai(validator(min_length = 1, max_length = 200, pattern = r"\S"))]
    title: String,
    /// What lists and the feed show.
    #[oai(validator(min_length = 1, max_length = 500, pattern = r"\S"))]
    summary: String,
    /// Markdown, with tables: quotes, lists and emphasis within each other at most 32 deep. HTML in it is shown as text.
    #[oai(validator(min_length = 1, max_length = 100000, pattern = r"\S"))]
    body: String,
}

impl From<TextRequest> for NewText {
    fn from(it: TextRequest) -> Self {
        let TextRequest { language, slug, title, summary, body } = it;
        Self { language, slug, title: title.trim().to_owned(), summary: summary.trim().to_owned(), body }
    }
}

fn texts() -> Vec<TextRequest> {
    let text = |language, title: &str, summary: &str, body: &str| TextRequest {
        language,
        slug: None,
        title: title.into(),
        summary: summary.into(),
        body: body.into(),
    };
    vec![
        text(Locale::Fr, "Marcher après le déjeuner", "Dix minutes suffisent.", "Sortez **dix minutes**."),
        text(Locale::En, "A walk after lunch", "Ten minutes are enough.", "Go outside for **ten minutes**."),
    ]
}

/// A new article.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct NewArticle {
    category: Category,
    /// Small words, joined by hyphens where they are several.
    #[oai(default)]
    tags: Vec<String>,
    /// A file of purpose `article_image`.
    cover_id: Option<FileId>,
    /// In one or both languages.
    #[oai(validator(min_items = 1, max_items = 2))]
    texts: Vec<TextRequest>,
}

impl Example for NewArticle {
    fn example() -> Self {
        Self { category: Category::Movement, tags: vec!["walking".into()], cover_id: None, texts: texts() }
    }
}

/// A change of an article; what is absent stays.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ArticlePatch {
    category: Option<Category>,
    tags: Option<Vec<String>>,
    /// A file of purpose `article_image`; null takes the picture away.
    cover_id: MaybeUndefined<FileId>,
    /// All the texts that it has from now on.
    #[oai(validator(min_items = 1, max_items = 2))]
    texts: Option<Vec<TextRequest>>,
}

impl Example for ArticlePatch {
    fn example() -> Self {
        Self {
            category: None,
            tags: Some(vec!["walking".into(), "lunch".into()]),
            cover_id: MaybeUndefined::Undefined,
            texts: None,
        }
    }
}

fn new_texts(texts: Vec<TextRequest>) -> Vec<NewText> {
    texts.into_iter().map(NewText::from).collect()
}

#[derive(ApiResponse)]
pub enum ArticleCreated {
    /// The draft.
    #[oai(status = 201)]
    Created(
        Json<ArticleAnswer>,
        /// Its version.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum ArticleDeleted {
    /// It is gone, or archived.
    #[oai(status = 204)]
    Deleted,
}

fn tagged(seen: Seen) -> Tagged<ArticleAnswer> {
    let etag = etag(&seen.article);
    Tagged::new(seen.into(), &etag, None)
}

pub struct WritingApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Content")]
impl WritingApi {
    /// Begin an article
    ///
    /// It is a draft, which nobody but its author and platform admins see. A name that another article has or had is
    /// `409 slug_taken`.
    #[oai(path = "/articles", method = "post", operation_id = "createArticle")]
    async fn create(
        &self,
        cx: Authorized<perm::WriteArticles>,
        /// Makes a repetition safe: for 24 hours the same key gets the same article. With another body it is refused.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Body<NewArticle>,
    ) -> Result<ArticleCreated> {
        let key = IdempotencyKey::new(key.0, "createArticle", &body.0)?;
        let NewArticle { category, tags, cover_id, texts } = body.0;
        let draft = Change { category: None, tags: Some(tags), cover: Some(cover_id), texts: Some(new_texts(texts)) };
        let seen = service::create(&cx, category, draft, key.as_ref()).await?;
        let etag = etag(&seen.article).as_str().to_owned();
        Ok(ArticleCreated::Created(Json(seen.into()), etag))
    }

    /// Change an article
    ///
    /// Practitioners change drafts of their own: of what is not one any more it is `409 article_not_draft`. Platform admins
    /// change all. `If-Match` says which version the client knows, in any language. Names that it had lead to it still.
    #[oai(path = "/articles/:slug", method = "patch", operation_id = "updateArticle")]
    async fn update(
        &self,
        cx: Authorized<perm::WriteArticles>,
        /// The article's id, or a name that it has or had.
        slug: Path<String>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<ArticlePatch>,
    ) -> Result<Tagged<ArticleAnswer>> {
        let ArticlePatch { category, tags, cover_id, texts } = body.0;
        let cover = match cover_id {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(id) => Some(Some(id)),
        };
        let change = Change { category, tags, cover, texts: texts.map(new_texts) };
        Ok(tagged(service::change(&cx, &Named::from(slug.0), change, if_match.0.as_deref()).await?))
    }

    /// Delete an article
    ///
    /// One that was never published is gone for good. Any other is archived: readers do not find it any more, its names
    /// stay its own, and it can be published again. Archiving is for platform admins.
    #[oai(path = "/articles/:slug", method = "delete", operation_id = "deleteArticle")]
    async fn delete(
        &self,
        cx: Authorized<perm::WriteArticles>,
        /// The article's id, or a name that it has or had.
        slug: Path<String>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<ArticleDeleted> {
        service::delete(&cx, &Named::from(slug.0), if_match.0.as_deref()).await?;
        Ok(ArticleDeleted::Deleted)
    }

    /// Publish an article
    ///
    /// Now, or at a time to come. Publishing it again changes nothing; one that is published cannot wait
    /// (`409 article_published`). Say with `If-Match` which version was read, and another one is not published.
    #[oai(path = "/articles/:slug/publish", method = "post", operation_id = "publishArticle")]
    async fn publish(
        &self,
        cx: Authorized<perm::PublishArticles>,
        /// The article's id, or a name that it has or had.
        slug: Path<String>,
        /// When; now unless said.
        at: Query<Option<DateTime<Utc>>>,
        /// The version that the client has. Where it is given and another, the answer is 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Tagged<ArticleAnswer>> {
        Ok(tagged(service::publish(&cx, &Named::from(slug.0), at.0, if_match.0.as_deref()).await?))
    }

    /// Make an article a draft again
    ///
    /// Readers do not find it any more; one that waited to be published waits no more.
    #[oai(path = "/articles/:slug/unpublish", method = "post", operation_id = "unpublishArticle")]
    async fn unpublish(
        &self,
        cx: Authorized<perm::PublishArticles>,
        /// The article's id, or a name that it has or had.
        slug: Path<String>,
        /// The version that the client has. Where it is given and another, the answer is 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Tagged<ArticleAnswer>> {
        Ok(tagged(service::unpublish(&cx, &Named::from(slug.0), if_match.0.as_deref()).await?))
    }
}
