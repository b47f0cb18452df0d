//! The document of the sockets: the official parser takes it, it names what is taken and told and nothing else, and what
//! really goes over a socket fits it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consultations::{book_on, in_days, scene};
use crate::support::{Answer, Sockets, tools};

/// What the interface promises of each namespace.
const PROMISED: [(&str, &[&str], &[&str]); 3] = [
    (
        "/audio-call",
        &[
            "call:join",
            "call:ring",
            "call:accept",
            "call:decline",
            "signal:offer",
            "signal:answer",
            "signal:ice",
            "call:mute",
            "call:hangup",
            "auth:refresh",
        ],
        &[
            "call:ringing",
            "call:peer-ringing",
            "call:accepted",
            "call:declined",
            "signal:offer",
            "signal:answer",
            "signal:ice",
            "call:peer-muted",
            "call:peer-lost",
            "call:peer-back",
            "call:device-lost",
            "call:device-back",
            "call:ended",
        ],
    ),
    (
        "/chat",
        &[
            "conversation:join",
            "conversation:leave",
            "message:send",
            "message:edit",
            "message:delete",
            "message:read",
            "typing:start",
            "typing:stop",
            "sync",
            "auth:refresh",
        ],
        &[
            "message:new",
            "message:edited",
            "message:deleted",
            "message:delivered",
            "message:read",
            "typing",
            "presence",
            "conversation:closed",
        ],
    ),
    (
        "/notifications",
        &["slots:watch", "slots:unwatch", "auth:refresh"],
        &[
            "notification:new",
            "unread:count",
            "consultation:updated",
            "conversation:updated",
            "call:ringing",
            "call:stopped",
            "consultation:peer-joined",
            "slots:changed",
        ],
    ),
];

pub fn document() -> Value {
    huntzen::app::asyncapi().unwrap()
}

#[derive(serde::Deserialize)]
pub struct Findings {
    errors: Vec<String>,
    others: Vec<String>,
    pub events: BTreeMap<String, Events>,
}

#[derive(serde::Deserialize)]
pub struct Events {
    pub takes: BTreeSet<String>,
    tells: BTreeSet<String>,
}

pub fn parsed(document: &Value) -> Findings {
    serde_json::from_str(&tools::run("asyncapi.mjs", &[], document.to_string().as_bytes())).unwrap()
}

#[test]
fn the_official_parser_takes_the_document_of_the_sockets() {
    let found = parsed(&document());
    assert!(found.errors.is_empty(), "{:#?}", found.errors);
    println!("besides: {:#?}", found.others);
    let owned = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect::<BTreeSet<_>>();
    for (namespace, takes, tells) in PROMISED {
        let known = &found.events[namespace];
        assert_eq!((&known.takes, &known.tells), (&owned(takes), &owned(tells)), "{namespace}");
    }
    // a document that is wrong is found out
    let mut wrong = document();
    wrong["operations"]["chat.sync"]["channel"] = json!({"$ref": "#/channels/nowhere"});
    assert!(!parsed(&wrong).errors.is_empty());
}

#[tokio::test]
async fn it_is_served_and_each_namespace_is_in_it_with_the_events_that_it_takes() {
    let (app, _, alice, dr) = scene().await;
    let served = app.anonymous().request(Method::GET, "//asyncapi.json").send().await.unwrap();
    assert_eq!(served.headers()["content-type"], "application/json");
    let served: Value = served.json().await.unwrap();
    assert_eq!(served, document());
    let sockets = Sockets::start();
    let described: BTreeSet<&str> =
        served["channels"].as_object().unwrap().values().map(|space| space["address"].as_str().unwrap()).collect();
    assert_eq!(described, PROMISED.iter().map(|it| it.0).collect());
    for namespace in described.iter().copied().chain(["/", "/admin"]) {
        let args = json!({"url": app.base, "namespace": namespace, "token": alice.token, "transports": ["websocket"]});
        let is_open = sockets.run("connect", namespace, args).await == json!({"connected": true});
        assert_eq!(is_open, described.contains(namespace), "{namespace}");
    }
    for (address, space) in parsed(&served).events {
        for (n, event) in space.takes.iter().enumerate() {
            let args = json!({"url": app.base, "namespace": address, "token": dr.token, "transports": ["websocket"]});
            let name = format!("{address} {n}");
            sockets.run("connect", &name, args).await;
            let refused = sockets.ask(&name, event, json!({"nonsense": 1})).await;
            assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("invalid")), "{event}: {refused}");
            let unknown = sockets.ask(&name, &format!("{event}:x"), json!({})).await;
            assert_eq!(unknown["code"], "unknown_event");
        }
    }
}

/// Looks at what went over a socket.
struct Reader(Value);

