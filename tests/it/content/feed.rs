//! The feed of articles, read by two programs that are not ours.

use serde_json::{Value, json};

use super::article;
use crate::support::{Answer, TestApp, tools};

async fn feed(app: &TestApp, query: &str) -> Answer {
    app.anonymous().get(&format!("/articles/feed.xml{query}")).await.expect(200)
}

#[tokio::test]
async fn two_readers_of_rss_take_the_feed() {
    let app = TestApp::start().await;
    let empty = feed(&app, "").await;
    assert_eq!(empty.header("content-type"), "application/rss+xml; charset=utf-8");
    assert_eq!(tools::feed(&empty.bytes)["items"], json!([]));
    article(&app, "published", 2, "sleep", &[("fr", "dormir", "Texte"), ("en", "sleeping", "Text")]).await;
    let hostile = article(&app, "published", 1, "stress", &[("en", "hostile", "Text")]).await;
    sqlx::query("UPDATE app.article_translations SET title = $2, summary = $3 WHERE article_id = $1")
        .bind(hostile)
        .bind("]]></title><script>alert(1)</script> & \u{8}\u{b}\u{fffe}co. \"é😀\"")
        .bind("<b>bold</b> &amp; <!-- none -->")
        .execute(app.db())
        .await
        .unwrap();
    for hidden in ["draft", "scheduled", "archived"] {
        article(&app, hidden, 0, "work", &[("en", hidden, "Text")]).await;
    }
    let read = tools::feed(&feed(&app, "?language=en").await.bytes);
    assert_eq!((&read["language"], &read["typed"]), (&json!("en"), &json!(2)));
    let public = app.platform.config.public_url.as_str().trim_end_matches('/').to_owned();
    assert_eq!(read["self"], format!("{public}/api/v1/articles/feed.xml?language=en"));
    let links: Vec<&Value> = read["items"].as_array().unwrap().iter().map(|it| &it["link"]).collect();
    assert_eq!(links, [&json!(format!("{public}/articles/hostile")), &json!(format!("{public}/articles/sleeping"))]);
    assert_eq!(read["items"][0]["id"], format!("urn:uuid:{hostile}"));
    assert_eq!(read["items"][1]["category"], "Sleep");

    // in French where there is French
    let french = tools::feed(&feed(&app, "?language=fr").await.bytes);
    assert_eq!(french["items"][1]["link"], format!("{public}/articles/dormir"));
    assert_eq!(french["items"][1]["category"], "Sommeil");
    assert_eq!(french["items"][0]["link"], format!("{public}/articles/hostile"));
}

#[tokio::test]
async fn whoever_cannot_sign_in_reads_titles_and_no_text() {
    let app = TestApp::start().await;
    article(&app, "published", 1, "sleep", &[("en", "sleeping", "The whole text")]).await;
    let first = feed(&app, "").await;
    assert!(first.text().contains("Title of sleeping") && !first.text().contains("The whole text"));
    let again = app
        .anonymous()
        .request(reqwest::Method::GET, "/articles/feed.xml")
        .header("if-none-match", first.header("etag"));
    Answer::of(again).await.expect(304);
    app.anonymous().get("/articles/sleeping").await.refused(401, "unauthenticated");
    app.anonymous().get("/articles/feed.xml?language=de").await.refused(400, "invalid_parameter");
}
