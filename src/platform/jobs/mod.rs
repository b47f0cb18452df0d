//! Work that is done later: enqueued in the transaction of the change that it belongs to, run by apalis.
//!
//! apalis fetches, keeps the heartbeat, and takes back the jobs of a worker that died; its table is the
//! queue. Starting, finishing, backing off and giving up are a few statements of our own ([`runner`]),
//! each fenced by the worker's name, so that a late one cannot touch a job that went to another worker.

mod admin;
mod purge;
mod registry;
mod runner;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use admin::{Backlog, DeadJob, backlogs, dead_jobs, discard, is_there, living_workers, retry};
pub use registry::{Registry, RegistryError};
pub use runner::Permanent;
pub use workers::{Settings, Workers};

use crate::platform::context::Platform;
use crate::platform::db::Tx;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::problem::{Problem, Result};

/// The queues, each with a worker of its own, so that a long export does not hold up mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    Mail,
    /// Reactions of one domain to another's events.
    Events,
    Exports,
    /// Calendars of others, which may take their time to answer.
    Feeds,
    /// Counting of use, which may take hours where there is much to count.
    Counting,
    /// Schedules and cleaning.
    Maintenance,
}

impl Queue {
    pub const ALL: [Self; 6] =
        [Self::Mail, Self::Events, Self::Exports, Self::Feeds, Self::Counting, Self::Maintenance];

    /// apalis' `job_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Events => "events",
            Self::Exports => "exports",
            Self::Feeds => "feeds",
            Self::Counting => "counting",
            Self::Maintenance => "maintenance",
        }
    }

    /// Jobs that one process runs at once.
    fn concurrency(self) -> usize {
        match self {
            Self::Mail => 8,
            Self::Events | Self::Feeds => 4,
            Self::Exports => 2,
            Self::Counting | Self::Maintenance => 1,
        }
    }

    /// Whether its jobs look for what is over its time, so that a clock that is wrong would have them do what cannot be undone.
    pub(super) fn goes_by_the_clock(self) -> bool {
        matches!(self, Self::Counting | Self::Maintenance)
    }

    /// The longest wait before the next attempt. Mails wait less, so that they go out soon after an outage.
    fn longest_backoff(self) -> Duration {
        match self {
            Self::Mail => Duration::from_mins(4),
            _ => Duration::from_hours(1),
        }
    }

    /// Attempts before a job is a dead letter. Mails outlast ten hours without a mail server.
    const fn max_attempts(self) -> i32 {
        match self {
            Self::Mail => 150,
            _ => 8,
        }
    }
}

/// A kind of job. Its payload holds ids and nothing that tells of a person.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// `domain.verb`, unique in the program.
    const KIND: &'static str;
    const QUEUE: Queue;
    const MAX_ATTEMPTS: i32 = Self::QUEUE.max_attempts();
}

/// The statement that enqueues. Benchmarks send it as well.
pub const ENQUEUE: &str = "SELECT app.enqueue($1, $2, $3, $4, $5, $6)";

impl Tx {
    /// Enqueues a job that becomes visible with the commit. With a key, a second job of the same key is not made.
    ///
    /// The job carries this transaction's company and person.
    pub async fn enqueue<J: Job>(&mut self, job: &J, key: Option<&str>, run_at: Option<DateTime<Utc>>) -> Result<()> {
        self.enqueue_all(std::iter::once((job, key.map(ToOwned::to_owned))), run_at).await
    }

    /// Enqueues many jobs in one statement.
    pub async fn enqueue_all<'a, J: Job>(
        &mut self,
        jobs: impl IntoIterator<Item = (&'a J, Option<String>)>,
        run_at: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let mut payloads = Vec::new();
        let mut keys = Vec::new();
        for (job, key) in jobs {
            payloads.push(serde_json::to_value(job).map_err(Problem::internal)?);
            keys.push(key.map(|key| format!("{}:{key}", J::KIND)));
        }
        sqlx::query(ENQUEUE)
            .bind(J::QUEUE.name())
            .bind(J::KIND)
            .bind(&payloads)
            .bind(&keys)
            .bind(run_at)
            .bind(J::MAX_ATTEMPTS)
            .execute(self.conn())
            .await?;
        Ok(())
    }
}

/// What a running job may rely on.
#[derive(Clone)]
pub struct JobContext {
    pub platform: Arc<Platform>,
    /// Whose doing the job is, and for which company.
    pub company_id: Option<CompanyId>,
    pub user_id: Option<UserId>,
    pub job_id: String,
    /// 1 on the first try.
    pub attempt: i32,
}

impl JobContext {
    pub fn now(&self) -> DateTime<Utc> {
        self.platform.clock.now()
    }

    pub fn new_id<T: From<Uuid>>(&self) -> T {
        self.platform.new_id()
    }

    /// The job's transaction, as the worker's role, scoped to its company and person.
    pub async fn begin(&self) -> Result<Tx> {
        self.platform.db.job(self.company_id, self.user_id).await
    }
}
