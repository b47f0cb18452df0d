//! Maintenance: nothing is changed, everything is read, staff go on.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consultations::{book_on, in_days};
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

#[tokio::test]
async fn over_sockets_reading_goes_on_and_writing_waits() {
    let (app, _, alice, dr) = crate::consultations::scene().await;
    let about = json!({"conversationId": book_on(&alice, &dr, in_days(&app, 3)).await.str("/id")});
    app.settle().await;
    let sockets = Sockets::start();
    sockets.connect("alice", &app.base, &alice.token).await;
    let staff = app.platform_admin().await;
    switch(&staff, true).await;
    let with = |more: Value| {
        let mut data = about.clone();
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    sockets.done("alice", "conversation:join", about.clone()).await;
    sockets.done("alice", "sync", with(json!({"afterRev": 0}))).await;
    sockets.done("alice", "typing:start", about.clone()).await;
    let says = with(json!({"clientId": Uuid::new_v4(), "body": "Now?"}));
    for (event, data) in [("message:send", says.clone()), ("message:read", with(json!({"seq": 1})))] {
        let refused = sockets.ask("alice", event, data).await;
        assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("maintenance")), "{event}: {refused}");
    }
    switch(&staff, false).await;
    sockets.done("alice", "message:send", says).await;
    app.settle().await;
}
