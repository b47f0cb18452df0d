//! Who is let into the networks: verified, deactivated, reactivated.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, User};

/// A coach, in no register, whom nobody has verified.
async fn newcomer(app: &TestApp) -> User {
    let user = app.practitioner().await;
    for sql in [
        "UPDATE app.practitioners
         SET status = 'unverified', verified_at = NULL, verified_checks = '{}', adeli = NULL WHERE id = $1",
        "UPDATE app.practitioner_specialties SET specialty = 'coaching' WHERE practitioner_id = $1",
    ] {
        sqlx::query(sql).bind(user.id).execute(app.db()).await.unwrap();
    }
    user
}

/// The pointers and codes of a refused body.
fn faults(answer: &Answer) -> Vec<(String, String)> {
    let errors = answer.json["errors"].as_array().unwrap().iter();
    errors.map(|it| (it["pointer"].as_str().unwrap().into(), it["code"].as_str().unwrap().into())).collect()
}

fn fault(pointer: &str, code: &str) -> (String, String) {
    (pointer.to_owned(), code.to_owned())
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

#[tokio::test]
async fn whoever_is_verified_stays_what_was_verified() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (admin, martin, alice) = (app.platform_admin().await, newcomer(&app).await, app.employee(&company).await);
    let at = path(&martin, "");
    let patch = async |who: &User, body: Value| {
        Answer::of(who.request(Method::PATCH, &at).header("if-match", "*").json(&body)).await
    };
    // until then it is their own affair
    let own =
        patch(&martin, json!({"displayName": "Max Martin", "specialties": ["coaching", "sleep"]})).await.expect(200);
    assert_eq!(
        (&own.json["displayName"], &own.json["specialties"]),
        (&json!("Max Martin"), &json!(["coaching", "sleep"]))
    );
    admin.post(&path(&martin, "/verify"), json!({"checks": ["identity"]})).await.expect(200);

    let both = json!({"displayName": "Dr Martin", "specialties": ["psychology", "coaching", "sleep"]});
    let refused = patch(&martin, both.clone()).await.refused(422, "invalid");
    assert_eq!(
        faults(&refused),
        [fault("/displayName", "reserved_for_platform"), fault("/specialties", "reserved_for_platform")]
    );
    // the order says what they are counted under
    let refused = patch(&martin, json!({"specialties": ["sleep", "coaching"]})).await.refused(422, "invalid");
    assert_eq!(faults(&refused), [fault("/specialties", "reserved_for_platform")]);
    // what stays the same may be sent along
    let same = json!({"displayName": " Max  Martin ", "specialties": ["coaching", "sleep"], "languages": ["es"]});
    assert_eq!(patch(&martin, same).await.expect(200).json["languages"], json!(["es"]));
    assert_eq!(
        alice.get("/practitioners?specialty=psychology").await.expect(200).json["items"],
        json!([]),
        "nobody finds a coach as a psychologist"
    );

    // nor does the platform make a psychologist of them without a register
    let refused = patch(&admin, both.clone()).await.refused(422, "invalid");
    assert_eq!(faults(&refused), [fault("/specialties", "register_needed")]);
    patch(&admin, json!({"displayName": "Maxime Martin", "specialties": ["nutrition"]})).await.expect(200);
    patch(&admin, json!({"rpps": "10003456786"})).await.expect(200);
    admin.post(&path(&martin, "/verify"), json!({"checks": ["identity", "rpps"]})).await.expect(200);
    let changed = patch(&admin, both).await.expect(200);
    assert_eq!(changed.json["specialties"], json!(["psychology", "coaching", "sleep"]));
    assert_eq!(changed.json["displayName"], "Dr Martin");
}

#[tokio::test]
async fn a_registered_profession_is_verified_by_its_register() {
    let app = TestApp::start().await;
    let (admin, martin) = (app.platform_admin().await, newcomer(&app).await);
    let looked = async |checks: &[&str]| admin.post(&path(&martin, "/verify"), json!({ "checks": checks })).await;
    let patch = async |body: Value| {
        Answer::of(admin.request(Method::PATCH, &path(&martin, "")).header("if-match", "*").json(&body)).await
    };
    for profession in ["psychology", "physiotherapy"] {
        patch(json!({"specialties": ["coaching", profession]})).await.expect(200);
        let refused = looked(&["identity", "diploma", "insurance"]).await.refused(422, "invalid");
        assert_eq!(faults(&refused), [fault("/checks", "register_needed")], "{profession}");
    }
    // whatever the program forgets
    let forced = "UPDATE app.practitioners SET verified_at = now(), verified_checks = '{identity}'";
    let forced = sqlx::query(forced).execute(app.db()).await.unwrap_err();
    assert!(forced.to_string().contains("without its register"), "{forced}");
    let forced = "UPDATE app.practitioners SET verified_at = now(), verified_checks = '{rpps}'";
    let forced = sqlx::query(forced).execute(app.db()).await.unwrap_err();
    assert!(forced.to_string().contains("practitioners_checked_rpps"), "{forced}");

    // nobody is verified as what they made of themselves since they were looked at
    let seen = admin.get(&path(&martin, "")).await.expect(200).header("etag").to_owned();
    let own = martin.request(Method::PATCH, &path(&martin, "")).header("if-match", &seen);
    Answer::of(own.json(&json!({"displayName": "Professor"}))).await.expect(200);
    let verify = admin.request(Method::POST, &path(&martin, "/verify")).header("if-match", &seen);
    Answer::of(verify.json(&json!({"checks": ["identity"]}))).await.refused(412, "stale");

    patch(json!({"adeli": "759300001"})).await.expect(200);
    let verified = looked(&["identity", "adeli"]).await.expect(200);
    assert_eq!(verified.json["status"], "active");
}

#[tokio::test]
async fn a_number_can_be_taken_away_that_no_verification_rests_on() {
    let app = TestApp::start().await;
    let (admin, martin) = (app.platform_admin().await, newcomer(&app).await);
    let patch = async |who: &User, body: Value| {
        Answer::of(who.request(Method::PATCH, &path(&martin, "")).header("if-match", "*").json(&body)).await
    };
    patch(&admin, json!({"rpps": "10003456786", "adeli": "759300001"})).await.expect(200);
    admin.post(&path(&martin, "/verify"), json!({"checks": ["identity", "rpps"]})).await.expect(200);
    let refused = patch(&martin, json!({"adeli": null})).await.refused(422, "invalid");
    assert_eq!(faults(&refused), [fault("/adeli", "reserved_for_platform")]);
    let left = patch(&admin, json!({"adeli": null})).await.expect(200);
    assert_eq!((left.json.get("adeli"), &left.json["rpps"]), (None, &json!("10003456786")));
    let refused = patch(&admin, json!({"rpps": null})).await.refused(422, "invalid");
    assert_eq!(faults(&refused), [fault("/rpps", "verified_with_it")]);
    patch(&admin, json!({"rpps": "10101010103"})).await.refused(422, "invalid");
    admin.post(&path(&martin, "/verify"), json!({"checks": ["identity"]})).await.expect(200);
    let left = patch(&admin, json!({"rpps": null, "adeli": null, "languages": ["fr"]})).await.expect(200);
    assert_eq!((left.json.get("adeli"), left.json.get("rpps")), (None, None));
    // what is not named stays
    patch(&admin, json!({"rpps": "10003456786"})).await.expect(200);
    assert_eq!(patch(&admin, json!({"languages": ["en"]})).await.expect(200).json["rpps"], "10003456786");
}
