//! Chat over Socket.IO, with the official client.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use huntzen::platform::auth::Caller;
use huntzen::platform::ids::SessionId;
use reqwest::Method;
use secrecy::ExposeSecret;

use super::*;
use crate::support::process::Site;
use crate::support::{Sockets, cluster};

/// Two people in their conversation, each on a socket of their own.
async fn both(talk: &Talk) -> (Sockets, Value) {
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    for (name, user) in [("alice", &talk.alice), ("dr", &talk.dr)] {
        assert_eq!(sockets.connect(name, &talk.app.base, &user.token).await, json!({"connected": true}));
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    (sockets, about)
}

fn with(about: &Value, more: Value) -> Value {
    let mut all = about.clone();
    let Value::Object(more) = more else { panic!("{more} has no members") };
    for (name, value) in more {
        all[name] = value;
    }
    all
}

fn words(text: &str) -> Value {
    json!({"clientId": Uuid::new_v4(), "body": text})
}

#[tokio::test]
async fn the_official_client_connects_by_polling_by_websocket_and_from_one_to_the_other() {
    let talk = talk().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    for (name, transports, ends_as) in [
        ("polls", json!(["polling"]), "polling"),
        ("sockets", json!(["websocket"]), "websocket"),
        ("upgrades", json!(["polling", "websocket"]), "websocket"),
    ] {
        let args = json!({"url": talk.app.base, "token": talk.alice.token, "transports": transports});
        assert_eq!(sockets.run("connect", name, args).await, json!({"connected": true}), "{name}");
        let moved = sockets.run("transport", name, json!({"wanted": ends_as})).await;
        assert_eq!(moved, json!({"transport": ends_as}), "{name}");
        sockets.done(name, "conversation:join", about.clone()).await;
        let sent = sockets.done(name, "message:send", with(&about, words(name))).await;
        assert_eq!(sent["message"]["body"], name);
        assert_eq!(sockets.take(name, "message:new").await, sent["message"], "all of one's own devices agree");
    }
    assert_eq!(all(&talk.read(&talk.dr, "").await, "body"), [json!("polls"), json!("sockets"), json!("upgrades")]);
}

#[tokio::test]
async fn what_one_does_the_other_sees_at_once_by_socket_and_by_http_alike() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    let sent = sockets.done("alice", "message:send", with(&about, words("Good morning"))).await["message"].clone();
    assert_eq!(sockets.take("dr", "message:new").await, sent);
    // her other devices learn of it as well
    assert_eq!(sockets.take("alice", "message:new").await, sent);
    // his client said that it has it
    let delivered = sockets.take("alice", "message:delivered").await;
    assert_eq!((&delivered["readerId"], &delivered["seq"]), (&json!(talk.dr.id), &json!(1)));
    let read = sockets.done("dr", "message:read", with(&about, json!({"seq": 1}))).await;
    assert_eq!(read["readSeq"], 1);
    assert_eq!(sockets.take("alice", "message:read").await["seq"], 1);

    // over HTTP the same
    let second = talk.send(&talk.dr, "Good morning, Alice").await.expect(201);
    assert_eq!(sockets.take("alice", "message:new").await, second.json);
    let id = second.str("/id");
    let edit = talk.dr.request(Method::PATCH, &format!("/messages/{id}")).json(&json!({"body": "Hello, Alice"}));
    let edited = Answer::of(edit).await.expect(200);
    for name in ["alice", "dr"] {
        assert_eq!(sockets.take(name, "message:edited").await, edited.json);
    }
    let gone = sockets.done("dr", "message:delete", json!({"id": id})).await;
    assert_eq!(sockets.take("alice", "message:deleted").await, gone["message"]);
    let edited = sockets.done("alice", "message:edit", json!({"id": sent["id"], "body": "Good evening"})).await;
    assert_eq!(sockets.take("dr", "message:edited").await["body"], "Good evening");
    assert_eq!(edited["message"]["clientId"], sent["clientId"]);

    let sync = sockets.done("dr", "sync", with(&about, json!({"afterRev": 0}))).await;
    let over_http = talk.read(&talk.dr, "?afterRev=0").await;
    assert_eq!((&sync["items"], &sync["rev"]), (&over_http.json["items"], &over_http.json["rev"]));
}

