//! News: who announces what to whom, and what each has read.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use huntzen::platform::db::DbRole;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consultations::at;
use crate::support::{Answer, TestApp, User};

fn news(title: &str) -> Value {
    json!({"texts": {"en": {"title": title, "body": "With **all** details."}}})
}

async fn announce(by: &User, title: &str) -> String {
    by.post("/news", news(title)).await.expect(201).str("/id")
}

async fn titles(user: &User, query: &str) -> Vec<String> {
    let listed = user.get(&format!("/news{query}")).await.expect(200);
    listed.json["items"].as_array().unwrap().iter().map(|it| it["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn everybody_reads_the_news_that_are_for_them_and_no_others() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let (alice, carol) = (app.employee(&acme).await, app.employee(&globex).await);
    let (dr, staff) = (app.practitioner().await, app.platform_admin().await);
    for person in [&alice, &dr, &acme.hr, &acme.admin, &staff] {
        assert_eq!(person.get("/news").await.expect(200).json, json!({"items": []}));
    }
    announce(&acme.hr, "Of Acme").await;
    announce(&globex.admin, "Of Globex").await;
    announce(&staff, "For everybody").await;
    let chosen = staff
        .post(
            "/news",
            json!({"texts": {"en": {"title": "For Globex", "body": "B"}}, "companyIds": [globex.id, globex.id]}),
        )
        .await
        .expect(201);
    assert_eq!(chosen.json["companyIds"], json!([globex.id]));
    assert_eq!(titles(&alice, "").await, ["For everybody", "Of Acme"]);
    assert_eq!(titles(&carol, "").await, ["For Globex", "For everybody", "Of Globex"]);
    assert_eq!(titles(&dr, "").await, ["For everybody"]);
    // HR and admins are told what the platform announces, and run their company's; staff run the platform's
    for (runs, expected) in [
        (&acme.hr, vec!["For everybody", "Of Acme"]),
        (&acme.admin, vec!["For everybody", "Of Acme"]),
        (&globex.hr, vec!["For Globex", "For everybody", "Of Globex"]),
        (&globex.admin, vec!["For Globex", "For everybody", "Of Globex"]),
    ] {
        assert_eq!(titles(runs, "").await, expected);
        let listed = runs.get("/news").await.expect(200).json;
        for it in listed["items"].as_array().unwrap() {
            // what is not theirs they read, and do not see as it was written
            let own = it["source"] == "company";
            assert_eq!(it.get("texts").is_some(), own, "{it}");
            assert!(it.get("companyIds").is_none());
            if !own {
                let path = format!("/news/{}", it["id"].as_str().unwrap());
                runs.patch(&path, json!({"expiresAt": null})).await.refused(404, "not_found");
                runs.delete(&path).await.refused(404, "not_found");
                Answer::of(runs.request(Method::POST, &format!("{path}/read"))).await.expect(204);
            }
        }
        assert_eq!(titles(runs, "?unread=true").await, expected[expected.len() - 1..]);
    }
    assert_eq!(titles(&staff, "").await, ["For Globex", "For everybody"]);

    let path = format!("/news/{}", chosen.str("/id"));
    assert_eq!(carol.get(&path).await.expect(200).json["html"], "<p>B</p>\n");
    for person in [&alice, &dr, &acme.hr, &acme.admin] {
        person.get(&path).await.refused(404, "not_found");
        Answer::of(person.request(Method::POST, &format!("{path}/read"))).await.refused(404, "not_found");
    }
    for person in [&alice, &dr] {
        person.post("/news", news("Mine")).await.refused(403, "forbidden");
    }
    // those whom it is taken from do not see it any more
    staff.patch(&path, json!({"companyIds": [acme.id]})).await.expect(200);
    carol.get(&path).await.refused(404, "not_found");
    alice.get(&path).await.expect(200);
    assert!(staff.patch(&path, json!({"companyIds": null})).await.expect(200).json.get("companyIds").is_none());
    dr.get(&path).await.expect(200);

    // and the database says the same to whoever gets past the program
    let mut conn = app.as_role(DbRole::Hr, acme.hr.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(acme.id.to_string())
        .execute(&mut conn)
        .await
        .unwrap();
    let moved = sqlx::query("INSERT INTO app.news (id, company_id, title_fr, body_fr, published_at) VALUES (gen_random_uuid(), $1, 'x', 'y', now())")
        .bind(globex.id);
    assert!(moved.execute(&mut conn).await.is_err());
    assert!(sqlx::query("UPDATE app.platform_news SET title_en = 'x'").execute(&mut conn).await.is_err());
    let others: i64 = sqlx::query_scalar("SELECT count(*) FROM app.news WHERE company_id = $1")
        .bind(globex.id)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(others, 0);
}

#[tokio::test]
async fn what_somebody_has_read_is_theirs_alone() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let (alice, bob) = (app.employee(&acme).await, app.employee(&acme).await);
    let (first, second) = (announce(&acme.hr, "First").await, announce(&acme.hr, "Second").await);
    let read = |user: &User, id: &str| Answer::of(user.request(Method::POST, &format!("/news/{id}/read")));
    read(&alice, &first).await.expect(204);
    let noted = alice.get(&format!("/news/{first}")).await.expect(200).json["readAt"].clone();
    assert!(noted.is_string());
    read(&alice, &first).await.expect(204);
    assert_eq!(alice.get(&format!("/news/{first}")).await.expect(200).json["readAt"], noted, "once");
    assert_eq!(titles(&alice, "?unread=true").await, ["Second"]);
    assert_eq!(titles(&bob, "?unread=true").await, ["Second", "First"]);
    for other in [&acme.hr, &acme.admin] {
        assert!(other.get(&format!("/news/{first}")).await.expect(200).json.get("readAt").is_none());
    }
    // a change leaves it read
    acme.hr
        .patch(&format!("/news/{first}"), json!({"texts": {"en": {"title": "First, again", "body": "B"}}}))
        .await
        .expect(200);
    assert_eq!(titles(&alice, "?unread=true").await, ["Second"]);
    // with the news go the marks
    acme.admin.delete(&format!("/news/{first}")).await.expect(204);
    read(&alice, &first).await.refused(404, "not_found");
    assert_eq!(app.count("SELECT count(*) FROM app.news_reads").await, 0);
    read(&bob, &second).await.expect(204);
}

#[tokio::test]
async fn news_end_when_they_were_said_to() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let (mut alice, mut hr) = (app.employee(&acme).await, acme.hr.clone());
    let mut staff = app.platform_admin().await;
    let soon = app.clock.now() + TimeDelta::hours(1);
    let body = |title: &str| json!({"texts": {"en": {"title": title, "body": "B"}}, "expiresAt": soon});
    let id = hr.post("/news", body("Today only")).await.expect(201).str("/id");
    let others = staff.post("/news", body("On Sunday")).await.expect(201).str("/id");
    for person in [&alice, &hr] {
        assert_eq!(titles(person, "").await, ["On Sunday", "Today only"]);
    }
    let people = [(&mut alice, Role::Employee), (&mut hr, Role::Hr), (&mut staff, Role::PlatformAdmin)];
    at(&app, soon, people).await;
    assert!(titles(&alice, "").await.is_empty());
    alice.get(&format!("/news/{id}")).await.refused(404, "not_found");
    // HR did not write it
    hr.get(&format!("/news/{others}")).await.refused(404, "not_found");
    assert_eq!(titles(&staff, "").await, ["On Sunday"]);
    // who wrote it sees it, and may go on with it
    assert_eq!(titles(&hr, "").await, ["Today only"]);
    hr.patch(&format!("/news/{id}"), json!({"expiresAt": null})).await.expect(200);
    assert_eq!(titles(&alice, "").await, ["Today only"]);
}

#[tokio::test]
async fn news_come_in_the_readers_language_or_in_the_one_that_there_is() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let alice = app.employee(&acme).await;
    let both = json!({"texts": {"fr": {"title": " Bonjour ", "body": "Texte"}, "en": {"title": "Hello", "body": "<script>alert(1)</script>Text"}}});
    let id = acme.hr.post("/news", both).await.expect(201).str("/id");
    let ask = |language: &'static str| {
        Answer::of(alice.request(Method::GET, &format!("/news/{id}")).header("accept-language", language))
    };
    let (french, english) = (ask("fr").await.expect(200), ask("en").await.expect(200));
    assert_eq!((french.str("/title"), english.str("/title")), ("Bonjour".into(), "Hello".into()));
    assert_eq!((french.str("/language"), english.str("/language")), ("fr".into(), "en".into()));
    assert_eq!(english.str("/html"), "&lt;script&gt;alert(1)&lt;/script&gt;Text");
    assert!(english.json.get("texts").is_none());
    acme.hr
        .patch(&format!("/news/{id}"), json!({"texts": {"fr": {"title": "Seul", "body": "Texte"}}}))
        .await
        .expect(200);
    assert_eq!(ask("en").await.expect(200).str("/title"), "Seul");
}

