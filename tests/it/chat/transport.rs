//! How connections end: those that read nothing, that change their transport half-way, that ask too much, and whose session
//! ends, by polling and by WebSocket.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use huntzen::platform::Platform;
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use tokio_tungstenite::tungstenite::Message;

use super::raw::{EVERYTHING, entered, long_messages, open_as, stuffed, until};
use super::*;
use crate::support::process::Site;
use crate::support::{Sockets, cluster};

/// A client that polls when it is told to.
struct Polling {
    http: reqwest::Client,
    url: String,
    /// Packets that came.
    heard: Vec<String>,
}

impl Polling {
    async fn open(base: &str) -> Self {
        let http = reqwest::Client::new();
        let url = format!("{base}/socket.io/?EIO=4&transport=polling");
        let opened = http.get(&url).send().await.unwrap().text().await.unwrap();
        let opened: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
        let url = format!("{url}&sid={}", opened["sid"].as_str().unwrap());
        Self { http, url, heard: Vec::new() }
    }

    /// In the namespace and the conversation.
    async fn joined(base: &str, token: &str, id: &str) -> Self {
        let mut it = Self::open(base).await;
        it.say(&format!("40/chat,{{\"token\":\"{token}\"}}")).await;
        it.until("40/chat,").await;
        it.say(&format!("42/chat,1[\"conversation:join\",{{\"conversationId\":\"{id}\"}}]")).await;
        it.until("43/chat,1").await;
        it
    }

    fn sid(&self) -> &str {
        self.url.split("sid=").nth(1).unwrap()
    }

    async fn say(&self, packet: &str) -> StatusCode {
        self.http.post(&self.url).body(packet.to_owned()).send().await.unwrap().status()
    }

    /// Polls once, and answers to a heartbeat.
    async fn poll(&mut self) -> StatusCode {
        let answer = self.http.get(&self.url).send().await.unwrap();
        let status = answer.status();
        if status == StatusCode::OK {
            let text = answer.text().await.unwrap();
            for packet in text.split('\u{1e}') {
                if packet == "2" {
                    self.say("3").await;
                }
                self.heard.push(packet.to_owned());
            }
        }
        status
    }

    /// Polls until a packet with this beginning is there.
    async fn until(&mut self, start: &str) -> String {
        let polling = async {
            loop {
                if let Some(packet) = self.heard.iter().find(|it| it.starts_with(start)) {
                    return packet.clone();
                }
                assert_eq!(self.poll().await, StatusCode::OK, "before {start}: {:?}", self.heard);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), polling).await.unwrap_or_else(|_| panic!("{start} does not come"))
    }
}

#[tokio::test]
async fn whoever_reads_nothing_is_let_go_with_their_session_and_otherwise_a_moment_later() {
    let talk = talk().await;
    let bob = talk.app.employee(&talk.company).await;
    let (hers, his) = (talk.booked.str("/id"), book_on(&bob, &talk.dr, in_days(&talk.app, 4)).await.str("/id"));
    long_messages(&talk, &talk.alice, &hers).await;
    long_messages(&talk, &bob, &his).await;
    let sockets = Sockets::start();
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    for id in [&hers, &his] {
        sockets.done("dr", "conversation:join", json!({"conversationId": id})).await;
    }
    let (base, mark) = (&talk.app.base, Instant::now());
    let (of_alice, of_bob) =
        tokio::join!(stuffed(base, &talk.alice.token, &hers, EVERYTHING), stuffed(base, &bob.token, &his, EVERYTHING));
    let presence = async || {
        let told = sockets.take("dr", "presence").await;
        (told["userId"].clone(), told["online"].clone())
    };
    for _ in 0..2 {
        assert_eq!(presence().await.1, true);
    }
    // others notice nothing
    talk.send(&talk.alice, "Can you hear me?").await.expect(201);
    while sockets.take("dr", "message:new").await["body"] != "Can you hear me?" {}

    talk.alice.post("/auth/logout", json!({})).await.expect(204);
    let since = Instant::now();
    assert_eq!(presence().await, (json!(talk.alice.id), json!(false)));
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    // his session goes on
    assert_eq!(presence().await, (json!(bob.id), json!(false)));
    println!("given up {:.0?} after they stopped reading", mark.elapsed());
    drop((of_alice, of_bob));
}

