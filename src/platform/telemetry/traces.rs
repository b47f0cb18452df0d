//! Traces, for a collector that speaks OTLP over HTTP. Nothing of it runs unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
//!
//! Spans are begun here and nowhere else, each with the attributes that are listed here: there is no layer that would turn
//! whatever is logged into events of a span. So a span says which operation, of which route, with which outcome, and
//! never whose, what for, or from where. Of a caller `traceparent` is taken on, which is numbers; `tracestate` and
//! `baggage`, which are texts of others, are not.
//!
//! Spans wait in a queue of bounded length for a thread of their own. A collector that is slow or away costs its spans and
//! nothing else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::Either;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use poem::http::HeaderMap;
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::platform::config::Config;
use crate::platform::outgoing;

/// Spans that wait to be sent; further ones are dropped.
const QUEUE: usize = 4096;
const AT_ONCE: usize = 512;
/// How long they wait at most before they are sent.
const EVERY: Duration = Duration::from_secs(5);
/// For what waits at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What is read of a collector's answer.
const ANSWER: usize = 64 << 10;

/// Where spans go; nowhere, unless it is set.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Exporting>>);

struct Exporting {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Lets whatever is run within a span begin others below it.
struct Here(SdkTracer);

/// A span that is open. It ends with [`Span::answered`] or [`Span::ended`], or when it is dropped.
pub struct Span(Context);

/// A span below the one in which it was begun; ends when it is dropped.
#[derive(Default)]
pub struct Child(Option<opentelemetry_sdk::trace::Span>);

impl Traces {
    /// To be called inside the runtime.
    pub fn open(config: &Config, instance: Uuid) -> Result<Self, ExporterBuildError> {
        let Some(collector) = &config.monitoring.traces else { return Ok(Self(None)) };
        let client = outgoing::for_operator(&collector.endpoint)
            .map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))?;
        let headers = collector.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Post { client, runtime: tokio::runtime::Handle::current() })
            .with_endpoint(collector.endpoint.as_str())
            .with_headers(headers.collect())
            .with_retry_policy(RetryPolicy::recommended())
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(AT_ONCE)
            .with_scheduled_delay(EVERY)
            .build();
        // nothing of the machine: its name may be a person's
        let resource = Resource::builder_empty()
            .with_service_name("huntzen")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", instance.to_string()),
                KeyValue::new(
                    "deployment.environment.name",
                    if config.is_production() { "production" } else { "development" },
                ),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(collector.share))))
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("huntzen");
        Ok(Self(Some(Arc::new(Exporting { provider, tracer }))))
    }

    /// Of a request, but for those that monitor. What Socket.IO polls is no work: its events are.
    pub fn request(&self, method: &'static str, path: &str, headers: &HeaderMap) -> Option<Span> {
        let exporting = self.0.as_ref()?;
        if path.starts_with("/health/") || path == "/metrics" || path.starts_with("/socket.io") {
            return None;
        }
        let parent = parent(headers).map(|it| Context::new().with_remote_span_context(it)).unwrap_or_default();
        let builder = SpanBuilder::from_name(method).with_kind(SpanKind::Server);
        Some(exporting.begin(builder.with_attributes([KeyValue::new("http.request.method", method)]), &parent))
    }

    /// Of one attempt at a job.
    pub fn job(&self, kind: &'static str, queue: &'static str, attempt: i32) -> Option<Span> {
        let exporting = self.0.as_ref()?;
        let builder = SpanBuilder::from_name(format!("job {kind}")).with_kind(SpanKind::Consumer).with_attributes([
            KeyValue::new("huntzen.job.kind", kind),
            KeyValue::new("huntzen.job.queue", queue),
            KeyValue::new("huntzen.job.attempt", i64::from(attempt)),
        ]);
        Some(exporting.begin(builder, &Context::new()))
    }

    /// Of an event of a socket. `event` is a name that the program knows.
    pub fn event(&self, namespace: &'static str, event: &'static str) -> Option<Span> {
        let exporting = self.0.as_ref()?;
        let builder = SpanBuilder::from_name(format!("{namespace} {event}")).with_kind(SpanKind::Server);
        let attributes =
            [KeyValue::new("huntzen.socket.namespace", namespace), KeyValue::new("huntzen.socket.event", event)];
        Some(exporting.begin(builder.with_attributes(attributes), &Context::new()))
    }

    /// Sends what waits.
    pub async fn flush(&self) {
        let Some(exporting) = self.0.clone() else { return };
        let _ = tokio::task::spawn_blocking(move || exporting.provider.force_flush()).await;
    }

    /// Sends what waits, within some seconds, and nothing from then on.
    pub async fn close(&self) {
        let Some(exporting) = self.0.clone() else { return };
        let _ = tokio::task::spawn_blocking(move || exporting.provider.shutdown_with_timeout(LAST_WORDS)).await;
    }
}

