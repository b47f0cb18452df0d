//! Articles, as they are written: by whom, through which states, under which names.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use huntzen::platform::db::DbRole;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::consultations::at;
use crate::support::{Answer, TestApp, User};

fn text(language: &str, title: &str) -> Value {
    json!({"language": language, "title": title, "summary": "In short.", "body": "At **length**."})
}

fn draft(title: &str) -> Value {
    json!({"category": "sleep", "tags": ["sleep"], "texts": [text("en", title)]})
}

async fn begun(author: &User, title: &str) -> String {
    author.post("/articles", draft(title)).await.expect(201).str("/id")
}

async fn post(user: &User, path: &str) -> Answer {
    Answer::of(user.request(Method::POST, path)).await
}

/// The clock's turn.
async fn tick(app: &TestApp) {
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query(
        "SELECT app.enqueue('maintenance', 'content.publish_due', ARRAY['{}'::jsonb], ARRAY[NULL::text], NULL, 3)",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    app.settle().await;
}

async fn picture(user: &User) -> String {
    let mut png = Vec::new();
    image::DynamicImage::new_rgb8(4, 4).write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let file = Part::bytes(png).file_name("cover.png");
    let form = Form::new().text("purpose", "article_image").part("file", file);
    Answer::of(user.request(Method::POST, "/files").multipart(form)).await.expect(201).str("/id")
}

#[tokio::test]
async fn an_article_goes_from_draft_to_its_readers_and_back() {
    let app = TestApp::start().await;
    let (mut staff, mut reader) = (app.platform_admin().await, app.practitioner().await);
    let body = json!({"category": "sleep", "texts": [
        {"language": "fr", "title": "  Bien dormir, l’été ", "summary": "Court.", "body": "Texte"}, text("en", "Sleeping well")]});
    let made = staff.post("/articles", body).await.expect(201);
    assert_eq!((&made.json["status"], &made.json["tags"]), (&json!("draft"), &json!([])));
    let names = json!([{"language": "en", "slug": "sleeping-well"}, {"language": "fr", "slug": "bien-dormir-l-ete"}]);
    assert_eq!(made.json["translations"], names);
    assert_eq!(made.json["texts"][1]["title"], "Bien dormir, l’été");
    let id = made.str("/id");
    reader.get("/articles/sleeping-well").await.refused(404, "not_found");
    assert_eq!(staff.get("/articles?status=draft").await.expect(200).json["items"][0]["id"], id.as_str());
    assert_eq!(staff.get("/articles").await.expect(200).json["items"], json!([]));

    let published = post(&staff, &format!("/articles/{id}/publish")).await.expect(200);
    assert_eq!(published.json["status"], "published");
    let read = reader.get("/articles/sleeping-well?language=en").await.expect(200);
    assert_eq!(read.json["html"], "<p>At <strong>length</strong>.</p>\n");
    assert!(read.json.get("texts").is_none() && read.json.get("authorId").is_none(), "{}", read.json);
    // again changes nothing
    let again = post(&staff, "/articles/sleeping-well/publish").await.expect(200);
    assert_eq!(again.json["publishedAt"], published.json["publishedAt"]);
    assert_eq!(again.header("etag"), published.header("etag"));

    // what was published is archived, and comes back with the date that it had
    let later = app.clock.now() + TimeDelta::days(3);
    at(&app, later, [(&mut staff, Role::PlatformAdmin), (&mut reader, Role::Practitioner)]).await;
    staff.delete(&format!("/articles/{id}")).await.expect(204);
    staff.delete(&format!("/articles/{id}")).await.expect(204);
    reader.get("/articles/sleeping-well").await.refused(404, "not_found");
    assert_eq!(staff.get("/articles?status=archived").await.expect(200).json["items"][0]["id"], id.as_str());
    let back = post(&staff, &format!("/articles/{id}/publish")).await.expect(200);
    assert_eq!(back.json["publishedAt"], published.json["publishedAt"]);

    // also where it comes back by the clock
    staff.delete(&format!("/articles/{id}")).await.expect(204);
    let planned = (app.clock.now() + TimeDelta::minutes(5)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    post(&staff, &format!("/articles/{id}/publish?at={planned}")).await.expect(200);
    app.clock.advance(TimeDelta::minutes(6));
    tick(&app).await;
    let back = reader.get("/articles/sleeping-well").await.expect(200);
    assert_eq!(back.json["publishedAt"], published.json["publishedAt"]);

    let unpublished = post(&staff, &format!("/articles/{id}/unpublish")).await.expect(200);
    assert_eq!(unpublished.json["status"], "draft");
    reader.get("/articles/sleeping-well").await.refused(404, "not_found");
    // it was published once: it is not gone for good
    staff.delete(&format!("/articles/{id}")).await.expect(204);
    assert_eq!(staff.get(&format!("/articles/{id}")).await.expect(200).json["status"], "archived");

    let never = begun(&staff, "Never shown").await;
    staff.delete(&format!("/articles/{never}")).await.expect(204);
    staff.get(&format!("/articles/{never}")).await.refused(404, "not_found");
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM app.audit_logs WHERE object_type = 'article' ORDER BY at, id")
            .fetch_all(app.db())
            .await
            .unwrap();
    for action in ["created", "published", "archived", "unpublished", "deleted"] {
        assert!(actions.iter().any(|it| *it == format!("article.{action}")), "{action} in {actions:?}");
    }
}

#[tokio::test]
async fn the_clock_publishes_what_was_planned_at_the_time_that_was_said() {
    let app = TestApp::start().await;
    let (mut staff, mut reader) = (app.platform_admin().await, app.practitioner().await);
    let id = begun(&staff, "Planned").await;
    let planned = app.clock.now() + TimeDelta::hours(2);
    let path =
        |at: chrono::DateTime<chrono::Utc>| format!("/articles/{id}/publish?at={}", at.format("%Y-%m-%dT%H:%M:%SZ"));
    let past = post(&staff, &path(app.clock.now() - TimeDelta::minutes(1))).await.refused(422, "invalid");
    assert_eq!(past.json["errors"][0]["pointer"], "query:at");
    assert_eq!(post(&staff, &path(planned)).await.expect(200).json["status"], "scheduled");
    tick(&app).await;
    reader.get("/articles/planned").await.refused(404, "not_found");

    // moved to an earlier time
    let planned = app.clock.now() + TimeDelta::hours(1);
    post(&staff, &path(planned)).await.expect(200);
    let later = app.clock.now() + TimeDelta::minutes(70);
    at(&app, later, [(&mut staff, Role::PlatformAdmin), (&mut reader, Role::Practitioner)]).await;
    tick(&app).await;
    let read = reader.get("/articles/planned").await.expect(200);
    let published: chrono::DateTime<chrono::Utc> = read.str("/publishedAt").parse().unwrap();
    assert_eq!(published.timestamp(), planned.timestamp());
    // it cannot wait any more
    post(&staff, &path(app.clock.now() + TimeDelta::hours(1))).await.refused(409, "article_published");

    // a plan that is taken back is none
    let id = begun(&staff, "Never mind").await;
    let soon = (app.clock.now() + TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    post(&staff, &format!("/articles/{id}/publish?at={soon}")).await.expect(200);
    post(&staff, &format!("/articles/{id}/unpublish")).await.expect(200);
    let later = app.clock.now() + TimeDelta::hours(2);
    at(&app, later, [(&mut staff, Role::PlatformAdmin), (&mut reader, Role::Practitioner)]).await;
    tick(&app).await;
    reader.get("/articles/never-mind").await.refused(404, "not_found");
}

#[tokio::test]
async fn practitioners_write_drafts_of_their_own_and_nothing_else() {
    let app = TestApp::start().await;
    let (staff, author, other) = (app.platform_admin().await, app.practitioner().await, app.practitioner().await);
    let company = app.company("Acme").await;
    let id = begun(&author, "My draft").await;
    let path = format!("/articles/{id}");
    assert_eq!(author.get("/articles?status=draft").await.expect(200).json["items"].as_array().unwrap().len(), 1);
    assert_eq!(other.get("/articles?status=draft").await.expect(200).json["items"], json!([]));
    other.get(&path).await.refused(404, "not_found");
    for (method, path) in
        [(Method::PATCH, path.as_str()), (Method::DELETE, path.as_str()), (Method::PATCH, "/articles/none")]
    {
        let request = other.request(method, path).header("if-match", "*").json(&json!({"category": "work"}));
        Answer::of(request).await.refused(404, "not_found");
    }
    author.patch(&path, json!({"category": "work"})).await.expect(200);
    post(&author, &format!("{path}/publish")).await.refused(403, "forbidden");
    for person in [&company.hr, &company.admin, &app.employee(&company).await] {
        person.post("/articles", draft("Mine")).await.refused(403, "forbidden");
        let refused = person.get("/articles?status=draft").await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["code"], "not_for_role");
    }
    // staff change everybody's, and what they published is not its author's to change any more
    staff.patch(&path, json!({"tags": ["work"]})).await.expect(200);
    post(&staff, &format!("{path}/publish")).await.expect(200);
    let seen = author.get(&path).await.expect(200);
    assert_eq!(seen.json["texts"][0]["body"], "At **length**.");
    author.patch(&path, json!({"category": "sleep"})).await.refused(409, "article_not_draft");
    author.delete(&path).await.refused(409, "article_not_draft");
    post(&staff, &format!("{path}/unpublish")).await.expect(200);
    author.patch(&path, json!({"category": "sleep"})).await.expect(200);
    author.delete(&path).await.refused(409, "article_not_draft");

    // whatever the program forgets, the database does not
    let mut conn = app.as_role(DbRole::Practitioner, author.id).await;
    for sql in [
        "UPDATE app.articles SET status = 'published'",
        "INSERT INTO app.articles (id, author_id, category) SELECT gen_random_uuid(), id, 'work' FROM app.users WHERE id <> app.user_id()",
        "INSERT INTO app.articles (id, category) VALUES (gen_random_uuid(), 'work')",
    ] {
        assert!(sqlx::query(sql).execute(&mut conn).await.map_or(true, |done| done.rows_affected() == 0), "{sql}");
    }
}

#[tokio::test]
async fn names_lead_to_their_article_for_good() {
    let app = TestApp::start().await;
    let (staff, reader) = (app.platform_admin().await, app.practitioner().await);
    let id = begun(&staff, "First name").await;
    post(&staff, &format!("/articles/{id}/publish")).await.expect(200);
    let renamed = json!({"texts": [{"language": "en", "slug": "second-name", "title": "T", "summary": "S", "body": "B"},
                                   text("fr", "Nom français")]});
    staff.patch(&format!("/articles/{id}"), renamed).await.expect(200);
    let moved = reader.get("/articles/first-name?language=en").await.expect(308);
    assert_eq!(moved.header("location"), "/api/v1/articles/second-name?language=en");
    assert_eq!(
        reader.get("/articles/first-name").await.expect(308).header("location"),
        "/api/v1/articles/nom-francais"
    );
    reader.get("/articles/second-name?language=en").await.expect(200);
    assert_eq!(reader.get(&format!("/articles/{id}?language=en")).await.expect(200).json["slug"], "second-name");

    // nobody else gets a name that it had; a name that is made of a title gives way
    let taken = json!({"category": "work", "texts": [{"language": "en", "slug": "first-name", "title": "T", "summary": "S", "body": "B"}]});
    let refused = staff.post("/articles", taken).await.refused(409, "slug_taken");
    assert_eq!(refused.json["errors"][0]["pointer"], "/texts/0/slug");
    let another = staff.post("/articles", draft("First name")).await.expect(201).str("/slug");
    assert!(another.starts_with("first-name-") && another.len() == "first-name-".len() + 8, "{another}");
    // nor in the other language, where a reader would be led to either
    let french = json!({"category": "work", "texts": [{"language": "fr", "slug": "first-name", "title": "T", "summary": "S", "body": "B"}]});
    staff.post("/articles", french).await.refused(409, "slug_taken");
    let french = json!({"category": "work", "texts": [text("fr", "First name")]});
    let french = staff.post("/articles", french).await.expect(201).str("/slug");
    assert!(french.starts_with("first-name-") && french.len() == "first-name-".len() + 8, "{french}");
    // of two who want one at the same moment one gets it
    let want = |language: &str| {
        let text = json!({"language": language, "slug": "wanted", "title": "T", "summary": "S", "body": "B"});
        let body = json!({"category": "work", "texts": [text]});
        let staff = staff.clone();
        async move { staff.post("/articles", body).await.status.as_u16() }
    };
    let mut answers: [u16; 2] = tokio::join!(want("fr"), want("en")).into();
    answers.sort_unstable();
    assert_eq!(answers, [201, 409]);
    // and it takes its own old name again
    let back = json!({"texts": [{"language": "en", "slug": "first-name", "title": "T", "summary": "S", "body": "B"}]});
    let back = staff.patch(&format!("/articles/{id}"), back).await.expect(200);
    assert_eq!(back.json["translations"], json!([{"language": "en", "slug": "first-name"}]));
    // of a text that is gone the name leads to the one that there is
    assert_eq!(
        reader.get("/articles/nom-francais").await.expect(308).header("location"),
        "/api/v1/articles/first-name"
    );
    // once it is archived, nobody learns of it
    staff.delete(&format!("/articles/{id}")).await.expect(204);
    reader.get("/articles/second-name").await.refused(404, "not_found");
}

#[tokio::test]
async fn two_who_change_an_article_do_not_overwrite_each_other() {
    let app = TestApp::start().await;
    let (staff, colleague) = (app.platform_admin().await, app.platform_admin().await);
    let id = begun(&staff, "Shared").await;
    let path = format!("/articles/{id}");
    let change = |user: User, tag: Option<String>| {
        let mut request = user.request(Method::PATCH, &path).json(&json!({"category": "stress"}));
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        Answer::of(request)
    };
    change(staff.clone(), None).await.refused(428, "precondition_required");
    // known in either language
    let french = staff.get(&format!("{path}?language=fr")).await.expect(200).header("etag").to_owned();
    change(staff.clone(), Some(french.clone())).await.expect(200);
    change(colleague.clone(), Some(french.clone())).await.refused(412, "stale");
    Answer::of(colleague.request(Method::POST, &format!("{path}/publish")).header("if-match", &french))
        .await
        .refused(412, "stale");
    Answer::of(colleague.request(Method::DELETE, &path).header("if-match", &french)).await.refused(412, "stale");
    // of two at once one is told
    let now = staff.get(&path).await.header("etag").to_owned();
    let (one, two) = tokio::join!(change(staff.clone(), Some(now.clone())), change(colleague, Some(now)));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn what_is_wrong_with_an_article_is_told_at_once() {
    let app = TestApp::start().await;
    let author = app.practitioner().await;
    let bad = json!({"category": "sleep", "tags": ["ok", "Bad tag", "ok"], "coverId": "01941f29-7c00-7c1f-8a52-6d0e4b9f3a17",
        "texts": [text("en", "A"), {"language": "en", "slug": "No Slug", "title": "T", "summary": "S", "body": "B"}]});
    let refused = author.post("/articles", bad).await.refused(422, "invalid");
    let mut faults: Vec<_> = refused.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["pointer"].as_str().unwrap(), it["code"].as_str().unwrap()))
        .collect();
    faults.sort();
    assert_eq!(
        faults,
        ["/tags/1 article_tag", "/tags/2 duplicate", "/texts/1/language duplicate", "/texts/1/slug article_slug"]
    );
    for (body, pointer) in [
        (json!({"category": "gossip", "texts": [text("en", "T")]}), "/category"),
        (json!({"category": "work", "texts": []}), "/texts"),
        (json!({"category": "work"}), "/texts"),
        (json!({"category": "work", "texts": [text("de", "T")]}), "/texts/0/language"),
        (json!({"category": "work", "texts": [text("en", "   ")]}), "/texts/0/title"),
        (json!({"category": "work", "texts": [text("en", &"x".repeat(201))]}), "/texts/0/title"),
        (json!({"category": "work", "texts": [text("en", "a\u{0}b")]}), "/texts/0/title"),
        (
            json!({"category": "work", "coverId": "01941f29-7c00-7c1f-8a52-6d0e4b9f3a17", "texts": [text("en", "T")]}),
            "/coverId",
        ),
        (json!({"category": "work", "status": "published", "texts": [text("en", "T")]}), "/status"),
    ] {
        let refused = author.post("/articles", body).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{}", refused.json);
    }
    let id = begun(&author, "Fine").await;
    let refused = author.patch(&format!("/articles/{id}"), json!({"texts": []})).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "/texts");
    assert_eq!(author.get("/articles?status=draft").await.expect(200).json["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeated_beginning_begins_one_article() {
    let app = TestApp::start().await;
    let author = app.practitioner().await;
    let send = |title: &'static str| {
        Answer::of(author.request(Method::POST, "/articles").header("idempotency-key", "once").json(&draft(title)))
    };
    let first = send("Once").await.expect(201);
    assert_eq!(send("Once").await.expect(201).str("/id"), first.str("/id"));
    send("Twice").await.refused(422, "idempotency_mismatch");
    assert_eq!(app.count("SELECT count(*) FROM app.articles").await, 1);
}

#[tokio::test]
async fn a_cover_is_seen_by_whoever_reads_the_article() {
    let app = TestApp::start().await;
    let (staff, author, other) = (app.platform_admin().await, app.practitioner().await, app.practitioner().await);
    let company = app.company("Acme").await;
    let reader = app.employee(&company).await;
    let cover = picture(&author).await;
    // somebody else's picture is none
    let body = json!({"category": "work", "coverId": cover, "texts": [text("en", "With a cover")]});
    let refused = other.post("/articles", body.clone()).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["code"], "article_cover");
    let made = author.post("/articles", body).await.expect(201);
    let url = format!("/files/{cover}");
    assert_eq!((made.str("/coverUrl"), made.str("/coverId")), (format!("/api/v1{url}"), cover.clone()));
    reader.get(&url).await.refused(404, "not_found");
    post(&staff, &format!("/articles/{}/publish", made.str("/id"))).await.expect(200);
    reader.get(&url).await.expect(200);
    assert_eq!(reader.get("/articles/with-a-cover").await.expect(200).str("/coverUrl"), format!("/api/v1{url}"));
    // taken from the article, it is the author's own again
    staff.patch("/articles/with-a-cover", json!({"coverId": null})).await.expect(200);
    reader.get(&url).await.refused(404, "not_found");
    staff.patch("/articles/with-a-cover", json!({"coverId": cover})).await.expect(200);
    // a picture that is deleted is on no article
    author.delete(&url).await.expect(204);
    assert!(reader.get("/articles/with-a-cover").await.expect(200).json.get("coverUrl").is_none());
    app.settle().await;
}