#[tokio::test]
async fn whoever_says_that_they_are_there_and_never_polls_is_let_go() {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    let sockets = Sockets::start();
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    sockets.done("dr", "conversation:join", json!({"conversationId": id})).await;
    let polling = Polling::joined(&talk.app.base, &talk.alice.token, &id).await;
    assert_eq!(sockets.take("dr", "presence").await["online"], true);
    // more answers than wait for a reader
    let mut pace = tokio::time::interval(Duration::from_millis(51));
    let mut n = 0;
    let status = loop {
        pace.tick().await;
        n += 1;
        let asks = format!("42/chat,{n}[\"sync\",{{\"conversationId\":\"{id}\",\"afterRev\":0}}]");
        let status = polling.say(if n % 20 == 0 { "3" } else { &asks }).await;
        if status != StatusCode::OK || n == 1_000 {
            break status;
        }
    };
    assert_eq!(status, StatusCode::BAD_REQUEST, "after {n}");
    let told = sockets.take("dr", "presence").await;
    assert_eq!((&told["userId"], &told["online"]), (&json!(talk.alice.id), &json!(false)));
}

#[tokio::test]
async fn a_polling_connection_ends_after_the_session_that_it_was_made_for() {
    let talk = talk().await;
    let mut polling = Polling::joined(&talk.app.base, &talk.alice.token, &talk.booked.str("/id")).await;
    talk.alice.post("/auth/logout", json!({})).await.expect(204);
    polling.until("41/chat,").await;
    let ends = async { while polling.poll().await == StatusCode::OK {} };
    tokio::time::timeout(Duration::from_secs(15), ends).await.expect("it ends");
}

