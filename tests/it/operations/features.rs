//! Modules that a company has or has not: what its people are offered, and what the database refuses.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consultations::{book_on, free, in_days, scene, wish};
use crate::support::{Answer, Company, TestApp, User};

async fn set(staff: &User, company: &Company, off: &[&str]) -> Answer {
    let mut all = json!({"video": true, "audio": true, "chat": true, "articles": true});
    for feature in off {
        all[*feature] = false.into();
    }
    staff.put(&format!("/admin/companies/{}/features", company.id), all).await.expect(200)
}

async fn staff_of(app: &TestApp) -> User {
    app.platform_admin().await
}

#[tokio::test]
async fn a_company_books_in_the_ways_that_it_has() {
    let (app, company, alice, dr) = scene().await;
    let staff = staff_of(&app).await;
    let path = format!("/admin/companies/{}/features", company.id);
    assert_eq!(
        staff.get(&path).await.expect(200).json,
        json!({"video": true, "audio": true, "chat": true, "articles": true})
    );
    let before = book_on(&alice, &dr, in_days(&app, 1)).await;
    set(&staff, &company, &["video"]).await;
    let day = in_days(&app, 2);
    let starts = free(&alice, &dr, day).await;
    assert!(!starts.is_empty(), "by other ways there is time");
    let slots = |mode: &str| format!("/practitioners/{}/slots?from={day}&to={day}&duration=30&mode={mode}", dr.id);
    let refused = alice.get(&slots("video")).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "query:mode");
    assert!(!alice.get(&slots("chat")).await.expect(200).json["items"].as_array().unwrap().is_empty());
    let refused = alice.post("/consultations", wish(&dr, &starts[0])).await;
    assert!([409, 422].contains(&refused.status.as_u16()), "{}", refused.json);
    let mut by_chat = wish(&dr, &starts[0]);
    by_chat["mode"] = "chat".into();
    alice.post("/consultations", by_chat).await.expect(201);
    // what was booked before is held as agreed
    assert_eq!(alice.get(&format!("/consultations/{}", before.str("/id"))).await.expect(200).json["mode"], "video");
    // another company is not concerned
    let other = app.company("Globex").await;
    let carol = app.employee(&other).await;
    book_on(&carol, &dr, in_days(&app, 3)).await;
    // with none of the ways, nobody has time
    set(&staff, &company, &["video", "audio", "chat"]).await;
    let item = alice.get("/practitioners").await.expect(200).json["items"][0].clone();
    assert!(item.get("nextFreeAt").is_none(), "{item}");
    // and whoever gets past the program is refused by the database
    let forced = sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from, busy_until, specialty)
         SELECT gen_random_uuid(), $1, $2, $3, 'video', 'confirmed', at, at + interval '30 minutes', at, at + interval '30 minutes', 'psychology'
         FROM (SELECT now() + interval '20 days' AS at) it",
    )
    .bind(company.id)
    .bind(alice.id)
    .bind(dr.id)
    .execute(app.db())
    .await
    .unwrap_err();
    assert_eq!(forced.as_database_error().unwrap().constraint(), Some("consultations_mode_included"));
    set(&staff, &company, &[]).await;
    book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
}

#[tokio::test]
async fn a_company_without_articles_reads_none() {
    let (app, company, alice, dr) = scene().await;
    let staff = staff_of(&app).await;
    let texts = json!([{"language": "en", "title": "To read", "summary": "S", "body": "B"}]);
    let id = staff.post("/articles", json!({"category": "work", "texts": texts})).await.expect(201).str("/id");
    Answer::of(staff.request(Method::POST, &format!("/articles/{id}/publish"))).await.expect(200);
    set(&staff, &company, &["articles"]).await;
    for person in [&alice, &company.hr, &company.admin] {
        assert_eq!(person.get("/articles").await.expect(200).json, json!({"items": []}));
        person.get("/articles/to-read").await.refused(404, "not_found");
    }
    for person in [&dr, &staff] {
        person.get("/articles/to-read").await.expect(200);
    }
    set(&staff, &company, &[]).await;
    alice.get("/articles/to-read").await.expect(200);
}

#[tokio::test]
async fn modules_are_changed_by_staff_who_know_how_they_are() {
    let (app, company, alice, dr) = scene().await;
    let staff = staff_of(&app).await;
    let path = format!("/admin/companies/{}/features", company.id);
    for person in [&alice, &dr, &company.hr, &company.admin] {
        person.get(&path).await.refused(403, "forbidden");
    }
    staff.get(&format!("/admin/companies/{}/features", Uuid::new_v4())).await.refused(404, "not_found");
    let all = |articles: bool| json!({"video": true, "audio": true, "chat": true, "articles": articles});
    let put = |tag: Option<String>, body: Value| {
        let mut request = staff.request(Method::PUT, &path).json(&body);
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        Answer::of(request)
    };
    put(None, all(false)).await.refused(428, "precondition_required");
    let known = staff.get(&path).await.expect(200).header("etag").to_owned();
    put(Some(known.clone()), all(false)).await.expect(200);
    put(Some(known), all(true)).await.refused(412, "stale");
    for (body, pointer) in [
        (json!({"video": true}), "/audio"),
        (json!({"video": 1, "audio": true, "chat": true, "articles": true}), "/video"),
    ] {
        let refused = put(Some("*".into()), body).await.refused(422, "invalid");
        assert!(
            refused.json["errors"].as_array().unwrap().iter().any(|it| it["pointer"] == pointer),
            "{}",
            refused.json
        );
    }
    // what changed is noted, for the company as well
    let log = company.admin.get("/audit-logs").await.expect(200).json;
    let entry =
        log["items"].as_array().unwrap().iter().find(|it| it["action"] == "company.features_changed").unwrap().clone();
    assert_eq!(entry["details"]["fields"], json!(["articles"]), "{entry}");
}
