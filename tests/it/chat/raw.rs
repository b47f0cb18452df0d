//! What no client sends: bytes of any kind on the sockets' endpoint. Each is refused or ends its connection; nobody else
//! notices.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::support::Sockets;

pub type Raw = WebSocketStream<TcpStream>;

async fn open(base: &str) -> Raw {
    open_as(base, "").await
}

/// With more in its query.
pub async fn open_as(base: &str, query: &str) -> Raw {
    let address = base.strip_prefix("http://").unwrap();
    // a small window: what is not read stays with the sender
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    let stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket{query}");
    tokio_tungstenite::client_async(url, stream).await.unwrap().0
}

/// In the namespace, as the official client gets there.
pub async fn entered(base: &str, token: &str) -> Raw {
    let mut raw = open(base).await;
    raw.send(Message::text(format!("40/chat,{{\"token\":\"{token}\"}}"))).await.unwrap();
    until(&mut raw, "40/chat,").await.expect("it is let in");
    raw
}

/// The next packet with this beginning; `None`: the connection ended before.
pub async fn until(raw: &mut Raw, start: &str) -> Option<String> {
    let reading = async {
        while let Some(Ok(message)) = raw.next().await {
            if let Message::Text(text) = message
                && text.as_str().starts_with(start)
            {
                return Some(text.as_str().to_owned());
            }
        }
        None
    };
    tokio::time::timeout(Duration::from_secs(15), reading).await.expect("it answers or ends")
}

/// What frames of a person let in do not crash: packets of other kinds, of no kind, and of too many parts.
fn rubbish(id: &str) -> Vec<Message> {
    let deep = format!("42/chat,7[\"sync\",{}{}]", "[".repeat(20_000), "]".repeat(20_000));
    let wide = format!("42/chat,7[\"sync\",{{{}\"a\":1}}]", "\"a\":1,".repeat(5_000));
    let texts = [
        "",
        "x",
        "9",
        "4",
        "42",
        "4299999999999999999999[\"sync\"]",
        "42/chat",
        "42/chat,",
        "42/chat,[",
        "42/chat,[]",
        "42/chat,[1]",
        "42/chat,[null,{}]",
        "42/chat,{}",
        "42/chat,7[\"sync\"]",
        "42/chat,7[\"sync\",1,2,3,4]",
        "42/chat,7[{\"sync\":1}]",
        "42/nowhere,7[\"sync\",{}]",
        "43/chat,1[{}]",
        "43/chat,99999[\"late\"]",
        "43/chat,",
        "44/chat,{}",
        "451-/chat,7[\"sync\",{\"_placeholder\":true,\"num\":0}]",
        "4599999999-/chat,7[\"sync\",{\"_placeholder\":true,\"num\":9}]",
        "46/chat,1[]",
        "40/chat,{\"token\":1}",
        "40/chat,",
        "40/admin,{}",
        "5",
        "2probe",
        "3",
        "1",
        "42/chat,7[\"\\u0000\",{}]",
        "42/chat,7[\"sync\",{\"a\":\"\\ud800\"}]",
        "42/chat,-1[\"sync\",{}]",
        "42/chat,7[\"disconnect\",{}]",
        "42/chat,7[\"connect\",{}]",
        "42/chat,7[\"error\",{}]",
        deep.as_str(),
        wide.as_str(),
    ];
    let forged = format!("42/chat,7[\"message:new\",{{\"conversationId\":\"{id}\",\"body\":\"forged\"}}]");
    let mut all: Vec<_> = texts.into_iter().map(Message::text).collect();
    all.extend([
        Message::text(forged),
        Message::binary(vec![0xff; 1000]),
        Message::binary(vec![4]),
        Message::Ping(vec![1].into()),
    ]);
    all
}

