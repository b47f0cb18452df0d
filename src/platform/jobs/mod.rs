//! Work that is done later: enqueued in the transaction of the change that it belongs to, run by apalis.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

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
    /// Schedules and cleaning.
    Maintenance,
}

impl Queue {
    pub const ALL: [Self; 4] = [Self::Mail, Self::Events, Self::Exports, Self::Maintenance];

    /// apalis' `job_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Events => "events",
            Self::Exports => "exports",
            Self::Maintenance => "maintenance",
        }
    }
}

/// A kind of job. Its payload holds ids and nothing that tells of a person.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// `domain.verb`, unique in the program.
    const KIND: &'static str;
    const QUEUE: Queue;
    const MAX_ATTEMPTS: i32 = 8;
}

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
        sqlx::query("SELECT app.enqueue($1, $2, $3, $4, $5, $6)")
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
