//! SQL of search. Every row passes the policies of who asks before it is ranked or counted.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::model::{Facet, Filter, Hit, Kind};
use crate::domain::practitioners::{Mode, Specialty};
use crate::platform::auth::Role;
use crate::platform::{Result, Tx};

/// What is asked of the statements below.
pub struct Question<'a> {
    pub words: &'a str,
    pub filter: &'a Filter,
    pub role: Role,
}

// Each id is looked up, whatever the planner expects of the functions: OFFSET 0 keeps it from turning the join around and
// reading the table for each of them.
macro_rules! articles {
    () => {
        "SELECT 'article'::text AS kind, a.id, max((m.score * 10000)::int) AS score
         FROM app.articles_ranked($1) m
         CROSS JOIN LATERAL (SELECT a.id FROM app.articles a
                             WHERE a.id = m.article_id AND a.status = 'published' AND ($3::text IS NULL OR a.category = $3)
                             OFFSET 0) a
         WHERE $2 AND ($4 OR $5 OR $6::text IS NULL OR $7::text IS NULL OR $8::text IS NULL OR true)
         GROUP BY a.id"
    };
}
macro_rules! practitioners {
    () => {
        "SELECT 'practitioner'::text AS kind, p.id, (m.score * 10000)::int AS score
         FROM app.practitioners_ranked($1) m
         CROSS JOIN LATERAL (
             SELECT p.id FROM app.practitioners p
             WHERE p.id = m.id AND p.status = 'active' AND p.id <> ALL (ARRAY(SELECT app.suspended_practitioners()))
               AND (NOT $5 OR (SELECT c.network FROM app.companies c WHERE c.id = app.company_id()) = 'open'
                    OR p.id = ANY (ARRAY(SELECT n.practitioner_id FROM app.company_networks n
                                         WHERE n.company_id = app.company_id())))
               AND ($6::text IS NULL OR EXISTS (SELECT FROM app.practitioner_specialties s
                                                WHERE s.practitioner_id = p.id AND s.specialty = $6))
               AND ($7::text IS NULL OR $7 = ANY (p.languages)) AND ($8::text IS NULL OR $8 = ANY (p.modes))
             OFFSET 0) p
         WHERE $4"
    };
}
/// Practitioners find articles; the others find practitioners as well.
macro_rules! hits {
    (both) => {
        concat!("WITH hits AS MATERIALIZED (", articles!(), " UNION ALL ", practitioners!(), ") ")
    };
    (articles) => {
        concat!("WITH hits AS MATERIALIZED (", articles!(), ") ")
    };
}
macro_rules! page {
    ($what:tt) => {
        concat!(
            hits!($what),
            "SELECT h.score, h.kind, h.id FROM hits h WHERE (- h.score, h.kind, h.id) > (- $9::int, $10::text, $11::uuid)
             ORDER BY - h.score, h.kind, h.id LIMIT $12"
        )
    };
}
macro_rules! of_both {
    () => {
        "SELECT 'type' AS facet, h.kind AS value, count(*) AS count FROM hits h GROUP BY h.kind
         UNION ALL SELECT 'category', a.category, count(*) FROM hits h JOIN app.articles a ON a.id = h.id
                   WHERE h.kind = 'article' GROUP BY a.category"
    };
}
macro_rules! facets {
    (both) => {
        concat!(
            of_both!(),
            " UNION ALL SELECT 'specialty', s.specialty, count(*)
                        FROM hits h JOIN app.practitioner_specialties s ON s.practitioner_id = h.id
                        WHERE h.kind = 'practitioner' GROUP BY s.specialty
              UNION ALL SELECT 'language', spoken.language, count(*)
                        FROM hits h JOIN app.practitioners p ON p.id = h.id, unnest(p.languages) AS spoken (language)
                        WHERE h.kind = 'practitioner' GROUP BY spoken.language
              UNION ALL SELECT 'mode', held.mode, count(*)
                        FROM hits h JOIN app.practitioners p ON p.id = h.id, unnest(p.modes) AS held (mode)
                        WHERE h.kind = 'practitioner' GROUP BY held.mode"
        )
    };
    (articles) => {
        of_both!()
    };
}
macro_rules! figures {
    ($what:tt) => {
        concat!(hits!($what), facets!($what), " ORDER BY 1, 3 DESC, 2")
    };
}
/// A page and its figures, for which the hits are looked for once.
macro_rules! first_page {
    ($what:tt) => {
        concat!(
            hits!($what),
            "SELECT * FROM (
                 (SELECT h.score, h.kind, h.id, NULL AS facet, NULL AS value, NULL::bigint AS count
                  FROM hits h ORDER BY - h.score, h.kind, h.id LIMIT $9)
                 UNION ALL
                 SELECT NULL, NULL, NULL, f.facet, f.value, f.count FROM (",
            facets!($what),
            ") f) it
             ORDER BY it.facet, it.count DESC, it.value, - it.score, it.kind, it.id"
        )
    };
}

/// Tests look at how they are planned.
pub const FIND: &str = page!(both);
pub const COUNT: &str = figures!(both);
pub const BEGIN: &str = first_page!(both);

macro_rules! ask {
    ($statement:expr, $it:expr) => {
        ask!(query_as, $statement, $it)
    };
    ($as_what:ident, $statement:expr, $it:expr) => {{
        let Question { words, filter, role } = $it;
        sqlx::$as_what($statement)
            .bind(*words)
            .bind(filter.takes(Kind::Article))
            .bind(filter.category)
            .bind(filter.takes(Kind::Practitioner))
            // company admins choose among all; staff see all
            .bind(matches!(role, Role::Employee | Role::Hr))
            .bind(filter.specialty.map(Specialty::as_str))
            .bind(&filter.language)
            .bind(filter.mode.map(Mode::as_str))
    }};
}

/// The best hits, after one.
pub async fn list(tx: &mut Tx, it: &Question<'_>, after: Hit, fetch: i64) -> Result<Vec<Hit>> {
    let statement = if it.role == Role::Practitioner { page!(articles) } else { FIND };
    let hits = ask!(statement, it).bind(after.score).bind(after.kind).bind(after.id).bind(fetch);
    Ok(hits.fetch_all(tx.conn()).await?)
}

/// The best hits of all, and what [`count`] tells of them.
pub async fn begin(tx: &mut Tx, it: &Question<'_>, fetch: i64) -> Result<(Vec<Hit>, Vec<Facet>)> {
    let statement = if it.role == Role::Practitioner { first_page!(articles) } else { BEGIN };
    let rows: Vec<PgRow> = ask!(query, statement, it).bind(fetch).fetch_all(tx.conn()).await?;
    let (facets, hits): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.try_get::<Option<&str>, _>("facet").is_ok_and(|it| it.is_some()));
    let hits = hits.into_iter().map(Hit::from_row).collect::<sqlx::Result<_>>()?;
    Ok((hits, facets.into_iter().map(Facet::from_row).collect::<sqlx::Result<_>>()?))
}

/// How many of all hits are of which type, category, field of care, language and mode.
pub async fn count(tx: &mut Tx, it: &Question<'_>) -> Result<Vec<Facet>> {
    let statement = if it.role == Role::Practitioner { figures!(articles) } else { COUNT };
    Ok(ask!(statement, it).fetch_all(tx.conn()).await?)
}