impl Reader {
    fn check(&self, message: &str, payload: &Value) {
        self.check_in("chat", message, payload);
    }

    fn check_in(&self, channel: &str, message: &str, payload: &Value) {
        let mut root = self.0.clone();
        let id = message.replace(':', ".");
        root["$ref"] = json!(format!("#/channels/{channel}/messages/{id}/payload"));
        let schema = jsonschema::options().with_draft(jsonschema::Draft::Draft7).build(&root).unwrap();
        let faults: Vec<_> = schema.iter_errors(payload).map(|it| it.to_string()).collect();
        assert!(faults.is_empty(), "{message}: {faults:?} in {payload}");
    }
}

#[tokio::test]
async fn what_goes_over_a_socket_fits_the_document() {
    let (app, _, alice, dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    app.settle().await;
    let reader = Reader(document());
    let sockets = Sockets::start();
    let about = json!({"conversationId": booked.str("/id")});
    for (name, user) in [("alice", &alice), ("dr", &dr)] {
        sockets.connect(name, &app.base, &user.token).await;
        reader.check("conversation:join.answer", &sockets.done(name, "conversation:join", about.clone()).await);
    }
    let ask = async |name: &str, event: &str, more: Value| {
        let mut data = about.clone();
        for (name, value) in more.as_object().unwrap() {
            data[name] = value.clone();
        }
        if more.get("id").is_some() {
            data.as_object_mut().unwrap().remove("conversationId");
        }
        if !more.get("nonsense").is_some_and(Value::is_number) {
            reader.check(event, &data);
        }
        let answer = sockets.ask(name, event, data).await;
        reader.check(&format!("{event}.answer"), &answer);
        answer
    };
    let sent = ask("alice", "message:send", json!({"clientId": Uuid::new_v4(), "body": "Hello"})).await;
    let id = sent["message"]["id"].clone();
    reader.check("message:new", &sockets.take("dr", "message:new").await);
    reader.check("message:delivered", &sockets.take("alice", "message:delivered").await);
    ask("dr", "message:read", json!({"seq": 1})).await;
    reader.check("message:read.told", &sockets.take("alice", "message:read").await);
    ask("alice", "message:edit", json!({"id": id, "body": "Good day"})).await;
    reader.check("message:edited", &sockets.take("dr", "message:edited").await);
    ask("alice", "message:delete", json!({"id": id})).await;
    reader.check("message:deleted", &sockets.take("dr", "message:deleted").await);
    ask("dr", "typing:start", json!({})).await;
    reader.check("typing", &sockets.take("alice", "typing").await);
    ask("dr", "typing:stop", json!({})).await;
    reader.check("presence", &sockets.take("alice", "presence").await);
    ask("dr", "sync", json!({"afterRev": 0})).await;
    assert_eq!(ask("dr", "sync", json!({"nonsense": 1})).await["ok"], false);
    let token = app.session(alice.id, huntzen::platform::auth::Role::Employee, alice.company_id).await;
    let renewed = sockets.done("alice", "auth:refresh", json!({"token": token})).await;
    reader.check("auth:refresh.answer", &renewed);
    ask("dr", "conversation:leave", json!({})).await;
    let path = format!("/consultations/{}/cancel", booked.str("/id"));
    Answer::of(alice.request(Method::POST, &path).json(&json!({}))).await.expect(200);
    reader.check("conversation:closed", &sockets.take("alice", "conversation:closed").await);
    app.settle().await;
}

#[tokio::test]
async fn what_goes_over_a_socket_of_notifications_fits_the_document() {
    let (app, _, alice, dr) = scene().await;
    let reader = Reader(document());
    let sockets = Sockets::start();
    let args =
        json!({"url": app.base, "namespace": "/notifications", "token": alice.token, "transports": ["websocket"]});
    assert_eq!(sockets.run("connect", "alice", args).await, json!({"connected": true}));
    let about = json!({"practitionerId": dr.id});
    for (event, data) in [
        ("slots:watch", about.clone()),
        ("slots:unwatch", about.clone()),
        ("slots:watch", about),
        ("slots:watch", json!({})),
    ] {
        let is_good = data.get("practitionerId").is_some();
        let answer = sockets.ask("alice", event, data.clone()).await;
        assert_eq!(answer["ok"], is_good, "{event} {data}");
        if is_good {
            reader.check_in("notifications", event, &data);
        }
        reader.check_in("notifications", &format!("{event}.answer"), &answer);
    }
    book_on(&alice, &dr, in_days(&app, 3)).await;
    app.settle().await;
    for event in ["unread:count", "notification:new", "consultation:updated", "slots:changed"] {
        reader.check_in("notifications", event, &sockets.take("alice", event).await);
    }
}