#[tokio::test]
async fn a_node_stops_though_somebody_reads_nothing() {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    long_messages(&talk, &talk.alice, &id).await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret().to_owned();
    let site = Site::new(talk.app.options(), Some(&secret)).await;
    let server = site.serve().await;
    let alice = site.user(talk.alice.id, Role::Employee, talk.alice.company_id).await;
    let _stuffed = stuffed(&server.base, &alice.token, &id, EVERYTHING).await;
    let since = Instant::now();
    server.terminate();
    let (status, log) = server.end().await;
    assert!(status.success(), "{status}: {log}");
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[tokio::test]
async fn long_messages_are_read_in_parts_and_none_is_missed() {
    let talk = talk().await;
    for n in 0..20 {
        talk.send(&talk.alice, &format!("{n} {}", "\u{20ac}".repeat(3_990))).await.expect(201);
    }
    let (mut rev, mut seqs, mut parts) = (0, Vec::new(), 0);
    loop {
        let part = talk.read(&talk.dr, &format!("?afterRev={rev}&limit=100")).await;
        assert!(part.json.to_string().len() < 80 << 10, "{}", part.json.to_string().len());
        seqs.extend(all(&part, "seq"));
        rev = part.json["rev"].as_i64().unwrap();
        parts += 1;
        if part.json["hasMore"] == false {
            break;
        }
    }
    assert_eq!(seqs, (1..=20).map(|n| json!(n)).collect::<Vec<_>>());
    assert!(parts >= 4, "{parts}");
    // the latest ones come first when reading back
    let latest = talk.read(&talk.dr, "?limit=100").await;
    let seqs = all(&latest, "seq");
    assert_eq!((seqs.last(), &latest.json["hasMore"]), (Some(&json!(20)), &json!(true)));
    let before = talk.read(&talk.dr, &format!("?limit=100&beforeSeq={}", seqs[0])).await;
    assert_eq!(all(&before, "seq").last().unwrap().as_i64(), seqs[0].as_i64().map(|it| it - 1));
}

#[tokio::test]
async fn a_change_of_transport_that_ends_half_way_leaves_nobody_behind() {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    let sockets = Sockets::start();
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    sockets.done("dr", "conversation:join", json!({"conversationId": id})).await;
    // the client goes after it has asked, or the way between is shut as soon as it was opened
    for asks in [true, false] {
        let mut polling = Polling::joined(&talk.app.base, &talk.alice.token, &id).await;
        assert_eq!(sockets.take("dr", "presence").await["online"], true);
        let mut raw = open_as(&talk.app.base, &format!("&sid={}", polling.sid())).await;
        if asks {
            raw.send(Message::text("2probe")).await.unwrap();
            until(&mut raw, "3probe").await.expect("it answers");
        }
        drop(raw);
        assert_eq!(sockets.take("dr", "presence").await["online"], false, "asks: {asks}");
        // and its client hears that it has to begin anew, instead of nothing again and again
        assert_eq!(polling.poll().await, StatusCode::BAD_REQUEST);
    }
    // somebody else's half-open stream ends nobody who has changed before
    let polling = Polling::joined(&talk.app.base, &talk.alice.token, &id).await;
    let query = format!("&sid={}", polling.sid());
    let mut raw = open_as(&talk.app.base, &query).await;
    raw.send(Message::text("2probe")).await.unwrap();
    until(&mut raw, "3probe").await.expect("it answers");
    raw.send(Message::text("5")).await.unwrap();
    raw.send(Message::text(format!("42/chat,7[\"sync\",{{\"conversationId\":\"{id}\",\"afterRev\":0}}]")))
        .await
        .unwrap();
    until(&mut raw, "43/chat,7").await.expect("it goes on");
    let mut other = open_as(&talk.app.base, &query).await;
    assert!(other.next().await.is_none_or(|it| it.is_err() || it.is_ok_and(|it| it.is_close())));
    raw.send(Message::text(format!("42/chat,8[\"sync\",{{\"conversationId\":\"{id}\",\"afterRev\":0}}]")))
        .await
        .unwrap();
    until(&mut raw, "43/chat,8").await.expect("it goes on all the same");
}

#[tokio::test]
async fn whoever_leaves_and_enters_anew_has_no_more_events_for_it() {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    let mut raw = entered(&talk.app.base, &talk.alice.token).await;
    let (since, mut done) = (Instant::now(), 0);
    'rounds: for _ in 0..6 {
        for n in 1..=20 {
            let asks = format!("42/chat,{n}[\"sync\",{{\"conversationId\":\"{id}\",\"afterRev\":0}}]");
            if raw.send(Message::text(asks)).await.is_err() {
                break 'rounds;
            }
        }
        for _ in 0..20 {
            // whoever goes on is shown the door
            let Some(answer) = until(&mut raw, "43/chat,").await else { break 'rounds };
            done += u64::from(answer.contains("\"ok\":true"));
        }
        let anew = format!("40/chat,{{\"token\":\"{}\"}}", talk.alice.token);
        if raw.send(Message::text("41/chat,")).await.is_err() || raw.send(Message::text(anew)).await.is_err() {
            break;
        }
        let Some(entered) = until(&mut raw, "4").await else { break };
        if !entered.starts_with("40/chat,") {
            assert!(entered.contains("too_many_requests"), "{entered}");
            break;
        }
    }
    let most = 40 + since.elapsed().as_secs() * 20;
    assert!((1..=most).contains(&done), "{done} of {most} in {:?}", since.elapsed());
    // another connection has a count of its own
    entered(&talk.app.base, &talk.alice.token).await;
}

async fn until_it_hears_nothing(platform: &Platform) {
    let hears_nothing = async {
        while platform.sessions.is_fresh() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), hears_nothing).await.expect("it hears on");
}