#[tokio::test]
async fn bytes_of_any_kind_end_at_most_their_own_connection() {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    let sockets = Sockets::start();
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    sockets.done("dr", "conversation:join", json!({"conversationId": id})).await;
    let (mut ended, mut went_on) = (0, 0);
    for message in rubbish(&id) {
        // before anybody is let in, and after
        let mut raw = open(&talk.app.base).await;
        let _ = raw.send(message.clone()).await;
        drop(raw);
        let mut raw = entered(&talk.app.base, &talk.alice.token).await;
        let shown = message.clone().into_text().map(|it| it.as_str().chars().take(60).collect::<String>());
        let _ = raw.send(message).await;
        let asked = format!("42/chat,8[\"sync\",{{\"conversationId\":\"{id}\",\"afterRev\":0}}]");
        let _ = raw.send(Message::text(asked)).await;
        match until(&mut raw, "43/chat,8").await {
            Some(answer) => {
                assert!(answer.contains("\"ok\":true"), "{shown:?}: {answer}");
                went_on += 1;
            }
            None => ended += 1,
        }
    }
    println!("{went_on} connections went on, {ended} ended");
    assert!(went_on > 0 && ended > 0, "{went_on} {ended}");
    // nobody was shown anything, and all goes on for the others
    assert_eq!(talk.app.count("SELECT last_rev FROM app.conversations").await, 0);
    let heard = sockets.run("events", "dr", json!({})).await;
    assert!(!heard.to_string().contains("forged"), "{heard}");
    talk.send(&talk.alice, "Still here").await.expect(201);
    assert_eq!(sockets.take("dr", "message:new").await["body"], "Still here");
}

#[tokio::test]
async fn requests_of_polling_that_are_none_are_refused() {
    let talk = talk().await;
    let anybody = talk.app.anonymous();
    let path = |query: &str| format!("//socket.io/{query}");
    let opened = anybody.request(reqwest::Method::GET, &path("?EIO=4&transport=polling")).send().await.unwrap();
    let text = opened.text().await.unwrap();
    let sid = text.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for (query, body) in [
        ("", String::new()),
        ("?EIO=3&transport=polling", String::new()),
        ("?EIO=4&transport=smoke", String::new()),
        ("?EIO=4&transport=polling&sid=nobody", String::new()),
        ("?EIO=4&transport=polling&sid=%00", String::new()),
        ("?EIO=4&transport=websocket", String::new()),
        ("?EIO=4&transport=polling&sid=SID", "x".repeat(1_000_000)),
        ("?EIO=4&transport=polling&sid=SID", "\u{1e}\u{1e}\u{1e}".into()),
    ] {
        let method = if body.is_empty() { reqwest::Method::GET } else { reqwest::Method::POST };
        let request = anybody.request(method, &path(&query.replace("SID", &sid))).body(body);
        let status = request.send().await.unwrap().status();
        assert!(status.is_client_error(), "{query}: {status}");
    }
    assert!(anybody.get("//health/live").await.status.is_success());
}

/// Messages of which each answer to `sync` holds some tens of KB.
pub async fn long_messages(talk: &Talk, user: &User, id: &str) {
    for _ in 0..5 {
        let sent = user.post(&format!("/conversations/{id}/messages"), message(&"\u{10348}".repeat(4_000))).await;
        sent.expect(201);
    }
    talk.app.settle().await;
}

/// Bytes that the kernel keeps on the way to a client who does not read.
fn in_the_kernel(raw: &Raw) -> usize {
    let (here, there) = (raw.get_ref().local_addr().unwrap().port(), raw.get_ref().peer_addr().unwrap().port());
    let number = |hex: &str| usize::from_str_radix(hex, 16).unwrap();
    let port = |address: &str| u16::try_from(number(address.split(':').nth(1).unwrap())).unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let waiting = table.lines().skip(1).map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (sent, received) = fields[4].split_once(':').unwrap();
        match (port(fields[1]), port(fields[2])) {
            ends if ends == (there, here) => number(sent),
            ends if ends == (here, there) => number(received),
            _ => 0,
        }
    });
    waiting.sum()
}

/// More than waits in the server for a reader: 64 packets, each an answer of some 64 KB.
pub const EVERYTHING: usize = 6 << 20;

