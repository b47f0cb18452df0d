//! Reports of the program's own errors, for a server that speaks Sentry's protocol. Nothing of it runs unless `SENTRY_DSN`
//! is set.
//!
//! ```text
//! panic ──hook──→ watch: place, stack ─┐
//! 5xx ──edge, sockets──→ code, cause ──┼→ pace ──queue──→ a task: resolves the stack, scrubs, posts
//! job that died ──runner──→ kind, code ┘
//! ```
//!
//! A report is made of what is named in [`envelope`] and of nothing else: no body, query, header, address or person; the
//! message of a panic stays here, and that of an error goes out scrubbed ([`scrub`]). Each place is reported once in some
//! seconds, and what does not fit in the queue is counted and left out.

mod envelope;
mod panics;
mod scrub;
mod stack;

use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use tokio::sync::{mpsc, oneshot};

pub use panics::{Panic, note_panics, watch};

use crate::platform::clock::Clock;
use crate::platform::config::{Config, Dsn};
use crate::platform::crypto::entropy::Entropy;
use crate::platform::outgoing;
use crate::platform::problem::Problem;

/// Reports that wait to be sent; further ones are dropped.
const QUEUE: usize = 100;
/// Of one place, and one code.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Places that are remembered.
const PLACES: usize = 500;
/// For what waits at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long a server is left alone that says that it has had enough, unless it says for how long.
const PAUSE: Duration = Duration::from_mins(1);

/// Whether stacks are worth their cost.
static WANTED: AtomicBool = AtomicBool::new(false);
/// Who reports the panics of tasks that nobody watches.
static ADOPTING: OnceLock<Arc<Sending>> = OnceLock::new();

/// Where a failure came up. All of it is the program's own words, but for the id of the request.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// An operation's id, `job`, `socket`.
    pub operation: &'a str,
    /// `GET /api/v1/consultations/{id}`, `job mail.send`, `/chat message:send`.
    pub transaction: &'a str,
    pub request_id: Option<&'a str>,
}

/// One report.
#[derive(Debug)]
struct Report {
    id: [u8; 16],
    at: DateTime<Utc>,
    is_warning: bool,
    /// A code, or `panic`.
    kind: String,
    /// Not yet scrubbed.
    message: String,
    stack: Option<Arc<Backtrace>>,
    operation: String,
    transaction: String,
    request_id: Option<String>,
    status: Option<u16>,
    /// As many of the same place were left out before.
    left_out: u32,
}

enum Message {
    Report(Box<Report>),
    Flush(oneshot::Sender<()>),
}

/// Sends reports; does nothing, unless it is set.
#[derive(Default)]
pub struct Reports(Option<Arc<Sending>>);

struct Sending {
    queue: mpsc::Sender<Message>,
    pace: Mutex<HashMap<(String, String), (Instant, u32)>>,
    clock: Clock,
    entropy: Entropy,
}

/// The stack of whoever calls, where somebody wants it. Names are found only when it is sent.
pub fn stack() -> Option<Arc<Backtrace>> {
    WANTED.load(Ordering::Relaxed).then(|| Arc::new(Backtrace::force_capture()))
}

