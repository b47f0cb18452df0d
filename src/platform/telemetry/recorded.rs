//! Metrics that are recorded as things happen. They are the process', and begin at nought when it starts.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::platform::db::DbRole;

/// Seconds.
const DURATIONS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Requests between two foldings of the recorded durations into their buckets.
const FOLD_EVERY: u32 = 1024;

static IN_FLIGHT: AtomicI64 = AtomicI64::new(0);

const COUNTERS: &[(&str, &str)] = &[
    ("http_requests_total", "Requests by operation, method and status."),
    (
        "huntzen_job_runs_total",
        "Runs of jobs by kind and outcome: done, failed (to be tried again), dead, postponed (the clocks differ).",
    ),
    (
        "huntzen_mails_total",
        "Mails by outcome: sent, skipped (nothing to tell any more), refused, unavailable, malformed.",
    ),
    ("huntzen_socket_events_total", "Events of sockets by namespace, event and outcome: ok, refused, failed."),
    ("huntzen_database_pool_timeouts_total", "Callers who got no connection in time, by log-in role."),
    ("huntzen_storage_errors_total", "Failures of the file storage."),
    ("huntzen_panics_total", "Panics, caught or not."),
    ("huntzen_error_reports_total", "Reports of errors by outcome: sent, failed, dropped."),
    ("huntzen_trace_exports_total", "Batches of spans by outcome: sent, failed."),
    ("huntzen_retention_removed_total", "What was removed after its time, by kind of record."),
    ("huntzen_erasures_total", "Accounts that were erased."),
];

const GAUGES: &[(&str, &str)] = &[
    ("huntzen_sockets_open", "Sockets that are open, by namespace."),
    ("huntzen_secrets_by_master_key", "Secrets that are sealed under a master key."),
    ("huntzen_secrets_under_older_master_keys", "Secrets that are sealed under another master key than the newest."),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    ("http_request_duration_seconds", "Time until the head of the answer, by operation and method."),
    ("huntzen_job_duration_seconds", "Time that a run of a job took, by kind."),
];

/// Installs the recorder. Before it, nothing is recorded.
pub fn start() {
    handle();
}

fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let recorder = builder.set_buckets(&DURATIONS).unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        // a recorder that is there already keeps recording
        let _ = metrics::set_global_recorder(recorder);
        for (name, help) in COUNTERS {
            metrics::describe_counter!(*name, *help);
        }
        for (name, help) in GAUGES {
            metrics::describe_gauge!(*name, *help);
        }
        for (name, help) in HISTOGRAMS {
            metrics::describe_histogram!(*name, *help);
        }
        begin_at_nought();
        handle
    })
}

/// A counter that appears with its first event seems never to have grown: alerts would miss that event.
fn begin_at_nought() {
    for role in DbRole::ALL {
        metrics::counter!("huntzen_database_pool_timeouts_total", "role" => role.name()).increment(0);
    }
    for outcome in ["sent", "skipped", "refused", "unavailable", "malformed"] {
        metrics::counter!("huntzen_mails_total", "outcome" => outcome).increment(0);
    }
    for outcome in ["sent", "failed", "dropped"] {
        metrics::counter!("huntzen_error_reports_total", "outcome" => outcome).increment(0);
    }
    for outcome in ["sent", "failed"] {
        metrics::counter!("huntzen_trace_exports_total", "outcome" => outcome).increment(0);
    }
    for name in ["huntzen_storage_errors_total", "huntzen_panics_total", "huntzen_erasures_total"] {
        metrics::counter!(name).increment(0);
    }
}

/// Everything that was recorded, as Prometheus reads it.
pub fn render() -> String {
    handle().render()
}

/// Counts a request and notes how long it took. `operation` is an operation's id or a route's template.
pub fn record_request(operation: &str, method: &'static str, status: u16, took: Duration) {
    static RECORDED: AtomicU32 = AtomicU32::new(0);

    let handle = handle();
    let operation = metrics::SharedString::from(operation.to_owned());
    metrics::counter!(
        "http_requests_total", "operation" => operation.clone(), "method" => method, "status" => status.to_string()
    )
    .increment(1);
    metrics::histogram!("http_request_duration_seconds", "operation" => operation, "method" => method)
        .record(took.as_secs_f64());
    // durations are kept one by one until they are folded; this bounds them without a task of its own
    if RECORDED.fetch_add(1, Ordering::Relaxed) % FOLD_EVERY == FOLD_EVERY - 1 {
        handle.run_upkeep();
    }
}

/// A request that is being answered; also one that is given up ends with it.
pub struct InFlight(());

pub fn in_flight() -> InFlight {
    IN_FLIGHT.fetch_add(1, Ordering::Relaxed);
    InFlight(())
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Requests that are being answered by this process.
pub fn requests_in_flight() -> i64 {
    IN_FLIGHT.load(Ordering::Relaxed)
}