/// A connection on which so much is asked and nothing read that the buffers of the two sockets are full, and so many bytes
/// are left to the server.
pub async fn stuffed(base: &str, token: &str, id: &str, left: usize) -> Raw {
    let mut raw = entered(base, token).await;
    let joins = format!("42/chat,1[\"conversation:join\",{{\"conversationId\":\"{id}\"}}]");
    raw.send(Message::text(joins)).await.unwrap();
    until(&mut raw, "43/chat,1").await.expect("it joins");
    let request = format!("42/chat,2[\"sync\",{{\"conversationId\":\"{id}\",\"afterRev\":0,\"limit\":100}}]");
    raw.send(Message::text(request.clone())).await.unwrap();
    let size = until(&mut raw, "43/chat,2").await.expect("it answers").len();
    // as fast as may be asked. A heartbeat that waits behind the answers is answered all the same
    let mut pace = tokio::time::interval(Duration::from_millis(51));
    let (mut asked, mut in_kernel, mut unchanged) = (0, 0, 0);
    for n in 0..300 {
        pace.tick().await;
        let says = if n % 20 == 0 { "3" } else { request.as_str() };
        let sent = tokio::time::timeout(Duration::from_secs(1), raw.send(Message::text(says))).await;
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
        asked += if n % 20 == 0 { 0 } else { size };
        let before = std::mem::replace(&mut in_kernel, in_the_kernel(&raw));
        unchanged = if in_kernel == before { unchanged + 1 } else { 0 };
        if asked > in_kernel + left && unchanged > 30 {
            break;
        }
    }
    raw
}

#[tokio::test]
async fn parts_of_a_packet_are_not_gathered() {
    let talk = talk().await;
    for header in [
        "451-/chat,[\"message:send\",{\"_placeholder\":true,\"num\":0}]",
        "451000-/chat,[\"message:send\",{\"_placeholder\":true,\"num\":0}]",
        "461-/chat,1[{\"_placeholder\":true,\"num\":0}]",
        "451-/nowhere,[\"x\",{\"_placeholder\":true,\"num\":0}]",
    ] {
        for mut raw in [open(&talk.app.base).await, entered(&talk.app.base, &talk.alice.token).await] {
            raw.send(Message::text(header)).await.unwrap();
            // one part of those it says would follow
            let _ = raw.send(Message::binary(vec![0; 200 << 10])).await;
            assert_eq!(until(&mut raw, "43/chat").await, None, "{header}");
        }
    }
}

#[tokio::test]
async fn a_flood_of_entries_is_refused_and_then_ends_with_its_connection() {
    let talk = talk().await;
    for mut raw in [open(&talk.app.base).await, entered(&talk.app.base, &talk.alice.token).await] {
        for n in 0..400 {
            let enters = format!("40/chat,{{\"token\":\"{n}\"}}");
            if raw.send(Message::text(enters)).await.is_err() {
                break;
            }
        }
        assert_eq!(until(&mut raw, "43/chat").await, None);
    }
    // another connection has a count of its own
    entered(&talk.app.base, &talk.alice.token).await;
}

#[tokio::test]
async fn a_connection_ends_after_the_session_that_it_was_made_for() {
    let talk = talk().await;
    let bob = talk.app.employee(&talk.company).await;
    let mut stays = entered(&talk.app.base, &bob.token).await;
    let mut raw = entered(&talk.app.base, &talk.alice.token).await;
    talk.alice.post("/auth/logout", json!({})).await.expect(204);
    until(&mut raw, "41/chat,").await.expect("it is told");
    // an answer to every heartbeat, and nothing else
    raw.send(Message::text("3")).await.unwrap();
    assert_eq!(until(&mut raw, "40").await, None);
    stays.send(Message::text("42/chat,8[\"unknown\",{}]")).await.unwrap();
    until(&mut stays, "43/chat,8").await.expect("others stay");
}

#[tokio::test]
async fn connections_that_say_nothing_hold_nobody_up() {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    let sockets = Sockets::start();
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    sockets.done("dr", "conversation:join", json!({"conversationId": id})).await;
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(open(&talk.app.base).await);
    }
    for n in 0..80 {
        talk.send(&talk.alice, &n.to_string()).await.expect(201);
    }
    let got = sockets.run("count", "dr", json!({"event": "message:new", "least": 80})).await;
    assert_eq!(got.as_array().map(Vec::len), Some(80), "{got}");
    drop(silent);
}