/// A panic that nobody watched for.
fn adopt(panic: Panic) {
    if let Some(sending) = ADOPTING.get() {
        sending.panic(panic, Place { operation: "background", transaction: "background", request_id: None });
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("huntzen_error_reports_total", "outcome" => outcome).increment(1);
}

impl Reports {
    /// To be called inside the runtime.
    pub fn open(config: &Config, clock: &Clock, entropy: &Entropy) -> reqwest::Result<Self> {
        let Some(dsn) = config.monitoring.errors.clone() else { return Ok(Self(None)) };
        let client = outgoing::for_operator(&dsn.envelopes)?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let environment = if config.is_production() { "production" } else { "development" };
        tokio::spawn(send(waiting, client, dsn, environment));
        WANTED.store(true, Ordering::Relaxed);
        note_panics();
        let sending = Sending { queue, pace: Mutex::default(), clock: clock.clone(), entropy: entropy.clone() };
        Ok(Self(Some(Arc::new(sending))))
    }

    /// From now on the panics of tasks that nobody watches are reported here as well.
    pub fn adopt_panics(&self) {
        if let Some(sending) = &self.0 {
            let _ = ADOPTING.set(sending.clone());
        }
    }

    /// Reports a failure of ours. What is refused on purpose, such as a change during maintenance, is none.
    pub fn problem(&self, problem: &Problem, place: Place<'_>) {
        let Some(sending) = &self.0 else { return };
        let status = problem.status();
        let source = problem.source_error();
        if !status.is_server_error() || source.is_none() && status != StatusCode::INTERNAL_SERVER_ERROR {
            return;
        }
        let (kind, message) = match problem.panic() {
            Some(place) => ("panic", place.to_owned()),
            None => (problem.code(), source.map(|it| crate::platform::http::error::describe(it)).unwrap_or_default()),
        };
        let is_warning = status != StatusCode::INTERNAL_SERVER_ERROR;
        sending.take(kind, place, |report| Report {
            is_warning,
            message,
            stack: problem.stack(),
            status: Some(status.as_u16()),
            ..report
        });
    }

    /// Reports a panic that ended no request.
    pub fn panic(&self, panic: Panic, place: Place<'_>) {
        if let Some(sending) = &self.0 {
            sending.panic(panic, place);
        }
    }

    /// Reports a job that failed for good.
    pub fn dead_job(&self, code: &'static str, place: Place<'_>) {
        let Some(sending) = &self.0 else { return };
        sending.take(code, place, |report| Report { message: "the job failed for good".to_owned(), ..report });
    }

    /// Sends what waits, within some seconds.
    pub async fn flush(&self) {
        let Some(sending) = &self.0 else { return };
        let (sent, waiting) = oneshot::channel();
        let flushing = async {
            if sending.queue.send(Message::Flush(sent)).await.is_ok() {
                let _ = waiting.await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, flushing).await;
    }
}

impl Sending {
    fn panic(&self, panic: Panic, place: Place<'_>) {
        self.take("panic", place, |report| Report { message: panic.place, stack: panic.stack, ..report });
    }

    fn take(&self, kind: &str, place: Place<'_>, fill: impl FnOnce(Report) -> Report) {
        let Some(left_out) = self.admit(kind, place.transaction) else { return };
        let report = fill(Report {
            id: self.entropy.bytes(),
            at: self.clock.now(),
            is_warning: false,
            kind: kind.to_owned(),
            message: String::new(),
            stack: None,
            operation: place.operation.to_owned(),
            transaction: place.transaction.to_owned(),
            request_id: place.request_id.map(str::to_owned),
            status: None,
            left_out,
        });
        if self.queue.try_send(Message::Report(Box::new(report))).is_err() {
            count("dropped");
        }
    }

    /// How many of the same were left out since the last one that was sent; `None`: this one is, too.
    fn admit(&self, kind: &str, transaction: &str) -> Option<u32> {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind.to_owned(), transaction.to_owned());
        if let Some((at, left_out)) = pace.get_mut(&key)
            && at.elapsed() < AGAIN_AFTER
        {
            *left_out += 1;
            return None;
        }
        if pace.len() >= PLACES {
            pace.retain(|_, (at, _)| at.elapsed() < AGAIN_AFTER);
        }
        if pace.len() >= PLACES {
            return None;
        }
        Some(pace.insert(key, (Instant::now(), 0)).map_or(0, |(_, left_out)| left_out))
    }
}

/// Sends what is queued, until the program ends.
async fn send(mut queue: mpsc::Receiver<Message>, client: reqwest::Client, dsn: Dsn, environment: &'static str) {
    let mut quiet_until: Option<Instant> = None;
    while let Some(message) = queue.recv().await {
        let report = match message {
            Message::Flush(sent) => {
                let _ = sent.send(());
                continue;
            }
            Message::Report(report) => report,
        };
        if quiet_until.is_some_and(|until| Instant::now() < until) {
            count("dropped");
            continue;
        }
        // names of functions are looked for in the program's own file: that takes a while
        let Ok((id, bytes)) = tokio::task::spawn_blocking(move || envelope::write(*report, environment)).await else {
            count("failed");
            continue;
        };
        let answer = client
            .post(dsn.envelopes.clone())
            .header("content-type", "application/x-sentry-envelope")
            .header("x-sentry-auth", envelope::authorization(&dsn))
            .body(bytes)
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => count("sent"),
            Ok(answer) => {
                let seconds = answer.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
                if answer.status() == reqwest::StatusCode::TOO_MANY_REQUESTS || seconds.is_some() {
                    quiet_until =
                        Some(Instant::now() + seconds.map_or(PAUSE, |it: u16| Duration::from_secs(it.into())));
                }
                count("failed");
                tracing::warn!(status = answer.status().as_u16(), event_id = id, "a report of an error is not taken");
            }
            // an error of the client names the address, which is the operator's own
            Err(error) => {
                count("failed");
                tracing::warn!(timeout = error.is_timeout(), event_id = id, "a report of an error cannot be sent");
            }
        }
    }
}