#[tokio::test]
async fn who_is_here_and_who_writes_is_shown_to_the_other_across_nodes() {
    let talk = talk().await;
    let node = talk.app.second_node().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    sockets.connect("alice", &talk.app.base, &talk.alice.token).await;
    sockets.done("alice", "conversation:join", about.clone()).await;
    sockets.connect("dr", &node.base, &talk.dr.token).await;
    sockets.done("dr", "conversation:join", about.clone()).await;
    let seen = |user: &User, online: bool| with(&about, json!({"userId": user.id, "online": online}));
    assert_eq!(sockets.take("alice", "presence").await, seen(&talk.dr, true));
    assert_eq!(sockets.take("dr", "presence").await, seen(&talk.alice, true), "who was here before");
    sockets.done("dr", "typing:start", about.clone()).await;
    assert_eq!(sockets.take("alice", "typing").await, with(&about, json!({"userId": talk.dr.id, "typing": true})));
    sockets.done("dr", "typing:stop", about.clone()).await;
    assert_eq!(sockets.take("alice", "typing").await["typing"], false);
    // messages come across nodes as well
    let sent = sockets.done("dr", "message:send", with(&about, words("From elsewhere"))).await;
    assert_eq!(sockets.take("alice", "message:new").await, sent["message"]);
    sockets.run("close", "dr", json!({})).await;
    assert_eq!(sockets.take("alice", "presence").await, seen(&talk.dr, false));
    // whoever has left a conversation hears nothing more of it
    sockets.done("alice", "conversation:leave", about.clone()).await;
    talk.send(&talk.dr, "Are you there?").await.expect(201);
    sockets.done("alice", "sync", with(&about, json!({"afterRev": 0}))).await;
    let heard = sockets.run("events", "alice", json!({})).await;
    assert!(!heard.to_string().contains("Are you there?"), "{heard}");
}

#[tokio::test]
async fn nobody_enters_without_a_token_that_counts_or_from_a_page_of_others() {
    let talk = talk().await;
    let sockets = Sockets::start();
    let caller = |user: &User, role, session_id| Caller {
        user_id: user.id,
        role,
        company_id: user.company_id,
        session_id,
        totp_setup_required: false,
    };
    let session: SessionId = talk.app.platform.new_id();
    let hours_ago = talk.app.clock.now() - TimeDelta::hours(2);
    let old = talk.app.platform.tokens.sign_access(&caller(&talk.alice, Role::Employee, session), hours_ago).unwrap();
    let ended = talk.app.session(talk.alice.id, Role::Employee, talk.alice.company_id).await;
    talk.alice.with_token(ended.clone()).post("/auth/logout", json!({})).await;
    for (n, (token, code)) in [
        (json!(null), "unauthenticated"),
        (json!("x.y.z"), "unauthenticated"),
        (json!({"a": 1}), "unauthenticated"),
        (json!(old), "token_expired"),
        (json!(ended), "unauthenticated"),
        (json!(talk.company.hr.token), "forbidden"),
        (json!(talk.app.platform_admin().await.token), "forbidden"),
    ]
    .into_iter()
    .enumerate()
    {
        for transport in ["polling", "websocket"] {
            let args = json!({"url": talk.app.base, "token": token, "transports": [transport]});
            let refused = sockets.run("connect", &format!("{n} {transport}"), args).await;
            assert_eq!(refused, json!({"error": code}), "{n} {transport}");
        }
    }
    for namespace in ["/", "/admin"] {
        let args = json!({"url": talk.app.base, "namespace": namespace, "token": talk.alice.token, "transports": ["websocket"]});
        let refused = sockets.run("connect", namespace, args).await;
        assert_eq!(refused, json!({"error": "Invalid namespace"}), "{namespace}");
    }
    for (origin, enters) in [
        ("https://evil.test", false),
        ("null", false),
        (talk.app.platform.config.public_url.origin().ascii_serialization().as_str(), true),
    ] {
        for transport in ["polling", "websocket"] {
            let args = json!({"url": talk.app.base, "token": talk.alice.token, "transports": [transport], "headers": {"Origin": origin}});
            let answer = sockets.run("connect", &format!("{origin} {transport}"), args).await;
            assert_eq!(answer.get("connected").is_some(), enters, "{origin} {transport}: {answer}");
        }
        let handshake =
            talk.app.anonymous().request(Method::GET, "//socket.io/?EIO=4&transport=polling").header("origin", origin);
        let answer = Answer::of(handshake).await;
        if enters {
            answer.expect(200)
        } else {
            answer.refused(403, "origin_refused")
        };
    }
}

