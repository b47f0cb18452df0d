//! Articles: who reads which, in which language, and that nothing in them can do harm.

mod feed;
mod news;
mod writing;

use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApp, User};

/// An article with translations: `(language, slug, body)`.
async fn article(app: &TestApp, status: &str, days_ago: i32, category: &str, texts: &[(&str, &str, &str)]) -> Uuid {
    let id: Uuid = app.platform.new_id();
    sqlx::query(
        "INSERT INTO app.articles (id, status, category, tags, published_at, publish_at)
         VALUES ($1, CASE $2 WHEN 'archived' THEN 'published' ELSE $2 END, $3, ARRAY[$3, 'all'],
                 CASE WHEN $2 IN ('published', 'archived') THEN now() - make_interval(days => $4) END,
                 CASE $2 WHEN 'scheduled' THEN now() + interval '1 day' END)",
    )
    .bind(id)
    .bind(status)
    .bind(category)
    .bind(days_ago)
    .execute(app.db())
    .await
    .unwrap();
    if status == "archived" {
        sqlx::query("UPDATE app.articles SET status = 'archived' WHERE id = $1")
            .bind(id)
            .execute(app.db())
            .await
            .unwrap();
    }
    for (language, slug, body) in texts {
        sqlx::query(
            "INSERT INTO app.article_translations (article_id, language, slug, title, summary, body)
             VALUES ($1, $2, $3, 'Title of ' || $3, 'Summary', $4)",
        )
        .bind(id)
        .bind(language)
        .bind(slug)
        .bind(body)
        .execute(app.db())
        .await
        .unwrap();
    }
    id
}

fn slugs(answer: &Answer) -> Vec<&str> {
    answer.json["items"].as_array().unwrap().iter().map(|item| item["slug"].as_str().unwrap()).collect()
}

async fn everybody(app: &TestApp) -> Vec<User> {
    let company = app.company("Acme").await;
    let people = vec![app.employee(&company).await, app.practitioner().await, app.platform_admin().await];
    people.into_iter().chain([company.hr, company.admin]).collect()
}

