//! The endpoint: requests of Engine.IO, by polling and by WebSocket, on the port of HTTP.
//!
//! poem takes hyper's upgrade out of a request, so the 101 is answered here, and the stream handed over afterwards, as a
//! [`Line`]: one that gives up whoever takes nothing.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use poem::http::{self, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use socketioxide::service::SocketIoService;
use socketioxide::socket::Sid;
use socketioxide::{ParserConfig, SocketIo, SocketIoBuilder};
use tower_service::Service;

use super::Io;
use super::entrance::Entrance;
use super::line::{AtEnd, Cut, Line, Lines};
use super::people::People;
use crate::platform::problem::{Error, Problem, Result};
use crate::platform::{Platform, RequestInfo};

/// Of one packet of polling; larger ones, and larger frames, end the connection.
const LARGEST_PAYLOAD: usize = 256 << 10;
/// Of a WebSocket, which holds so much memory for it: a message of some lines.
const READ_AT_ONCE: usize = 1 << 10;
/// Packets that wait for a reader. The largest, an answer with many messages, has some tens of KB.
const UNREAD: usize = 64;
/// Whoever has not entered a namespace by then is let go.
const ENTERS_WITHIN: Duration = Duration::from_secs(20);
/// Whoever does not say within this time that a message arrived, does not.
const ACKNOWLEDGES_WITHIN: Duration = Duration::from_secs(10);
/// How often a client is asked whether it is there, and how long it may take to say so: whose network is gone is found out
/// within twenty seconds, before those who talk to them have to be told so for want of better knowledge.
const ASKED_EVERY: Duration = Duration::from_secs(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// What RFC 6455 (1.3) has a server add to the key of a handshake.
const HANDSHAKE: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

type Inner = SocketIoService<engineioxide::service::NotFoundService>;

/// Where sockets come in.
pub struct Mount {
    inner: Inner,
    platform: Arc<Platform>,
    lines: Arc<Lines>,
    people: Arc<People>,
}

/// The endpoint for `/socket.io`, and the server behind it, to open namespaces on and to close.
pub fn mount(platform: Arc<Platform>) -> (Mount, Io) {
    let builder: SocketIoBuilder = SocketIo::builder();
    let (inner, io) = builder
        .max_payload(LARGEST_PAYLOAD as u64)
        .ws_read_buffer_size(READ_AT_ONCE)
        .ws_max_message_size(LARGEST_PAYLOAD)
        .ws_max_frame_size(LARGEST_PAYLOAD)
        .max_buffer_size(UNREAD)
        .connect_timeout(ENTERS_WITHIN)
        .ack_timeout(ACKNOWLEDGES_WITHIN)
        .ping_interval(ASKED_EVERY)
        .ping_timeout(ANSWERS_WITHIN)
        // parts of a packet are gathered before anything looks at it, and no event has any
        .with_parser(ParserConfig::common().max_incoming_binaries(0))
        .build_svc();
    let lines = Arc::new(Lines::default());
    let closing = inner.clone();
    lines.set_closing(Box::new(move |sid| {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let inner = closing.clone();
        runtime.spawn(async move { close(inner, sid).await });
    }));
    (Mount { inner, platform, lines, people: Arc::default() }, io)
}

impl Endpoint for Mount {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        // browsers say where a page comes from; other programs have no page
        let origin = request.headers().get(header::ORIGIN);
        if origin.is_some_and(|it| !it.to_str().is_ok_and(|it| self.platform.config.allows_origin(it))) {
            return Err(Problem::from(Error::OriginRefused).into());
        }
        if is_upgrade(&request) {
            return Ok(self.upgrade(&request)?);
        }
        let body: BoxBody<Bytes, std::io::Error> = request.take_body().into();
        let mut plain = plain(&request, body)?;
        if session(&request).is_none() {
            plain.extensions_mut().insert(Arc::new(Entrance::new(self.lines.clone(), self.people.clone())));
        }
        let answer = match self.inner.clone().call(plain).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (parts, body) = answer.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let mut response = Response::builder().status(parts.status).body(body);
        *response.headers_mut() = parts.headers;
        Ok(response)
    }
}