#[tokio::test]
async fn a_node_that_hears_nothing_of_ended_sessions_closes_their_sockets_all_the_same() {
    let talk = talk().await;
    let node = talk.app.second_node().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    for (name, user) in [("alice", &talk.alice), ("dr", &talk.dr)] {
        sockets.connect(name, &node.base, &user.token).await;
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    // the connections on which it would hear of them wait for something else
    let mut held = talk.app.db().begin().await.unwrap();
    sqlx::query("LOCK TABLE app.withdrawn_signing_keys IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    until_it_hears_nothing(&node.platform).await;
    // as on a node that died then
    sqlx::query("UPDATE app.user_sessions SET revoked_at = now() WHERE user_id = $1")
        .bind(talk.alice.id)
        .execute(talk.app.db())
        .await
        .unwrap();
    let since = Instant::now();
    assert_eq!(sockets.ended("alice").await["reason"], "io server disconnect");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let mut secret = message("Not for her any more");
    secret["conversationId"] = about["conversationId"].clone();
    sockets.done("dr", "message:send", secret).await;
    let seen = sockets.run("events", "alice", json!({})).await;
    assert!(!seen.to_string().contains("Not for her"), "{seen}");
    // whose session goes on is told what there is
    assert_eq!(sockets.take("dr", "message:new").await["body"], "Not for her any more");
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn whoever_polls_now_and_then_gets_everything_once_and_in_order() {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    let mut polling = Polling::joined(&talk.app.base, &talk.dr.token, &id).await;
    polling.heard.clear();
    // more than waits for one reader, and nobody polls meanwhile
    for n in 1..=100 {
        talk.send(&talk.alice, &n.to_string()).await.expect(201);
    }
    let got = |polling: &Polling| -> Vec<i64> {
        let new = polling.heard.iter().filter(|it| it.contains("[\"message:new\""));
        new.map(|it| {
            let packet: Value = serde_json::from_str(&it[it.find('[').unwrap()..]).unwrap();
            packet[1]["seq"].as_i64().unwrap()
        })
        .collect()
    };
    assert_eq!(polling.poll().await, StatusCode::OK);
    let at_first = got(&polling).len();
    assert!((1..100).contains(&at_first), "{at_first} waited: there was no more room");
    let reading = async {
        while got(&polling).len() < 100 {
            assert_eq!(polling.poll().await, StatusCode::OK);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the rest comes");
    assert_eq!(got(&polling), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_receipt_for_half_of_which_there_is_room_is_told_whole() {
    half_of_a_receipt(false).await;
}

#[tokio::test]
async fn a_receipt_that_was_handed_over_and_for_half_of_which_there_is_room_is_told_whole() {
    half_of_a_receipt(true).await;
}

/// By another request, after which it is read, or by a socket, which hands it over.
async fn half_of_a_receipt(is_handed_over: bool) {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    let sockets = Sockets::start();
    sockets.connect("alice", &talk.app.base, &talk.alice.token).await;
    sockets.done("alice", "conversation:join", json!({"conversationId": id})).await;
    let mut polling = Polling::joined(&talk.app.base, &talk.alice.token, &id).await;
    polling.heard.clear();
    // all that waits for one reader but the last place
    for n in 1..=63 {
        talk.send(&talk.alice, &n.to_string()).await.expect(201);
    }
    // it says two things: that it arrived, and that it was read
    if is_handed_over {
        sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
        sockets.done("dr", "message:read", json!({"conversationId": id, "seq": 63})).await;
    } else {
        talk.receipt(&talk.dr, json!({"seq": 63})).await;
    }
    // her other device was told, and some requests later this one as far as there is room
    assert_eq!(sockets.take("alice", "message:read").await["seq"], 63);
    for _ in 0..5 {
        talk.read(&talk.alice, "").await;
    }
    assert_eq!(polling.poll().await, StatusCode::OK);
    let count = |polling: &Polling, event: &str| {
        polling.heard.iter().filter(|it| it.starts_with("42/chat,") && it.contains(&format!("[\"{event}\""))).count()
    };
    let told = ["message:new", "message:delivered", "message:read"].map(|event| count(&polling, event));
    assert_eq!(told, [63, 1, 0], "there was no room for the other half");
    let rest = async {
        while count(&polling, "message:read") == 0 {
            assert_eq!(polling.poll().await, StatusCode::OK);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), rest).await.expect("the other half comes");
    assert_eq!(count(&polling, "message:delivered"), 1);
}
