//! Moderators: what they see, what they are pointed at, and that what they decide is what they read.

use reqwest::Method;
use serde_json::json;

use super::{decide, publish_all, scene, shown, waiting, write};
use crate::support::Answer;

#[tokio::test]
async fn a_moderator_reads_words_without_their_author() {
    let (app, company, alice, dr, staff) = scene().await;
    write(&app, &alice, &dr, 2, "Too short.").await;
    let review = &waiting(&staff).await[0];
    assert_eq!(
        (&review["text"], &review["rating"], &review["status"]),
        (&json!("Too short."), &json!(2), &json!("pending"))
    );
    assert_eq!(review["practitioner"], json!({"id": dr.id, "displayName": "Dr Test"}));
    let said = review.to_string();
    for secret in [alice.id.to_string(), company.id.to_string(), alice.email.clone()] {
        assert!(!said.contains(&secret), "{said}");
    }
    let day: chrono::NaiveDate = review["writtenOn"].as_str().unwrap().parse().unwrap();
    assert_eq!(day, app.clock.now().date_naive());
    for other in [&alice, &dr, &company.hr, &company.admin] {
        other.get("/admin/reviews").await.refused(403, "forbidden");
        decide(other, review, "publish", json!({})).await.refused(403, "forbidden");
    }
    let one = staff.get(&format!("/admin/reviews/{}", review["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((&one.json, one.header("etag")), (review, "\"1\""));
    // that they read is in the log
    let noted = "SELECT count(*) FROM app.audit_logs WHERE action = 'review.listed' AND actor_role = 'platform_admin'";
    assert_eq!(app.count(noted).await, 2);
    app.settle().await;
}

#[tokio::test]
async fn names_in_a_review_are_pointed_at_and_not_said_whose_they_are() {
    let (app, company, alice, dr, staff) = scene().await;
    for (table, set, id) in [
        ("practitioners", "display_name = 'Dr Élodie Lœuillet'", dr.id.0),
        ("users", "display_name = 'Zoé'", alice.id.0),
    ] {
        let sql = format!("UPDATE app.{table} SET {set} WHERE id = $1");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).execute(app.db()).await.unwrap();
    }
    let colleague = app.employee(&company).await;
    sqlx::query("UPDATE app.employees SET first_name = 'Jean-Marc', last_name = 'Le Goff' WHERE email = $1")
        .bind(&colleague.email)
        .execute(app.db())
        .await
        .unwrap();
    let elsewhere = app.company("Globex").await;
    let stranger = app.employee(&elsewhere).await;
    sqlx::query("UPDATE app.employees SET first_name = 'Wolfgang' WHERE email = $1")
        .bind(&stranger.email)
        .execute(app.db())
        .await
        .unwrap();

    let text = "😀 Merci ELODIE ! Ici Zoe, de l’équipe de Marc Goff et de Wolfgang. Le mieux : zoe@example.org ou 06 12 34 56 78.";
    write(&app, &alice, &dr, 5, text).await;
    let review = &waiting(&staff).await[0];
    let letters: Vec<char> = text.chars().collect();
    let place = |it: &serde_json::Value| usize::try_from(it.as_u64().unwrap()).unwrap();
    let marked: Vec<String> = review["marks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| letters[place(&it["from"])..place(&it["to"])].iter().collect())
        .collect();
    assert_eq!(marked, ["ELODIE", "Zoe", "Marc", "Goff", "zoe", "zoe@example.org", "06 12 34 56 78"]);
    for mark in review["marks"].as_array().unwrap() {
        let members: Vec<&String> = mark.as_object().unwrap().keys().collect();
        assert_eq!(members, ["from", "to"]);
    }

    // it is for a person to decide
    let rejected = decide(&staff, review, "reject", json!({"reason": "names_somebody"})).await.expect(200);
    assert_eq!(rejected.json["rejectedFor"], "names_somebody");
    assert!(waiting(&staff).await.is_empty() && shown(&alice, &dr).await.is_empty());
    let session = sqlx::query_scalar::<_, uuid::Uuid>("SELECT consultation_id FROM app.reviews")
        .fetch_one(app.db())
        .await
        .unwrap();
    let own = alice.get(&format!("/consultations/{session}/review")).await.expect(200);
    assert_eq!((&own.json["status"], &own.json["rejectedFor"]), (&json!("rejected"), &json!("names_somebody")));
    // without names it is published, and nothing is pointed at any more
    alice.patch(&format!("/consultations/{session}/review"), json!({"text": "Merci !"})).await.expect(200);
    assert_eq!(waiting(&staff).await[0]["marks"], json!([]));
    publish_all(&staff).await;
    assert_eq!(shown(&dr, &dr).await, [json!({"rating": 5, "text": "Merci !"})]);
    app.settle().await;
}

#[tokio::test]
async fn what_a_moderator_did_not_read_is_not_published() {
    let (app, _, alice, dr, staff) = scene().await;
    let id = write(&app, &alice, &dr, 5, "Kind words").await;
    let read = waiting(&staff).await.remove(0);
    let path = format!("/admin/reviews/{}/publish", read["id"].as_str().unwrap());
    Answer::of(staff.request(Method::POST, &path)).await.refused(428, "precondition_required");
    alice.patch(&format!("/consultations/{id}/review"), json!({"text": "Other words"})).await.expect(200);
    decide(&staff, &read, "publish", json!({})).await.refused(412, "stale");
    decide(&staff, &read, "reject", json!({"reason": "offensive"})).await.refused(412, "stale");
    assert!(shown(&alice, &dr).await.is_empty());
    let read = waiting(&staff).await.remove(0);
    let (one, two) = tokio::join!(
        decide(&staff, &read, "publish", json!({})),
        decide(&staff, &read, "reject", json!({"reason": "other"}))
    );
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "one verdict");
    app.settle().await;
}

