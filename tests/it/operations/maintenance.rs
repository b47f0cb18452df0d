//! Maintenance: nothing is changed, everything is read, staff go on.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Sockets, TestApp, User};

async fn switch(staff: &User, is_on: bool) -> Value {
    staff.put("/admin/maintenance", json!({"isOn": is_on, "retryAfterSeconds": 600})).await.expect(200).json
}

#[tokio::test]
async fn nothing_is_changed_while_the_platform_is_maintained() {
    let (app, company, alice, dr) = crate::consultations::scene().await;
    let staff = app.platform_admin().await;
    assert_eq!(
        staff.get("/admin/maintenance").await.expect(200).json,
        json!({"isOn": false, "retryAfterSeconds": 300})
    );
    let state = switch(&staff, true).await;
    assert!(state["since"].is_string() && state["isOn"] == true);
    // again is the same, since the same time
    assert_eq!(switch(&staff, true).await, state);

    for person in [&alice, &dr, &company.hr, &company.admin] {
        let refused =
            Answer::of(person.request(Method::PATCH, "/me").header("if-match", "*").json(&json!({"locale": "fr"})))
                .await;
        let refused = refused.refused(503, "maintenance");
        assert_eq!(refused.header("retry-after"), "600");
        person.get("/me").await.expect(200);
        person.get("/notifications").await.expect(200);
    }
    let french = alice.request(Method::POST, "/journal").header("accept-language", "fr").json(&json!({}));
    assert_eq!(Answer::of(french).await.refused(503, "maintenance").json["title"], "Maintenance");
    // who is not signed in comes in, and changes nothing either
    let login = json!({"email": alice.email, "password": crate::support::app::PASSWORD});
    app.anonymous().post("/auth/login", login).await.expect(200);
    app.anonymous().post("/auth/forgot-password", json!({"email": alice.email})).await.refused(503, "maintenance");
    // staff go on
    staff.post("/companies", json!({"name": "Hooli", "contract": {"startsOn": "2026-01-01", "endsOn": "2027-01-01", "sessionsPerEmployee": 6, "seats": 9}}))
        .await
        .expect(201);
    // it is no fault: balancers leave the node where it is
    let health = app.anonymous().get("//health/ready").await.expect(200);
    assert_eq!((&health.json["status"], &health.json["maintenance"]), (&json!("ok"), &json!(true)));
    assert_eq!(staff.get("/admin/overview").await.expect(200).json["maintenance"]["isOn"], true);

    switch(&staff, false).await;
    alice.patch("/me", json!({"locale": "fr"})).await.expect(200);
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM app.audit_logs WHERE object_type = 'maintenance' ORDER BY at, id")
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(actions, ["maintenance.begun", "maintenance.ended"]);
    for bad in [json!({"isOn": "yes"}), json!({"isOn": true, "retryAfterSeconds": 5}), json!({})] {
        staff.put("/admin/maintenance", bad).await.refused(422, "invalid");
    }
    alice.put("/admin/maintenance", json!({"isOn": true})).await.refused(403, "forbidden");
    app.settle().await;
}

/// A session that nobody is let into would be written down as missed, one that nobody can end as longer than it was.
#[tokio::test]
async fn sessions_are_joined_started_and_ended_meanwhile_and_nothing_else_is_done_to_them() {
    let (app, _, mut alice, mut dr) = crate::consultations::scene().await;
    let mut staff = app.platform_admin().await;
    let booked = crate::consultations::book_on(&alice, &dr, crate::consultations::in_days(&app, 3)).await;
    let later = crate::consultations::book_on(&alice, &dr, crate::consultations::in_days(&app, 4)).await;
    app.settle().await;
    sqlx::query("UPDATE app.consultations SET mode = 'chat'").execute(app.db()).await.unwrap();
    let starts = crate::consultations::instant(&booked.str("/startsAt"));
    let everybody = [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner), (&mut staff, Role::PlatformAdmin)];
    crate::consultations::at(&app, starts, everybody).await;
    switch(&staff, true).await;

    let path = |verb: &str| format!("/consultations/{}/{verb}", booked.str("/id"));
    for person in [&alice, &dr] {
        assert_eq!(person.post(&path("join"), json!({})).await.expect(200).json["kind"], "chat");
    }
    let other = format!("/consultations/{}", later.str("/id"));
    for (person, path, body) in [
        (&dr, path("no-show"), json!({})),
        (&dr, path("notes"), json!({"template": "free", "content": {"text": "Later."}})),
        (&alice, path("review"), json!({"rating": 5})),
        (&alice, format!("{other}/cancel"), json!({})),
        (&alice, format!("{other}/reschedule"), json!({"startsAt": later.str("/startsAt")})),
        (&dr, format!("{other}/confirm"), json!({})),
        (&alice, "/consultations".to_owned(), crate::consultations::wish(&dr, &later.str("/startsAt"))),
    ] {
        person.post(&path, body).await.refused(503, "maintenance");
    }
    assert_eq!(dr.post(&path("start"), json!({})).await.expect(200).json["status"], "in_progress");
    let until = starts + TimeDelta::minutes(25);
    crate::consultations::at(&app, until, [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner)]).await;
    assert_eq!(dr.post(&path("end"), json!({})).await.expect(200).json["status"], "completed");
    // what it may not be, it is still not: maintenance opens nothing
    alice.post(&path("start"), json!({})).await.refused(403, "forbidden");
    dr.post(&format!("{other}/join"), json!({})).await.refused(403, "not_open_yet");
    let minutes = "SELECT duration_minutes::bigint FROM app.consultations WHERE status = 'completed'";
    assert_eq!(app.count(minutes).await, 25);
    app.settle().await;
}

