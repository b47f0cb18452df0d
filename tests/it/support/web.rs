//! A web server of somebody else, which answers as a test wants: also with what no server should.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

#[derive(Clone, Debug)]
pub enum Reply {
    /// Status line, headers and body as they are sent.
    Whole(Vec<u8>),
    /// So many megabytes, whose length is not said before.
    Stream(usize),
    /// Nothing, for ever.
    Hang,
}

impl Reply {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::with("200 OK", "content-type: text/calendar\r\n", body)
    }

    /// `headers` end with a line break each.
    pub fn with(status: &str, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
        Self::Whole([head.into_bytes(), body].concat())
    }
}

pub struct Web {
    /// `127.0.0.1:port`
    pub host: String,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    requests: Arc<Mutex<Vec<String>>>,
    _server: AbortOnDropHandle<()>,
}

impl Web {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (replies, requests) =
            (Arc::<Mutex<HashMap<String, Reply>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (known, heard) = (replies.clone(), requests.clone());
        let server = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(answer(stream, known.clone(), heard.clone()));
            }
        });
        Self { host, replies, requests, _server: AbortOnDropHandle::new(server) }
    }

    /// What a path answers from now on.
    pub fn answers(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer(
    mut stream: TcpStream,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    requests: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let path = head.split(' ').nth(1)?.to_owned();
    requests.lock().unwrap().push(head);
    let reply = replies.lock().unwrap().get(&path).cloned();
    match reply.unwrap_or_else(|| Reply::with("404 Not Found", "", "")) {
        Reply::Whole(bytes) => stream.write_all(&bytes).await.ok()?,
        Reply::Stream(megabytes) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
            let chunk = [format!("{:x}\r\n", 1 << 20).into_bytes(), vec![b'A'; 1 << 20], b"\r\n".to_vec()].concat();
            for _ in 0..megabytes {
                stream.write_all(&chunk).await.ok()?;
            }
            stream.write_all(b"0\r\n\r\n").await.ok()?;
        }
        Reply::Hang => std::future::pending().await,
    }
    stream.shutdown().await.ok()
}