#[tokio::test]
async fn a_session_that_ends_closes_its_sockets_on_every_node_within_a_second() {
    let talk = talk().await;
    let node = talk.app.second_node().await;
    let sockets = Sockets::start();
    let other = talk.app.session(talk.alice.id, Role::Employee, talk.alice.company_id).await;
    for (name, base, token, transport) in [
        ("here", &talk.app.base, &talk.alice.token, "websocket"),
        ("there", &node.base, &talk.alice.token, "websocket"),
        ("polls here", &talk.app.base, &talk.alice.token, "polling"),
        ("polls there", &node.base, &talk.alice.token, "polling"),
        ("another session", &node.base, &other, "websocket"),
    ] {
        let args = json!({"url": base, "token": token, "transports": [transport]});
        assert_eq!(sockets.run("connect", name, args).await, json!({"connected": true}), "{name}");
    }
    talk.alice.post("/auth/logout", json!({})).await.expect(204);
    let since = Instant::now();
    for name in ["here", "there", "polls here", "polls there"] {
        assert_eq!(sockets.ended(name).await["reason"], "io server disconnect");
    }
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    let about = json!({"conversationId": talk.booked.str("/id")});
    sockets.done("another session", "conversation:join", about).await;
}

#[tokio::test]
async fn a_token_that_runs_out_is_renewed_within_a_minute_or_the_socket_is_closed() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    let app = &talk.app;
    let polls = json!({"url": app.base, "token": talk.dr.token, "transports": ["polling"]});
    sockets.run("connect", "polls", polls).await;
    sockets.done("polls", "conversation:join", about.clone()).await;
    app.clock.advance(TimeDelta::seconds(15 * 60 + 10));
    let refused = sockets.ask("alice", "message:send", with(&about, words("Late"))).await;
    assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("token_expired")));
    // somebody else's token, or one of another kind, renews nothing
    let stranger = app.employee(&talk.company).await;
    for wrong in
        [json!({"token": stranger.token}), json!({"token": talk.alice.token}), json!({}), json!("x"), json!(null)]
    {
        let refused = sockets.ask("alice", "auth:refresh", wrong.clone()).await;
        assert_eq!(refused["ok"], false, "{wrong}: {refused}");
    }
    let fresh = app.session(talk.alice.id, Role::Employee, talk.alice.company_id).await;
    sockets.done("alice", "auth:refresh", json!({"token": fresh})).await;
    sockets.done("alice", "message:send", with(&about, words("In time"))).await;
    app.clock.advance(TimeDelta::seconds(61));
    for name in ["dr", "polls"] {
        assert_eq!(sockets.ended(name).await["reason"], "io server disconnect");
        // he was shown nothing on a token that ran out
        let seen = sockets.run("events", name, json!({})).await;
        assert!(!seen.to_string().contains("In time"), "{seen}");
    }
    sockets.done("alice", "sync", with(&about, json!({"afterRev": 0}))).await;
}

#[tokio::test]
async fn each_event_is_authorised_again_and_what_is_none_of_theirs_is_refused() {
    let talk = talk().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    let sent = talk.send(&talk.alice, "Between us").await.expect(201).str("/id");
    let bob = talk.app.employee(&talk.company).await;
    let other = talk.app.practitioner().await;
    for (name, user) in [("bob", &bob), ("other", &other)] {
        sockets.connect(name, &talk.app.base, &user.token).await;
        for (event, data) in [
            ("conversation:join", about.clone()),
            ("message:send", with(&about, words("Let me in"))),
            ("message:read", with(&about, json!({"seq": 1}))),
            ("sync", with(&about, json!({"afterRev": 0}))),
            ("message:edit", json!({"id": sent, "body": "Mine"})),
            ("message:delete", json!({"id": sent})),
        ] {
            let refused = sockets.ask(name, event, data).await;
            assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("not_found")), "{name} {event}");
        }
    }
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    let refused = sockets.ask("dr", "message:edit", json!({"id": sent, "body": "His"})).await;
    assert_eq!(refused["code"], "not_your_message");
    assert_eq!(refused["detail"], "Seule la personne qui a écrit un message peut le modifier ou le supprimer.");
    assert_eq!(talk.app.count("SELECT last_rev FROM app.conversations").await, 1);
}

