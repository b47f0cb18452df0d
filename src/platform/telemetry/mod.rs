//! What the program tells of itself: logs, metrics, traces, and reports of its errors.
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
//! | what | where it goes | switched on by |
//! |---|---|---|
//! | log lines | standard output | always; `LOG_FORMAT`, `LOG_FILTER` |
//! | metrics ([`recorded`] as things happen, [`figures`] when somebody looks) | `/metrics` | `METRICS_TOKEN`, `MONITORING_ADDR` |
//! | traces ([`traces`]) | a collector that speaks OTLP | `OTEL_EXPORTER_OTLP_ENDPOINT` |
//! | errors ([`reports`]) | a server that speaks Sentry's protocol | `SENTRY_DSN` |
//!
//! Each of them says what is named where it is written, and those are names of operations and of their routes, statuses,
//! durations, codes, causes, ids of requests in logs and reports: nothing of a person, no address, no query, no body.

pub mod figures;
mod process;
mod recorded;
pub mod reports;
pub mod traces;

use tracing_subscriber::EnvFilter;

pub use recorded::{in_flight, record_request, render as render_metrics};

use crate::platform::config::LogFormat;

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
    recorded::start();
    if started.is_ok() {
        log_panics(format);
        reports::note_panics();
    }
}

/// A panic's place is logged; its message only where a developer watches, since it may quote data.
fn log_panics(format: LogFormat) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        match format {
            LogFormat::Json => tracing::error!(place, "panic"),
            LogFormat::Pretty => tracing::error!(place, message = panic.payload_as_str(), "panic"),
        }
    }));
}
