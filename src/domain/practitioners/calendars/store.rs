//! SQL of calendars.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::model::{Calendar, External, Failed, Health, Kind};
use crate::domain::practitioners::error::Error;
use crate::platform::db::broken_constraint;
use crate::platform::ical::Busy;
use crate::platform::ids::{CalendarId, PractitionerId, UserId};
use crate::platform::locale::Locale;
use crate::platform::outgoing::Validators;
use crate::platform::{Problem, Result, Tx};

/// A calendar that waits to be added.
pub struct NewExternal<'a> {
    pub id: CalendarId,
    pub label: &'a str,
    pub sealed_url: &'a [u8],
    pub host: &'a str,
    pub now: DateTime<Utc>,
}

/// The practitioner must be locked.
pub async fn insert_external(tx: &mut Tx, owner: PractitionerId, it: &NewExternal<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.external_calendars (id, practitioner_id, place, label, url, host, next_read_at, created_at)
         SELECT $1, $2, coalesce(min(free.place), 6), $3, $4, $5, $6, $6 FROM generate_series(1, 5) AS free (place)
         WHERE free.place NOT IN (SELECT c.place FROM app.external_calendars c WHERE c.practitioner_id = $2)",
    )
    .bind(it.id)
    .bind(owner)
    .bind(it.label)
    .bind(it.sealed_url)
    .bind(it.host)
    .bind(it.now)
    .execute(tx.conn())
    .await
    .map_err(too_many)?;
    Ok(())
}

/// The practitioner must be locked.
pub async fn insert_feed(
    tx: &mut Tx,
    owner: PractitionerId,
    id: CalendarId,
    label: &str,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.calendar_feeds (id, practitioner_id, place, label, hash, created_at)
         SELECT $1, $2, coalesce(min(free.place), 6), $3, $4, $5 FROM generate_series(1, 5) AS free (place)
         WHERE free.place NOT IN (SELECT f.place FROM app.calendar_feeds f WHERE f.practitioner_id = $2)",
    )
    .bind(id)
    .bind(owner)
    .bind(label)
    .bind(hash)
    .bind(now)
    .execute(tx.conn())
    .await
    .map_err(too_many)?;
    Ok(())
}

fn too_many(error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("external_calendars_most" | "calendar_feeds_most") => Error::TooManyCalendars.into(),
        _ => error.into(),
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: CalendarId,
    label: String,
    created_at: DateTime<Utc>,
    host: Option<String>,
    read_at: Option<DateTime<Utc>>,
    next_read_at: Option<DateTime<Utc>>,
    failure_code: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    failed_at: Option<DateTime<Utc>>,
}

fn failed(code: Option<String>, since: Option<DateTime<Utc>>, at: Option<DateTime<Utc>>) -> Option<Failed> {
    Some(Failed { code: code?, since: since?, at: at? })
}

impl From<Row> for Calendar {
    fn from(row: Row) -> Self {
        let failure = failed(row.failure_code, row.failing_since, row.failed_at);
        let external = row.host.zip(row.next_read_at).map(|(host, next_read_at)| External {
            host,
            read_at: row.read_at,
            next_read_at,
            failure,
        });
        Self {
            id: row.id,
            kind: if external.is_some() { Kind::External } else { Kind::Feed },
            label: row.label,
            created_at: row.created_at,
            external,
            url: None,
        }
    }
}

/// All of a practitioner's, ten at most: those kept elsewhere first, each kind in the order in which they were added.
pub async fn list(tx: &mut Tx, owner: PractitionerId) -> Result<Vec<Calendar>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT c.id, c.label, c.created_at, c.host, c.read_at, c.next_read_at, c.failure_code, c.failing_since,
                c.failed_at, 1 AS way
         FROM app.external_calendars c WHERE c.practitioner_id = $1
         UNION ALL
         SELECT f.id, f.label, f.created_at, NULL, NULL, NULL, NULL, NULL, NULL, 2
         FROM app.calendar_feeds f WHERE f.practitioner_id = $1
         ORDER BY way, created_at, id",
    )
    .bind(owner)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Calendar::from).collect())
}

