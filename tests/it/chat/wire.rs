//! What nodes tell each other, where it is wrong, forged, late or lost.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use huntzen::platform::realtime::{self, News};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

use super::raw::{entered, until};
use super::*;
use crate::support::Sockets;
use crate::support::app::Node;
use crate::support::redis::Redis;

/// Each of the two on a node of their own, in their conversation.
async fn apart(talk: &Talk) -> (Node, Sockets, Value) {
    let node = talk.app.second_node().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    for (name, base, user) in [("alice", &talk.app.base, &talk.alice), ("dr", &node.base, &talk.dr)] {
        sockets.connect(name, base, &user.token).await;
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    (node, sockets, about)
}

fn words(about: &Value, text: &str) -> Value {
    let mut all = message(text);
    all["conversationId"] = about["conversationId"].clone();
    all
}

async fn notify(talk: &Talk, channel: &str, about: &str) {
    sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(about).execute(talk.app.db()).await.unwrap();
}

#[tokio::test]
async fn a_revision_that_somebody_forged_silences_nobody() {
    let talk = talk().await;
    let (_node, sockets, about) = apart(&talk).await;
    let id = talk.booked.str("/id");
    for forged in ["9223372036854775806", "9223372036854775807", "40", "-1"] {
        notify(&talk, "chat_changed", &format!("{id} {forged}")).await;
    }
    notify(&talk, "chat_changed", &id).await;
    for text in ["One", "Two", "Three"] {
        sockets.done("alice", "message:send", words(&about, text)).await;
        assert_eq!(sockets.take("dr", "message:new").await["body"], text);
    }
    // those that nobody announces are found as well
    sqlx::query(
        "WITH v AS (UPDATE app.conversations SET last_seq = last_seq + 1, last_rev = last_rev + 1 RETURNING *)
         INSERT INTO app.messages (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id, seq, rev,
                                   created_at, deleted_at)
         SELECT gen_random_uuid(), company_id, id, user_id, practitioner_id, user_id, gen_random_uuid(), last_seq, last_rev,
                now(), now() FROM v",
    )
    .execute(talk.app.db())
    .await
    .unwrap();
    assert_eq!(sockets.take("dr", "message:new").await["seq"], 4);
}

#[tokio::test]
async fn nobody_is_shown_somebody_who_is_none_of_the_two() {
    let talk = talk().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    sockets.done("dr", "conversation:join", about.clone()).await;
    for kind in ["came", "here", "writes", "left"] {
        for _ in 0..20 {
            let word = json!({"node": Uuid::new_v4(), "kind": kind, "conversation": about["conversationId"], "user": Uuid::new_v4()});
            notify(&talk, "chat_live", &word.to_string()).await;
        }
    }
    sockets.connect("alice", &talk.app.base, &talk.alice.token).await;
    sockets.done("alice", "conversation:join", about.clone()).await;
    sockets.done("alice", "typing:start", about.clone()).await;
    // the first that he hears of are hers
    let came = sockets.take("dr", "presence").await;
    assert_eq!((&came["userId"], &came["online"]), (&json!(talk.alice.id), &json!(true)));
    assert_eq!(sockets.take("dr", "typing").await["userId"], json!(talk.alice.id));
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up() {
    let talk = talk().await;
    let redis = Redis::start().await;
    let url = redis.url();
    let one = talk.app.node_with(|config| config.redis_url = Some(url.clone().into())).await;
    let two = talk.app.node_with(|config| config.redis_url = Some(url.clone().into())).await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    for (name, node, user) in [("alice", &one, &talk.alice), ("dr", &two, &talk.dr)] {
        sockets.connect(name, &node.base, &user.token).await;
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    let say = async |text: &str| {
        sockets.done("alice", "message:send", words(&about, text)).await;
        assert_eq!(sockets.take("dr", "message:new").await["body"], text);
    };
    say("Over Redis").await;
    redis.pause();
    let since = Instant::now();
    for n in 0..10 {
        say(&format!("Without it {n}")).await;
    }
    // the first one waits for it
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
    redis.go_on();
    say("With it again").await;
}

#[tokio::test]
async fn what_anybody_says_on_redis_breaks_no_connection() {
    let talk = talk().await;
    let redis = Redis::start().await;
    let url = redis.url();
    let node = talk.app.node_with(|config| config.redis_url = Some(url.into())).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let platform = node.platform.clone();
    let _listening = AbortOnDropHandle::new(tokio::spawn(async move {
        realtime::follow(&platform, &["chat_changed"], |news| {
            let _ = told.send(match news {
                News::Missed => None,
                News::Told { about, .. } => Some(about.to_owned()),
            });
        })
        .await;
    }));
    // the two connections
    for _ in 0..2 {
        assert_eq!(heard.recv().await.unwrap(), None);
    }
    let channels = redis.ask("PUBSUB CHANNELS *chat_changed").await.unwrap();
    let channel = channels.lines().find(|it| it.ends_with("chat_changed")).unwrap().to_owned();
    for said in ["\"\\xff\\xfe\"", "\"\"", "nonsense"] {
        redis.ask(&format!("PUBLISH {channel} {said}")).await.unwrap();
    }
    let mut next = async || tokio::time::timeout(Duration::from_secs(15), heard.recv()).await.unwrap().unwrap();
    assert_eq!((next().await.as_deref(), next().await.as_deref()), (Some(""), Some("nonsense")));
}

#[tokio::test]
async fn the_last_of_many_messages_is_acknowledged_though_none_before_it_was() {
    let talk = talk().await;
    let id = talk.booked.str("/id");
    let mut raw = entered(&talk.app.base, &talk.dr.token).await;
    let joins = format!("42/chat,1[\"conversation:join\",{{\"conversationId\":\"{id}\"}}]");
    raw.send(Message::text(joins)).await.unwrap();
    until(&mut raw, "43/chat,1").await.expect("he joins");
    for n in 1..=90 {
        talk.send(&talk.alice, &n.to_string()).await.expect(201);
    }
    let last = loop {
        let packet = raw.next().await.unwrap().unwrap().into_text().unwrap();
        if packet.contains("\"seq\":90") {
            break packet;
        }
    };
    let ack = last.strip_prefix("42/chat,").unwrap().split('[').next().unwrap();
    assert!(ack.parse::<u64>().is_ok(), "it asks for none: {}", last.chars().take(40).collect::<String>());
    raw.send(Message::text(format!("43/chat,{ack}[{{}}]"))).await.unwrap();
    until(&mut raw, "42/chat,[\"message:delivered\"").await.expect("it is noted");
    let receipts = talk.read(&talk.alice, "").await.json["receipts"].clone();
    assert_eq!(receipts[0]["deliveredSeq"], 90, "{receipts}");
}

#[tokio::test]
async fn what_arrived_is_noted_though_the_database_could_not_at_first() {
    let talk = talk().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    for (name, user) in [("alice", &talk.alice), ("dr", &talk.dr)] {
        sockets.connect(name, &talk.app.base, &user.token).await;
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    // whatever is noted fails for a while
    sqlx::query("ALTER TABLE app.message_receipts ADD CONSTRAINT broken CHECK (delivered_seq < 0) NOT VALID")
        .execute(talk.app.db())
        .await
        .unwrap();
    sockets.done("alice", "message:send", words(&about, "Did it arrive?")).await;
    sockets.take("dr", "message:new").await;
    // by then his acknowledgement was taken
    for _ in 0..2 {
        let reads = json!({"conversationId": about["conversationId"], "seq": 1});
        let refused = sockets.ask("dr", "message:read", reads).await;
        assert_eq!(refused["ok"], false, "{refused}");
    }
    sqlx::query("ALTER TABLE app.message_receipts DROP CONSTRAINT broken").execute(talk.app.db()).await.unwrap();
    assert_eq!(sockets.take("alice", "message:delivered").await["seq"], 1);
}

#[tokio::test]
async fn what_came_by_sync_is_said_to_have_arrived_over_the_socket() {
    let talk = talk().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    talk.send(&talk.alice, "While you were away").await.expect(201);
    for (name, user) in [("alice", &talk.alice), ("dr", &talk.dr)] {
        sockets.connect(name, &talk.app.base, &user.token).await;
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    let arrived = json!({"conversationId": about["conversationId"], "seq": 1, "state": "delivered"});
    let noted = sockets.done("dr", "message:read", arrived).await;
    assert_eq!((&noted["deliveredSeq"], &noted["readSeq"]), (&json!(1), &json!(0)));
    assert_eq!(sockets.take("alice", "message:delivered").await["seq"], 1);
    let wrong = json!({"conversationId": about["conversationId"], "seq": 1, "state": "seen"});
    assert_eq!(sockets.ask("dr", "message:read", wrong).await["code"], "invalid");
}
