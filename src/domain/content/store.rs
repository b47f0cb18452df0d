//! SQL of articles, as they are read. Readers get what is published, whatever else their role may see; who writes them asks
//! for what else there is.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

use super::model::{Article, Category, Status, Summary, Text, Translation};
use crate::platform::ids::ArticleId;
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// Later than anything: the first instant of the year 3000.
const FAR: DateTime<Utc> = match DateTime::from_timestamp(32_503_680_000, 0) {
    Some(far) => far,
    None => DateTime::UNIX_EPOCH,
};

/// The last article of the page before.
pub type Key = (DateTime<Utc>, ArticleId);

pub struct Listing<'a> {
    pub status: Status,
    pub language: Locale,
    pub category: Option<Category>,
    pub tag: Option<&'a str>,
    pub after: Option<Key>,
    pub fetch: i64,
}

macro_rules! select_listed {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.category, a.tags, a.cover_id, a.status, a.publish_at, a.published_at, a.created_at,
                    t.language, t.slug, t.title, t.summary
             FROM app.articles a
             CROSS JOIN LATERAL (
                 SELECT t.language, t.slug, t.title, t.summary FROM app.article_translations t WHERE t.article_id = a.id
                 ORDER BY t.language = $1 DESC LIMIT 1
             ) t
             WHERE ($2::text IS NULL OR a.category = $2) AND ($3::text IS NULL OR a.tags @> ARRAY[$3]) AND ",
            $rest
        )
    };
}

/// Each article in the language, or in the one that it has: what is published by when it was, what is not yet or not any
/// more by when it was begun.
pub async fn list(tx: &mut Tx, by: Listing<'_>) -> Result<Vec<Summary>> {
    let statement = if by.status == Status::Published {
        select_listed!(
            "a.status = 'published' AND $7 = 'published'
             AND (a.published_at, a.id) < (coalesce($4::timestamptz, 'infinity'),
                                           coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             ORDER BY a.published_at DESC, a.id DESC LIMIT $6"
        )
    } else {
        select_listed!(
            "a.status <> 'published' AND a.status = $7
             AND (a.created_at, a.id) < (coalesce($4::timestamptz, 'infinity'),
                                         coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             ORDER BY a.created_at DESC, a.id DESC LIMIT $6"
        )
    };
    Ok(sqlx::query_as(statement)
        .bind(by.language)
        .bind(by.category)
        .bind(by.tag)
        // a forged cursor may hold a year that the database does not know
        .bind(by.after.map(|(at, _)| at.clamp(DateTime::UNIX_EPOCH, FAR)))
        .bind(by.after.map(|(_, id)| id))
        .bind(by.fetch)
        .bind(by.status)
        .fetch_all(tx.conn())
        .await?)
}

impl FromRow<'_, PgRow> for Article {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            summary: Summary::from_row(row)?,
            body: row.try_get("body")?,
            translations: row.try_get::<Json<Vec<Translation>>, _>("translations")?.0,
            updated_at: row.try_get("updated_at")?,
            author_id: row.try_get("author_id")?,
        })
    }
}

/// Those of some published articles that the caller sees, in no order.
pub async fn list_by_ids(tx: &mut Tx, ids: &[ArticleId], language: Locale) -> Result<Vec<Summary>> {
    Ok(sqlx::query_as(
        "SELECT a.id, a.category, a.tags, a.cover_id, a.status, a.publish_at, a.published_at, a.created_at,
                t.language, t.slug, t.title, t.summary
         FROM app.articles a
         CROSS JOIN LATERAL (
             SELECT t.language, t.slug, t.title, t.summary FROM app.article_translations t WHERE t.article_id = a.id
             ORDER BY t.language = $2 DESC LIMIT 1
         ) t
         WHERE a.id = ANY ($1) AND a.status = 'published'",
    )
    .bind(ids)
    .bind(language)
    .fetch_all(tx.conn())
    .await?)
}

/// Which article a name leads to, and whether a text of it has it at present.
pub async fn resolve(tx: &mut Tx, slug: &str) -> Result<Option<(ArticleId, bool)>> {
    Ok(sqlx::query_as(
        "SELECT s.article_id, EXISTS (SELECT FROM app.article_translations t
                                      WHERE t.article_id = s.article_id AND t.slug = s.slug) AS is_present
         FROM app.article_slugs s WHERE s.slug = $1 LIMIT 1",
    )
    .bind(slug)
    .fetch_optional(tx.conn())
    .await?)
}

/// An article in a language, or in the one that it has. `published_only`: whatever else the caller may see.
pub async fn find(tx: &mut Tx, id: ArticleId, language: Locale, published_only: bool) -> Result<Option<Article>> {
    Ok(sqlx::query_as(
        "SELECT a.id, a.category, a.tags, a.cover_id, a.status, a.publish_at, a.published_at, a.created_at, a.author_id,
                t.language, t.slug, t.title, t.summary, t.body,
                every.translations, greatest(a.updated_at, every.updated_at) AS updated_at
         FROM app.articles a
         CROSS JOIN LATERAL (
             SELECT t.* FROM app.article_translations t WHERE t.article_id = a.id ORDER BY t.language = $2 DESC LIMIT 1
         ) t
         CROSS JOIN LATERAL (
             SELECT jsonb_agg(jsonb_build_object('language', e.language, 'slug', e.slug) ORDER BY e.language) AS translations,
                    max(e.updated_at) AS updated_at
             FROM app.article_translations e WHERE e.article_id = a.id
         ) every
         WHERE a.id = $1 AND (a.status = 'published' OR NOT $3)",
    )
    .bind(id)
    .bind(language)
    .bind(published_only)
    .fetch_optional(tx.conn())
    .await?)
}

/// The texts of an article, as they are written.
pub async fn list_texts(tx: &mut Tx, id: ArticleId) -> Result<Vec<Text>> {
    Ok(sqlx::query_as(
        "SELECT language, slug, title, summary, body FROM app.article_translations WHERE article_id = $1 ORDER BY language",
    )
    .bind(id)
    .fetch_all(tx.conn())
    .await?)
}