#[derive(sqlx::FromRow)]
struct HealthRow {
    read_at: Option<DateTime<Utc>>,
    failure_code: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    failed_at: Option<DateTime<Utc>>,
}

/// How the reading of a practitioner's external calendars goes, in the order in which they were added; five at most.
pub async fn list_health(tx: &mut Tx, owner: PractitionerId) -> Result<Vec<Health>> {
    let rows: Vec<HealthRow> = sqlx::query_as(
        "SELECT c.read_at, c.failure_code, c.failing_since, c.failed_at
         FROM app.external_calendars c WHERE c.practitioner_id = $1 ORDER BY c.created_at, c.id",
    )
    .bind(owner)
    .fetch_all(tx.conn())
    .await?;
    let health = |row: HealthRow| Health {
        read_at: row.read_at,
        failure: failed(row.failure_code, row.failing_since, row.failed_at),
    };
    Ok(rows.into_iter().map(health).collect())
}

/// Which kind it was; `None` where the practitioner has no such calendar.
pub async fn delete(tx: &mut Tx, owner: PractitionerId, id: CalendarId) -> Result<Option<Kind>> {
    let external = sqlx::query("DELETE FROM app.external_calendars WHERE id = $1 AND practitioner_id = $2")
        .bind(id)
        .bind(owner)
        .execute(tx.conn())
        .await?;
    if external.rows_affected() == 1 {
        return Ok(Some(Kind::External));
    }
    let feed = sqlx::query("DELETE FROM app.calendar_feeds WHERE id = $1 AND practitioner_id = $2")
        .bind(id)
        .bind(owner)
        .execute(tx.conn())
        .await?;
    Ok((feed.rows_affected() == 1).then_some(Kind::Feed))
}

/// Takes up to `most` calendars whose time has come; nobody else takes them until `again_at`. Those of practitioners
/// who take no bookings rest.
pub async fn claim_due(tx: &mut Tx, now: DateTime<Utc>, again_at: DateTime<Utc>, most: i64) -> Result<Vec<CalendarId>> {
    Ok(sqlx::query_scalar(
        "UPDATE app.external_calendars c SET next_read_at = $2
         FROM (SELECT d.id FROM app.external_calendars d
               JOIN app.practitioners p ON p.id = d.practitioner_id AND p.status <> 'inactive'
               WHERE d.next_read_at <= $1 ORDER BY d.next_read_at, d.id LIMIT $3 FOR UPDATE OF d SKIP LOCKED) due
         WHERE c.id = due.id RETURNING c.id",
    )
    .bind(now)
    .bind(again_at)
    .bind(most)
    .fetch_all(tx.conn())
    .await?)
}

/// What a reading needs to know.
#[derive(sqlx::FromRow)]
pub struct ToRead {
    pub id: CalendarId,
    pub practitioner_id: PractitionerId,
    pub url: Vec<u8>,
    pub time_zone: String,
    pub read_zone: Option<String>,
    pub whole_read_at: Option<DateTime<Utc>>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub failures: i32,
    pub failing_since: Option<DateTime<Utc>>,
    pub told_at: Option<DateTime<Utc>>,
}

