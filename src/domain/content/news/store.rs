//! SQL of news. A role reads and writes the tables that it has: who is of a company reads both, and HR and admins write their
//! company's; the others have the platform's.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::model::{Audience, News, Source, Text, Texts};
use crate::platform::auth::Role;
use crate::platform::db::broken_constraint;
use crate::platform::ids::{CompanyId, NewsId};
use crate::platform::problem::{Error as Refusal, Problem};
use crate::platform::{Result, Tx};

impl FromRow<'_, PgRow> for News {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let text = |title: &str, body: &str| -> sqlx::Result<Option<Text>> {
            let (title, body): (Option<String>, Option<String>) = (row.try_get(title)?, row.try_get(body)?);
            Ok(title.zip(body).map(|(title, body)| Text { title, body }))
        };
        let chosen: Option<Vec<CompanyId>> = row.try_get("companies")?;
        let audience: Option<String> = row.try_get("audience")?;
        Ok(Self {
            id: row.try_get("id")?,
            source: row.try_get("source")?,
            texts: Texts { fr: text("title_fr", "body_fr")?, en: text("title_en", "body_en")? },
            published_at: row.try_get("published_at")?,
            expires_at: row.try_get("expires_at")?,
            updated_at: row.try_get("updated_at")?,
            read_at: row.try_get("read_at")?,
            audience: audience.map(|it| match (it.as_str(), chosen) {
                ("chosen", Some(companies)) => Audience::Companies(companies),
                _ => Audience::Everybody,
            }),
        })
    }
}

macro_rules! platform {
    ($($rest:literal),+) => {
        concat!(
            "SELECT n.id, 'platform' AS source, n.title_fr, n.body_fr, n.title_en, n.body_en, n.published_at, n.expires_at,
                    n.updated_at, r.read_at, NULL::text AS audience, NULL::uuid[] AS companies
             FROM app.platform_news n
             LEFT JOIN app.news_reads r ON r.user_id = app.user_id() AND r.news_id = n.id WHERE ",
            $($rest),+
        )
    };
}
macro_rules! platform_for_writers {
    ($($rest:literal),+) => {
        concat!(
            "SELECT n.id, 'platform' AS source, n.title_fr, n.body_fr, n.title_en, n.body_en, n.published_at, n.expires_at,
                    n.updated_at, r.read_at, n.audience,
                    ARRAY(SELECT c.company_id FROM app.platform_news_companies c WHERE c.news_id = n.id ORDER BY c.company_id)
                        AS companies
             FROM app.platform_news n
             LEFT JOIN app.news_reads r ON r.user_id = app.user_id() AND r.news_id = n.id WHERE ",
            $($rest),+
        )
    };
}
macro_rules! company {
    ($($rest:literal),+) => {
        concat!(
            "SELECT n.id, 'company' AS source, n.title_fr, n.body_fr, n.title_en, n.body_en, n.published_at, n.expires_at,
                    n.updated_at, r.read_at, NULL::text AS audience, NULL::uuid[] AS companies
             FROM app.news n
             LEFT JOIN app.news_reads r ON r.user_id = app.user_id() AND r.news_id = n.id
             WHERE n.company_id = app.company_id() AND ",
            $($rest),+
        )
    };
}

/// Where a list goes on.
pub type Key = (DateTime<Utc>, NewsId);

