//! SQL of exports.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::model::{Export, Failure, Kind, Params, Status};
use crate::domain::usage::ZONE;
use crate::domain::usage::model::Months;
use crate::platform::ids::{CompanyId, ExportId, PractitionerId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// An export that waits to be made.
pub struct NewExport<'a> {
    pub id: ExportId,
    pub kind: Kind,
    pub company_id: Option<CompanyId>,
    pub requested_by: UserId,
    pub params: &'a Params,
    pub at: DateTime<Utc>,
}

pub async fn insert(tx: &mut Tx, new: &NewExport<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.exports (id, company_id, requested_by, kind, params, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new.id)
    .bind(new.company_id)
    .bind(new.requested_by)
    .bind(new.kind)
    .bind(sqlx::types::Json(new.params))
    .bind(new.at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn find(tx: &mut Tx, id: ExportId) -> Result<Option<Export>> {
    Ok(sqlx::query_as(
        "SELECT id, kind, company_id, params, status, failure, file_key, rows_written, rows_expected, row_count, created_at,
                finished_at, expires_at
         FROM app.exports WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// The caller's exports, newest first.
pub async fn list(tx: &mut Tx, after: Option<ExportId>, limit: i64) -> Result<Vec<Export>> {
    Ok(sqlx::query_as(
        "SELECT id, kind, company_id, params, status, failure, file_key, rows_written, rows_expected, row_count, created_at,
                finished_at, expires_at
         FROM app.exports WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?)
}

/// Keeps other workers from making it until the transaction ends. Not the row's lock: its progress is written meanwhile.
pub async fn hold(tx: &mut Tx, id: ExportId) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('export:' || $1::text, 0))")
        .bind(id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Lets the transaction do nothing for as long as a bucket takes a part of the file: over a slow line that is minutes, and the
/// database would end it.
pub async fn wait_for_storage(tx: &mut Tx) -> Result<()> {
    sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0").execute(tx.conn()).await?;
    Ok(())
}

/// Whether who asked for it may have it now.
pub async fn is_entitled(tx: &mut Tx, id: ExportId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.is_entitled_to_export($1)").bind(id).fetch_one(tx.conn()).await?)
}

pub async fn save_running(tx: &mut Tx, id: ExportId) -> Result<()> {
    sqlx::query(
        "UPDATE app.exports SET status = 'running', failure = NULL, finished_at = NULL, rows_written = 0 WHERE id = $1",
    )
    .bind(id)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn save_progress(tx: &mut Tx, id: ExportId, written: i32, expected: i32) -> Result<()> {
    sqlx::query("UPDATE app.exports SET rows_written = $2, rows_expected = $3 WHERE id = $1 AND status = 'running'")
        .bind(id)
        .bind(written)
        .bind(expected)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub async fn save_failed(tx: &mut Tx, id: ExportId, why: Failure, at: DateTime<Utc>) -> Result<()> {
    sqlx::query("UPDATE app.exports SET status = 'failed', failure = $2, finished_at = $3 WHERE id = $1")
        .bind(id)
        .bind(why)
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
}

pub async fn save_ready(tx: &mut Tx, id: ExportId, done: &Finished<'_>) -> Result<()> {
    sqlx::query(
        "UPDATE app.exports SET status = 'ready', failure = NULL, file_key = $2, row_count = $3, rows_written = $3,
                rows_expected = $3, finished_at = $4, expires_at = $4 + app.kept_for('usage_export_file')
         WHERE id = $1",
    )
    .bind(id)
    .bind(done.file_key)
    .bind(done.row_count)
    .bind(done.at)
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

/// Who asked for a file that is in this state; nobody once they may not have it.
pub async fn find_requester(tx: &mut Tx, id: ExportId, status: Status) -> Result<Option<Requester>> {
    Ok(sqlx::query_as(
        "SELECT u.id, u.email, u.display_name, u.locale, u.time_zone, e.expires_at
         FROM app.exports e JOIN app.users u ON u.id = e.requested_by
         WHERE e.id = $1 AND e.status = $2 AND u.status = 'active' AND app.is_entitled_to_export(e.id)",
    )
    .bind(id)
    .bind(status)
    .fetch_optional(tx.conn())
    .await?)
}

/// Whether somebody wants to be told of a kind by mail, as they say now.
pub async fn wants_mail(tx: &mut Tx, person: UserId, kind: &'static str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.wants_notice($1, $2, 'email')")
        .bind(person)
        .bind(kind)
        .fetch_one(tx.conn())
        .await?)
}

/// Files whose time is over, of all companies; at most a thousand.
pub async fn list_expired(tx: &mut Tx, at: DateTime<Utc>) -> Result<Vec<(Uuid, String)>> {
    Ok(sqlx::query_as("SELECT id, file_key FROM app.expired_exports($1)").bind(at).fetch_all(tx.conn()).await?)
}

/// Those of some files that no export that is ready has.
pub async fn list_unknown(tx: &mut Tx, file_keys: &[String]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT app.unknown_exports($1)").bind(file_keys).fetch_all(tx.conn()).await?)
}

/// How many files the caller waits for. Nobody else of the same name asks for one until the transaction ends.
pub async fn count_unfinished(tx: &mut Tx, person: UserId) -> Result<i64> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('exports of ' || $1::text, 0))")
        .bind(person)
        .execute(tx.conn())
        .await?;
    let unfinished = "SELECT count(*) FROM app.exports WHERE requested_by = $1 AND status IN ('pending', 'running')";
    Ok(sqlx::query_scalar(unfinished).bind(person).fetch_one(tx.conn()).await?)
}

pub async fn forget_files(tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
    sqlx::query("SELECT app.forget_exports($1)").bind(ids).execute(tx.conn()).await?;
    Ok(())
}

/// What a practitioner is paid for of one month, in one currency.
#[derive(sqlx::FromRow)]
pub struct PayrollLine {
    pub month: NaiveDate,
    pub practitioner_id: PractitionerId,
    /// As it was when the month was published.
    pub practitioner_name: String,
    pub currency: String,
    pub open: i32,
    pub completed: i32,
    pub cancelled_by_employee: i32,
    pub cancelled_otherwise: i32,
    pub missed_by_employee: i32,
    pub missed_otherwise: i32,
    pub minutes: i32,
    /// Minor units.
    pub amount: i64,
    pub flagged: i32,
    pub flagged_minutes: i32,
    pub flagged_amount: i64,
    /// The month may have been published and paid before, and was lost with the backup that was restored.
    pub is_restored: bool,
}

/// One published month of all practitioners.
pub async fn list_payroll(tx: &mut Tx, month: NaiveDate) -> Result<Vec<PayrollLine>> {
    Ok(sqlx::query_as(
        "SELECT month, practitioner_id, practitioner_name, currency, open, completed, cancelled_by_employee,
                cancelled_otherwise, missed_by_employee, missed_otherwise, minutes, amount, flagged, flagged_minutes,
                flagged_amount, stats.is_restored(month) AS is_restored
         FROM app.payroll_lines WHERE month = $1 ORDER BY practitioner_name, practitioner_id, currency",
    )
    .bind(month)
    .fetch_all(tx.conn())
    .await?)
}

pub async fn count_payroll(tx: &mut Tx, months: &Months) -> Result<i32> {
    Ok(sqlx::query_scalar("SELECT count(*)::int FROM app.payroll_lines WHERE month BETWEEN $1 AND $2")
        .bind(months.from.first_day())
        .bind(months.to.first_day())
        .fetch_one(tx.conn())
        .await?)
}

/// The next sessions of the practitioner whose job it is.
pub struct NextSessions<'a> {
    pub months: &'a Months,
    /// The beginning and the id of the one that came last.
    pub after: (DateTime<Utc>, Uuid),
    pub batch: usize,
}

/// A session of a practitioner, as it was when its month was published, or as it is.
pub struct SessionLine<'r> {
    pub id: Uuid,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub specialty: &'r str,
    pub mode: &'r str,
    pub status: &'r str,
    pub duration_minutes: Option<i32>,
    pub seen_minutes: Option<i32>,
    pub times_differ: bool,
    /// Minor units.
    pub hourly_rate: i32,
    pub currency: &'r str,
    /// Minor units.
    pub amount: i64,
}

/// A [`SessionLine`] as the database wrote it: it is read while the database looks for the next ones.
pub struct SessionRow(PgRow);

impl SessionRow {
    /// By position: looking a name up costs more than reading most of the values.
    pub fn line(&self) -> Result<SessionLine<'_>> {
        let Self(row) = self;
        Ok(SessionLine {
            id: row.try_get(0)?,
            starts_at: row.try_get(1)?,
            ends_at: row.try_get(2)?,
            specialty: row.try_get(3)?,
            mode: row.try_get(4)?,
            status: row.try_get(5)?,
            duration_minutes: row.try_get(6)?,
            seen_minutes: row.try_get(7)?,
            times_differ: row.try_get(8)?,
            hourly_rate: row.try_get(9)?,
            currency: row.try_get(10)?,
            amount: row.try_get(11)?,
        })
    }
}

pub async fn list_sessions(tx: &mut Tx, next: &NextSessions<'_>) -> Result<Vec<SessionRow>> {
    let rows = sqlx::query(
        "SELECT id, starts_at, ends_at, specialty, mode, status, duration_minutes, seen_minutes, times_differ,
                hourly_rate_cents, currency, amount
         FROM app.activity_sessions($1::date::timestamp AT TIME ZONE $3,
                                    ($2::date + interval '1 month') AT TIME ZONE $3, $4, $5, $6)",
    )
    .bind(next.months.from.first_day())
    .bind(next.months.to.first_day())
    .bind(ZONE)
    .bind(next.after.0)
    .bind(next.after.1)
    .bind(i32::try_from(next.batch).unwrap_or(i32::MAX))
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(SessionRow).collect())
}

pub async fn count_sessions(tx: &mut Tx, months: &Months) -> Result<i32> {
    Ok(sqlx::query_scalar(
        "SELECT app.count_activity_sessions($1::date::timestamp AT TIME ZONE $3,
                                            ($2::date + interval '1 month') AT TIME ZONE $3)",
    )
    .bind(months.from.first_day())
    .bind(months.to.first_day())
    .bind(ZONE)
    .fetch_one(tx.conn())
    .await?)
}
