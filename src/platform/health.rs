//! Liveness, readiness, and the metrics for a monitoring system.

use std::sync::Arc;
use std::time::{Duration, Instant};

use poem::Request;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi, Tags};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;

use crate::platform::Platform;
use crate::platform::auth::Anonymous;
use crate::platform::crypto::key_use;
use crate::platform::db::Actor;
use crate::platform::problem::{Error, Problem, Result};
use crate::platform::telemetry::figures::{self, Figure, Source};
use crate::platform::telemetry::render_metrics;

/// A part that does not answer by then fails.
const PATIENCE: Duration = Duration::from_secs(2);
/// Balancers ask often; the parts are asked once in this time.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Tags)]
enum Tag {
    /// For balancers and monitoring systems.
    Monitoring,
}

/// Whether a part works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// Requests are served; what is failing is made up for later.
    Degraded,
    Failing,
}

impl From<bool> for State {
    fn from(works: bool) -> Self {
        if works { Self::Ok } else { Self::Failing }
    }
}

/// That the process answers.
#[derive(Object)]
#[oai(example)]
struct Liveness {
    status: State,
}

impl Example for Liveness {
    fn example() -> Self {
        Self { status: State::Ok }
    }
}

/// What requests need, part by part.
#[derive(Clone, Copy, Debug, Object)]
#[oai(example)]
struct Readiness {
    status: State,
    database: State,
    queue: State,
    storage: State,
    mail: State,
    /// Where `REDIS_URL` is set. While it is away, the database tells the nodes what changed.
    #[oai(skip_serializing_if_is_none)]
    redis: Option<State>,
    /// Where changes are refused for a while; reading goes on, so the node stays with the balancer.
    #[oai(skip_serializing_if_is_none)]
    maintenance: Option<bool>,
}

impl Example for Readiness {
    fn example() -> Self {
        Self {
            status: State::Ok,
            database: State::Ok,
            queue: State::Ok,
            storage: State::Ok,
            mail: State::Ok,
            redis: None,
            maintenance: None,
        }
    }
}

impl Readiness {
    /// Each part by its name. Redis only where there is one.
    fn parts(&self) -> impl Iterator<Item = (&'static str, State)> {
        let always =
            [("database", self.database), ("queue", self.queue), ("storage", self.storage), ("mail", self.mail)];
        always.into_iter().chain(self.redis.map(|redis| ("redis", redis)))
    }

    fn figures(self) -> Vec<Figure> {
        let up =
            Figure::gauge("huntzen_dependency_up", "Whether a part that the program needs works, as in /health/ready.");
        let up = self
            .parts()
            .fold(up, |up, (name, state)| up.with(&[("dependency", name)], if state == State::Ok { 1.0 } else { 0.0 }));
        let maintenance = Figure::gauge("huntzen_maintenance", "Whether changes are refused for a while.")
            .with(&[], f64::from(u8::from(self.maintenance.is_some())));
        vec![up, maintenance]
    }
}

/// `/health/live`, `/health/ready` and `/metrics`.
#[derive(Default)]
pub struct MonitoringApi {
    last: Mutex<Option<(Instant, Readiness)>>,
    keys: key_use::Shown,
    of_modules: &'static [Source],
    /// Only who monitors reaches it: `/metrics` needs no token.
    is_own_address: bool,
}

#[OpenApi(tag = "Tag::Monitoring")]
impl MonitoringApi {
    /// Tell that the process lives
    ///
    /// Asks nothing else, so that a database that is away does not get the process killed.
    #[oai(path = "/health/live", method = "get", operation_id = "getLiveness")]
    async fn live(&self) -> Json<Liveness> {
        Json(Liveness { status: State::Ok })
    }

