//! Metrics that are read when somebody looks: of the pools, the queue, the workers, the database, the disk, the process,
//! and what modules add. Nothing is kept between two looks, so that no figure outlives what it was read from: where the
//! database does not answer, its figures are missing, and `huntzen_dependency_up` says why.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{process, recorded};
use crate::platform::Platform;
use crate::platform::db::Tx;
use crate::platform::jobs::{self, JobContext, Queue};
use crate::platform::problem::Result;

/// Whoever looks does not wait longer for one source: the other figures are wanted most when something is in trouble.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// A metric with its samples.
#[derive(Clone, Debug)]
pub struct Figure {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// What a module adds, read as a job reads that nobody enqueued.
pub type Source = fn(JobContext) -> BoxFuture<'static, Result<Vec<Figure>>>;

impl Figure {
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, help, samples: Vec::new() }
    }

    /// Something that only grows, as somebody else counts it.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, help, samples: Vec::new() }
    }

    /// One of its values. Labels have few values each, none of which is a person's or a company's.
    #[must_use]
    pub fn with(mut self, labels: &[(&'static str, &str)], value: f64) -> Self {
        self.samples.push((labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), value));
        self
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn samples(&self) -> &[(Vec<(&'static str, String)>, f64)] {
        &self.samples
    }

    fn write(&self, out: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        let kind = if self.kind == Kind::Counter { "counter" } else { "gauge" };
        let _ = writeln!(out, "# HELP {0} {1}\n# TYPE {0} {kind}", self.name, self.help);
        for (labels, value) in &self.samples {
            out.push_str(self.name);
            for (n, (name, value)) in labels.iter().enumerate() {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(out, "{}{name}=\"{value}\"", if n == 0 { '{' } else { ',' });
            }
            let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
        }
    }
}

/// A count as Prometheus has it.
#[allow(clippy::cast_precision_loss)] // never so many
pub fn number(count: impl TryInto<i64>) -> f64 {
    count.try_into().map_or(f64::INFINITY, |count: i64| count as f64)
}

/// As Prometheus reads it.
pub fn render(figures: &[Figure]) -> String {
    let mut out = String::new();
    for figure in figures {
        figure.write(&mut out);
    }
    out
}

/// Everything that can be read now.
pub async fn read(platform: &Arc<Platform>, of_modules: &[Source]) -> Vec<Figure> {
    let (database, storage) = tokio::join!(in_time(database(platform)), in_time(storage(platform)));
    let mut figures = here(platform);
    figures.extend(database.unwrap_or_default());
    figures.extend(storage.unwrap_or_default());
    for source in of_modules {
        let cx = JobContext {
            platform: platform.clone(),
            company_id: None,
            user_id: None,
            job_id: "metrics".to_owned(),
            attempt: 1,
        };
        figures.extend(in_time(source(cx)).await.unwrap_or_default());
    }
    figures
}

async fn in_time<T>(part: impl Future<Output = Result<T>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, part).await.ok()?.ok()
}

/// What costs nothing to know.
fn here(platform: &Platform) -> Vec<Figure> {
    let build = Figure::gauge("huntzen_build_info", "Which program this is.").with(
        &[("version", env!("CARGO_PKG_VERSION")), ("revision", option_env!("HUNTZEN_REVISION").unwrap_or("unknown"))],
        1.0,
    );
    let requests = Figure::gauge("http_requests_in_flight", "Requests that are being answered.")
        .with(&[], number(recorded::requests_in_flight()));
    let runtime = tokio::runtime::Handle::current().metrics();
    let tasks = Figure::gauge("huntzen_runtime_tasks", "Tasks that are alive in the process.")
        .with(&[], number(runtime.num_alive_tasks()));
    let queued = Figure::gauge("huntzen_runtime_queued_tasks", "Tasks that wait for a thread.")
        .with(&[], number(runtime.global_queue_depth()));
    let mut connections =
        Figure::gauge("huntzen_database_pool_connections", "Connections by log-in role and state: used, idle.");
    let mut most = Figure::gauge("huntzen_database_pool_max_connections", "Connections that a pool may open.");
    let mut waiting = Figure::gauge("huntzen_database_pool_waiting", "Callers who wait for a connection.");
    for (role, pool) in platform.db.pools() {
        let role = ("role", role.name());
        connections = connections
            .with(&[role, ("state", "used")], number(pool.size.saturating_sub(pool.available)))
            .with(&[role, ("state", "idle")], number(pool.available));
        most = most.with(&[role], number(pool.max_size));
        waiting = waiting.with(&[role], number(pool.waiting));
    }
    let mut figures = vec![build, requests, tasks, queued, connections, most, waiting];
    figures.extend(process::figures());
    figures
}

async fn database(platform: &Platform) -> Result<Vec<Figure>> {
    let mut tx = platform.db.job(None, None).await?;
    let mut figures = queues(&mut tx).await?;
    figures.extend(server(&mut tx).await?);
    tx.commit().await?;
    Ok(figures)
}

async fn queues(tx: &mut Tx) -> Result<Vec<Figure>> {
    let backlogs = jobs::backlogs(tx).await?;
    let workers = jobs::living_workers(tx).await?;
    let mut all = Figure::gauge(
        "huntzen_jobs",
        "Jobs by queue and state: scheduled (for later), due (waiting for a worker), running, dead (failed for good).",
    );
    let mut oldest = Figure::gauge(
        "huntzen_jobs_oldest_due_age_seconds",
        "How long the job that is due for longest has waited for a worker.",
    );
    let mut alive = Figure::gauge("huntzen_workers", "Workers that show that they live, by queue, of all processes.");
    for queue in Queue::ALL {
        let name = ("queue", queue.name());
        let found = backlogs.iter().find(|it| it.queue == queue.name()).cloned().unwrap_or_default();
        for (state, count) in
            [("scheduled", found.scheduled), ("due", found.due), ("running", found.running), ("dead", found.dead)]
        {
            all = all.with(&[name, ("state", state)], number(count));
        }
        oldest = oldest.with(&[name], found.oldest_due_seconds);
        let living = workers.iter().find(|(it, _)| it == queue.name()).map_or(0, |(_, count)| *count);
        alive = alive.with(&[name], number(living));
    }
    Ok(vec![all, oldest, alive])
}

#[derive(sqlx::FromRow)]
struct Server {
    bytes: i64,
    connections: i64,
    most: i64,
    committed: i64,
    rolled_back: i64,
    deadlocks: i64,
}

async fn server(tx: &mut Tx) -> Result<Vec<Figure>> {
    let it: Server = sqlx::query_as(
        "SELECT pg_database_size(current_database()) AS bytes,
                (SELECT sum(numbackends)::bigint FROM pg_stat_database) AS connections,
                current_setting('max_connections')::bigint AS most,
                d.xact_commit AS committed, d.xact_rollback AS rolled_back, d.deadlocks
         FROM pg_stat_database d WHERE d.datname = current_database()",
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(vec![
        Figure::gauge("huntzen_database_size_bytes", "What the database takes on its disk.")
            .with(&[], number(it.bytes)),
        Figure::gauge("huntzen_database_connections", "Connections of all programs to the database's server.")
            .with(&[], number(it.connections)),
        Figure::gauge("huntzen_database_max_connections", "Connections that the database's server takes.")
            .with(&[], number(it.most)),
        Figure::counter("huntzen_database_transactions_total", "Transactions of the database by how they ended.")
            .with(&[("outcome", "committed")], number(it.committed))
            .with(&[("outcome", "rolled_back")], number(it.rolled_back)),
        Figure::counter("huntzen_database_deadlocks_total", "Transactions that waited for each other.")
            .with(&[], number(it.deadlocks)),
    ])
}

/// Of a folder; a bucket says neither how large it is nor how full.
async fn storage(platform: &Platform) -> Result<Vec<Figure>> {
    let Some((free, size)) = platform.storage.room().await? else { return Ok(Vec::new()) };
    Ok(vec![
        Figure::gauge("huntzen_storage_free_bytes", "What the disk of the files can still take.")
            .with(&[], number(free)),
        Figure::gauge("huntzen_storage_size_bytes", "What the disk of the files can take.").with(&[], number(size)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_prometheus_reads_them() {
        let figures = [
            Figure::gauge("room_bytes", "How much.").with(&[], 3.0),
            Figure::counter("things_total", "Things.").with(&[("a", "x\"\\\n"), ("b", "y")], 0.5),
            Figure::gauge("nothing", "Never seen."),
        ];
        assert_eq!(
            render(&figures),
            "# HELP room_bytes How much.\n# TYPE room_bytes gauge\nroom_bytes 3\n\
             # HELP things_total Things.\n# TYPE things_total counter\nthings_total{a=\"x\\\"\\\\\\n\",b=\"y\"} 0.5\n"
        );
    }
}
