//! Every event of every namespace for those whom it does not concern, and the end of all sockets of those who lost their
//! session: read from the document, so that an event that is forgotten here fails.

use std::collections::BTreeMap;

use huntzen::platform::auth::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::account::entry_of;
use crate::asyncapi::{document, parsed};
use crate::consultations::{book_on, in_days, scene};
use crate::support::app::PASSWORD;
use crate::support::{Sockets, User};

/// A payload of each event that would do for the two people, and what it answers to somebody else who may enter.
fn refusals(id: &str, message: &str, dr: &User, token: &str) -> BTreeMap<&'static str, (Value, &'static str)> {
    let chat = |mut more: Value| {
        more["conversationId"] = json!(id);
        more
    };
    let call = |mut more: Value| {
        more["consultationId"] = json!(id);
        more
    };
    BTreeMap::from([
        ("conversation:join", (chat(json!({})), "not_found")),
        // nothing to leave
        ("conversation:leave", (chat(json!({})), "ok")),
        ("message:send", (chat(json!({"clientId": Uuid::new_v4(), "body": "Let me in"})), "not_found")),
        ("message:edit", (json!({"id": message, "body": "Mine"}), "not_found")),
        ("message:delete", (json!({"id": message}), "not_found")),
        ("message:read", (chat(json!({"seq": 1})), "not_found")),
        ("typing:start", (chat(json!({})), "conversation_not_joined")),
        ("typing:stop", (chat(json!({})), "conversation_not_joined")),
        ("sync", (chat(json!({"afterRev": 0})), "not_found")),
        ("call:join", (call(json!({})), "not_found")),
        ("call:ring", (call(json!({})), "call_not_joined")),
        ("call:accept", (call(json!({})), "call_not_joined")),
        ("call:decline", (call(json!({})), "call_not_joined")),
        ("call:hangup", (call(json!({})), "call_not_joined")),
        ("call:mute", (call(json!({"muted": true})), "call_not_joined")),
        ("signal:offer", (call(json!({"sdp": "v=0\r\n"})), "call_not_joined")),
        ("signal:answer", (call(json!({"sdp": "v=0\r\n"})), "call_not_joined")),
        ("signal:ice", (call(json!({"candidate": {"candidate": "candidate:1"}})), "call_not_joined")),
        ("slots:watch", (json!({"practitionerId": dr.id}), "forbidden")),
        // nothing was watched
        ("slots:unwatch", (json!({"practitionerId": dr.id}), "ok")),
        // somebody else's
        ("auth:refresh", (json!({"token": token}), "unauthenticated")),
    ])
}

