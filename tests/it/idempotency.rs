//! Repeated requests: what is kept for them, how, and for how long.

use huntzen::platform::jobs::{Job, Queue};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, User};

#[derive(Serialize, Deserialize)]
struct PurgeAnswers {}

impl Job for PurgeAnswers {
    const KIND: &'static str = "jobs.purge_answers";
    const QUEUE: Queue = Queue::Maintenance;
}

async fn hire(hr: &User, key: &str, email: &str) -> Answer {
    let body = json!({"email": email, "firstName": "Zoé", "lastName": "Martinet"});
    Answer::of(hr.request(Method::POST, "/employees").header("idempotency-key", key).json(&body)).await
}

#[tokio::test]
async fn what_is_kept_for_a_repetition_tells_nobody_else_anything() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let first = hire(&company.hr, "key-of-the-client", "zoe@acme.test").await.expect(201);
    assert_eq!(hire(&company.hr, "key-of-the-client", "zoe@acme.test").await.expect(201).json, first.json);
    hire(&company.hr, "key-of-the-client", "zoe2@acme.test").await.refused(422, "idempotency_mismatch");
    // somebody else's key of the same name is another key
    hire(&company.admin, "key-of-the-client", "zoe3@acme.test").await.expect(201);

    let kept: Vec<Value> =
        sqlx::query_scalar("SELECT to_jsonb(k) FROM app.idempotency_keys k").fetch_all(app.db()).await.unwrap();
    assert_eq!(kept.len(), 2);
    for row in kept {
        let text = row.to_string().to_lowercase();
        for secret in ["zoé", "martinet", "acme.test", "key-of-the-client", &first.str("/id")] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(row["answer"].as_str().is_some_and(|sealed| sealed.len() > 200));
    }
    app.settle().await;
}

#[tokio::test]
async fn what_is_kept_for_a_repetition_is_gone_after_a_day() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    for key in ["old", "new"] {
        hire(&company.hr, key, &format!("{key}@acme.test")).await.expect(201);
    }
    sqlx::query("UPDATE app.idempotency_keys SET created_at = now() - interval '25 hours' WHERE ctid = (SELECT min(ctid) FROM app.idempotency_keys)")
        .execute(app.db())
        .await
        .unwrap();
    app.enqueue(&PurgeAnswers {}).await;
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.idempotency_keys").await, 1);
    // the key serves again
    hire(&company.hr, "old", "another@acme.test").await.expect(201);
    hire(&company.hr, "new", "new@acme.test").await.expect(201);
    app.settle().await;
}

async fn again(user: &User, path: &str, key: &str) -> Answer {
    Answer::of(user.request(Method::POST, path).header("idempotency-key", key).json(&json!({}))).await
}

/// Whatever became of it since.
#[tokio::test]
async fn what_staff_send_again_is_answered_as_the_first_time() {
    let app = TestApp::start().await;
    let (staff, other, doctor) = (app.platform_admin().await, app.platform_admin().await, app.practitioner().await);
    let user = format!("/admin/users/{}", other.id);
    let suspended = again(&staff, &format!("{user}/suspend"), "one").await.expect(200);
    let activated = again(&staff, &format!("{user}/activate"), "two").await.expect(200);
    assert_eq!((suspended.str("/status"), activated.str("/status")), ("suspended".into(), "active".into()));
    assert_eq!(again(&staff, &format!("{user}/suspend"), "one").await.expect(200).json, suspended.json);
    again(&staff, &format!("{user}/activate"), "one").await.refused(422, "idempotency_mismatch");
    assert_eq!(staff.get("/admin/users?status=suspended").await.expect(200).json["items"], json!([]));

    let path = format!("/practitioners/{}", doctor.id);
    let deactivated = again(&staff, &format!("{path}/deactivate"), "three").await.expect(200);
    staff.post(&format!("{path}/reactivate"), json!({})).await.expect(200);
    assert_eq!(again(&staff, &format!("{path}/deactivate"), "three").await.expect(200).json, deactivated.json);
    again(&staff, &format!("{path}/deactivate?cancelSessions=true"), "three")
        .await
        .refused(422, "idempotency_mismatch");
    assert_eq!(staff.get(&path).await.expect(200).str("/status"), "active");
}