/// The newest first. `written`: of which the reader also sees what is over.
pub async fn list(
    tx: &mut Tx,
    role: Role,
    written: Option<Source>,
    now: DateTime<Utc>,
    unread_only: bool,
    after: Option<Key>,
    fetch: i64,
) -> Result<Vec<News>> {
    macro_rules! page {
        ($select:ident, $source:literal) => {
            $select!(
                "(n.published_at, n.id) < (coalesce($1::timestamptz, 'infinity'),
                                           coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                 AND (n.expires_at IS NULL OR n.expires_at > $3 OR $6::text IS NOT DISTINCT FROM ",
                $source,
                ") AND (NOT $4 OR r.read_at IS NULL)
                 ORDER BY n.published_at DESC, n.id DESC LIMIT $5"
            )
        };
    }
    let statement = match role {
        Role::Employee | Role::Hr | Role::CompanyAdmin => concat!(
            "SELECT * FROM ((",
            page!(platform, "'platform'"),
            ") UNION ALL (",
            page!(company, "'company'"),
            ")) n
             ORDER BY n.published_at DESC, n.id DESC LIMIT $5"
        ),
        Role::Practitioner => page!(platform, "'platform'"),
        Role::PlatformAdmin => page!(platform_for_writers, "'platform'"),
    };
    Ok(sqlx::query_as(statement)
        .bind(after.map(|(at, _)| at))
        .bind(after.map(|(_, id)| id))
        .bind(now)
        .bind(unread_only)
        .bind(fetch)
        .bind(written)
        .fetch_all(tx.conn())
        .await?)
}

pub async fn find(tx: &mut Tx, role: Role, id: NewsId) -> Result<Option<News>> {
    let statement = match role {
        Role::Employee | Role::Hr | Role::CompanyAdmin => {
            concat!("(", platform!("n.id = $1"), ") UNION ALL (", company!("n.id = $1"), ")")
        }
        Role::Practitioner => platform!("n.id = $1"),
        Role::PlatformAdmin => platform_for_writers!("n.id = $1"),
    };
    Ok(sqlx::query_as(statement).bind(id).fetch_optional(tx.conn()).await?)
}

/// Keeps others from changing it. False: there is none that the caller may change.
pub async fn lock(tx: &mut Tx, role: Role, id: NewsId) -> Result<bool> {
    let statement = match role {
        Role::PlatformAdmin => "SELECT true FROM app.platform_news WHERE id = $1 FOR UPDATE",
        _ => "SELECT true FROM app.news WHERE id = $1 AND company_id = app.company_id() FOR UPDATE",
    };
    Ok(sqlx::query_scalar(statement).bind(id).fetch_optional(tx.conn()).await?.unwrap_or(false))
}

/// The columns of texts: titles and bodies, French first.
fn columns(texts: &Texts) -> [Option<&str>; 4] {
    let (french, english) = (texts.fr.as_ref(), texts.en.as_ref());
    [
        french.map(|it| it.title.as_str()),
        french.map(|it| it.body.as_str()),
        english.map(|it| it.title.as_str()),
        english.map(|it| it.body.as_str()),
    ]
}

pub async fn insert_for_company(
    tx: &mut Tx,
    id: NewsId,
    texts: &Texts,
    at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let [title_fr, body_fr, title_en, body_en] = columns(texts);
    sqlx::query(
        "INSERT INTO app.news (id, company_id, title_fr, body_fr, title_en, body_en, published_at, expires_at)
         VALUES ($1, app.company_id(), $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(title_fr)
    .bind(body_fr)
    .bind(title_en)
    .bind(body_en)
    .bind(at)
    .bind(expires_at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn insert_for_platform(
    tx: &mut Tx,
    id: NewsId,
    texts: &Texts,
    audience: &Audience,
    at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let [title_fr, body_fr, title_en, body_en] = columns(texts);
    sqlx::query(
        "INSERT INTO app.platform_news (id, audience, title_fr, body_fr, title_en, body_en, published_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(name(audience))
    .bind(title_fr)
    .bind(body_fr)
    .bind(title_en)
    .bind(body_en)
    .bind(at)
    .bind(expires_at)
    .execute(tx.conn())
    .await?;
    save_companies(tx, id, audience).await
}

fn name(audience: &Audience) -> &'static str {
    match audience {
        Audience::Everybody => "everybody",
        Audience::Companies(_) => "chosen",
    }
}

async fn save_companies(tx: &mut Tx, id: NewsId, audience: &Audience) -> Result<()> {
    sqlx::query("DELETE FROM app.platform_news_companies WHERE news_id = $1").bind(id).execute(tx.conn()).await?;
    let Audience::Companies(companies) = audience else { return Ok(()) };
    let done =
        sqlx::query("INSERT INTO app.platform_news_companies (company_id, news_id) SELECT unnest($2::uuid[]), $1")
            .bind(id)
            .bind(companies)
            .execute(tx.conn())
            .await;
    match done {
        Err(error) if broken_constraint(&error) == Some("platform_news_companies_company_id_fkey") => {
            Err(Problem::from(Refusal::Invalid).at("/companyIds", "unknown"))
        }
        done => {
            done?;
            Ok(())
        }
    }
}

/// Puts texts and end in the place of those that it has, and gives it a new version.
pub async fn save(
    tx: &mut Tx,
    role: Role,
    id: NewsId,
    texts: &Texts,
    expires_at: Option<DateTime<Utc>>,
    audience: Option<&Audience>,
) -> Result<()> {
    let statement = match role {
        Role::PlatformAdmin => {
            "UPDATE app.platform_news SET title_fr = $2, body_fr = $3, title_en = $4, body_en = $5, expires_at = $6,
                    audience = coalesce($7, audience)
             WHERE id = $1"
        }
        _ => {
            "UPDATE app.news SET title_fr = $2, body_fr = $3, title_en = $4, body_en = $5, expires_at = $6
             WHERE id = $1 AND $7::text IS NULL"
        }
    };
    let [title_fr, body_fr, title_en, body_en] = columns(texts);
    sqlx::query(statement)
        .bind(id)
        .bind(title_fr)
        .bind(body_fr)
        .bind(title_en)
        .bind(body_en)
        .bind(expires_at)
        .bind(audience.map(name))
        .execute(tx.conn())
        .await?;
    match audience {
        Some(audience) => save_companies(tx, id, audience).await,
        None => Ok(()),
    }
}

pub async fn delete(tx: &mut Tx, role: Role, id: NewsId) -> Result<()> {
    let statement = match role {
        Role::PlatformAdmin => "DELETE FROM app.platform_news WHERE id = $1",
        _ => "DELETE FROM app.news WHERE id = $1",
    };
    sqlx::query(statement).bind(id).execute(tx.conn()).await?;
    Ok(())
}

/// Notes that the caller has read it, once.
pub async fn note_read(tx: &mut Tx, id: NewsId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.news_reads (user_id, news_id, read_at) VALUES (app.user_id(), $1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(at)
    .execute(tx.conn())
    .await?;
    Ok(())
}
