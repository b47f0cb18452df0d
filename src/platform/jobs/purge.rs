//! Nothing else removes finished jobs, done every night, and the answers kept for repetitions, done every hour; or tells of a
//! worker that was seen in the future that it may be gone.

use serde::{Deserialize, Serialize};

use super::{Job, JobContext, Queue, Registry};
use crate::platform::problem::Result;

/// Rows removed in one statement, so that no lock is held for long.
const BATCH: i64 = 5_000;

/// Removes done and dead jobs after their time (`app.retention_rules`), and workers that are gone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Purge {}

impl Job for Purge {
    const KIND: &'static str = "jobs.purge";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Removes answers that are older than the 24 hours for which they are kept: they tell of people.
#[derive(Debug, Serialize, Deserialize)]
pub struct PurgeAnswers {}

impl Job for PurgeAnswers {
    const KIND: &'static str = "jobs.purge_answers";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Has workers that were seen in the future be seen now. They showed that they live by a clock of the database that was ahead;
/// what the dead ones among them were doing would be nobody's until then, and they would be counted as alive.
#[derive(Debug, Serialize, Deserialize)]
pub struct CorrectHeartbeats {}

impl Job for CorrectHeartbeats {
    const KIND: &'static str = "jobs.correct_heartbeats";
    const QUEUE: Queue = Queue::Maintenance;
}

pub(super) fn jobs(registry: &mut Registry) {
    registry.on(purge);
    registry.schedule("jobs.purge", "0 17 3 * * *", || Purge {});
    registry.on(purge_answers);
    registry.schedule("jobs.purge_answers", "0 27 * * * *", || PurgeAnswers {});
    registry.on(correct_heartbeats);
    registry.schedule("jobs.correct_heartbeats", "10 * * * * *", || CorrectHeartbeats {});
}

async fn purge(cx: JobContext, _: Purge) -> Result<()> {
    let mut removed = 0;
    loop {
        let mut tx = cx.begin().await?;
        let batch = sqlx::query(
            "DELETE FROM apalis.jobs WHERE id IN (
                 SELECT id FROM apalis.jobs
                 WHERE status = 'Done' AND done_at < now() - app.kept_for('job_done')
                    OR status = 'Killed' AND done_at < now() - app.kept_for('job_failed')
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
    tx.commit().await?;
    tracing::info!(jobs = removed, "purged");
    Ok(())
}

async fn purge_answers(cx: JobContext, _: PurgeAnswers) -> Result<()> {
    let mut tx = cx.begin().await?;
    let removed: i64 = sqlx::query_scalar("SELECT app.purge_idempotency_keys()").fetch_one(tx.conn()).await?;
    tx.commit().await?;
    tracing::info!(removed, "answers purged");
    Ok(())
}

async fn correct_heartbeats(cx: JobContext, _: CorrectHeartbeats) -> Result<()> {
    let mut tx = cx.begin().await?;
    // those that live say so again within seconds
    sqlx::query("UPDATE apalis.workers SET last_seen = now() WHERE last_seen > now() + interval '1 minute'")
        .execute(tx.conn())
        .await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_asks_for_each_of_them() {
        let registry = Registry::new();
        let scheduled: Vec<&str> = registry.schedules().iter().map(|it| it.name).collect();
        for kind in [Purge::KIND, PurgeAnswers::KIND, CorrectHeartbeats::KIND] {
            assert!(scheduled.contains(&kind), "{kind} of {scheduled:?}");
        }
    }
}
