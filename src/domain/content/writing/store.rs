//! SQL of articles, as they are written.

use chrono::{DateTime, Utc};

use super::model::NewText;
use crate::domain::content::error::Error;
use crate::domain::content::model::{Category, Status};
use crate::platform::db::{OrConstraint, broken_constraint};
use crate::platform::ids::{ArticleId, FileId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, Problem};
use crate::platform::{Result, Tx};

/// An article that the caller may change, and nobody else meanwhile.
#[derive(Debug, sqlx::FromRow)]
pub struct Locked {
    pub status: Status,
    pub published_at: Option<DateTime<Utc>>,
    /// Of the article and all its texts.
    pub updated_at: DateTime<Utc>,
}

pub async fn lock(tx: &mut Tx, id: ArticleId) -> Result<Option<Locked>> {
    Ok(sqlx::query_as(
        "SELECT a.status, a.published_at,
                greatest(a.updated_at, (SELECT max(t.updated_at) FROM app.article_translations t
                                        WHERE t.article_id = a.id)) AS updated_at
         FROM app.articles a WHERE a.id = $1 FOR UPDATE OF a",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

pub async fn is_by(tx: &mut Tx, id: ArticleId, author: UserId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM app.articles WHERE id = $1 AND author_id = $2)")
        .bind(id)
        .bind(author)
        .fetch_one(tx.conn())
        .await?)
}

fn no_cover(error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("articles_cover" | "articles_cover_fkey") => {
            Problem::from(Refusal::Invalid).at("/coverId", "article_cover")
        }
        _ => error.into(),
    }
}

pub async fn insert(
    tx: &mut Tx,
    id: ArticleId,
    author: UserId,
    category: Category,
    tags: &[String],
    cover: Option<FileId>,
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.articles (id, author_id, category, tags, cover_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id)
    .bind(author)
    .bind(category)
    .bind(tags)
    .bind(cover)
    .bind(at)
    .execute(tx.conn())
    .await
    .map_err(no_cover)?;
    Ok(())
}

/// Gives the article a new version as well.
#[allow(clippy::option_option)] // absent, nothing and something are three things
pub async fn save(
    tx: &mut Tx,
    id: ArticleId,
    category: Option<Category>,
    tags: Option<&[String]>,
    cover: Option<Option<FileId>>,
) -> Result<()> {
    sqlx::query(
        "UPDATE app.articles
         SET category = coalesce($2, category), tags = coalesce($3, tags), cover_id = CASE WHEN $4 THEN $5 ELSE cover_id END
         WHERE id = $1",
    )
    .bind(id)
    .bind(category)
    .bind(tags)
    .bind(cover.is_some())
    .bind(cover.flatten())
    .execute(tx.conn())
    .await
    .map_err(no_cover)?;
    Ok(())
}

/// The name of an article in a language.
pub async fn find_slug(tx: &mut Tx, id: ArticleId, language: Locale) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("SELECT slug FROM app.article_translations WHERE article_id = $1 AND language = $2")
        .bind(id)
        .bind(language)
        .fetch_optional(tx.conn())
        .await?)
}

pub async fn is_slug_free(tx: &mut Tx, id: ArticleId, slug: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.is_slug_free($1, $2)").bind(slug).bind(id).fetch_one(tx.conn()).await?)
}

pub async fn save_text(tx: &mut Tx, id: ArticleId, text: &NewText, slug: &str, at: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.article_translations (article_id, language, slug, title, summary, body, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (article_id, language) DO UPDATE SET slug = excluded.slug, title = excluded.title,
             summary = excluded.summary, body = excluded.body",
    )
    .bind(id)
    .bind(text.language)
    .bind(slug)
    .bind(&text.title)
    .bind(&text.summary)
    .bind(&text.body)
    .bind(at)
    .execute(tx.conn())
    .await
    .or_constraint("article_translations_slug_key", Error::SlugTaken)?;
    Ok(())
}

/// Takes the texts in other languages away.
pub async fn keep_languages(tx: &mut Tx, id: ArticleId, languages: &[&str]) -> Result<()> {
    sqlx::query("DELETE FROM app.article_translations WHERE article_id = $1 AND language <> ALL ($2)")
        .bind(id)
        .bind(languages)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// One that was never published.
pub async fn delete(tx: &mut Tx, id: ArticleId) -> Result<bool> {
    let done = sqlx::query("DELETE FROM app.articles WHERE id = $1").bind(id).execute(tx.conn()).await?;
    Ok(done.rows_affected() == 1)
}

/// Moves it to a state; the first time of being published stays.
pub async fn set_status(tx: &mut Tx, id: ArticleId, status: Status, at: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "UPDATE app.articles
         SET status = $2, publish_at = CASE $2 WHEN 'scheduled' THEN $3 END,
             published_at = CASE $2 WHEN 'published' THEN coalesce(published_at, $3) ELSE published_at END
         WHERE id = $1",
    )
    .bind(id)
    .bind(status)
    .bind(at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn publish_due(tx: &mut Tx, at: DateTime<Utc>, most: i32) -> Result<Vec<ArticleId>> {
    Ok(sqlx::query_scalar("SELECT app.publish_due_articles($1, $2)").bind(at).bind(most).fetch_all(tx.conn()).await?)
}