#[tokio::test]
async fn payloads_of_any_kind_get_an_answer_and_crash_nothing() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    let rubbish = [
        json!(null),
        json!([]),
        json!(7),
        json!("text"),
        json!({"conversationId": 1}),
        json!({"conversationId": "x", "body": []}),
        json!([[[[]]]]),
    ];
    for event in
        ["conversation:join", "message:send", "message:edit", "message:delete", "message:read", "typing:start", "sync"]
    {
        // each on a socket of its own, within its pace
        sockets.connect(event, &talk.app.base, &talk.alice.token).await;
        for data in &rubbish {
            let refused = sockets.ask(event, event, data.clone()).await;
            assert_eq!(
                (&refused["ok"], &refused["code"]),
                (&json!(false), &json!("invalid")),
                "{event} {data}: {refused}"
            );
            assert!(refused["errors"][0]["code"].is_string() && refused["detail"].is_string());
        }
    }
    let refused = sockets.ask("alice", "message:forge", json!({})).await;
    assert_eq!(refused["code"], "unknown_event");
    let refused =
        sockets.ask("alice", "message:send", with(&about, json!({"clientId": Uuid::new_v4(), "body": " "}))).await;
    assert_eq!(
        refused["errors"],
        json!([{"pointer": "/body", "code": "pattern", "detail": refused["errors"][0]["detail"]}])
    );
    // too large to be an event; the next one is
    let refused = sockets.ask("alice", "message:send", with(&about, words(&"x".repeat(70_000)))).await;
    assert_eq!(refused["code"], "body_too_large");
    sockets.done("alice", "message:send", with(&about, words("Still here"))).await;
    // far too large: the connection ends, and others' go on
    sockets
        .run("tell", "alice", json!({"event": "message:send", "data": with(&about, words(&"x".repeat(1_000_000)))}))
        .await;
    assert!(sockets.ended("alice").await["reason"].is_string());
    assert_eq!(sockets.take("dr", "message:new").await["body"], "Still here");
    sockets.done("dr", "message:send", with(&about, words("Of course"))).await;
}

#[tokio::test]
async fn whoever_asks_too_often_is_refused_and_then_let_go() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    let many: Vec<Value> = (0..60).map(|_| json!(["sync", with(&about, json!({"afterRev": 0}))])).collect();
    let answers = sockets.run("askAll", "alice", json!({"events": many})).await;
    let answers = answers.as_array().unwrap();
    let done = answers.iter().filter(|it| it["ok"] == true).count();
    let refused = answers.iter().filter(|it| it["code"] == "too_many_requests").count();
    assert!(done >= 15 && refused >= 20 && done + refused == 60, "{done} done, {refused} refused");
    for _ in 0..200 {
        sockets.run("tell", "alice", json!({"event": "sync", "data": {}})).await;
    }
    assert_eq!(sockets.ended("alice").await["reason"], "io server disconnect");
    sockets.done("dr", "sync", with(&about, json!({"afterRev": 0}))).await;
}

#[tokio::test]
async fn one_person_has_so_many_sockets_and_asks_so_often_and_others_notice_nothing() {
    let talk = talk().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    for n in 0..128 {
        let name = format!("alice {n}");
        assert_eq!(sockets.connect(&name, &talk.app.base, &talk.alice.token).await, json!({"connected": true}), "{n}");
    }
    let refused = sockets.connect("one more", &talk.app.base, &talk.alice.token).await;
    assert_eq!(refused, json!({"error": "too_many_requests"}));
    // each within its pace, together too many
    let many: Vec<Value> = (0..18).map(|_| json!(["sync", with(&about, json!({"afterRev": 0}))])).collect();
    let names: Vec<String> = (0..64).map(|n| format!("alice {n}")).collect();
    let asking = names.iter().map(|name| sockets.run("askAll", name, json!({"events": many})));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), async {
        sockets.done("dr", "sync", with(&about, json!({"afterRev": 0}))).await;
    });
    let answers: Vec<_> = answers.iter().flat_map(|it| it.as_array().unwrap()).collect();
    let done = answers.iter().filter(|it| it["ok"] == true).count();
    let refused = answers.iter().filter(|it| it["code"] == "too_many_requests").count();
    assert!(done >= 200 && refused >= 64 && done + refused == 64 * 18, "{done} done, {refused} refused");
    // whoever closes one has room for another
    sockets.run("close", "alice 0", json!({})).await;
    let back = async {
        while sockets.connect("in the place", &talk.app.base, &talk.alice.token).await != json!({"connected": true}) {}
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("there is room");
}