#[tokio::test]
async fn no_event_does_anything_for_whom_it_does_not_concern() {
    let (app, company, alice, dr) = scene().await;
    let id = book_on(&alice, &dr, in_days(&app, 3)).await.str("/id");
    app.settle().await;
    let body = json!({"clientId": Uuid::new_v4(), "body": "Between us"});
    let message = alice.post(&format!("/conversations/{id}/messages"), body).await.expect(201).str("/id");
    let globex = app.company("Globex").await;
    let staff = app.platform_admin().await;
    let (bob, carol, other) = (app.employee(&company).await, app.employee(&globex).await, app.practitioner().await);
    let left = app.employee(&company).await;
    company.hr.delete(&format!("/employees/{}", entry_of(&app, &left).await)).await.expect(204);
    app.settle().await;
    let hr = company.hr.with_token(app.session(company.hr.id, Role::Hr, company.hr.company_id).await);
    let admin =
        company.admin.with_token(app.session(company.admin.id, Role::CompanyAdmin, company.admin.company_id).await);
    let revisions = "SELECT sum(last_rev)::bigint FROM app.conversations";
    let before = app.count(revisions).await;
    let sockets = Sockets::start();
    let mut tried = 0;
    for (namespace, events) in parsed(&document()).events {
        let enter = async |name: &str, token: &str| {
            let args = json!({"url": app.base, "namespace": namespace, "token": token, "transports": ["websocket"]});
            sockets.run("connect", name, args).await
        };
        assert_eq!(enter("nobody", "").await, json!({"error": "unauthenticated"}), "{namespace}");
        for (name, user) in [
            ("bob", &bob),
            ("left", &left),
            ("carol", &carol),
            ("other", &other),
            ("hr", &hr),
            ("admin", &admin),
            ("staff", &staff),
        ] {
            let has_sessions = matches!(name, "bob" | "left" | "carol" | "other");
            let answer = enter(name, &user.token).await;
            if namespace != "/notifications" && !has_sessions {
                assert_eq!(answer, json!({"error": "forbidden"}), "{name} in {namespace}");
                continue;
            }
            assert_eq!(answer, json!({"connected": true}), "{name} in {namespace}");
            let mut payloads = refusals(&id, &message, &dr, &alice.token);
            for event in &events.takes {
                let (data, code) =
                    payloads.remove(event.as_str()).unwrap_or_else(|| panic!("nobody says who may not {event}"));
                let code = match (event.as_str(), name) {
                    // free times are for employees of the network and for the platform
                    ("slots:watch", "bob" | "carol" | "staff") => "ok",
                    ("slots:watch", "left") => "not_covered",
                    ("slots:watch", "other") => "not_found",
                    _ => code,
                };
                let answer = sockets.ask(name, event, data).await;
                let told = if answer["ok"] == true { "ok" } else { answer["code"].as_str().unwrap() };
                assert_eq!(told, code, "{name} {event}: {answer}");
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
    assert_eq!(app.count(revisions).await, before);
    assert_eq!(app.count("SELECT count(*) FROM app.call_sessions").await, 0);
    app.settle().await;
}

#[tokio::test]
async fn whoever_loses_their_session_loses_their_sockets_everywhere_and_enters_no_more() {
    let (app, company, alice, dr) = scene().await;
    let node = app.second_node().await;
    let staff = app.platform_admin().await;
    let namespaces: Vec<String> = parsed(&document()).events.into_keys().collect();
    let sockets = Sockets::start();
    let enter = async |name: &str, base: &str, namespace: &str, token: &str| {
        let args = json!({"url": base, "namespace": namespace, "token": token, "transports": ["websocket"]});
        sockets.run("connect", name, args).await
    };
    let bystander = app.session(dr.id, Role::Practitioner, None).await;
    assert_eq!(enter("dr", &node.base, "/chat", &bystander).await, json!({"connected": true}));
    let changed = json!({"currentPassword": PASSWORD, "newPassword": "another password that nobody knows"});
    for (n, why) in ["a new password", "the end of all sessions", "suspension"].into_iter().enumerate() {
        let token = app.session(alice.id, Role::Employee, alice.company_id).await;
        let mut names = Vec::new();
        for (base, namespace) in
            [&app.base, &node.base].into_iter().flat_map(|it| namespaces.iter().map(move |to| (it, to)))
        {
            let name = format!("{n} {base} {namespace}");
            assert_eq!(enter(&name, base, namespace, &token).await, json!({"connected": true}), "{name}");
            names.push(name);
        }
        match why {
            "a new password" => {
                let elsewhere = alice.with_token(app.session(alice.id, Role::Employee, alice.company_id).await);
                elsewhere.post("/auth/change-password", changed.clone()).await.expect(204);
            }
            "the end of all sessions" => {
                let elsewhere = alice.with_token(app.session(alice.id, Role::Employee, alice.company_id).await);
                elsewhere.delete("/auth/sessions").await.expect(204);
            }
            _ => {
                staff.post(&format!("/admin/users/{}/suspend", alice.id), json!({})).await.expect(200);
            }
        }
        for name in &names {
            assert_eq!(sockets.ended(name).await["reason"], "io server disconnect", "{name}: {why}");
        }
        for namespace in &namespaces {
            let refused = enter("again", &node.base, namespace, &token).await;
            assert_eq!(refused, json!({"error": "unauthenticated"}), "{namespace}: {why}");
        }
    }
    assert_eq!(sockets.run("events", "dr", json!({})).await, json!([]));
    sockets.done("dr", "auth:refresh", json!({"token": bystander})).await;
    drop(company);
    app.settle().await;
}
