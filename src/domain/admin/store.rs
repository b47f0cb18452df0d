//! SQL of the administration, as the platform's role.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::model::{Count, Email, EmailStatus, Feature, Features, Job, Maintained, QueueCount};
use crate::platform::ids::CompanyId;
use crate::platform::jobs::Queue;
use crate::platform::{Result, Tx};

fn queues() -> Vec<&'static str> {
    Queue::ALL.iter().map(|queue| queue.name()).collect()
}

/// What there is, by sort: each is counted through an index.
pub async fn count(tx: &mut Tx, now: DateTime<Utc>) -> Result<Vec<Count>> {
    Ok(sqlx::query_as(
        "SELECT 'company' AS what, c.status AS of, count(*) AS count FROM app.companies c
             WHERE c.status = ANY ('{active,suspended,archived}') GROUP BY c.status
         UNION ALL SELECT 'account', u.role, count(*) FROM app.users u
             WHERE u.role = ANY ('{employee,practitioner,hr,company_admin,platform_admin}') GROUP BY u.role
         UNION ALL SELECT 'standing', u.status, count(*) FROM app.users u
             WHERE u.role = ANY ('{employee,practitioner,hr,company_admin,platform_admin}') GROUP BY u.status
         UNION ALL SELECT 'practitioner', p.status, count(*) FROM app.practitioners p GROUP BY p.status
         UNION ALL SELECT 'session', 'in_progress', count(*) FROM app.consultations c
             WHERE c.status = 'in_progress' AND c.ends_at > $1 - interval '1 day'
         UNION ALL SELECT 'session', 'next_day', count(*) FROM app.consultations c
             WHERE c.status = 'confirmed' AND c.starts_at BETWEEN $1 AND $1 + interval '1 day'
         UNION ALL SELECT 'session', 'to_confirm', count(*) FROM app.consultations c
             WHERE c.status = 'pending' AND c.expires_at > $1
         UNION ALL SELECT 'review', r.status, count(*) FROM app.reviews r
             WHERE r.status = 'pending' GROUP BY r.status
         UNION ALL SELECT 'article', a.status, count(*) FROM app.articles a GROUP BY a.status
         UNION ALL SELECT 'email', e.status, count(*) FROM app.email_log e
             WHERE e.created_at > $2 GROUP BY e.status",
    )
    .bind(now)
    .bind(now - TimeDelta::days(1))
    .fetch_all(tx.conn())
    .await?)
}

/// In the queues' own order.
pub async fn count_jobs(tx: &mut Tx) -> Result<Vec<QueueCount>> {
    let names = queues();
    let mut found: Vec<QueueCount> = sqlx::query_as("SELECT queue, pending, running, dead FROM app.count_jobs($1)")
        .bind(&names)
        .fetch_all(tx.conn())
        .await?;
    found.sort_by_key(|it| names.iter().position(|name| *name == it.queue));
    Ok(found)
}

/// Jobs of some states, the newest first.
pub async fn list_jobs(
    tx: &mut Tx,
    statuses: &[&str],
    queue: Option<Queue>,
    before: Option<&str>,
    fetch: i64,
) -> Result<Vec<Job>> {
    let queues = queue.map_or_else(queues, |it| vec![it.name()]);
    Ok(sqlx::query_as(
        "SELECT id, queue, kind, state, attempts, max_attempts, code, run_at, done_at, email_id, template
         FROM app.list_jobs($1, $2, $3, $4)",
    )
    .bind(statuses)
    .bind(queues)
    .bind(i32::try_from(fetch).unwrap_or(i32::MAX))
    .bind(before)
    .fetch_all(tx.conn())
    .await?)
}

/// What was mailed, the newest first.
pub async fn list_emails(
    tx: &mut Tx,
    status: Option<EmailStatus>,
    template: Option<&str>,
    after: Option<(DateTime<Utc>, Uuid)>,
    fetch: i64,
) -> Result<Vec<Email>> {
    Ok(sqlx::query_as(
        "SELECT id, template, company_id, locale, status, message_id, attempts, created_at, sent_at, job_id FROM app.email_log
         WHERE (created_at, id) < (coalesce($3::timestamptz, 'infinity'),
                                   coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
           AND ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR template = $2)
         ORDER BY created_at DESC, id DESC LIMIT $5",
    )
    .bind(status)
    .bind(template)
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// Keeps others from changing its modules meanwhile. False: there is no such company.
pub async fn lock_company(tx: &mut Tx, id: CompanyId) -> Result<bool> {
    let found: Option<bool> = sqlx::query_scalar("SELECT true FROM app.companies WHERE id = $1 FOR UPDATE")
        .bind(id)
        .fetch_optional(tx.conn())
        .await?;
    Ok(found.is_some())
}

pub async fn is_company(tx: &mut Tx, id: CompanyId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM app.companies WHERE id = $1)")
        .bind(id)
        .fetch_one(tx.conn())
        .await?)
}

pub async fn find_features(tx: &mut Tx, id: CompanyId) -> Result<Features> {
    let off: Vec<Feature> =
        sqlx::query_scalar("SELECT feature FROM app.feature_flags WHERE company_id = $1 AND NOT is_on")
            .bind(id)
            .fetch_all(tx.conn())
            .await?;
    Ok(Features::without(&off))
}

pub async fn save_features(tx: &mut Tx, id: CompanyId, to: Features) -> Result<()> {
    let (features, values): (Vec<&str>, Vec<bool>) = to.each().into_iter().map(|(it, has)| (it.as_str(), has)).unzip();
    sqlx::query(
        "INSERT INTO app.feature_flags (company_id, feature, is_on)
         SELECT $1, it.feature, it.is_on FROM unnest($2::text[], $3::bool[]) AS it (feature, is_on)
         ON CONFLICT (company_id, feature) DO UPDATE SET is_on = excluded.is_on",
    )
    .bind(id)
    .bind(features)
    .bind(values)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn find_maintenance(tx: &mut Tx) -> Result<Maintained> {
    Ok(sqlx::query_as("SELECT is_on, retry_after_seconds, since FROM app.maintenance WHERE only_row")
        .fetch_one(tx.conn())
        .await?)
}

/// Since when stays, where it was on.
pub async fn save_maintenance(tx: &mut Tx, is_on: bool, retry_after_seconds: i32, now: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "UPDATE app.maintenance SET is_on = $1, retry_after_seconds = $2, since = CASE WHEN $1 THEN coalesce(since, $3) END
         WHERE only_row",
    )
    .bind(is_on)
    .bind(retry_after_seconds)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}