#[tokio::test]
async fn what_was_published_can_be_taken_down_and_put_back() {
    let (app, _, alice, dr, staff) = scene().await;
    write(&app, &alice, &dr, 5, "Fine").await;
    publish_all(&staff).await;
    let published = staff.get("/admin/reviews?status=published").await.expect(200).json["items"][0].clone();
    // again changes nothing
    let again = decide(&staff, &published, "publish", json!({})).await.expect(200);
    assert_eq!(again.json["version"], published["version"]);
    decide(&staff, &published, "reject", json!({"reason": "health_details"})).await.expect(200);
    assert!(shown(&dr, &dr).await.is_empty());
    let rejected = staff.get("/admin/reviews?status=rejected").await.expect(200).json["items"][0].clone();
    decide(&staff, &rejected, "publish", json!({})).await.expect(200);
    assert_eq!(shown(&dr, &dr).await.len(), 1);
    let bad = decide(&staff, &rejected, "reject", json!({"reason": "because"})).await.refused(422, "invalid");
    assert_eq!(bad.json["errors"][0]["pointer"], "/reason");
    decide(&staff, &json!({"id": uuid::Uuid::new_v4(), "version": 1}), "publish", json!({}))
        .await
        .refused(404, "not_found");
    staff.get("/admin/reviews?status=hidden").await.refused(400, "invalid_parameter");
    app.settle().await;
}

#[tokio::test]
async fn who_waits_longest_is_read_first_page_by_page() {
    let (app, company, alice, dr, staff) = scene().await;
    let bob = app.employee(&company).await;
    for (n, author) in [&alice, &bob, &alice, &bob, &alice].into_iter().enumerate() {
        write(&app, author, &dr, 3, &format!("Number {n}")).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/admin/reviews?limit=2".to_owned());
    loop {
        let page = staff.get(&path).await.expect(200);
        seen.extend(page.json["items"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.json["nextCursor"].as_str() else { break };
        path = format!("/admin/reviews?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, (0..5).map(|n| format!("Number {n}")).collect::<Vec<_>>());
    staff.get("/admin/reviews?cursor=nonsense").await.refused(400, "invalid_cursor");

    // readers get each of them once, whatever the order
    publish_all(&staff).await;
    let (mut all, mut path) = (Vec::new(), format!("/practitioners/{}/reviews?limit=2", dr.id));
    loop {
        let page = alice.get(&path).await.expect(200);
        all.extend(page.json["items"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.json["nextCursor"].as_str() else { break };
        path = format!("/practitioners/{}/reviews?limit=2&cursor={cursor}", dr.id);
    }
    all.sort();
    assert_eq!(all, seen);
    app.settle().await;
}
