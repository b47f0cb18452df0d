//! What is told between nodes, and kept of what was told, says nothing.

use regex::Regex;
use sqlx::postgres::PgListener;
use uuid::Uuid;

use super::*;
use crate::consultations::wish;

const MARKER: &str = "heliotrope insomnia 2256";

#[tokio::test]
async fn ids_and_nothing_else_pass_between_nodes_and_into_rows_and_jobs() {
    let (app, _, alice, dr) = scene().await;
    sqlx::query("UPDATE app.users SET display_name = 'Quillon Abernathy' WHERE id = $1")
        .bind(alice.id)
        .execute(app.db())
        .await
        .unwrap();
    let mut heard = PgListener::connect_with(app.db()).await.unwrap();
    let channels = ["notifications_changed", "consultation_changed", "slots_changed"];
    heard.listen_all(channels).await.unwrap();

    let first = free(&alice, &dr, in_days(&app, 4)).await.remove(0);
    let mut wanted = wish(&dr, &first);
    wanted["reason"] = json!(MARKER);
    let id = alice.post("/consultations", wanted).await.expect(201).str("/id");
    alice
        .post(&format!("/conversations/{id}/messages"), json!({"clientId": Uuid::new_v4(), "body": MARKER}))
        .await
        .expect(201);
    app.settle().await;
    alice.post("/notifications/read-all", json!({})).await.expect(200);
    dr.post(&format!("/consultations/{id}/cancel"), json!({"reason": MARKER})).await.expect(200);
    app.settle().await;

    sqlx::query("SELECT pg_notify('slots_changed', 'the end')").execute(app.db()).await.unwrap();
    let ids =
        Regex::new("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}( [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let told = heard.recv().await.unwrap();
        if told.payload() == "the end" {
            break;
        }
        assert!(ids.is_match(told.payload()), "{}: {}", told.channel(), told.payload());
        seen.insert(told.channel().to_owned());
    }
    assert_eq!(seen.len(), channels.len(), "{seen:?}");

    for table in ["app.notifications", "app.notification_preferences", "app.unread_conversations", "app.email_log"] {
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT t::text FROM {table} t")))
            .fetch_all(app.db())
            .await
            .unwrap();
        for row in rows {
            for word in [MARKER, "Quillon", "Dr Test", "psychology"] {
                assert!(!row.contains(word), "{table}: {row}");
            }
        }
    }
    let jobs: Vec<String> =
        sqlx::query_scalar("SELECT convert_from(job, 'UTF8') FROM apalis.jobs").fetch_all(app.db()).await.unwrap();
    assert!(!jobs.is_empty());
    for job in jobs {
        for word in [MARKER, "Quillon", "Dr Test", "psychology", "@people.test"] {
            assert!(!job.contains(word), "{job}");
        }
    }
    // nor do the words that are made of it
    for (person, language) in [(&alice, "fr"), (&dr, "en")] {
        let request = person.request(reqwest::Method::GET, "/notifications").header("accept-language", language);
        let list = Answer::of(request).await.expect(200).text();
        for word in [MARKER, "Quillon", "Dr Test", "psychology"] {
            assert!(!list.contains(word), "{list}");
        }
    }
}