#[tokio::test]
async fn everybody_reads_what_is_published_and_nothing_else() {
    let app = TestApp::start().await;
    for person in &everybody(&app).await {
        assert_eq!(person.get("/articles").await.expect(200).json, json!({"items": []}));
    }
    article(&app, "published", 2, "sleep", &[("en", "older", "Text")]).await;
    article(&app, "published", 1, "sleep", &[("en", "newer", "Text")]).await;
    for status in ["draft", "scheduled", "archived"] {
        article(&app, status, 0, "sleep", &[("en", status, "Text")]).await;
    }
    for person in &everybody(&app).await {
        let listed = person.get("/articles?language=en").await.expect(200);
        assert_eq!(slugs(&listed), ["newer", "older"]);
        assert_eq!(listed.json["items"][0]["title"], "Title of newer");
        person.get("/articles/newer").await.expect(200);
        for hidden in ["missing", "%22", "a%27b"] {
            person.get(&format!("/articles/{hidden}")).await.refused(404, "not_found");
        }
        for hidden in ["draft", "scheduled", "archived"] {
            let read = person.get(&format!("/articles/{hidden}")).await;
            // staff see what they prepare, where they ask for it
            if person.company_id.is_none() && read.status == 200 {
                assert_eq!((read.json["status"].as_str(), person.email.starts_with("platform")), (Some(hidden), true));
            } else {
                read.refused(404, "not_found");
            }
        }
    }
    app.anonymous().get("/articles").await.refused(401, "unauthenticated");
    app.anonymous().get("/articles/newer").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_text_comes_in_the_language_asked_for_or_in_the_one_that_there_is() {
    let app = TestApp::start().await;
    let reader = app.platform_admin().await;
    article(&app, "published", 1, "work", &[("fr", "pause", "Texte"), ("en", "break", "Text")]).await;
    article(&app, "published", 2, "work", &[("fr", "seulement", "Texte")]).await;
    assert_eq!(slugs(&reader.get("/articles?language=en").await.expect(200)), ["break", "seulement"]);
    assert_eq!(slugs(&reader.get("/articles?language=fr").await.expect(200)), ["pause", "seulement"]);
    let accepted = reader.request(Method::GET, "/articles").header("accept-language", "en-GB,fr;q=0.5");
    assert_eq!(slugs(&Answer::of(accepted).await.expect(200)), ["break", "seulement"]);

    // by its name in either language, in the language that is wanted
    for slug in ["pause", "break"] {
        let read = reader.get(&format!("/articles/{slug}?language=en")).await.expect(200);
        assert_eq!((&read.json["slug"], &read.json["language"]), (&json!("break"), &json!("en")));
        assert_eq!(read.json["html"], "<p>Text</p>\n");
        let translations = json!([{"language": "en", "slug": "break"}, {"language": "fr", "slug": "pause"}]);
        assert_eq!(read.json["translations"], translations);
    }
    let only = reader.get("/articles/seulement?language=en").await.expect(200);
    assert_eq!(only.json["language"], "fr");

    // a name belongs to one article, whichever the language: its texts may share it, another article's may not
    let shared =
        article(&app, "published", 3, "work", &[("fr", "stress", "Le stress"), ("en", "stress", "Stress")]).await;
    for (language, text) in [("fr", "Le stress"), ("en", "Stress")] {
        let read = reader.get(&format!("/articles/stress?language={language}")).await.expect(200);
        assert_eq!((read.str("/id"), read.str("/html")), (shared.to_string(), format!("<p>{text}</p>\n")));
    }
    for (language, slug) in [("en", "pause"), ("fr", "break"), ("en", "stress")] {
        let taken = sqlx::query(
            "INSERT INTO app.article_translations (article_id, language, slug, title, summary, body)
             SELECT t.article_id, $1, $2, 'T', 'S', 'B' FROM app.article_translations t WHERE t.slug = 'seulement'
             ON CONFLICT (article_id, language) DO UPDATE SET slug = excluded.slug",
        )
        .bind(language)
        .bind(slug)
        .execute(app.db())
        .await
        .unwrap_err();
        let constraint = taken.as_database_error().unwrap().constraint().map(ToOwned::to_owned);
        assert_eq!(constraint.as_deref(), Some("article_translations_slug_key"), "{slug}: {taken}");
    }
}

#[tokio::test]
async fn articles_are_found_by_category_and_tag_page_by_page() {
    let app = TestApp::start().await;
    let reader = app.platform_admin().await;
    for n in 0..5 {
        let slug = format!("sleep-{n}");
        article(&app, "published", n, "sleep", &[("en", &slug, "Text")]).await;
    }
    article(&app, "published", 9, "stress", &[("en", "stress", "Text")]).await;
    assert_eq!(slugs(&reader.get("/articles?category=stress").await.expect(200)), ["stress"]);
    assert_eq!(slugs(&reader.get("/articles?tag=stress").await.expect(200)), ["stress"]);
    assert_eq!(slugs(&reader.get("/articles?tag=all&category=stress").await.expect(200)), ["stress"]);
    assert_eq!(reader.get("/articles?tag=none").await.expect(200).json, json!({"items": []}));

    let mut seen = Vec::new();
    let mut path = "/articles?limit=2&category=sleep".to_owned();
    loop {
        let page = reader.get(&path).await.expect(200);
        seen.extend(slugs(&page).into_iter().map(ToOwned::to_owned));
        let Some(cursor) = page.json["nextCursor"].as_str() else { break };
        path = format!("/articles?limit=2&category=sleep&cursor={cursor}");
    }
    assert_eq!(seen, ["sleep-0", "sleep-1", "sleep-2", "sleep-3", "sleep-4"]);

    for (query, pointer) in [
        ("category=gossip", "query:category"),
        ("language=de", "query:language"),
        ("limit=0", "query:limit"),
        ("cursor=nonsense", "query:cursor"),
        ("tag=", "query:tag"),
    ] {
        let refused = reader.get(&format!("/articles?{query}")).await.expect(400);
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{}", refused.json);
    }
    // a cursor of a year that no calendar knows
    let forged = "WyIrMjYwMDAwLTAxLTAxVDAwOjAwOjAwWiIsIjAxOTQxZjI5LTdjMDAtN2MxZi04YTUyLTZkMGU0YjlmM2ExNyJd";
    reader.get(&format!("/articles?cursor={forged}")).await.expect(200);
}

#[tokio::test]
async fn a_reader_who_has_the_text_is_told_so_until_it_changes() {
    let app = TestApp::start().await;
    let reader = app.platform_admin().await;
    article(&app, "published", 1, "work", &[("fr", "pause", "Texte"), ("en", "break", "Text")]).await;
    let read = reader.get("/articles/break?language=en").await.expect(200);
    let again =
        |path: &'static str, tag: String| Answer::of(reader.request(Method::GET, path).header("if-none-match", tag));
    let tag = read.header("etag").to_owned();
    again("/articles/break?language=en", tag.clone()).await.expect(304);
    // the same article in the other language is another text
    again("/articles/break?language=fr", tag.clone()).await.expect(200);
    sqlx::query("UPDATE app.article_translations SET body = 'New' WHERE language = 'en'")
        .execute(app.db())
        .await
        .unwrap();
    let changed = again("/articles/break?language=en", tag).await.expect(200);
    assert_eq!(changed.json["html"], "<p>New</p>\n");
}

#[tokio::test]
async fn what_an_article_holds_cannot_run_in_its_readers_browser() {
    let app = TestApp::start().await;
    let reader = app.platform_admin().await;
    let body = "# Title\n\n<script>alert(1)</script><img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) \
                [b](https://example.org)\n\n<iframe src=https://evil.example></iframe><p style=\"position:fixed\">*end*</p>";
    article(&app, "published", 1, "work", &[("en", "attack", body)]).await;
    let html = reader.get("/articles/attack").await.expect(200).str("/html");
    // what is written in HTML is text
    let tags: Vec<&str> = html.split('<').skip(1).filter_map(|it| it.split_once('>')).map(|it| it.0).collect();
    for bad in ["script", "img", "onerror", "javascript:", "iframe", "style="] {
        assert!(tags.iter().all(|tag| !tag.contains(bad)), "{bad} in {html}");
    }
    for kept in [
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<h1>Title</h1>",
        "href=\"https://example.org\"",
        "rel=\"noopener noreferrer\"",
        "end",
    ] {
        assert!(html.contains(kept), "{kept} not in {html}");
    }
}

/// One that was stored before there was a bound is shown all the same, with every word.
#[tokio::test]
async fn a_text_that_is_deeper_than_anybody_writes_is_refused_and_shown_flat() {
    let app = TestApp::start().await;
    let (staff, company) = (app.platform_admin().await, app.company("Acme").await);
    let alice = app.employee(&company).await;
    let deep = ">".repeat(99_990) + " end";
    let text = json!({"language": "en", "title": "Deep", "summary": "S", "body": deep});
    let refused = staff.post("/articles", json!({"category": "work", "texts": [text]})).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "/texts/0/body");
    assert_eq!(refused.json["errors"][0]["code"], "markdown_depth");
    let news = json!({"texts": {"fr": {"title": "T", "body": "B"}, "en": {"title": "T", "body": &deep[99_000..]}}});
    let refused = company.hr.post("/news", news).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "/texts/en/body");

    article(&app, "published", 1, "work", &[("en", "deep", &deep)]).await;
    let html = alice.get("/articles/deep").await.expect(200).str("/html");
    assert_eq!((html.matches("<blockquote>").count(), html.contains("end")), (32, true));
}