fn is_upgrade(request: &Request) -> bool {
    let upgrade = request.header(header::UPGRADE).unwrap_or_default();
    request.method() == Method::GET && upgrade.eq_ignore_ascii_case("websocket")
}

/// The connection that a request belongs to; a request that opens one names none.
fn session(request: &Request) -> Option<&str> {
    request.original_uri().query()?.split('&').find_map(|it| it.strip_prefix("sid="))
}

/// The same request as any service of HTTP understands it, with what is known of its sender. A socket keeps it, so it is
/// a copy: parts of what came in would keep all of it, 8 KB.
fn plain<B>(request: &Request, body: B) -> Result<http::Request<B>> {
    let mut plain = http::Request::builder()
        .method(request.method().clone())
        .uri(request.original_uri().to_string())
        .version(request.version())
        .body(body)
        .map_err(Problem::internal)?;
    // nothing else is asked for; what a socket opens with has none, and a map of headers takes 600 bytes
    if let Some(value) = request.headers().get(header::CONTENT_TYPE) {
        let copy = HeaderValue::from_bytes(value.as_bytes()).map_err(Problem::internal)?;
        plain.headers_mut().insert(header::CONTENT_TYPE, copy);
    }
    if let Some(info) = request.extensions().get::<RequestInfo>() {
        plain.extensions_mut().insert(info.clone());
    }
    Ok(plain)
}

impl Mount {
    /// Answers 101, and hands the stream over when it is free.
    fn upgrade(&self, request: &Request) -> Result<Response> {
        let key = request.header(header::SEC_WEBSOCKET_KEY).ok_or(Error::MalformedRequest)?;
        if request.header(header::SEC_WEBSOCKET_VERSION) != Some("13") {
            return Err(Error::MalformedRequest.into());
        }
        let accept = accept(key);
        let mut plain = plain(request, ())?;
        let (cut, sid) = match session(request) {
            None => {
                let entrance = Arc::new(Entrance::new(self.lines.clone(), self.people.clone()));
                let cut = entrance.cut.clone();
                plain.extensions_mut().insert(entrance);
                (cut, None)
            }
            Some(text) => (Arc::default(), Some(text.parse::<Sid>().map_err(|_| Error::MalformedRequest)?)),
        };
        let stream = request.take_upgrade().map_err(|_| Error::MalformedRequest)?;
        let (mut inner, lines) = (self.inner.clone(), self.lines.clone());
        tokio::spawn(async move {
            if let Ok(stream) = stream.await {
                let at_end = sid.map(|sid| at_end_of_upgrade(lines, sid, &cut));
                let line = Line::new(stream, cut, at_end);
                // what is no handshake of Engine.IO ends with its stream
                let _ = Service::<(_, http::Request<()>)>::call(&mut inner, (line, plain)).await;
            }
        });
        Ok(Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, accept)
            .finish())
    }
}

/// The stream belongs to a connection that began by polling. Where it ends before it took over, that connection would wait
/// for it for ever, shown as there: it is closed, as its client could close it. One that had taken over is gone by itself.
fn at_end_of_upgrade(lines: Arc<Lines>, sid: Sid, cut: &Arc<Cut>) -> AtEnd {
    lines.add(sid, cut.clone());
    let cut = cut.clone();
    Box::new(move || {
        lines.remove(sid, &cut);
        lines.close(sid);
    })
}

/// What a client of polling says at its end.
async fn close(mut inner: Inner, sid: Sid) {
    let body: BoxBody<Bytes, std::io::Error> = Full::new(Bytes::from_static(b"1")).map_err(|it| match it {}).boxed();
    let uri = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    if let Ok(says) = http::Request::post(uri).body(body) {
        let _ = inner.call(says).await;
    }
}

/// `Sec-WebSocket-Accept` (RFC 6455, 4.2.2).
fn accept(key: &str) -> HeaderValue {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(HANDSHAKE);
    let text = STANDARD.encode(context.finish());
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_answered_as_the_standard_says() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