#[tokio::test]
async fn whoever_writes_on_a_device_that_goes_away_writes_no_more_though_another_stays() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    for (name, how) in [("phone", "close"), ("tablet", "conversation:leave"), ("pad", "typing:stop")] {
        sockets.connect(name, &talk.app.base, &talk.alice.token).await;
        sockets.done(name, "conversation:join", about.clone()).await;
        sockets.done(name, "typing:start", about.clone()).await;
        assert_eq!(sockets.take("dr", "typing").await["typing"], true, "{name}");
        match how {
            "close" => drop(sockets.run("close", name, json!({})).await),
            event => drop(sockets.done(name, event, about.clone()).await),
        }
        assert_eq!(sockets.take("dr", "typing").await["typing"], false, "{name}");
    }
    // to stop in one conversation says nothing of another
    let next = book_on(&talk.alice, &talk.dr, in_days(&talk.app, 4)).await;
    talk.app.settle().await;
    let other = json!({"conversationId": next.json["id"]});
    for name in ["alice", "dr"] {
        sockets.done(name, "conversation:join", other.clone()).await;
    }
    sockets.done("alice", "typing:start", about.clone()).await;
    assert_eq!(sockets.take("dr", "typing").await["conversationId"], about["conversationId"]);
    sockets.done("alice", "typing:stop", other.clone()).await;
    sockets.done("alice", "typing:start", other.clone()).await;
    // that is what ends it
    let (ended, begun) = (sockets.take("dr", "typing").await, sockets.take("dr", "typing").await);
    assert_eq!((&ended["conversationId"], &ended["typing"]), (&about["conversationId"], &json!(false)));
    assert_eq!((&begun["conversationId"], &begun["typing"]), (&other["conversationId"], &json!(true)));
}

#[tokio::test]
async fn a_message_has_arrived_whatever_the_client_acknowledges_it_with() {
    let talk = talk().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    for (name, user, how) in [("alice", &talk.alice, json!(true)), ("dr", &talk.dr, json!("with nothing"))] {
        let args = json!({"url": talk.app.base, "token": user.token, "transports": ["websocket"], "acknowledges": how});
        assert_eq!(sockets.run("connect", name, args).await, json!({"connected": true}));
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    sockets.done("alice", "message:send", with(&about, words("Have you got it?"))).await;
    let delivered = sockets.take("alice", "message:delivered").await;
    assert_eq!((&delivered["seq"], &delivered["readerId"]), (&json!(1), &json!(talk.dr.id)));
}

#[tokio::test]
async fn a_client_that_was_cut_off_joins_again_and_misses_nothing() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    let mut known: Vec<Value> = Vec::new();
    let mut rev = 0;
    for round in 0..5 {
        for n in 0..4 {
            talk.send(&talk.alice, &format!("{round} {n}")).await.expect(201);
        }
        assert!(sockets.run("cut", "dr", json!({})).await["connects"].is_number());
        talk.send(&talk.alice, &format!("{round} while away")).await.expect(201);
        sockets.done("dr", "conversation:join", about.clone()).await;
        let news = sockets.done("dr", "sync", with(&about, json!({"afterRev": rev, "limit": 100}))).await;
        rev = news["rev"].as_i64().unwrap();
        known.extend(news["items"].as_array().unwrap().iter().cloned());
    }
    let mut seqs: Vec<i64> = known.iter().map(|it| it["seq"].as_i64().unwrap()).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs, (1..=25).collect::<Vec<_>>());
    // what was live came in order, and nothing twice in one connection
    let live = sockets.run("events", "dr", json!({})).await;
    let revs: Vec<i64> = live
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it[0] == "message:new")
        .map(|it| it[1]["rev"].as_i64().unwrap())
        .collect();
    assert!(revs.is_sorted(), "{revs:?}");
    sockets.done("alice", "message:send", with(&about, words("Welcome back"))).await;
}

#[tokio::test]
async fn a_burst_reaches_the_other_whole_and_in_order_by_either_transport() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    let node = talk.app.second_node().await;
    sockets
        .run(
            "connect",
            "polling",
            json!({"url": node.base, "token": talk.dr.token, "transports": ["polling"], "acknowledges": false}),
        )
        .await;
    sockets.done("polling", "conversation:join", about.clone()).await;
    // more than a socket's buffer holds
    for n in 0..300 {
        talk.send(&talk.alice, &format!("{n}")).await.expect(201);
    }
    for name in ["dr", "polling"] {
        let got = sockets.run("count", name, json!({"event": "message:new", "least": 300})).await;
        let bodies: Vec<_> = got
            .as_array()
            .unwrap_or_else(|| panic!("{name}: {}", got["error"]))
            .iter()
            .map(|it| it["body"].clone())
            .collect();
        assert_eq!(bodies, (0..300).map(|n| json!(n.to_string())).collect::<Vec<_>>(), "{name}");
    }
}