#[tokio::test]
async fn the_database_knows_which_state_an_article_can_come_from() {
    let app = TestApp::start().await;
    let id = article(&app, "draft", 0, "work", &[]).await;
    let change = async |set: &'static str| {
        let sql = format!("UPDATE app.articles SET {set} WHERE id = $1");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .execute(app.db())
            .await
            .err()
            .map(|error| error.as_database_error().unwrap().constraint().unwrap_or_default().to_owned())
    };
    let state_machine = Some("articles_state_machine".to_owned());
    assert_eq!(change("status = 'archived', published_at = now()").await, state_machine);
    assert_eq!(change("status = 'published'").await, Some("articles_published".to_owned()));
    assert_eq!(change("status = 'scheduled'").await, Some("articles_schedule".to_owned()));
    for legal in [
        "status = 'scheduled', publish_at = now()",
        "status = 'published', publish_at = NULL, published_at = now()",
        "status = 'archived'",
        "status = 'published'",
        "status = 'draft'",
    ] {
        assert_eq!(change(legal).await, None, "{legal}");
    }
    let refused = sqlx::query(
        "INSERT INTO app.articles (id, status, category, published_at) VALUES ($1, 'archived', 'work', now())",
    )
    .bind(Uuid::new_v4())
    .execute(app.db())
    .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn the_demonstration_has_articles_in_both_languages() {
    let app = TestApp::start().await;
    let options = (*app.db().connect_options()).clone();
    huntzen::seed::demo(&options, &app.platform.config, &app.clock).await.unwrap();
    let company_id = sqlx::query_scalar("SELECT company_id FROM app.users WHERE email = 'alice@acme.test'")
        .fetch_one(app.db())
        .await
        .unwrap();
    let alice = app.person(Role::Employee, Some(company_id)).await;
    for language in ["fr", "en"] {
        let listed = alice.get(&format!("/articles?language={language}")).await.expect(200);
        let items = listed.json["items"].as_array().unwrap();
        assert!(items.len() >= 8);
        assert!(items.iter().all(|item: &Value| item["language"] == language), "{}", listed.json);
        for slug in slugs(&listed) {
            let read = alice.get(&format!("/articles/{slug}?language={language}")).await.expect(200);
            assert!(read.str("/html").contains("<h2>"), "{slug}");
            assert_eq!(read.json["translations"].as_array().unwrap().len(), 2);
        }
    }
}
