//! What employees say of sessions: who writes, who reads, who moderates, and that nobody learns who said it.

mod moderation;
mod rating;
mod verdicts;

use huntzen::platform::db::DbRole;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Company, TestApp, User};

const HELD: [&str; 3] = ["confirmed", "in_progress", "completed"];

/// A session of the past that came so far.
pub async fn session(app: &TestApp, user: &User, dr: &User, status: &str) -> Uuid {
    let id: Uuid = app.platform.new_id();
    let hours = app.count("SELECT count(*) FROM app.consultations").await + 24;
    sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                                        busy_until, specialty)
         SELECT $1, $2, $3, $4, 'video', 'confirmed', at, at + interval '30 minutes', at, at + interval '30 minutes', 'psychology'
         FROM (SELECT date_trunc('hour', now()) - make_interval(hours => $5::int) AS at) it",
    )
    .bind(id)
    .bind(user.company_id)
    .bind(user.id)
    .bind(dr.id)
    .bind(i32::try_from(hours).unwrap())
    .execute(app.db())
    .await
    .unwrap();
    for next in HELD.iter().skip(1).take(HELD.iter().position(|it| *it == status).unwrap()) {
        sqlx::query("UPDATE app.consultations SET status = $2 WHERE id = $1")
            .bind(id)
            .bind(next)
            .execute(app.db())
            .await
            .unwrap();
    }
    id
}

pub async fn write(app: &TestApp, user: &User, dr: &User, rating: u8, text: &str) -> Uuid {
    let id = session(app, user, dr, "completed").await;
    user.post(&format!("/consultations/{id}/review"), json!({"rating": rating, "text": text})).await.expect(201);
    id
}

/// The reviews that wait, as staff see them.
pub async fn waiting(staff: &User) -> Vec<Value> {
    staff.get("/admin/reviews").await.expect(200).json["items"].as_array().unwrap().clone()
}

pub async fn decide(staff: &User, review: &Value, verdict: &str, body: Value) -> Answer {
    let request = staff
        .request(Method::POST, &format!("/admin/reviews/{}/{verdict}", review["id"].as_str().unwrap()))
        .header("if-match", format!("\"{}\"", review["version"]))
        .json(&body);
    Answer::of(request).await
}

/// Publishes all that waits.
pub async fn publish_all(staff: &User) {
    for review in waiting(staff).await {
        decide(staff, &review, "publish", json!({})).await.expect(200);
    }
}

pub async fn scene() -> (TestApp, Company, User, User, User) {
    let (app, company, alice, dr) = crate::consultations::scene().await;
    let staff = app.platform_admin().await;
    (app, company, alice, dr, staff)
}

