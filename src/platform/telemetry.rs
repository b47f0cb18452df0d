//! Logs and metrics.
//!
//! ```
//! use huntzen::platform::config::LogFormat;
//! use huntzen::platform::telemetry;
//!
//! telemetry::init(LogFormat::Pretty, "info");
//! telemetry::record_request("listSlots", "GET", 200, std::time::Duration::from_millis(3));
//! assert!(telemetry::render_metrics().contains("http_requests_total"));
//! ```
//!
//! Log lines carry the fields that are named where they are written, and those are ids of requests
//! and operations, statuses, durations, codes and causes: nothing of a person, no address, no query.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::platform::config::LogFormat;

/// Seconds.
const DURATIONS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Requests between two foldings of the recorded durations into their buckets.
const FOLD_EVERY: u32 = 1024;

/// Starts logging, and metrics with it. `filter` is as in `RUST_LOG`; a filter that cannot be read is `info`.
/// A second call changes nothing, so that many applications can live in one process.
pub fn init(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let started = match format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false);
            layer.with_span_list(false).with_env_filter(filter).try_init()
        }
        LogFormat::Pretty => tracing_subscriber::fmt().compact().with_env_filter(filter).try_init(),
    };
    if started.is_ok() {
        report_panics(format);
    }
    metrics();
}

/// A panic's place is logged; its message only where a developer watches, since it may quote data.
fn report_panics(format: LogFormat) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        match format {
            LogFormat::Json => tracing::error!(place, "panic"),
            LogFormat::Pretty => tracing::error!(place, message = panic.payload_as_str(), "panic"),
        }
    }));
}

fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let recorder = builder.set_buckets(&DURATIONS).unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        // a recorder that is there already keeps recording
        let _ = metrics::set_global_recorder(recorder);
        metrics::describe_counter!("http_requests_total", "Requests by operation, method and status.");
        metrics::describe_histogram!(
            "http_request_duration_seconds",
            metrics::Unit::Seconds,
            "Time until the head of the answer, by operation and method."
        );
        metrics::describe_gauge!("secrets_by_master_key", "Secrets that are sealed under a master key.");
        metrics::describe_gauge!(
            "secrets_under_older_master_keys",
            "Secrets that are sealed under another master key than the newest."
        );
        handle
    })
}

/// Everything that was measured, as Prometheus reads it.
pub fn render_metrics() -> String {
    metrics().render()
}

/// Counts a request and notes how long it took. `operation` is an operation's id or a route's template.
pub fn record_request(operation: &str, method: &'static str, status: u16, took: Duration) {
    static RECORDED: AtomicU32 = AtomicU32::new(0);

    let handle = metrics();
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
