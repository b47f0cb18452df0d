//! Agreeing, taking back, being asked again; the notice.

use huntzen::domain::identity::model::{PRIVACY_NOTICE_VERSION, TERMS_VERSION};

use super::*;
use crate::support::app::PASSWORD;

async fn standing(user: &User, document: &str) -> Value {
    let all = user.get("/privacy/consents").await.expect(200);
    let found = all.json["documents"].as_array().unwrap().iter().find(|it| it["document"] == document).cloned();
    found.unwrap()
}

async fn decide(user: &User, document: &str, version: &str, decision: &str) -> Answer {
    user.post("/privacy/consents", json!({"document": document, "version": version, "decision": decision})).await
}

#[tokio::test]
async fn decisions_are_kept_with_version_and_time_and_can_be_taken_back() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let none = alice.get("/privacy/consents").await.expect(200);
    assert_eq!(none.json["items"], json!([]));
    assert_eq!(none.json.get("counts"), None);
    assert_eq!(standing(&alice, "surveys").await["standing"], "none");

    let version = standing(&alice, "surveys").await["version"].as_str().unwrap().to_owned();
    assert_eq!(decide(&alice, "surveys", &version, "accepted").await.expect(200).json["standing"], "accepted");
    // again changes nothing
    decide(&alice, "surveys", &version, "accepted").await.expect(200);
    assert_eq!(decide(&alice, "surveys", &version, "withdrawn").await.expect(200).json["standing"], "withdrawn");
    decide(&alice, "surveys", &version, "withdrawn").await.expect(200);
    // nothing to take back
    assert_eq!(decide(&alice, "news", &version, "withdrawn").await.expect(200).json["standing"], "none");
    let history = alice.get("/privacy/consents?limit=1").await.expect(200);
    assert_eq!(history.json["items"][0]["decision"], "withdrawn");
    let next = alice.get(&format!("/privacy/consents?limit=1&cursor={}", history.str("/nextCursor"))).await.expect(200);
    assert_eq!(next.json["items"][0]["decision"], "accepted");
    assert_eq!(next.json.get("nextCursor"), None);

    let refused = decide(&alice, "terms", "1999-01", "accepted").await.refused(409, "consent_outdated");
    assert_eq!(refused.json["currentVersion"], TERMS_VERSION);
    decide(&alice, "terms", TERMS_VERSION, "withdrawn").await.refused(409, "consent_needed");
    decide(&alice, "everything", "1", "accepted").await.refused(422, "invalid");
    for change in ["UPDATE app.consents SET version = 'x'", "DELETE FROM app.consents", "TRUNCATE app.consents"] {
        let error = sqlx::query(change).execute(app.db()).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().constraint(), Some("consents_append_only"), "{change}");
    }
}

#[tokio::test]
async fn accepting_an_invitation_agrees_to_the_terms_and_a_new_version_asks_again() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    company
        .hr
        .post("/employees", json!({"email": "new@acme.test", "firstName": "Nina", "lastName": "Petit"}))
        .await
        .expect(201);
    app.settle().await;
    let mail = app.mails_to("new@acme.test").remove(0);
    let text = mail.text.unwrap();
    let token = text.split("#token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let body = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
    let accepted = app.anonymous().post("/auth/accept-invitation", body).await.expect(200);
    let nina = app.anonymous().with_token(accepted.str("/accessToken"));
    assert_eq!(standing(&nina, "terms").await["standing"], "accepted");
    assert_eq!(nina.get("/me").await.expect(200).json["consentsDue"], json!(["privacy_notice"]));
    decide(&nina, "privacy_notice", PRIVACY_NOTICE_VERSION, "accepted").await.expect(200);
    assert_eq!(nina.get("/me").await.expect(200).json["consentsDue"], json!([]));

    // as if these were the terms of years ago
    sqlx::query("SELECT app.add_consent($1::uuid, 'terms', '2020-01', 'accepted', now())")
        .bind(Uuid::parse_str(&accepted.str("/user/id")).unwrap())
        .execute(app.db())
        .await
        .unwrap();
    assert_eq!(standing(&nina, "terms").await["standing"], "outdated");
    assert_eq!(nina.get("/me").await.expect(200).json["consentsDue"], json!(["terms"]));
    // nothing is held back meanwhile
    nina.get("/practitioners").await.expect(200);
    decide(&nina, "terms", TERMS_VERSION, "accepted").await.expect(200);
    assert_eq!(nina.get("/me").await.expect(200).json["consentsDue"], json!([]));

    let staff = app.platform_admin().await;
    let counted = staff.get("/privacy/consents").await.expect(200);
    let counts = counted.json["counts"].as_array().unwrap();
    assert!(
        counts.contains(&json!({"document": "terms", "version": TERMS_VERSION, "accepted": 1, "withdrawn": 0})),
        "{counts:?}"
    );
    assert!(!counted.text().contains(&accepted.str("/user/id")));
    app.settle().await;
}

