//! Who is let into the networks: verified, deactivated, reactivated.

use serde_json::{Value, json};

use crate::support::{TestApp, User};

/// A practitioner whom nobody has verified.
async fn newcomer(app: &TestApp) -> User {
    let user = app.practitioner().await;
    sqlx::query(
        "UPDATE app.practitioners SET status = 'unverified', verified_at = NULL, verified_checks = '{}' WHERE id = $1",
    )
    .bind(user.id)
    .execute(app.db())
    .await
    .unwrap();
    user
}

fn path(user: &User, what: &str) -> String {
    format!("/practitioners/{}{what}", user.id)
}

async fn listed(user: &User) -> usize {
    user.get("/practitioners").await.expect(200).json["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn nobody_finds_or_books_whom_the_platform_has_not_verified() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, admin, martin) = (app.employee(&company).await, app.platform_admin().await, newcomer(&app).await);
    for user in [&alice, &company.hr, &company.admin] {
        assert_eq!(listed(user).await, 0);
        user.get(&path(&martin, "")).await.refused(404, "not_found");
    }
    alice.get(&path(&martin, "/slots")).await.refused(404, "not_found");
    let at = (app.clock.now() + chrono::TimeDelta::days(3)).date_naive().and_hms_opt(12, 0, 0).unwrap().and_utc();
    let body = json!({"practitionerId": martin.id, "startsAt": at, "durationMinutes": 60, "mode": "video"});
    alice.post("/consultations", body.clone()).await.refused(404, "not_found");
    // the platform finds them, and they themselves prepare their practice
    let found = admin.get("/practitioners?status=unverified").await.expect(200);
    assert_eq!(
        (&found.json["items"][0]["id"], &found.json["items"][0]["status"]),
        (&json!(martin.id), &json!("unverified"))
    );
    assert_eq!(admin.get("/practitioners?status=active").await.expect(200).json["items"], json!([]));
    let own = martin.get(&path(&martin, "")).await.expect(200);
    assert_eq!((&own.json["status"], own.json.get("verification")), (&json!("unverified"), None));

    let checks = json!({"checks": ["identity", "diploma"]});
    let verified = admin.post(&path(&martin, "/verify"), checks).await.expect(200);
    assert_eq!(verified.json["status"], "active");
    assert_eq!(verified.json["verification"]["checks"], json!(["identity", "diploma"]));
    assert_eq!(verified.json["verification"]["verifiedBy"], json!(admin.id));
    let own = martin.get(&path(&martin, "")).await.expect(200);
    assert!(own.json["verification"]["verifiedAt"].is_string() && own.json["verification"].get("verifiedBy").is_none());
    let seen = alice.get(&path(&martin, "")).await.expect(200);
    assert!(seen.json.get("verification").is_none());
    assert_eq!(listed(&alice).await, 1);
    alice.post("/consultations", body).await.expect(201);
    app.settle().await;
    let log: Value = sqlx::query_scalar("SELECT details FROM app.audit_logs WHERE action = 'practitioner.verified'")
        .fetch_one(app.db())
        .await
        .unwrap();
    assert_eq!(log, json!({"of": ["identity", "diploma"]}));
}

#[tokio::test]
async fn only_what_is_there_can_have_been_checked_and_only_by_the_platform() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (admin, martin) = (app.platform_admin().await, newcomer(&app).await);
    let refused =
        admin.post(&path(&martin, "/verify"), json!({"checks": ["identity", "rpps", "adeli", "earlier"]})).await;
    let refused = refused.refused(422, "invalid");
    let pointers: Vec<_> = refused.json["errors"].as_array().unwrap().iter().map(|it| it["pointer"].clone()).collect();
    assert_eq!(pointers, [json!("/checks/1"), json!("/checks/2"), json!("/checks/3")]);
    for body in [json!({"checks": []}), json!({}), json!({"checks": ["magic"]}), json!({"checks": ["rpps", "rpps"]})] {
        admin.post(&path(&martin, "/verify"), body).await.refused(422, "invalid");
    }
    let body = json!({"checks": ["identity"]});
    for user in [&martin, &company.admin, &company.hr, &app.employee(&company).await] {
        user.post(&path(&martin, "/verify"), body.clone()).await.refused(403, "forbidden");
        user.post(&path(&martin, "/deactivate"), json!({})).await.refused(403, "forbidden");
        user.post(&path(&martin, "/reactivate"), json!({})).await.refused(403, "forbidden");
    }
    admin.post(&format!("/practitioners/{}/verify", admin.id), body).await.refused(404, "not_found");
    assert_eq!(app.count("SELECT count(*) FROM app.practitioners WHERE status = 'active'").await, 0);
    // whatever the program forgets
    let forced = sqlx::query("UPDATE app.practitioners SET status = 'active'").execute(app.db()).await;
    assert!(forced.unwrap_err().to_string().contains("practitioners_verified"));
}