pub async fn find_to_read(tx: &mut Tx, id: CalendarId) -> Result<Option<ToRead>> {
    Ok(sqlx::query_as(
        "SELECT c.id, c.practitioner_id, c.url, p.time_zone, c.read_zone, c.whole_read_at, c.etag, c.last_modified,
                c.failures, c.failing_since, c.told_at
         FROM app.external_calendars c JOIN app.practitioners p ON p.id = c.practitioner_id WHERE c.id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// The sessions of a practitioner that begin, or began, after a time, whatever became of them.
pub async fn list_sessions(tx: &mut Tx, owner: PractitionerId, since: DateTime<Utc>) -> Result<HashSet<Uuid>> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT app.sessions_of($1, $2)").bind(owner).bind(since).fetch_all(tx.conn()).await?;
    Ok(ids.into_iter().collect())
}

/// As [`find_to_read`], and keeps everybody else from changing it.
pub async fn lock(tx: &mut Tx, id: CalendarId) -> Result<Option<ToRead>> {
    let sql = "SELECT 1 FROM app.external_calendars WHERE id = $1 FOR UPDATE";
    if sqlx::query(sql).bind(id).fetch_optional(tx.conn()).await?.is_none() {
        return Ok(None);
    }
    find_to_read(tx, id).await
}

/// The feed says what it said before.
pub async fn save_unchanged(tx: &mut Tx, id: CalendarId, now: DateTime<Utc>, next: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "UPDATE app.external_calendars
         SET read_at = $2, next_read_at = $3, failures = 0, failing_since = NULL, failed_at = NULL, failure_code = NULL,
             told_at = NULL
         WHERE id = $1",
    )
    .bind(id)
    .bind(now)
    .bind(next)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Replaces what was known of a calendar.
pub async fn save_read(
    tx: &mut Tx,
    it: &ToRead,
    busy: &[Busy],
    validators: &Validators,
    now: DateTime<Utc>,
    next: DateTime<Utc>,
) -> Result<()> {
    sqlx::query("DELETE FROM app.external_busy_times WHERE calendar_id = $1").bind(it.id).execute(tx.conn()).await?;
    sqlx::query(
        "INSERT INTO app.external_busy_times (practitioner_id, calendar_id, starts_at, ends_at)
         SELECT $1, $2, new.starts_at, new.ends_at FROM unnest($3::timestamptz[], $4::timestamptz[]) AS new (starts_at, ends_at)",
    )
    .bind(it.practitioner_id)
    .bind(it.id)
    .bind(busy.iter().map(|it| it.starts_at).collect::<Vec<_>>())
    .bind(busy.iter().map(|it| it.ends_at).collect::<Vec<_>>())
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "UPDATE app.external_calendars
         SET whole_read_at = $2, read_zone = $3, etag = $4, last_modified = $5 WHERE id = $1",
    )
    .bind(it.id)
    .bind(now)
    .bind(&it.time_zone)
    .bind(&validators.etag)
    .bind(&validators.last_modified)
    .execute(tx.conn())
    .await?;
    save_unchanged(tx, it.id, now, next).await
}

/// A reading failed: since when and why. What was known before stays.
pub async fn save_failed(
    tx: &mut Tx,
    id: CalendarId,
    code: &str,
    now: DateTime<Utc>,
    next: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "UPDATE app.external_calendars
         SET failures = failures + 1, failing_since = coalesce(failing_since, $2), failed_at = $2, failure_code = $3,
             next_read_at = $4
         WHERE id = $1",
    )
    .bind(id)
    .bind(now)
    .bind(code)
    .bind(next)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn save_told(tx: &mut Tx, id: CalendarId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query("UPDATE app.external_calendars SET told_at = $2 WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The address, sealed under a newer key.
pub async fn save_url(tx: &mut Tx, id: CalendarId, sealed: &[u8]) -> Result<()> {
    sqlx::query("UPDATE app.external_calendars SET url = $2 WHERE id = $1")
        .bind(id)
        .bind(sealed)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Whom a mail about a calendar that fails goes to.
#[derive(sqlx::FromRow)]
pub struct Owner {
    pub user_id: Uuid,
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
    pub label: String,
    pub failure_code: String,
    pub failing_since: DateTime<Utc>,
}

/// `None` where the calendar is gone or works again.
pub async fn find_owner_of_failing(tx: &mut Tx, id: CalendarId) -> Result<Option<Owner>> {
    Ok(sqlx::query_as(
        "SELECT u.id AS user_id, u.email, u.display_name, u.locale, u.time_zone, c.label, c.failure_code, c.failing_since
         FROM app.external_calendars c JOIN app.users u ON u.id = c.practitioner_id
         WHERE c.id = $1 AND c.failures > 0 AND u.status = 'active'",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// Whether a practitioner wants to be told by mail that a calendar fails, as they say now.
pub async fn wants_mail(tx: &mut Tx, person: UserId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.wants_notice($1, 'calendar_failing', 'email')")
        .bind(person)
        .fetch_one(tx.conn())
        .await?)
}