#[tokio::test]
async fn every_node_hears_of_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, staff) = (app.employee(&company).await, app.platform_admin().await);
    let other = app.second_node().await;
    let there = alice.at(&other.base);
    let change =
        || Answer::of(there.request(Method::PATCH, "/me").header("if-match", "*").json(&json!({"locale": "fr"})));
    change().await.expect(200);
    switch(&staff, true).await;
    let until = Instant::now() + Duration::from_secs(10);
    while change().await.status != 503 {
        assert!(Instant::now() < until, "the other node has not heard of it");
        tokio::task::yield_now().await;
    }
    switch(&staff, false).await;
    while change().await.status != 200 {
        assert!(Instant::now() < until, "the other node has not heard of its end");
        tokio::task::yield_now().await;
    }
}

/// Of a socket in maintenance: who is connected stays, who comes is let in, everybody goes on looking.
#[tokio::test]
async fn over_sockets_everything_is_looked_at_and_nothing_is_changed() {
    let (app, _, alice, dr) = crate::consultations::scene().await;
    let staff = app.platform_admin().await;
    let booked = crate::consultations::book_on(&alice, &dr, crate::consultations::in_days(&app, 3)).await;
    app.settle().await;
    let other = app.second_node().await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": booked.str("/id")});
    let enter = async |name: &str, base: &str, namespace: &str, user: &User| {
        let args = json!({"url": base, "namespace": namespace, "token": user.token, "transports": ["websocket"]});
        assert_eq!(sockets.run("connect", name, args).await, json!({"connected": true}), "{name}");
    };
    enter("alice", &app.base, "/chat", &alice).await;
    enter("dr", &other.base, "/chat", &dr).await;
    for name in ["alice", "dr"] {
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    let text = json!({"conversationId": booked.str("/id"), "clientId": uuid::Uuid::new_v4(), "body": "Before."});
    sockets.done("alice", "message:send", text).await;
    assert_eq!(sockets.take("dr", "message:new").await["body"], "Before.");

    switch(&staff, true).await;
    let during = json!({"conversationId": booked.str("/id"), "clientId": uuid::Uuid::new_v4(), "body": "During."});
    for (name, event, data) in [
        ("alice", "message:send", during.clone()),
        ("alice", "message:edit", json!({"id": uuid::Uuid::new_v4(), "body": "Other."})),
    ] {
        let refused = sockets.ask(name, event, data).await;
        assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("maintenance")), "{event}: {refused}");
    }
    // the other node hears of it by itself
    let until = Instant::now() + Duration::from_secs(10);
    let read = json!({"conversationId": booked.str("/id"), "seq": 1});
    while sockets.ask("dr", "message:read", read.clone()).await["code"] != "maintenance" {
        assert!(Instant::now() < until, "the other node has not heard of it");
    }
    // that it has arrived is no change of anybody's making
    let arrived = json!({"conversationId": booked.str("/id"), "seq": 1, "state": "delivered"});
    assert_eq!(sockets.done("dr", "message:read", arrived).await["deliveredSeq"], 1);
    // looking goes on, on the sockets that are there and on new ones
    enter("again", &app.base, "/chat", &alice).await;
    for name in ["alice", "again", "dr"] {
        sockets.done(name, "conversation:join", about.clone()).await;
        let sync = json!({"conversationId": booked.str("/id"), "afterRev": 0});
        assert_eq!(sockets.done(name, "sync", sync).await["items"][0]["body"], "Before.");
        sockets.done(name, "typing:start", about.clone()).await;
    }
    enter("list", &app.base, "/notifications", &alice).await;
    assert!(sockets.take("list", "unread:count").await["unreadCount"].is_i64());
    sockets.done("list", "slots:watch", json!({"practitionerId": dr.id})).await;
    // nobody rings; whoever is in a call hangs up
    enter("phone", &app.base, "/audio-call", &alice).await;
    let refused = sockets.ask("phone", "call:ring", json!({"consultationId": booked.str("/id")})).await;
    assert_eq!(refused["code"], "maintenance", "{refused}");
    let ended = sockets.ask("phone", "call:hangup", json!({"consultationId": booked.str("/id")})).await;
    assert_ne!(ended["code"], "maintenance", "{ended}");
    let kept = "SELECT count(*) FROM app.messages";
    let before = app.count(kept).await;

    switch(&staff, false).await;
    let sent = sockets.done("alice", "message:send", during).await;
    assert_eq!(sent["message"]["body"], "During.");
    assert_eq!(app.count(kept).await, before + 1, "the same message, once");
    assert_eq!(sockets.take("dr", "message:new").await["body"], "During.");
    app.settle().await;
}
