//! A server of somebody else that takes what the program sends it: spans, or reports of errors.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// A request: its head in lower case, and its body.
#[derive(Clone)]
pub struct Taken {
    pub head: String,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    taken: Mutex<Vec<Taken>>,
    status: AtomicU16,
    hangs: AtomicBool,
}

pub struct Collector {
    /// `127.0.0.1:port`
    pub host: String,
    shared: Arc<Shared>,
    _server: AbortOnDropHandle<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared { status: AtomicU16::new(200), ..Shared::default() });
        let known = shared.clone();
        let server = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(answer(stream, known.clone()));
            }
        });
        Self { host, shared, _server: AbortOnDropHandle::new(server) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// `SENTRY_DSN`.
    pub fn dsn(&self) -> String {
        format!("http://publickey@{}/7", self.host)
    }

    /// From now on it takes connections and answers nothing.
    pub fn hang(&self) {
        self.shared.hangs.store(true, Ordering::SeqCst);
    }

    /// From now on it answers with this.
    pub fn refuse(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// What came so far as one text, for looking for what must not be there.
    pub fn everything(&self) -> Vec<u8> {
        self.taken().into_iter().flat_map(|it| [it.head.into_bytes(), it.body].concat()).collect()
    }

    /// Until `wanted` finds in what came what it looks for.
    pub async fn until<T>(&self, what: &str, wanted: impl Fn(&[Taken]) -> Option<T>) -> T {
        let asking = async {
            loop {
                if let Some(found) = wanted(&self.taken()) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap_or_else(|_| panic!("{what} never came"))
    }

    /// The spans that came so far.
    pub fn spans(&self) -> Vec<Span> {
        spans(&self.taken())
    }

    /// The events of envelopes that came so far.
    pub fn events(&self) -> Vec<Value> {
        events(&self.taken())
    }
}

pub fn spans(taken: &[Taken]) -> Vec<Span> {
    let requests = taken.iter().map(|it| ExportTraceServiceRequest::decode(&it.body[..]).expect("protobuf of OTLP"));
    let scopes = requests.flat_map(|it| it.resource_spans).flat_map(|it| it.scope_spans);
    scopes.flat_map(|it| it.spans).collect()
}

/// The text of an attribute; of a number, its digits.
pub fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

/// An envelope has a header, the header of an item that says how long it is, and the item, a line each.
pub fn events(taken: &[Taken]) -> Vec<Value> {
    taken
        .iter()
        .map(|it| {
            let text = String::from_utf8(it.body.clone()).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let [header, item, event] = lines[..] else { panic!("no envelope: {text}") };
            let header: Value = serde_json::from_str(header).unwrap();
            let item: Value = serde_json::from_str(item).unwrap();
            assert_eq!((&item["type"], item["length"].as_u64()), (&"event".into(), Some(event.len() as u64)));
            let event: Value = serde_json::from_str(event).unwrap();
            assert_eq!(event["event_id"], header["event_id"]);
            event
        })
        .collect()
}

async fn answer(stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    if shared.hangs.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    shared.taken.lock().unwrap().push(Taken { head, body });
    let status = shared.status.load(Ordering::SeqCst);
    let reply = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(reply.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