#[tokio::test]
async fn decisions_made_at_once_are_in_an_order_and_bounded() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let version = standing(&alice, "news").await["version"].as_str().unwrap().to_owned();
    let all = (0..8).map(|n| decide(&alice, "news", &version, ["accepted", "withdrawn"][n % 2]));
    for answer in futures_util::future::join_all(all).await {
        answer.expect(200);
    }
    let places: Vec<i32> = sqlx::query_scalar("SELECT place FROM app.consents WHERE user_id = $1 ORDER BY place")
        .bind(alice.id)
        .fetch_all(app.db())
        .await
        .unwrap();
    assert_eq!(places, (1..=i32::try_from(places.len()).unwrap()).collect::<Vec<_>>());
    sqlx::query(
        "INSERT INTO app.consents (user_id, place, document, version, decision, decided_at)
         VALUES ($1, 1000, 'surveys', '2026-01', 'accepted', now())",
    )
    .bind(alice.id)
    .execute(app.db())
    .await
    .unwrap();
    decide(&alice, "surveys", &version, "accepted").await.refused(409, "consents_full");
}

#[tokio::test]
async fn the_notice_is_for_everybody_in_both_languages_with_the_durations_in_force() {
    let app = TestApp::start_with(|name| match name {
        "PRIVACY_CONTROLLER" => Some("HuntZen SAS, 1 rue de la Paix, Paris".into()),
        "PRIVACY_CONTACT" => Some("privacy@care.test".into()),
        _ => None,
    })
    .await;
    sqlx::query("UPDATE app.retention_rules SET years = NULL, days = 700 WHERE record = 'audit_entry'")
        .execute(app.db())
        .await
        .unwrap();
    let read = async |language: &str| {
        let request = app.anonymous().request(Method::GET, "/privacy/notice").header("accept-language", language);
        Answer::of(request).await.expect(200)
    };
    let (fr, en) = (read("fr").await, read("en").await);
    assert_eq!((fr.str("/locale"), en.str("/locale")), ("fr".into(), "en".into()));
    assert_ne!(fr.str("/introduction"), en.str("/introduction"));
    assert_eq!(en.str("/contact/controller"), "HuntZen SAS, 1 rue de la Paix, Paris");
    assert_eq!(en.str("/contact/contact"), "privacy@care.test");
    assert_eq!(en.str("/version"), PRIVACY_NOTICE_VERSION);
    let of = |record: &str| {
        let all = en.json["durations"].as_array().unwrap().clone();
        all.into_iter().find(|it| it["record"] == record && it.get("profession").is_none()).unwrap()
    };
    assert_eq!(of("clinical_note")["words"], "20 years");
    assert_eq!(of("audit_entry")["days"], 700);
    // what the table says is what is shown
    sqlx::query("UPDATE app.retention_rules SET days = 90 WHERE record = 'notification_read'")
        .execute(app.db())
        .await
        .unwrap();
    let en = read("en").await;
    let all = en.json["durations"].as_array().unwrap();
    assert!(all.iter().any(|it| it["record"] == "notification_read" && it["days"] == 90));
    for it in en.json["data"].as_array().unwrap() {
        for record in it["records"].as_array().unwrap() {
            assert!(all.iter().any(|duration| duration["record"] == *record), "{record}");
        }
    }
}
