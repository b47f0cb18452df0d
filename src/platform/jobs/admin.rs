//! What operators see of the queue, and do to its dead letters and to what a wrong clock put off.

use chrono::{DateTime, Utc};

use super::Queue;
use crate::platform::db::Tx;
use crate::platform::problem::Result;

/// A worker that has not shown that it lives for so many seconds is gone.
const SILENCE: f64 = 45.0;

/// What there is to do in a queue.
#[derive(Clone, Debug, Default, PartialEq, sqlx::FromRow)]
pub struct Backlog {
    pub queue: String,
    /// For later.
    pub scheduled: i64,
    /// Its time has come, and no worker runs it yet.
    pub due: i64,
    pub running: i64,
    /// Failed for good.
    pub dead: i64,
    /// How long the first of those that are due has waited.
    pub oldest_due_seconds: f64,
}

/// Of every queue.
pub async fn backlogs(tx: &mut Tx) -> Result<Vec<Backlog>> {
    Ok(sqlx::query_as(
        "SELECT queue, j.*
         FROM unnest($1::text[]) queue
         CROSS JOIN LATERAL (SELECT
                count(*) FILTER (WHERE status IN ('Pending', 'Failed') AND run_at > now()) AS scheduled,
                count(*) FILTER (WHERE status IN ('Pending', 'Failed') AND run_at <= now() OR status = 'Queued') AS due,
                count(*) FILTER (WHERE status = 'Running') AS running,
                count(*) FILTER (WHERE status = 'Killed') AS dead,
                greatest(coalesce(extract(epoch FROM now() - min(run_at) FILTER (
                    WHERE status IN ('Pending', 'Failed') AND run_at <= now() OR status = 'Queued')), 0), 0)::float8
                    AS oldest_due_seconds
         FROM apalis.jobs WHERE job_type = queue AND status <> 'Done') j",
    )
    .bind(Queue::ALL.map(Queue::name))
    .fetch_all(tx.conn())
    .await?)
}

/// How many workers of each queue live, in all processes. One that was seen in the future was seen by a clock that was wrong.
pub async fn living_workers(tx: &mut Tx) -> Result<Vec<(String, i64)>> {
    Ok(sqlx::query_as(
        "SELECT worker_type, count(*) FROM apalis.workers
         WHERE last_seen > now() - make_interval(secs => $1) AND last_seen < now() + make_interval(secs => $1)
         GROUP BY worker_type",
    )
    .bind(SILENCE)
    .fetch_all(tx.conn())
    .await?)
}

/// A job that failed for good: which and why, never whose.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct DeadJob {
    pub id: String,
    pub queue: String,
    pub kind: String,
    pub attempts: i32,
    /// The code of the last failure.
    pub code: String,
    pub run_at: DateTime<Utc>,
    pub died_at: Option<DateTime<Utc>>,
}

/// Dead jobs, newest first, older than the job `before`. For the platform's staff.
pub async fn dead_jobs(tx: &mut Tx, page_size: i32, before: Option<&str>) -> Result<Vec<DeadJob>> {
    let jobs =
        sqlx::query_as("SELECT * FROM app.dead_jobs($1, $2)").bind(page_size).bind(before).fetch_all(tx.conn()).await?;
    Ok(jobs)
}

/// Whether there is such a job.
pub async fn is_there(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.is_job($1)").bind(id).fetch_one(tx.conn()).await?)
}

/// Queues a dead job again, or one that waits for more than two hours, with all its attempts. `false`: there is no such job.
pub async fn retry(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.retry_job($1)").bind(id).fetch_one(tx.conn()).await?)
}

/// Removes a dead job, or one that waits for more than two hours and for which nobody waits. `false`: there is no such job.
pub async fn discard(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.discard_job($1)").bind(id).fetch_one(tx.conn()).await?)
}