#[tokio::test]
async fn what_is_wrong_with_news_is_told() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let staff = app.platform_admin().await;
    let long = "x".repeat(5001);
    for (who, body, pointer) in [
        (&acme.hr, json!({}), "/texts"),
        (&acme.hr, json!({"texts": {}}), "/texts"),
        (&acme.hr, json!({"texts": {"de": {"title": "T", "body": "B"}}}), "/texts/de"),
        (&acme.hr, json!({"texts": {"en": {"title": " ", "body": "B"}}}), "/texts/en/title"),
        (&acme.hr, json!({"texts": {"en": {"title": "T"}}}), "/texts/en/body"),
        (&acme.hr, json!({"texts": {"en": {"title": "T", "body": long}}}), "/texts/en/body"),
        (
            &acme.hr,
            json!({"texts": {"en": {"title": "T", "body": "B"}}, "expiresAt": "2020-01-01T00:00:00Z"}),
            "/expiresAt",
        ),
        (&acme.hr, json!({"texts": {"en": {"title": "T", "body": "B"}}, "companyIds": [acme.id]}), "/companyIds"),
        (&staff, json!({"texts": {"en": {"title": "T", "body": "B"}}, "companyIds": []}), "/companyIds"),
        (&staff, json!({"texts": {"en": {"title": "T", "body": "B"}}, "companyIds": [Uuid::new_v4()]}), "/companyIds"),
    ] {
        let refused = who.post("/news", body).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{}", refused.json);
    }
    let id = announce(&acme.hr, "Fine").await;
    let path = format!("/news/{id}");
    Answer::of(acme.hr.request(Method::PATCH, &path).json(&json!({"expiresAt": null})))
        .await
        .refused(428, "precondition_required");
    let known = acme.hr.get(&path).await.header("etag").to_owned();
    acme.admin.patch(&path, json!({"texts": {"en": {"title": "Finer", "body": "B"}}})).await.expect(200);
    let late = acme.hr.request(Method::PATCH, &path).header("if-match", &known).json(&json!({"expiresAt": null}));
    Answer::of(late).await.refused(412, "stale");
    Answer::of(acme.hr.request(Method::DELETE, &path).header("if-match", known)).await.refused(412, "stale");
    staff.delete(&path).await.refused(404, "not_found");
    let send = |title: &'static str| {
        Answer::of(acme.hr.request(Method::POST, "/news").header("idempotency-key", "once").json(&news(title)))
    };
    let first = send("Once").await.expect(201);
    assert_eq!(send("Once").await.expect(201).str("/id"), first.str("/id"));
    send("Twice").await.refused(422, "idempotency_mismatch");
    acme.hr.get("/news?cursor=nonsense").await.refused(400, "invalid_cursor");
    acme.hr.get("/news?unread=perhaps").await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn news_come_page_by_page_from_both_sources() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let (alice, staff) = (app.employee(&acme).await, app.platform_admin().await);
    let mut expected = Vec::new();
    for n in 0..7 {
        let title = format!("Number {n}");
        announce(if n % 2 == 0 { &acme.hr } else { &staff }, &title).await;
        expected.insert(0, title);
        app.clock.advance(TimeDelta::seconds(1));
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = alice.get(&format!("/news{query}")).await.expect(200);
        seen.extend(page.json["items"].as_array().unwrap().iter().map(|it| it["title"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.json["nextCursor"].as_str() else { break };
        query = format!("?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, expected);
}