    /// Tell whether requests can be served
    ///
    /// Asks the database, the queue, the file storage and the mail server. When one of the first three fails the answer
    /// is 503 and its problem has a member for each part. Where the mail server alone is away, requests are served, and
    /// their mails wait in the queue: the answer is 200, and `degraded`. So it is where Redis is away.
    #[oai(path = "/health/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self, it: Anonymous) -> Result<Json<Readiness>> {
        let found = Box::pin(self.check(&it.platform)).await;
        if found.status != State::Failing {
            return Ok(Json(found));
        }
        let failed = |state| if state == State::Ok { "ok" } else { "failing" };
        let problem = Problem::from(Error::Unavailable);
        Err(found.parts().fold(problem, |problem, (name, state)| problem.with(name, failed(state).into())))
    }

    /// Read the metrics
    ///
    /// In the text format of Prometheus. Where a token is set, `Authorization: Bearer` must carry it. On `MONITORING_ADDR`,
    /// an address that only who monitors can reach, it is open; `huntzen worker` answers there as well.
    ///
    /// What each metric says stands beside it in `# HELP`; docs/operate.md tells what to do when one of them alarms.
    ///
    /// `huntzen_secrets_by_master_key` tells how many secrets are sealed under each of `MASTER_KEYS`, and
    /// `huntzen_secrets_under_older_master_keys` how many are not under the newest one: none, before an older key is taken
    /// away. Counted every hour, and by `huntzen keys rotate` while it runs.
    #[oai(path = "/metrics", method = "get", operation_id = "getMetrics")]
    async fn metrics(&self, it: Anonymous, request: &Request) -> Result<PlainText<String>> {
        let config = &it.platform.config;
        match &config.metrics_token {
            _ if self.is_own_address => {}
            Some(token) => {
                let given = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
                let given = given.unwrap_or_default().as_bytes();
                if !bool::from(given.ct_eq(token.expose_secret().as_bytes())) {
                    return Err(Error::Unauthenticated.into());
                }
            }
            None if config.is_production() => return Err(Error::NotFound.into()),
            None => {}
        }
        let (found, read, ()) = tokio::join!(
            Box::pin(self.check(&it.platform)),
            Box::pin(figures::read(&it.platform, self.of_modules)),
            self.keys.renew(&it.platform),
        );
        Ok(PlainText(render_metrics() + &figures::render(&found.figures()) + &figures::render(&read)))
    }
}

impl MonitoringApi {
    /// With what modules tell of themselves. `is_own_address`: only who monitors reaches it.
    pub fn new(of_modules: &'static [Source], is_own_address: bool) -> Self {
        Self { of_modules, is_own_address, ..Self::default() }
    }

    /// The parts' states, at most a second old. Requests that come meanwhile wait for the same answer.
    async fn check(&self, platform: &Arc<Platform>) -> Readiness {
        let mut last = self.last.lock().await;
        if let Some((at, found)) = *last
            && at.elapsed() < FRESH
        {
            return found;
        }
        let (database, queue, storage, mail, redis) = tokio::join!(
            in_time(database(platform)),
            in_time(queue(platform)),
            in_time(async { platform.storage.check().await.is_ok() }),
            in_time(platform.mailer.is_reachable()),
            platform.wire.is_reachable(),
        );
        // every node would leave the balancer at once for a mail server that all of them share
        let status = match (database && queue && storage, mail && redis != Some(false)) {
            (false, _) => State::Failing,
            (true, false) => State::Degraded,
            (true, true) => State::Ok,
        };
        let found = Readiness {
            status,
            database: database.into(),
            queue: queue.into(),
            storage: storage.into(),
            mail: mail.into(),
            redis: redis.map(State::from),
            maintenance: platform.maintenance.state(platform).await.is_on.then_some(true),
        };
        *last = Some((Instant::now(), found));
        found
    }
}

async fn database(platform: &Platform) -> bool {
    let Ok(mut tx) = platform.db.anonymous(Actor::job(None, None)).await else { return false };
    sqlx::query("SELECT 1").execute(tx.conn()).await.is_ok()
}

/// Whether the worker's role finds the queue.
async fn queue(platform: &Platform) -> bool {
    let Ok(mut tx) = platform.db.job(None, None).await else { return false };
    let found = sqlx::query_scalar("SELECT to_regclass('apalis.jobs') IS NOT NULL").fetch_one(tx.conn()).await;
    found.unwrap_or(false)
}

async fn in_time(part: impl Future<Output = bool>) -> bool {
    tokio::time::timeout(PATIENCE, part).await.unwrap_or(false)
}