impl Exporting {
    fn begin(&self, builder: SpanBuilder, parent: &Context) -> Span {
        let span = self.tracer.build_with_context(builder, parent);
        // others below it find there whether to begin at all
        Span(parent.with_value(Here(self.tracer.clone())).with_span(span))
    }
}

impl Drop for Exporting {
    /// Who has not closed it does not wait for a collector either.
    fn drop(&mut self) {
        let provider = self.provider.clone();
        std::thread::spawn(move || provider.shutdown_with_timeout(LAST_WORDS));
    }
}

impl Span {
    /// In the log, beside the request's own id.
    pub fn trace_id(&self) -> TraceId {
        self.0.span().span_context().trace_id()
    }

    /// The end of a request. `code` is that of a failure of ours.
    pub fn answered(self, method: &str, route: &str, operation: &str, status: u16, code: Option<&'static str>) {
        let span = self.0.span();
        if span.is_recording() {
            span.update_name(format!("{method} {route}"));
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            span.set_attribute(KeyValue::new("huntzen.operation", operation.to_owned()));
            if status >= 500 {
                let code = code.unwrap_or("internal");
                span.set_attribute(KeyValue::new("error.type", code));
                span.set_status(Status::error(code));
            }
        }
        span.end();
    }

    /// The end of a job or of an event.
    pub fn ended(self, outcome: &'static str, code: Option<&'static str>) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("huntzen.outcome", outcome));
        if let Some(code) = code {
            span.set_attribute(KeyValue::new("error.type", code));
            span.set_status(Status::error(code));
        }
        span.end();
    }
}

/// Something that is run within a span, or without one.
pub fn within<F: Future>(span: Option<&Span>, work: F) -> impl Future<Output = F::Output> + use<F> {
    match span {
        Some(span) => Either::Left(work.with_context(span.0.clone())),
        None => Either::Right(work),
    }
}

/// Begins a span below the one in which this is called, where that is recorded. Names are the program's own.
pub fn child(name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) -> Child {
    Child(Context::map_current(|cx| {
        let Here(tracer) = cx.get::<Here>()?;
        cx.span().span_context().is_sampled().then(|| {
            let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Client).with_attributes(attributes());
            tracer.build_with_context(builder, cx)
        })
    }))
}

/// A span of what the database is asked.
pub fn database(name: &'static str, role: &str, statement: Option<&'static str>) -> Child {
    child(name, || {
        let mut attributes = vec![
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("huntzen.database.role", role.to_owned()),
        ];
        attributes.extend(statement.map(|name| KeyValue::new("db.operation.name", name)));
        attributes
    })
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(span) = &mut self.0 {
            span.end();
        }
    }
}

/// `traceparent` (W3C Trace Context, 3.2), where it is well-formed.
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let mut hex = |length: usize| {
        let is_hex = |part: &&str| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        parts.next().filter(is_hex)
    };
    let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    // later versions may add to what this one has
    if version == "ff" || version == "00" && parts.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

/// Posts batches, from the exporter's thread, on the program's runtime.
#[derive(Debug)]
struct Post {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

impl HttpClient for Post {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let client = self.client.clone();
        let posted = self.runtime.spawn(async move {
            let mut answer = client.execute(reqwest::Request::try_from(request)?).await?;
            let mut body = Vec::new();
            while let Some(piece) = answer.chunk().await? {
                if body.len() + piece.len() > ANSWER {
                    return Err("the answer is too long".into());
                }
                body.extend_from_slice(&piece);
            }
            let status = answer.status();
            Ok::<_, HttpError>(Response::builder().status(status).body(Bytes::from(body))?)
        });
        Box::pin(async move {
            let answer = posted.await.map_err(HttpError::from).and_then(|answer| answer);
            let is_taken = answer.as_ref().is_ok_and(|it| it.status().is_success());
            let outcome = if is_taken { "sent" } else { "failed" };
            metrics::counter!("huntzen_trace_exports_total", "outcome" => outcome).increment(1);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent_of(value: &str) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", value.parse().unwrap());
        parent(&headers)
    }

    #[test]
    fn a_parent_is_taken_on_where_it_is_well_formed() {
        let it = parent_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(it.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(it.span_id().to_string(), "00f067aa0ba902b7");
        assert!(it.is_sampled() && it.is_remote());
        assert!(!parent_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").unwrap().is_sampled());
        assert!(parent_of("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes").is_some());
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-alice@people.test",
        ] {
            assert!(parent_of(bad).is_none(), "{bad}");
        }
    }
}