async fn book(app: &TestApp, alice: &User, martin: &User, days: i64) -> String {
    let at = (app.clock.now() + chrono::TimeDelta::days(days)).date_naive().and_hms_opt(12, 0, 0).unwrap().and_utc();
    let body = json!({"practitionerId": martin.id, "startsAt": at, "durationMinutes": 60, "mode": "video"});
    let id = alice.post("/consultations", body).await.expect(201).str("/id");
    app.settle().await;
    id
}

#[tokio::test]
async fn who_is_deactivated_keeps_what_is_booked_unless_the_platform_cancels_it() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let (alice, carol) = (app.employee(&acme).await, app.employee(&globex).await);
    let (admin, martin, durand) = (app.platform_admin().await, app.practitioner().await, app.practitioner().await);
    let (first, second) = (book(&app, &alice, &martin, 3).await, book(&app, &carol, &martin, 4).await);
    let other = book(&app, &alice, &durand, 5).await;

    let kept = admin.post(&path(&martin, "/deactivate"), json!({})).await.expect(200);
    assert_eq!(kept.json, json!({"status": "inactive", "sessionsAhead": 2, "cancelling": false}));
    app.settle().await;
    assert_eq!(listed(&alice).await, 1);
    alice.get(&path(&martin, "/slots")).await.refused(404, "not_found");
    let status = async |person: &User, id: &str| {
        person.get(&format!("/consultations/{id}")).await.expect(200).json["status"].clone()
    };
    assert_eq!(status(&alice, &first).await, "confirmed");
    let mails = app.mails().len();

    let cancelled = admin.post(&path(&martin, "/deactivate?cancelSessions=true"), json!({})).await.expect(200);
    assert_eq!(cancelled.json, json!({"status": "inactive", "sessionsAhead": 2, "cancelling": true}));
    app.settle().await;
    assert_eq!((status(&alice, &first).await, status(&carol, &second).await), (json!("cancelled"), json!("cancelled")));
    assert_eq!(status(&alice, &other).await, "confirmed");
    assert_eq!(app.mails().len() - mails, 4, "both people of each are told");
    let again = admin.post(&path(&martin, "/deactivate?cancelSessions=true"), json!({})).await.expect(200);
    assert_eq!(again.json, json!({"status": "inactive", "sessionsAhead": 0, "cancelling": false}));

    let back = admin.post(&path(&martin, "/reactivate"), json!({})).await.expect(200);
    assert_eq!(back.json["status"], "active");
    assert_eq!(listed(&alice).await, 2);
    assert_eq!(status(&alice, &first).await, "cancelled");
    admin.post(&path(&martin, "/reactivate"), json!({})).await.expect(200);
    app.settle().await;
    let actions: Vec<String> = sqlx::query_scalar(
        "SELECT action || ' ' || details::text FROM app.audit_logs
         WHERE action LIKE 'practitioner.%activated' ORDER BY at, id",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    assert_eq!(
        actions,
        [
            r#"practitioner.deactivated {"mode": "keep_sessions", "sessions": 2}"#,
            r#"practitioner.deactivated {"mode": "cancel_sessions", "sessions": 2}"#,
            "practitioner.reactivated {}",
        ]
    );
}

#[tokio::test]
async fn who_was_never_verified_waits_for_it_after_a_reactivation() {
    let app = TestApp::start().await;
    let (admin, martin) = (app.platform_admin().await, newcomer(&app).await);
    admin.post(&path(&martin, "/deactivate"), json!({})).await.expect(200);
    let back = admin.post(&path(&martin, "/reactivate"), json!({})).await.expect(200);
    assert_eq!(back.json["status"], "unverified");
    admin.post(&path(&martin, "/deactivate"), json!({})).await.expect(200);
    let verified = admin.post(&path(&martin, "/verify"), json!({"checks": ["identity"]})).await.expect(200);
    assert_eq!(verified.json["status"], "inactive", "verified, and still inactive");
    let back = admin.post(&path(&martin, "/reactivate"), json!({})).await.expect(200);
    assert_eq!(back.json["status"], "active");
}