#[tokio::test]
async fn whoever_looks_on_hears_that_a_conversation_closes() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    talk.alice.post(&format!("/consultations/{}/cancel", talk.booked.str("/id")), json!({})).await.expect(200);
    for name in ["alice", "dr"] {
        let closed = sockets.take(name, "conversation:closed").await;
        assert_eq!(closed["conversationId"], talk.booked.json["id"]);
        assert!(instant(closed["closedAt"].as_str().unwrap()) <= talk.app.clock.now());
    }
    let refused = sockets.ask("dr", "message:send", with(&about, words("Too late"))).await;
    assert_eq!((&refused["code"], refused["closedAt"].is_string()), (&json!("conversation_closed"), true));
    talk.app.settle().await;
}

#[tokio::test]
async fn whoever_looks_on_hears_when_its_time_is_over() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    // in five minutes, for both who look on already; nothing tells of that
    let now = talk.app.clock.now();
    sqlx::raw_sql("ALTER TABLE app.consultations DISABLE TRIGGER USER").execute(talk.app.db()).await.unwrap();
    sqlx::query(
        "UPDATE app.consultations SET starts_at = $1 - interval '30 minutes', ends_at = $1, busy_from = $1 - interval '30 minutes',
                                      busy_until = $1",
    )
    .bind(now - TimeDelta::days(14) + TimeDelta::minutes(5))
    .execute(talk.app.db())
    .await
    .unwrap();
    sqlx::raw_sql("ALTER TABLE app.consultations ENABLE TRIGGER USER").execute(talk.app.db()).await.unwrap();
    for name in ["alice", "dr"] {
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    talk.app.clock.advance(TimeDelta::minutes(6));
    for name in ["alice", "dr"] {
        let closed = sockets.take(name, "conversation:closed").await;
        assert_eq!(closed["conversationId"], talk.booked.json["id"]);
        let at = instant(closed["closedAt"].as_str().unwrap());
        assert!((now..talk.app.clock.now()).contains(&at), "{at}");
    }
    talk.app.settle().await;
}

#[tokio::test]
async fn what_was_written_elsewhere_while_a_node_heard_nothing_arrives_when_it_hears_again() {
    let talk = talk().await;
    let (sockets, about) = both(&talk).await;
    // whoever writes is on another node, so that nothing of it is known here
    let node = talk.app.second_node().await;
    let alice = talk.alice.at(&node.base);
    sockets.done("alice", "message:send", with(&about, words("Before"))).await;
    assert_eq!(sockets.take("dr", "message:new").await["body"], "Before");
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'huntzen hears'";
    // one for each namespace of either node; whatever begins to listen is cut off until all is written
    assert!(talk.app.count(cut).await >= 2);
    let cutting = async {
        loop {
            talk.app.count(cut).await;
        }
    };
    let writing = async {
        for text in ["Meanwhile", "After"] {
            talk.send(&alice, text).await.expect(201);
        }
    };
    tokio::select! { () = writing => {}, () = cutting => {} }
    for text in ["Meanwhile", "After"] {
        assert_eq!(sockets.take("dr", "message:new").await["body"], text);
    }
}

#[tokio::test]
async fn a_node_that_stops_lets_its_sockets_go_at_once() {
    let talk = talk().await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret().to_owned();
    let site = Site::new(talk.app.options(), Some(&secret)).await;
    let server = site.serve().await;
    let dr = site.user(talk.dr.id, Role::Practitioner, None).await;
    let sockets = Sockets::start();
    for transport in ["polling", "websocket"] {
        let args = json!({"url": server.base, "token": dr.token, "transports": [transport]});
        assert_eq!(sockets.run("connect", transport, args).await, json!({"connected": true}));
        sockets.done(transport, "conversation:join", json!({"conversationId": talk.booked.str("/id")})).await;
    }
    let since = Instant::now();
    server.terminate();
    for transport in ["polling", "websocket"] {
        assert!(sockets.ended(transport).await["reason"].is_string(), "{transport}");
    }
    let (status, log) = server.end().await;
    assert!(status.success(), "{status}: {log}");
    // a poll is parked for up to 25 seconds
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}
