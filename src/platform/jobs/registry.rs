//! Which handler runs which kind of job, and what is enqueued by the clock.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use cron::Schedule;
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::Value;

use super::{Job, JobContext, purge};
use crate::platform::crypto::key_use;
use crate::platform::db::Tx;
use crate::platform::problem::Result;

/// What a module registers cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("two handlers for jobs of kind {0}")]
    DuplicateKind(&'static str),
    #[error("two schedules named {0}")]
    DuplicateSchedule(&'static str),
    #[error("the schedule {name} cannot be read: {source}")]
    BadSchedule { name: &'static str, source: cron::error::Error },
}

type Run = dyn Fn(JobContext, Value) -> Result<BoxFuture<'static, Result<()>>, serde_json::Error> + Send + Sync;
type Enqueue = dyn Fn(Tx, String) -> BoxFuture<'static, Result<()>> + Send + Sync;

/// A job that the clock enqueues.
#[derive(Clone)]
pub(super) struct Scheduled {
    pub name: &'static str,
    pub schedule: Schedule,
    pub enqueue: Arc<Enqueue>,
}

/// The handlers and schedules of every module.
pub struct Registry {
    handlers: HashMap<&'static str, Box<Run>>,
    given_up: HashMap<&'static str, Box<Run>>,
    schedules: Vec<Scheduled>,
    faults: Vec<RegistryError>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// Holds the platform's own jobs; the modules add theirs.
    pub fn new() -> Self {
        let mut registry =
            Self { handlers: HashMap::new(), given_up: HashMap::new(), schedules: Vec::new(), faults: Vec::new() };
        purge::jobs(&mut registry);
        key_use::jobs(&mut registry);
        registry
    }

    /// Names the handler of a kind of job. It may be run twice for one job, so it must be idempotent.
    pub fn on<J, F, Fut>(&mut self, handler: F)
    where
        J: Job,
        F: Fn(JobContext, J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        if self.handlers.insert(J::KIND, boxed(handler)).is_some() {
            self.faults.push(RegistryError::DuplicateKind(J::KIND));
        }
    }

    /// Names what is done when a job of a kind has failed for good, also where its worker died at the last attempt.
    /// It is run before the job becomes a dead letter, perhaps twice, so it must be idempotent.
    pub fn on_given_up<J, F, Fut>(&mut self, handler: F)
    where
        J: Job,
        F: Fn(JobContext, J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        if self.given_up.insert(J::KIND, boxed(handler)).is_some() {
            self.faults.push(RegistryError::DuplicateKind(J::KIND));
        }
    }

    /// Enqueues a job at the times of a cron expression (`sec min hour day month weekday`, UTC), once among all nodes.
    pub fn schedule<J: Job>(
        &mut self,
        name: &'static str,
        cron: &'static str,
        job: impl Fn() -> J + Send + Sync + 'static,
    ) {
        if self.schedules.iter().any(|other| other.name == name) {
            self.faults.push(RegistryError::DuplicateSchedule(name));
        }
        let enqueue = move |mut tx: Tx, key: String| {
            let job = job();
            async move {
                tx.enqueue(&job, Some(&key), None).await?;
                tx.commit().await
            }
            .boxed()
        };
        match Schedule::from_str(cron) {
            Ok(schedule) => self.schedules.push(Scheduled { name, schedule, enqueue: Arc::new(enqueue) }),
            Err(source) => self.faults.push(RegistryError::BadSchedule { name, source }),
        }
    }

    /// The kinds that have a handler.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.handlers.keys().copied()
    }

    /// Refuses what cannot be run.
    pub(super) fn check(&mut self) -> Result<(), RegistryError> {
        self.faults.pop().map_or(Ok(()), Err)
    }

    pub(super) fn schedules(&self) -> &[Scheduled] {
        &self.schedules
    }

    /// The handler of a kind, with the kind as a string that outlives the job.
    pub(super) fn find(&self, kind: &str) -> Option<(&'static str, &Run)> {
        self.handlers.get_key_value(kind).map(|(kind, run)| (*kind, &**run))
    }

    /// What is done when a job of a kind is given up.
    pub(super) fn find_given_up(&self, kind: &str) -> Option<&Run> {
        self.given_up.get(kind).map(|run| &**run)
    }
}

fn boxed<J, F, Fut>(handler: F) -> Box<Run>
where
    J: Job,
    F: Fn(JobContext, J) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    Box::new(move |cx, data| Ok(handler(cx, serde_json::from_value(data)?).boxed()))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::platform::jobs::Queue;

    #[derive(Serialize, Deserialize)]
    struct Ping {}

    impl Job for Ping {
        const KIND: &'static str = "test.ping";
        const QUEUE: Queue = Queue::Events;
    }

    #[test]
    fn a_kind_is_handled_once() {
        let mut registry = Registry::new();
        registry.on(|_, _: Ping| async { Ok(()) });
        assert!(registry.check().is_ok());
        registry.on(|_, _: Ping| async { Ok(()) });
        assert!(matches!(registry.check(), Err(RegistryError::DuplicateKind("test.ping"))));
    }

    #[test]
    fn a_schedule_that_cannot_be_read_is_refused() {
        let mut registry = Registry::new();
        registry.schedule("test.never", "every now and then", || Ping {});
        assert!(matches!(registry.check(), Err(RegistryError::BadSchedule { name: "test.never", .. })));
    }
}
