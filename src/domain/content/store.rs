//! SQL of articles. Readers get what is published, whatever else their role may see.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

use super::model::{Article, Category, Summary, Translation};
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
    pub language: Locale,
    pub category: Option<Category>,
    pub tag: Option<&'a str>,
    pub after: Option<Key>,
    pub fetch: i64,
}

/// Each article in the language, or in the one that it has.
pub async fn list(tx: &mut Tx, by: Listing<'_>) -> Result<Vec<Summary>> {
    Ok(sqlx::query_as(
        "SELECT a.id, a.category, a.tags, a.published_at, t.language, t.slug, t.title, t.summary
         FROM app.articles a
         CROSS JOIN LATERAL (
             SELECT t.language, t.slug, t.title, t.summary FROM app.article_translations t WHERE t.article_id = a.id
             ORDER BY t.language = $1 DESC LIMIT 1
         ) t
         WHERE a.status = 'published' AND ($2::text IS NULL OR a.category = $2)
           AND ($3::text IS NULL OR a.tags @> ARRAY[$3])
           AND (a.published_at, a.id) < (coalesce($4::timestamptz, 'infinity'),
                                         coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         ORDER BY a.published_at DESC, a.id DESC LIMIT $6",
    )
    .bind(by.language)
    .bind(by.category)
    .bind(by.tag)
    // a forged cursor may hold a year that the database does not know
    .bind(by.after.map(|(at, _)| at.clamp(DateTime::UNIX_EPOCH, FAR)))
    .bind(by.after.map(|(_, id)| id))
    .bind(by.fetch)
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
        })
    }
}

/// Two articles may share a name in different languages: the one of the wanted language comes first.
pub async fn find(tx: &mut Tx, slug: &str, language: Locale) -> Result<Option<Article>> {
    Ok(sqlx::query_as(
        "SELECT a.id, a.category, a.tags, a.published_at, t.language, t.slug, t.title, t.summary, t.body,
                every.translations, greatest(a.updated_at, every.updated_at) AS updated_at
         FROM app.article_translations named
         JOIN app.articles a ON a.id = named.article_id AND a.status = 'published'
         CROSS JOIN LATERAL (
             SELECT t.* FROM app.article_translations t WHERE t.article_id = a.id ORDER BY t.language = $2 DESC LIMIT 1
         ) t
         CROSS JOIN LATERAL (
             SELECT jsonb_agg(jsonb_build_object('language', e.language, 'slug', e.slug) ORDER BY e.language) AS translations,
                    max(e.updated_at) AS updated_at
             FROM app.article_translations e WHERE e.article_id = a.id
         ) every
         WHERE named.slug = $1
         ORDER BY named.language = $2 DESC LIMIT 1",
    )
    .bind(slug)
    .bind(language)
    .fetch_optional(tx.conn())
    .await?)
}
