//! Calls: two people find each other, on whichever nodes they are.

mod arrival;
mod browser;
mod devices;
mod endings;
mod everywhere;
mod missed;
mod refusals;
mod signalling;

use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::platform::auth::Role;
use serde_json::{Value, json};
use uuid::Uuid;

pub use crate::consultations::{at, free, in_days, instant, wish};
use crate::support::{Answer, Company, Sockets, TestApp, User};

/// Two people at the beginning of their session by audio.
struct Line {
    app: TestApp,
    company: Company,
    alice: User,
    dr: User,
    booked: Answer,
    sockets: Sockets,
    /// By which ways clients come.
    transports: Value,
}

async fn line() -> Line {
    line_with(|_| None).await
}

async fn line_with(settings: impl Fn(&str) -> Option<String>) -> Line {
    let app = TestApp::start_with(settings).await;
    let company = app.company("Acme").await;
    let (mut alice, mut dr) = (app.employee(&company).await, app.practitioner().await);
    let booked = book(&app, &alice, &dr, "audio").await;
    let start = instant(&booked.str("/startsAt"));
    go_to(&app, start, &mut alice, &mut dr).await;
    Line { app, company, alice, dr, booked, sockets: Sockets::start(), transports: json!(["websocket"]) }
}

async fn book(app: &TestApp, alice: &User, dr: &User, mode: &str) -> Answer {
    let mut body = wish(dr, &free(alice, dr, in_days(app, 3)).await[0]);
    body["mode"] = json!(mode);
    let booked = alice.post("/consultations", body).await.expect(201);
    app.settle().await;
    booked
}

async fn go_to(app: &TestApp, when: DateTime<Utc>, alice: &mut User, dr: &mut User) {
    at(app, when, [(alice, Role::Employee), (dr, Role::Practitioner)]).await;
}

fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

fn sdp(words: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns={words}\r\nt=0 0\r\n")
}

/// Whatever goes over a socket is as the document says.
fn fits(message: &str, payload: &Value) {
    fits_in("audio-call", message, payload);
}

fn fits_in(channel: &str, message: &str, payload: &Value) {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let mut root = DOCUMENT.get_or_init(|| huntzen::app::asyncapi().unwrap()).clone();
    let id = message.replace(':', ".");
    assert!(root["channels"][channel]["messages"][&id].is_object(), "{id} is not in the document");
    root["$ref"] = json!(format!("#/channels/{channel}/messages/{id}/payload"));
    let schema = jsonschema::options().with_draft(jsonschema::Draft::Draft7).build(&root).unwrap();
    let faults: Vec<_> = schema.iter_errors(payload).map(|it| it.to_string()).collect();
    assert!(faults.is_empty(), "{message}: {faults:?} in {payload}");
}

impl Line {
    fn about(&self) -> Value {
        json!({"consultationId": self.booked.json["id"]})
    }

    fn with(&self, more: Value) -> Value {
        let mut all = self.about();
        let Value::Object(more) = more else { panic!("{more} has no members") };
        for (name, value) in more {
            all[name] = value;
        }
        all
    }

    async fn connect_to(&self, name: &str, base: &str, user: &User) {
        let args = json!({"url": base, "namespace": "/audio-call", "token": user.token, "transports": self.transports});
        assert_eq!(self.sockets.run("connect", name, args).await, json!({"connected": true}), "{name}");
        if let Some(last) = self.transports.as_array().unwrap().last() {
            assert_eq!(self.sockets.run("transport", name, json!({"wanted": last})).await, json!({"transport": last}));
        }
    }

    async fn connect(&self, name: &str, user: &User) {
        self.connect_to(name, &self.app.base, user).await;
    }

    /// A new device of somebody's, in the rooms; what it was answered.
    async fn enter(&self, name: &str, user: &User) -> Value {
        self.enter_as(name, user, json!({"deviceId": Uuid::new_v4()})).await
    }

    async fn enter_as(&self, name: &str, user: &User, more: Value) -> Value {
        self.connect(name, user).await;
        self.done(name, "call:join", more).await
    }

    async fn done(&self, name: &str, event: &str, more: Value) -> Value {
        let answer = self.sockets.done(name, event, self.with(more)).await;
        fits(&format!("{event}:answer"), &answer);
        answer
    }

    async fn tell(&self, name: &str, event: &str) -> Value {
        self.done(name, event, json!({})).await
    }

    async fn refused(&self, name: &str, event: &str, code: &str) -> Value {
        let answer = self.sockets.ask(name, event, self.about()).await;
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!(code)), "{name} {event}: {answer}");
        answer
    }

    async fn take(&self, name: &str, event: &str) -> Value {
        let told = self.sockets.take(name, event).await;
        fits(&if event.starts_with("signal:") { format!("{event}:told") } else { event.to_owned() }, &told);
        told
    }

    /// Waits until the database says so.
    async fn until(&self, holds: &'static str) {
        while self.app.count(holds).await == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// What a client got and nobody took; but that it rings there, which whoever accepts at once is faster than.
    async fn untaken(&self, name: &str) -> Vec<String> {
        let events = self.sockets.run("events", name, json!({})).await;
        let names = events.as_array().unwrap().iter().map(|event| event[0].as_str().unwrap().to_owned());
        names.filter(|name| name != "call:peer-ringing").collect()
    }

    /// Alice rings from `alice`, the doctor accepts on `dr`, both on new devices.
    async fn talk(&self) {
        self.enter("alice", &self.alice).await;
        self.enter("dr", &self.dr).await;
        self.tell("alice", "call:ring").await;
        self.take("dr", "call:ringing").await;
        self.tell("dr", "call:accept").await;
        self.take("alice", "call:accepted").await;
    }

    /// Another session of the doctor's, half an hour after the first, which nobody could book.
    async fn next_session(&self, id: Uuid, user: &User) {
        let start = instant(&self.booked.str("/startsAt"));
        sqlx::query(
            "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                                            busy_until, specialty, agreed_at)
             SELECT $1, company_id, $2, practitioner_id, 'audio', 'confirmed', $3, $4, $3, $4, specialty, agreed_at
             FROM app.consultations LIMIT 1",
        )
        .bind(id)
        .bind(user.id)
        .bind(start + TimeDelta::minutes(30))
        .bind(start + TimeDelta::minutes(60))
        .execute(self.app.db())
        .await
        .unwrap();
    }

    /// How the calls of the session ended, in their order; `-`: not yet.
    async fn endings(&self) -> Vec<String> {
        let sql = "SELECT coalesce(end_reason, '-') FROM app.call_sessions ORDER BY number";
        sqlx::query_scalar(sql).fetch_all(self.app.db()).await.unwrap()
    }

    /// The facts about the session, with who they are about, in the order of their time; those of one moment by name.
    async fn events(&self) -> Vec<String> {
        let path = format!("/consultations/{}/events", self.booked.str("/id"));
        let answer = self.dr.get(&path).await.expect(200);
        let word = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
        let fact = |it: &Value| (instant(&word(it, "at")), format!("{} {}", word(it, "kind"), word(it, "actorRole")));
        let mut facts: Vec<_> = answer.json["items"].as_array().unwrap().iter().map(fact).collect();
        facts.sort();
        facts.into_iter().map(|(_, fact)| fact).collect()
    }
}
