//! One job from its fetching to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis::prelude::Codec;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{JobContext, Queue, Registry};
use crate::platform::context::Platform;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::problem::{Cause, Problem, Result};
use crate::platform::telemetry::reports::{self, Place};
use crate::platform::telemetry::traces;

/// Between two tries of a statement on the queue while the database is away.
const DATABASE_PAUSE: Duration = Duration::from_millis(500);
/// Tries of what is done when a job is given up.
const GIVING_UP_TRIES: u32 = 10;
/// The first wait after a failure; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_secs(2);
/// The wait of a job that is postponed.
const POSTPONED: Duration = Duration::from_mins(1);
/// One that waits for longer was put off by a clock that was wrong.
const POSTPONED_AT_MOST: Duration = Duration::from_mins(2);
/// By how much the program's clock and the database's may differ.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(5);

/// Marks a failure that no further attempt can mend: the job is a dead letter at once.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no further attempt can mend this")]
pub struct Permanent;

impl Permanent {
    /// A permanent failure for this cause.
    pub fn because(cause: impl Cause) -> Problem {
        Problem::from(cause).with_source(Self)
    }

    fn is_source_of(problem: &Problem) -> bool {
        problem.source_error().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// Hands a job's bytes on as they are: apalis ends a worker whose payload it cannot decode.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw;

impl Codec<Vec<u8>> for Raw {
    type Compact = Vec<u8>;
    type Error = std::convert::Infallible;

    fn encode(&self, bytes: &Vec<u8>) -> Result<Vec<u8>, Self::Error> {
        Ok(bytes.clone())
    }

    fn decode(&self, bytes: &Vec<u8>) -> Result<Vec<u8>, Self::Error> {
        Ok(bytes.clone())
    }
}

/// A job's bytes, as `app.enqueue` writes them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    kind: String,
    company_id: Option<CompanyId>,
    user_id: Option<UserId>,
    data: Value,
}

/// How an attempt ended.
pub(super) enum Outcome {
    Done,
    /// To be tried again, if attempts are left.
    Failed(&'static str),
    /// Never to be tried again.
    Dead(&'static str),
    /// Not begun, because of something that is nobody's fault here: it waits, and no attempt is counted.
    Postponed(&'static str),
}

impl Outcome {
    /// In metrics and traces.
    pub const LABELS: [&'static str; 4] = ["done", "failed", "dead", "postponed"];

    fn label(&self) -> &'static str {
        let [done, failed, dead, postponed] = Self::LABELS;
        match self {
            Self::Done => done,
            Self::Failed(_) => failed,
            Self::Dead(_) => dead,
            Self::Postponed(_) => postponed,
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Failed(code) | Self::Dead(code) | Self::Postponed(code) => Some(code),
        }
    }
}

/// Runs fetched jobs.
pub(super) struct Runner {
    pub platform: Arc<Platform>,
    pub registry: Registry,
    /// The queue's own pool: jobs that wait for a connection must not keep others from being finished.
    pub pool: PgPool,
}

impl Runner {
    /// Runs a job that `worker` has fetched. Whatever happens in it, the row is left in a state that goes on.
    pub async fn run(&self, queue: Queue, worker: &str, job_id: String, bytes: Vec<u8>) {
        let Some((attempt, max_attempts, its_now)) = self.claim(&job_id, worker).await else {
            return; // taken back meanwhile: the job is another worker's
        };
        let envelope: Option<Envelope> = serde_json::from_slice(&bytes).ok();
        let found = envelope.as_ref().and_then(|envelope| self.registry.find(&envelope.kind));
        let kind = found.map_or("unknown", |(kind, _)| kind);
        let span = tracing::error_span!("job", kind, job_id, attempt);
        let started = Instant::now();

        let traced = self.platform.traces.job(kind, queue.name(), attempt);
        let transaction = format!("job {kind}");
        let place = Place { operation: "job", transaction: &transaction, request_id: None };
        let outcome = if attempt > max_attempts {
            Outcome::Dead("worker_lost") // each attempt took its worker down with it
        } else {
            match (&envelope, found) {
                (None, _) => Outcome::Dead("undecodable"),
                // a newer release knows it, and may get it at the next attempt
                (Some(_), None) => Outcome::Failed("unknown_kind"),
                // what is removed, published or ended too early does not come back when the clock is set right
                _ if queue.goes_by_the_clock() && self.is_wrong(its_now) => Outcome::Postponed("clock_differs"),
                (Some(envelope), Some((_, handler))) => {
                    match handler(self.context(envelope, &job_id, attempt), envelope.data.clone()) {
                        Err(_) => Outcome::Dead("undecodable"),
                        // a task of its own: a panic ends it alone, a busy one holds up no heartbeat
                        Ok(job) => {
                            let job = traces::within(traced.as_ref(), reports::watch(job));
                            match AbortOnDropHandle::new(tokio::spawn(job.instrument(span.clone()))).await {
                                Ok(Ok(done)) => outcome(done),
                                Ok(Err(panic)) => {
                                    self.platform.reports.panic(panic, place);
                                    Outcome::Failed("panic")
                                }
                                Err(_) => Outcome::Failed("panic"),
                            }
                        }
                    }
                }
            }
        };
        let end = match outcome {
            Outcome::Failed(code) if attempt >= max_attempts => Outcome::Dead(code),
            other => other,
        };
        if let (Outcome::Dead(_), Some(envelope)) = (&end, &envelope) {
            self.give_up(envelope, &job_id, attempt).instrument(span.clone()).await;
        }
        if let Outcome::Dead(code) = end {
            self.platform.reports.dead_job(code, place);
        }
        if let Some(traced) = traced {
            traced.ended(end.label(), end.code());
        }
        if let Outcome::Postponed(code) = end {
            self.postpone(&job_id, worker, kind, code).instrument(span).await;
        } else {
            self.finish(&job_id, worker, kind, attempt.min(max_attempts), queue, &end).instrument(span).await;
        }

        metrics::counter!("huntzen_job_runs_total", "kind" => kind, "outcome" => end.label()).increment(1);
        metrics::histogram!("huntzen_job_duration_seconds", "kind" => kind).record(started.elapsed());
    }

    /// Whether the database's clock says something else than the program's; leaving out what a test has advanced it by.
    fn is_wrong(&self, its_now: DateTime<Utc>) -> bool {
        let clock = &self.platform.clock;
        (clock.now() - clock.shift() - its_now).abs() > CLOCKS_APART
    }

    fn context(&self, it: &Envelope, job_id: &str, attempt: i32) -> JobContext {
        let (platform, job_id) = (self.platform.clone(), job_id.to_owned());
        JobContext { platform, company_id: it.company_id, user_id: it.user_id, job_id, attempt }
    }

    /// Tells the module whose job it was. Should this process die meanwhile, the next one does it.
    async fn give_up(&self, envelope: &Envelope, job_id: &str, attempt: i32) {
        let Some(handler) = self.registry.find_given_up(&envelope.kind) else { return };
        for _ in 0..GIVING_UP_TRIES {
            // what cannot be decoded concerns nobody
            let Ok(told) = handler(self.context(envelope, job_id, attempt), envelope.data.clone()) else { return };
            let told = AbortOnDropHandle::new(tokio::spawn(told.in_current_span())).await;
            match told.map_or(Outcome::Failed("panic"), outcome) {
                Outcome::Done => return,
                Outcome::Failed(code) | Outcome::Dead(code) | Outcome::Postponed(code) => {
                    tracing::warn!(code, "giving the job up failed");
                }
            }
            tokio::time::sleep(DATABASE_PAUSE).await;
        }
        tracing::error!("the job is given up, but what follows from that was not done");
    }

    /// Marks the job as running; says which attempt this is and how many there may be.
    ///
    /// Attempts are counted where they end: by [`Self::finish`], or by apalis when it takes the job from a dead
    /// worker. So one that kills its worker is counted as well.
    async fn claim(&self, job_id: &str, worker: &str) -> Option<(i32, i32, DateTime<Utc>)> {
        self.persist(|| {
            sqlx::query_as(
                "UPDATE apalis.jobs SET status = 'Running', lock_at = now()
                 WHERE id = $1 AND lock_by = $2 AND status = 'Queued' RETURNING attempts + 1, max_attempts, clock_timestamp()",
            )
            .bind(job_id)
            .bind(worker)
            .fetch_optional(&self.pool)
        })
        .await
    }

    /// Writes how the attempt ended. The result holds a code and the kind, nothing that tells of a person.
    async fn finish(&self, job_id: &str, worker: &str, kind: &str, attempt: i32, queue: Queue, end: &Outcome) {
        let (status, code) = match end {
            Outcome::Done => ("Done", None),
            Outcome::Failed(code) | Outcome::Postponed(code) => ("Pending", Some(*code)),
            Outcome::Dead(code) => ("Killed", Some(*code)),
        };
        let wait = backoff(queue, attempt, self.platform.entropy.bytes());
        // tests move the program's clock ahead of the database's
        let wait = wait.as_secs_f64() + self.platform.clock.shift().as_seconds_f64();
        let rows = self
            .persist(|| {
                sqlx::query(
                    "UPDATE apalis.jobs SET status = $3, attempts = $4, last_result = $5, lock_by = NULL, lock_at = NULL,
                         run_at = CASE WHEN $3 = 'Pending' THEN now() + make_interval(secs => $6) ELSE run_at END,
                         done_at = CASE WHEN $3 = 'Pending' THEN NULL ELSE now() END
                     WHERE id = $1 AND lock_by = $2 AND status = 'Running'",
                )
                .bind(job_id)
                .bind(worker)
                .bind(status)
                .bind(attempt)
                .bind(code.map(|code| json!({ "code": code, "kind": kind })))
                .bind(wait)
                .execute(&self.pool)
            })
            .await
            .rows_affected();
        match end {
            _ if rows == 0 => tracing::warn!("the job went to another worker while it ran"),
            Outcome::Done => tracing::debug!("job done"),
            Outcome::Failed(code) | Outcome::Postponed(code) => {
                tracing::warn!(code, "job failed, and will be tried again");
            }
            Outcome::Dead(code) => tracing::error!(code, "job failed for good"),
        }
    }

    /// Puts a job off for a while. One that waits already in the same words is enough: a schedule makes another at each of
    /// its times, and they would be thousands. Not one that waits for a time that only a wrong clock of the database calls soon.
    async fn postpone(&self, job_id: &str, worker: &str, kind: &str, code: &'static str) {
        // tests move the program's clock ahead of the database's
        let after = |wait: Duration| wait.as_secs_f64() + self.platform.clock.shift().as_seconds_f64();
        self.persist(|| {
            sqlx::query(
                "UPDATE apalis.jobs j
                 SET status = it.status, last_result = $3, lock_by = NULL, lock_at = NULL,
                     run_at = CASE it.status WHEN 'Pending' THEN now() + make_interval(secs => $4) ELSE j.run_at END,
                     done_at = CASE it.status WHEN 'Done' THEN now() END
                 FROM (SELECT CASE WHEN EXISTS (
                           SELECT FROM apalis.jobs mine JOIN apalis.jobs other USING (job_type, job)
                           WHERE mine.id = $1 AND other.id <> $1 AND other.status = 'Pending'
                             AND other.run_at <= now() + make_interval(secs => $5)) THEN 'Done' ELSE 'Pending' END AS status) it
                 WHERE j.id = $1 AND j.lock_by = $2 AND j.status = 'Running'",
            )
            .bind(job_id)
            .bind(worker)
            .bind(json!({ "code": code, "kind": kind }))
            .bind(after(POSTPONED))
            .bind(after(POSTPONED_AT_MOST))
            .execute(&self.pool)
        })
        .await;
        tracing::warn!(code, "job postponed");
    }

    /// Repeats a statement until the database takes it. A worker whose database is away loses its heartbeat,
    /// ends, and takes the running jobs with it: that ends this as well.
    async fn persist<T, Fut: Future<Output = Result<T, sqlx::Error>>>(&self, statement: impl Fn() -> Fut) -> T {
        loop {
            match statement().await {
                Ok(value) => return value,
                Err(error) => tracing::warn!(%error, "the queue cannot be written"),
            }
            tokio::time::sleep(DATABASE_PAUSE).await;
        }
    }
}

fn outcome(done: Result<()>) -> Outcome {
    match done {
        Ok(()) => Outcome::Done,
        Err(problem) => {
            if Permanent::is_source_of(&problem) {
                return Outcome::Dead(problem.code());
            }
            if let Some(source) = problem.source_error() {
                tracing::warn!(code = problem.code(), error = %source, "attempt failed");
            }
            Outcome::Failed(problem.code())
        }
    }
}

/// 2 s, 4 s, 8 s … up to the queue's longest, less a quarter at most, so that failures do not come back together.
fn backoff(queue: Queue, attempt: i32, random: [u8; 1]) -> Duration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(16);
    let full = FIRST_BACKOFF.saturating_mul(1 << doublings).min(queue.longest_backoff());
    full.mul_f64(1.0 - f64::from(random[0]) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_the_longest_of_the_queue() {
        let full = |attempt| backoff(Queue::Events, attempt, [0]).as_secs();
        assert_eq!([full(1), full(2), full(3), full(8), full(30)], [2, 4, 8, 256, 3600]);
        assert_eq!(backoff(Queue::Mail, 99, [0]).as_secs(), 240);
        assert!(backoff(Queue::Events, 1, [255]) > Duration::from_millis(1500));
    }

    #[test]
    fn a_permanent_failure_is_told_from_a_passing_one() {
        use crate::platform::problem::Error;

        assert!(Permanent::is_source_of(&Permanent::because(Error::Invalid)));
        assert!(!Permanent::is_source_of(&Error::Invalid.into()));
        assert!(!Permanent::is_source_of(&Problem::internal("other")));
    }
}
