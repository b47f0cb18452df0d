//! SQL of counters and exports.

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use uuid::Uuid;

use super::model::{Basis, Breakdown, Count, Export, ExportParams, ExportStatus, Line, Months, Withheld};
use crate::platform::ids::{CompanyId, ExportId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Problem, Result, Tx};

/// What the counters of the transaction's company rest on.
pub async fn find_basis(tx: &mut Tx) -> Result<Option<Basis>> {
    Ok(sqlx::query_as(
        "SELECT as_of, threshold, contract_starts_on, contract_ends_on, seats, sessions_per_employee
         FROM stats.usage_basis()",
    )
    .fetch_optional(tx.conn())
    .await?)
}

#[derive(sqlx::FromRow)]
struct LineRow {
    month: NaiveDate,
    threshold: i32,
    is_total: bool,
    row_key: String,
    column_key: String,
    label: Option<String>,
    sessions: Option<i32>,
    minutes: Option<i32>,
    people: Option<i32>,
    withheld: Option<String>,
}

impl TryFrom<LineRow> for Line {
    type Error = Problem;

    fn try_from(row: LineRow) -> Result<Self> {
        let count = match (row.withheld.as_deref(), row.sessions, row.minutes, row.people) {
            (None, Some(sessions), Some(minutes), Some(people)) => Count::Shown { sessions, minutes, people },
            (Some("small_group"), ..) => Count::Withheld(Withheld::SmallGroup),
            (Some("derivable"), ..) => Count::Withheld(Withheld::Derivable),
            _ => return Err(Problem::internal("a counter that is neither shown nor withheld")),
        };
        let LineRow { threshold, is_total, row_key, column_key, label, .. } = row;
        Ok(Self { month: row.month.into(), threshold, is_total, row: row_key, column: column_key, label, count })
    }
}

/// The published counters of the transaction's company by month: the cells of the table, then the month as a whole.
pub fn stream_lines<'a>(tx: &'a mut Tx, months: &Months, by: Option<Breakdown>) -> BoxStream<'a, Result<Line>> {
    sqlx::query_as::<_, LineRow>(
        "SELECT c.month, m.threshold, c.dimensions = 'total' AS is_total, c.row_key, c.column_key, c.label, c.sessions,
                c.minutes, c.people, c.withheld
         FROM app.usage_cells c JOIN app.usage_months m ON m.company_id = c.company_id AND m.month = c.month
         WHERE c.company_id = (SELECT app.company_id()) AND c.month BETWEEN $1 AND $2 AND c.dimensions IN ('total', $3)
         ORDER BY c.month, is_total, CASE c.dimensions WHEN 'department' THEN '' ELSE c.row_key END, c.label NULLS LAST,
                  c.row_key, c.column_key",
    )
    .bind(months.from.first_day())
    .bind(months.to.first_day())
    .bind(by.map_or("total", Breakdown::as_str))
    .fetch(tx.conn())
    .map(|row| Line::try_from(row?))
    .boxed()
}

pub async fn list_lines(tx: &mut Tx, months: &Months, by: Option<Breakdown>) -> Result<Vec<Line>> {
    stream_lines(tx, months, by).try_collect().await
}

/// Counts what is not published yet.
pub async fn refresh(tx: &mut Tx, at: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT stats.refresh($1, false)").bind(at).execute(tx.conn()).await?;
    Ok(())
}

/// Publishes so many months of companies that are over; how many there were.
pub async fn publish(tx: &mut Tx, batch: i32) -> Result<i32> {
    Ok(sqlx::query_scalar("SELECT stats.publish($1)").bind(batch).fetch_one(tx.conn()).await?)
}

/// An export that waits to be made.
pub struct NewExport<'a> {
    pub id: ExportId,
    pub company_id: Option<CompanyId>,
    pub requested_by: UserId,
    pub params: &'a ExportParams,
    pub at: DateTime<Utc>,
}

pub async fn insert_export(tx: &mut Tx, new: &NewExport<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.exports (id, company_id, requested_by, kind, params, created_at)
         VALUES ($1, $2, $3, 'usage', $4, $5)",
    )
    .bind(new.id)
    .bind(new.company_id)
    .bind(new.requested_by)
    .bind(sqlx::types::Json(new.params))
    .bind(new.at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn find_export(tx: &mut Tx, id: ExportId) -> Result<Option<Export>> {
    Ok(sqlx::query_as(
        "SELECT id, company_id, params, status, file_key, row_count, created_at, finished_at, expires_at
         FROM app.exports WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// As [`find_export`], and keeps other workers from it until the transaction ends.
pub async fn lock_export(tx: &mut Tx, id: ExportId) -> Result<Option<Export>> {
    Ok(sqlx::query_as(
        "SELECT id, company_id, params, status, file_key, row_count, created_at, finished_at, expires_at
         FROM app.exports WHERE id = $1 FOR UPDATE",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// The caller's exports, newest first.
pub async fn list_exports(tx: &mut Tx, after: Option<ExportId>, limit: i64) -> Result<Vec<Export>> {
    Ok(sqlx::query_as(
        "SELECT id, company_id, params, status, file_key, row_count, created_at, finished_at, expires_at
         FROM app.exports WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?)
}

pub async fn save_status(tx: &mut Tx, id: ExportId, status: ExportStatus, at: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query("UPDATE app.exports SET status = $2, finished_at = $3 WHERE id = $1")
        .bind(id)
        .bind(status)
        .bind(at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A file that has been written.
pub struct Finished<'a> {
    pub file_key: &'a str,
    pub row_count: i32,
    pub at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub async fn save_ready(tx: &mut Tx, id: ExportId, done: &Finished<'_>) -> Result<()> {
    sqlx::query(
        "UPDATE app.exports SET status = 'ready', file_key = $2, row_count = $3, finished_at = $4, expires_at = $5
         WHERE id = $1",
    )
    .bind(id)
    .bind(done.file_key)
    .bind(done.row_count)
    .bind(done.at)
    .bind(done.expires_at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whom to tell what became of their file.
#[derive(sqlx::FromRow)]
pub struct Requester {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
    /// Of the file, where there is one.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Who asked for a file that is in this state; nobody once they are suspended.
pub async fn find_requester(tx: &mut Tx, id: ExportId, status: ExportStatus) -> Result<Option<Requester>> {
    Ok(sqlx::query_as(
        "SELECT u.id, u.email, u.display_name, u.locale, u.time_zone, e.expires_at
         FROM app.exports e JOIN app.users u ON u.id = e.requested_by
         WHERE e.id = $1 AND e.status = $2 AND u.status = 'active'",
    )
    .bind(id)
    .bind(status)
    .fetch_optional(tx.conn())
    .await?)
}

/// Files whose time is over, of all companies; at most a thousand.
pub async fn list_expired(tx: &mut Tx, at: DateTime<Utc>) -> Result<Vec<(Uuid, String)>> {
    Ok(sqlx::query_as("SELECT id, file_key FROM app.expired_exports($1)").bind(at).fetch_all(tx.conn()).await?)
}

pub async fn forget_files(tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
    sqlx::query("SELECT app.forget_exports($1)").bind(ids).execute(tx.conn()).await?;
    Ok(())
}

/// Whether somebody wants to be told of a kind by mail, as they say now.
pub async fn wants_mail(tx: &mut Tx, person: UserId, kind: &'static str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.wants_notice($1, $2, 'email')")
        .bind(person)
        .bind(kind)
        .fetch_one(tx.conn())
        .await?)
}
