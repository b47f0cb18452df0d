//! What operators see of the queue, and do to its dead letters.

use chrono::{DateTime, Utc};

use super::Queue;
use crate::platform::context::Platform;
use crate::platform::db::Tx;
use crate::platform::problem::Result;

/// How much is in the queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Waiting, for their time or for a worker.
    pub pending: i64,
    pub running: i64,
    /// Failed for good.
    pub dead: i64,
}

/// Counts the jobs that are not done, and sets the gauge `jobs_in_queue`.
pub async fn counts(platform: &Platform) -> Result<QueueCounts> {
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "SELECT job_type, count(*) FILTER (WHERE status IN ('Pending', 'Failed')),
                count(*) FILTER (WHERE status IN ('Queued', 'Running')), count(*) FILTER (WHERE status = 'Killed')
         FROM apalis.jobs WHERE status <> 'Done' GROUP BY job_type",
    )
    .fetch_all(platform.db.job(None, None).await?.conn())
    .await?;
    let mut total = QueueCounts::default();
    for queue in Queue::ALL {
        let (_, pending, running, dead) =
            rows.iter().find(|(name, ..)| name == queue.name()).cloned().unwrap_or_default();
        total.pending += pending;
        total.running += running;
        total.dead += dead;
        for (state, count) in [("pending", pending), ("running", running), ("dead", dead)] {
            #[allow(clippy::cast_precision_loss)] // gauges are floats
            metrics::gauge!("jobs_in_queue", "queue" => queue.name(), "state" => state).set(count as f64);
        }
    }
    Ok(total)
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

/// Queues a dead job again, with all its attempts. `false`: there is no such dead job.
pub async fn retry(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.retry_job($1)").bind(id).fetch_one(tx.conn()).await?)
}

/// Removes a dead job. `false`: there is no such dead job.
pub async fn discard(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.discard_job($1)").bind(id).fetch_one(tx.conn()).await?)
}
