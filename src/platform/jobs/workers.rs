//! The workers of this process: one for each queue, and one for each schedule.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{BackendExt, Monitor, MonitorContext, TaskId, WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_cron::{CronScheduler, Tick};
use apalis_postgres::{Config as StorageConfig, PostgresStorage};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::registry::{RegistryError, Scheduled};
use super::runner::{Outcome, Raw, Runner};
use super::{DeadJob, Queue, Registry};
use crate::platform::context::Platform;
use crate::platform::db::DbRole;
use crate::platform::problem::{Problem, Result};

/// How the workers keep time. The defaults are for production.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often a worker shows that it lives. After three missed ones its jobs go to others.
    pub heartbeat: Duration,
    /// How often a queue is looked at without a notification; for jobs whose time has come.
    pub poll: Duration,
    /// Whether the clock enqueues its jobs. Tests enqueue them, when their own clock says so.
    pub schedules: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(10), poll: Duration::from_secs(1), schedules: true }
    }
}

/// Before a worker that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Tries of a schedule to enqueue its job, a second apart.
const TICK_TRIES: u32 = 300;
const SETTLE_PAUSE: Duration = Duration::from_millis(10);

/// The running workers. Dropping them ends them at once; [`Workers::stop`] does it gracefully.
pub struct Workers {
    platform: Arc<Platform>,
    pool: PgPool,
    /// What the names of this process's workers begin with.
    prefix: String,
    control: MonitorContext,
    monitor: AbortOnDropHandle<()>,
}

impl Workers {
    /// Starts a worker for each queue and each schedule.
    pub fn start(
        platform: Arc<Platform>,
        mut registry: Registry,
        settings: Settings,
    ) -> std::result::Result<Self, RegistryError> {
        registry.check()?;
        for kind in registry.kinds() {
            for outcome in Outcome::LABELS {
                metrics::counter!("huntzen_job_runs_total", "kind" => kind, "outcome" => outcome).increment(0);
            }
        }
        let queues = u32::try_from(Queue::ALL.len()).unwrap_or(4);
        // one connection to listen on for each queue, and as many to fetch with
        let fetching = pool(&platform, queues * 2);
        // Starts and ends of jobs have their own. apalis drops a fetch that it no longer needs; dropped in the middle of
        // its BEGIN, sqlx gives the connection back with a transaction open, in which the end of a job would be lost.
        let pool = pool(&platform, queues);
        // never the same name twice: a job would stay with a dead worker whose name lives on
        let prefix = format!("{}-{}", std::process::id(), platform.new_id::<Uuid>().simple());

        let schedules = if settings.schedules { registry.schedules().to_vec() } else { Vec::new() };
        let runner = Arc::new(Runner { platform: platform.clone(), registry, pool: pool.clone() });
        let mut monitor = Monitor::new().should_restart(|worker, error| {
            tracing::warn!(worker = worker.name(), %error, "worker ended");
            !worker.is_shutting_down()
        });
        for queue in Queue::ALL {
            monitor = watch_queue(monitor, &runner, &fetching, queue, &prefix, settings);
        }
        for scheduled in schedules.into_iter().filter(|_| settings.schedules) {
            monitor = watch_clock(monitor, &platform, scheduled, &prefix);
        }
        let control = monitor.context();
        let run = async move {
            if let Err(error) = monitor.run().await {
                tracing::error!(%error, "workers ended");
            }
        };
        Ok(Self { pool, prefix, control, monitor: AbortOnDropHandle::new(tokio::spawn(run)), platform })
    }

    /// Fetches nothing more and gives running jobs this long to finish. Those that do not are ended; they are queued
    /// again when the heartbeat of this process has been missed.
    pub async fn stop(mut self, grace: Duration) {
        if let Err(error) = self.control.shutdown() {
            tracing::warn!(%error, "workers cannot be told to stop");
        }
        if tokio::time::timeout(grace, &mut self.monitor).await.is_err() {
            tracing::warn!("jobs were still running when the time was up");
            self.monitor.abort();
        }
        // fetched, but not begun
        let released = sqlx::query(
            "UPDATE apalis.jobs SET status = 'Pending', lock_by = NULL, lock_at = NULL
             WHERE status = 'Queued' AND starts_with(lock_by, $1)",
        )
        .bind(&self.prefix)
        .execute(&self.pool)
        .await;
        if let Err(error) = released {
            tracing::warn!(%error, "fetched jobs wait for the missed heartbeat");
        }
        self.pool.close().await;
    }

