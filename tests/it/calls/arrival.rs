//! What is signalled arrives, also where a connection dies without a word.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::*;

const NOTHING_WAITS: &str = "SELECT (count(*) = 0)::int::bigint FROM app.call_signals";

/// A way to a server on which, from some moment on, nothing goes through any more: as when a telephone's battery is empty,
/// nobody is told that it is closed.
struct Way {
    url: String,
    dead: watch::Sender<bool>,
    _running: AbortOnDropHandle<()>,
}

impl Way {
    async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let (dead, is_dead) = watch::channel(false);
        let running = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (client_says, client_hears) = client.into_split();
                let (server_says, server_hears) = TcpStream::connect(&server).await.unwrap().into_split();
                tokio::spawn(carry(client_says, server_hears, is_dead.clone()));
                tokio::spawn(carry(server_says, client_hears, is_dead.clone()));
            }
        });
        Self { url, dead, _running: AbortOnDropHandle::new(running) }
    }

    fn dies(&self) {
        self.dead.send_replace(true);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_dead: watch::Receiver<bool>) {
    let mut bytes = [0; 4096];
    loop {
        let read = tokio::select! {
            biased;
            dead = async { is_dead.wait_for(|it| *it).await.is_ok() } => {
                // open, as long as the way is there
                if dead {
                    let _ = is_dead.changed().await;
                }
                return;
            }
            read = from.read(&mut bytes) => read.unwrap_or(0),
        };
        if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn whose_network_dies_is_lost_within_twenty_seconds_and_finds_what_was_said_meanwhile() {
    let line = line().await;
    let way = Way::to(&line.app.base).await;
    let device = json!({"deviceId": Uuid::new_v4(), "resumes": true});
    line.enter("alice", &line.alice).await;
    line.connect_to("dr", &way.url, &line.dr).await;
    line.done("dr", "call:join", device.clone()).await;
    line.tell("alice", "call:ring").await;
    line.take("dr", "call:ringing").await;
    line.tell("dr", "call:accept").await;
    line.take("alice", "call:accepted").await;

    way.dies();
    // written to a connection that seems to be there
    line.done("alice", "signal:offer", json!({"sdp": sdp("restart")})).await;
    let died = std::time::Instant::now();
    // by the real clock: the server asks, and nobody answers
    let lost = line.sockets.run("take", "alice", json!({"event": "call:peer-lost", "patience": 40_000})).await;
    assert!(lost["until"].is_string(), "{lost}");
    assert!(died.elapsed() < std::time::Duration::from_secs(23), "{:?}", died.elapsed());
    let back = line.enter_as("dr again", &line.dr, device).await;
    assert_eq!((&back["call"]["status"], &back["call"]["here"]), (&json!("connected"), &json!(true)));
    assert_eq!(line.take("alice", "call:peer-back").await["resumes"], true);
    let offer = line.take("dr again", "signal:offer").await;
    assert_eq!((&offer["sdp"], &offer["number"]), (&json!(sdp("restart")), &json!(1)));
    line.until(NOTHING_WAITS).await;
    line.done("dr again", "signal:answer", json!({"sdp": sdp("here")})).await;
    assert_eq!(line.take("alice", "signal:answer").await["sdp"], sdp("here"));
    line.tell("alice", "call:hangup").await;
    line.app.settle().await;
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_once_to_each_connection_until_it_is() {
    let line = line().await;
    let device = json!({"deviceId": Uuid::new_v4(), "resumes": true});
    line.enter("alice", &line.alice).await;
    let args = json!({"url": line.app.base, "namespace": "/audio-call", "token": line.dr.token,
                      "transports": ["websocket"], "acknowledges": false});
    line.sockets.run("connect", "dr", args).await;
    line.done("dr", "call:join", device.clone()).await;
    line.tell("dr", "call:ring").await;
    line.take("alice", "call:ringing").await;
    line.tell("alice", "call:accept").await;
    line.take("dr", "call:accepted").await;
    line.done("alice", "signal:offer", json!({"sdp": sdp("one")})).await;
    line.done("alice", "signal:ice", json!({"candidate": {"candidate": "candidate:2"}})).await;
    assert_eq!(line.take("dr", "signal:offer").await["number"], 1);
    assert_eq!(line.take("dr", "signal:ice").await["number"], 2);
    // looked at again, also after entering once more
    line.done("dr", "call:join", device.clone()).await;
    line.done("alice", "call:mute", json!({"muted": true})).await;
    line.take("dr", "call:peer-muted").await;
    assert_eq!(line.untaken("dr").await, [""; 0], "once is enough");
    assert_eq!(line.app.count("SELECT count(*) FROM app.call_signals").await, 2, "nobody said that they arrived");

    line.sockets.run("close", "dr", json!({})).await;
    line.take("alice", "call:peer-lost").await;
    line.enter_as("dr again", &line.dr, device).await;
    let offer = line.take("dr again", "signal:offer").await;
    assert_eq!((&offer["sdp"], &offer["number"]), (&json!(sdp("one")), &json!(1)));
    assert_eq!(line.take("dr again", "signal:ice").await["number"], 2);
    line.until(NOTHING_WAITS).await;
    line.tell("alice", "call:hangup").await;
    line.app.settle().await;
}