async fn shown(user: &User, dr: &User) -> Vec<Value> {
    user.get(&format!("/practitioners/{}/reviews", dr.id)).await.expect(200).json["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_session_that_was_held_is_reviewed_once_by_who_was_in_it() {
    let (app, company, alice, dr, staff) = scene().await;
    let body = json!({"rating": 5, "text": "I was listened to."});
    for status in ["confirmed", "in_progress"] {
        let id = session(&app, &alice, &dr, status).await;
        alice.post(&format!("/consultations/{id}/review"), body.clone()).await.refused(409, "session_not_held");
        alice.get(&format!("/consultations/{id}/review")).await.refused(404, "not_found");
    }
    let id = session(&app, &alice, &dr, "completed").await;
    let path = format!("/consultations/{id}/review");
    let bob = app.employee(&company).await;
    bob.post(&path, body.clone()).await.refused(404, "not_found");
    alice.post(&format!("/consultations/{}/review", Uuid::new_v4()), body.clone()).await.refused(404, "not_found");
    for other in [&dr, &company.hr, &company.admin, &staff] {
        other.post(&path, body.clone()).await.refused(403, "forbidden");
        other.get(&path).await.refused(403, "forbidden");
    }
    let written = alice.post(&path, body.clone()).await.expect(201);
    assert_eq!((&written.json["status"], &written.json["rating"]), (&json!("pending"), &json!(5)));
    assert_eq!(written.str("/text"), "I was listened to.");
    alice.post(&path, body.clone()).await.refused(409, "review_exists");
    assert_eq!(alice.get(&path).await.expect(200).json, written.json);
    bob.get(&path).await.refused(404, "not_found");
    bob.delete(&path).await.refused(404, "not_found");

    // nobody reads it before a moderator did, and nobody finds the words in the database
    for reader in [&alice, &bob, &dr, &company.hr, &company.admin, &staff] {
        assert!(shown(reader, &dr).await.is_empty());
    }
    assert_eq!(
        app.count("SELECT count(*) FROM app.reviews WHERE position('listened' IN encode(sealed, 'escape')) > 0").await,
        0
    );
    app.settle().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_review_is_told() {
    let (app, _, alice, dr, _) = scene().await;
    let id = session(&app, &alice, &dr, "completed").await;
    let path = format!("/consultations/{id}/review");
    for (body, pointer) in [
        (json!({"rating": 0, "text": "x"}), "/rating"),
        (json!({"rating": 6, "text": "x"}), "/rating"),
        (json!({"rating": 4.5, "text": "x"}), "/rating"),
        (json!({"rating": 4}), "/text"),
        (json!({"rating": 4, "text": ""}), "/text"),
        (json!({"rating": 4, "text": " \n "}), "/text"),
        (json!({"rating": 4, "text": "a\u{0}b"}), "/text"),
        (json!({"rating": 4, "text": "é".repeat(2001)}), "/text"),
        (json!({"rating": 4, "text": "x", "author": "me"}), "/author"),
    ] {
        let refused = alice.post(&path, body).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{}", refused.json);
    }
    alice.post(&path, json!({"rating": 4, "text": "é".repeat(2000)})).await.expect(201);
    let send = |key: &'static str, text: &'static str| {
        let body = json!({"rating": 4, "text": text});
        Answer::of(alice.request(Method::POST, &path).header("idempotency-key", key).json(&body))
    };
    alice.delete(&path).await.expect(204);
    send("once", "Fine").await.expect(201);
    assert_eq!(send("once", "Fine").await.expect(201).str("/text"), "Fine");
    send("once", "Fair").await.refused(422, "idempotency_mismatch");
    send("twice", "Fine").await.refused(409, "review_exists");
}

#[tokio::test]
async fn of_two_at_once_one_is_written() {
    let (app, _, alice, dr, _) = scene().await;
    let id = session(&app, &alice, &dr, "completed").await;
    let path = format!("/consultations/{id}/review");
    let send = |n: u8| alice.post(&path, json!({"rating": n, "text": "At once"}));
    let answers = tokio::join!(send(1), send(2), send(3));
    let mut statuses = [answers.0.status, answers.1.status, answers.2.status].map(|it| it.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    assert_eq!(app.count("SELECT count(*) FROM app.reviews").await, 1);
}

#[tokio::test]
async fn what_is_published_tells_neither_who_nor_when_nor_which_session() {
    let (app, company, alice, dr, staff) = scene().await;
    let session = write(&app, &alice, &dr, 4, "A calm hour.").await;
    publish_all(&staff).await;
    let other_company = app.company("Globex").await;
    let elsewhere = app.employee(&other_company).await;
    for reader in [&alice, &elsewhere, &dr, &company.hr, &company.admin, &other_company.admin, &staff] {
        assert_eq!(shown(reader, &dr).await, [json!({"rating": 4, "text": "A calm hour."})]);
    }
    // another practitioner sees neither them nor what was said of them
    let other = app.practitioner().await;
    other.get(&format!("/practitioners/{}/reviews", dr.id)).await.refused(404, "not_found");
    alice.get(&format!("/practitioners/{}/reviews", Uuid::new_v4())).await.refused(404, "not_found");
    // whom one's company does not offer, one does not read about
    sqlx::query("UPDATE app.companies SET network = 'restricted' WHERE id = $1")
        .bind(other_company.id)
        .execute(app.db())
        .await
        .unwrap();
    elsewhere.get(&format!("/practitioners/{}/reviews", dr.id)).await.refused(404, "not_found");

    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'published_reviews' ORDER BY 1",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    assert_eq!(columns, ["body", "id", "practitioner_id", "rating"]);
    let id: Uuid = sqlx::query_scalar("SELECT id FROM app.published_reviews").fetch_one(app.db()).await.unwrap();
    assert_eq!(id.get_version_num(), 4, "an id of version 7 tells when");
    // the roles of readers hold no way to the author
    for (role, person) in
        [(DbRole::Practitioner, &dr), (DbRole::Hr, &company.hr), (DbRole::CompanyAdmin, &company.admin)]
    {
        let mut conn = app.as_role(role, person.id).await;
        assert!(sqlx::query("SELECT id FROM app.reviews").execute(&mut conn).await.is_err(), "{role:?}");
    }
    let mut conn = app.as_role(DbRole::Platform, staff.id).await;
    for column in ["user_id", "company_id", "consultation_id"] {
        let sql = format!("SELECT {column} FROM app.reviews");
        assert!(sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.is_err(), "{column}");
    }
    // staff's log does not tell that alice wrote
    let log = staff.get("/audit-logs?limit=100").await.expect(200).text();
    assert!(!log.contains("review.written") && !log.contains(&session.to_string()), "{log}");
    let own = alice.get("/audit-logs?limit=100").await.expect(200).text();
    assert!(own.contains("review.written"), "{own}");
    app.settle().await;
}

#[tokio::test]
async fn an_author_who_changes_it_waits_for_a_moderator_again() {
    let (app, _, alice, dr, staff) = scene().await;
    let id = write(&app, &alice, &dr, 4, "A calm hour.").await;
    let path = format!("/consultations/{id}/review");
    publish_all(&staff).await;
    assert_eq!(alice.get(&path).await.expect(200).json["status"], "published");
    let changed = alice.patch(&path, json!({"rating": 3})).await.expect(200);
    assert_eq!((&changed.json["status"], changed.str("/text")), (&json!("pending"), "A calm hour.".to_owned()));
    assert!(shown(&alice, &dr).await.is_empty());
    publish_all(&staff).await;
    assert_eq!(shown(&dr, &dr).await, [json!({"rating": 3, "text": "A calm hour."})]);
    let stale =
        alice.request(Method::PATCH, &path).header("if-match", changed.header("etag")).json(&json!({"rating": 1}));
    Answer::of(stale).await.refused(412, "stale");
    Answer::of(alice.request(Method::PATCH, &path).json(&json!({"rating": 1})))
        .await
        .refused(428, "precondition_required");

    // taken back, nothing is left; another one may be written
    alice.delete(&path).await.expect(204);
    assert!(shown(&alice, &dr).await.is_empty());
    assert_eq!(
        app.count("SELECT count(*) FROM app.reviews").await
            + app.count("SELECT count(*) FROM app.published_reviews").await,
        0
    );
    alice.post(&path, json!({"rating": 5, "text": "Better still"})).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn what_an_erased_person_said_is_gone() {
    let (app, company, alice, dr, staff) = scene().await;
    let bob = app.employee(&company).await;
    write(&app, &alice, &dr, 4, "Mine").await;
    write(&app, &bob, &dr, 5, "His").await;
    publish_all(&staff).await;
    let mut conn = app.as_role(DbRole::Worker, alice.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(company.id.to_string())
        .execute(&mut conn)
        .await
        .unwrap();
    let gone: i64 =
        sqlx::query_scalar("SELECT app.erase_reviews($1)").bind(alice.id).fetch_one(&mut conn).await.unwrap();
    assert_eq!(gone, 1);
    assert_eq!(shown(&bob, &dr).await, [json!({"rating": 5, "text": "His"})]);
    app.settle().await;
}