    /// For tests: makes the jobs due whose time has come by the program's clock, and waits until nothing is left to
    /// do. Answers with the dead ones.
    pub async fn settle(&self, deadline: Duration) -> Result<Vec<DeadJob>> {
        tokio::time::timeout(deadline, async {
            while self.release_due().await? > 0 {
                tokio::time::sleep(SETTLE_PAUSE).await;
            }
            let dead = sqlx::query_as(
                "SELECT id, job_type AS queue, coalesce(last_result ->> 'kind', 'unknown') AS kind, attempts,
                        coalesce(last_result ->> 'code', 'unknown') AS code, run_at, done_at AS died_at
                 FROM apalis.jobs WHERE status = 'Killed' ORDER BY id",
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(dead)
        })
        .await
        .map_err(|_| Problem::internal("jobs were still running when the time was up"))?
    }

    /// Makes due what the program's clock says is due; the number of jobs that are waiting for a worker or running.
    async fn release_due(&self) -> Result<i64> {
        let ahead = self.platform.clock.shift().as_seconds_f64();
        sqlx::query(
            "WITH released AS (
                 UPDATE apalis.jobs SET run_at = now() - interval '1 millisecond'
                 WHERE status = 'Pending' AND run_at >= now() AND run_at <= now() + make_interval(secs => $1)
                 RETURNING id, job_type)
             SELECT pg_notify('apalis::job::insert', json_build_object('job_type', job_type, 'id', id)::text)
             FROM released",
        )
        .bind(ahead)
        .execute(&self.pool)
        .await?;
        let left = sqlx::query_scalar(
            "SELECT count(*) FROM apalis.jobs
             WHERE status IN ('Queued', 'Running') OR status IN ('Pending', 'Failed') AND run_at <= now()",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(left)
    }
}

/// Connections of the workers' role, made when they are needed.
fn pool(platform: &Platform, size: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_millis(platform.config.database_acquire_timeout_ms.max(3000)))
        .idle_timeout(Duration::from_mins(5))
        .connect_lazy_with(platform.db.options(DbRole::Worker).clone())
}

/// Adds the worker of a queue.
fn watch_queue(
    monitor: Monitor,
    runner: &Arc<Runner>,
    fetching: &PgPool,
    queue: Queue,
    prefix: &str,
    settings: Settings,
) -> Monitor {
    let (runner, fetching) = (runner.clone(), fetching.clone());
    let prefix = prefix.to_owned();
    monitor.register(move |restarts| {
        let config = StorageConfig::default()
            .queue(queue.name())
            // a worker that holds more jobs than it runs shows no heartbeat meanwhile
            .batch_size(1)
            .heartbeat_interval(settings.heartbeat)
            .missed_heartbeats(3)
            // begun and ended by the runner, under its own conditions
            .lock_tasks(false)
            .persist_results(false);
        let storage = PostgresStorage::<Vec<u8>>::new(&fetching)
            .with_config(config)
            .with_pubsub()
            .poll_with_interval(settings.poll)
            .with_codec(Raw)
            .before_start(move |_| async move {
                if restarts > 0 {
                    tokio::time::sleep(RESTART_PAUSE).await;
                }
                Ok(())
            });
        let runner = runner.clone();
        WorkerBuilder::new(format!("{prefix}-{}-{restarts}", queue.name()))
            .backend(storage)
            .concurrency(queue.concurrency())
            .build(move |bytes: Vec<u8>, id: TaskId, worker: WorkerContext| {
                let runner = runner.clone();
                async move { runner.run(queue, worker.name(), id.to_string(), bytes).await }
            })
    })
}

/// Adds the worker of a schedule. Every node's clock ticks; the key makes one job of them.
fn watch_clock(monitor: Monitor, platform: &Arc<Platform>, scheduled: Scheduled, prefix: &str) -> Monitor {
    let platform = platform.clone();
    let prefix = prefix.to_owned();
    monitor.register(move |restarts| {
        let (platform, scheduled) = (platform.clone(), scheduled.clone());
        WorkerBuilder::new(format!("{prefix}-cron-{}-{restarts}", scheduled.name))
            .backend(CronScheduler::new(scheduled.schedule.clone()))
            .build(move |tick: Tick| {
                let (platform, scheduled) = (platform.clone(), scheduled.clone());
                async move {
                    for _ in 0..TICK_TRIES {
                        match enqueue_tick(&platform, &scheduled, tick.get_timestamp()).await {
                            Ok(()) => return,
                            Err(problem) => tracing::warn!(name = scheduled.name, code = problem.code(), "tick failed"),
                        }
                        tokio::time::sleep(RESTART_PAUSE).await;
                    }
                }
            })
    })
}

async fn enqueue_tick(platform: &Platform, scheduled: &Scheduled, timestamp: u64) -> Result<()> {
    let tx = platform.db.job(None, None).await?;
    (scheduled.enqueue)(tx, format!("{}:{timestamp}", scheduled.name)).await
}
