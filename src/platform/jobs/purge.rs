//! Nothing else removes finished jobs: done every night.

use serde::{Deserialize, Serialize};

use super::{Job, JobContext, Queue, Registry};
use crate::platform::problem::Result;

/// Rows removed in one statement, so that no lock is held for long.
const BATCH: i64 = 5_000;

/// Removes done jobs after 7 days, dead ones after 30, workers that are gone, and old idempotency keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct Purge {}

impl Job for Purge {
    const KIND: &'static str = "jobs.purge";
    const QUEUE: Queue = Queue::Maintenance;
}

pub(super) fn jobs(registry: &mut Registry) {
    registry.on(purge);
    registry.schedule("jobs.purge", "0 17 3 * * *", || Purge {});
}

async fn purge(cx: JobContext, _: Purge) -> Result<()> {
    let mut removed = 0;
    loop {
        let mut tx = cx.begin().await?;
        let batch = sqlx::query(
            "DELETE FROM apalis.jobs WHERE id IN (
                 SELECT id FROM apalis.jobs
                 WHERE status = 'Done' AND done_at < now() - interval '7 days'
                    OR status = 'Killed' AND done_at < now() - interval '30 days'
                 LIMIT $1)",
        )
        .bind(BATCH)
        .execute(tx.conn())
        .await?
        .rows_affected();
        tx.commit().await?;
        removed += batch;
        if batch < BATCH.unsigned_abs() {
            break;
        }
    }
    let mut tx = cx.begin().await?;
    sqlx::query(
        "DELETE FROM apalis.workers w WHERE last_seen < now() - interval '1 day'
             AND NOT EXISTS (SELECT FROM apalis.jobs j WHERE j.lock_by = w.id)",
    )
    .execute(tx.conn())
    .await?;
    let keys: i64 = sqlx::query_scalar("SELECT app.purge_idempotency_keys()").fetch_one(tx.conn()).await?;
    tx.commit().await?;
    tracing::info!(jobs = removed, idempotency_keys = keys, "purged");
    Ok(())
}
