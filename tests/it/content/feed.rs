//! The feed of articles, read by two programs that are not ours.

use serde_json::json;

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
    // no page shows an article to whoever is not signed in: nothing is linked that leads nowhere
    assert!(read["items"].as_array().unwrap().iter().all(|it| it["link"].is_null()), "{read}");
    let xml = feed(&app, "?language=en").await.text();
    let links: Vec<&str> = xml.split(['<', '>', '"']).filter_map(|it| it.strip_prefix(&public)).collect();
    assert_eq!(links, ["/docs", "/api/v1/articles/feed.xml?language=en"]);
    for link in links {
        app.anonymous().get(&format!("/{link}")).await.expect(200);
    }
    assert_eq!(read["items"][0]["id"], format!("urn:uuid:{hostile}"));
    assert_eq!(read["items"][1]["category"], "Sleep");

    // in French where there is French
    let french = tools::feed(&feed(&app, "?language=fr").await.bytes);
    assert_eq!(french["items"][1]["title"], "Title of dormir");
    assert_eq!(french["items"][1]["category"], "Sommeil");
    assert_eq!(french["items"][0]["id"], format!("urn:uuid:{hostile}"));
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
    let again = Answer::of(again).await.expect(304);
    assert_eq!(again.header("cache-control"), "public, no-cache");
    app.anonymous().get("/articles/sleeping").await.refused(401, "unauthenticated");
    app.anonymous().get("/articles/feed.xml?language=de").await.refused(400, "invalid_parameter");
}

/// Caches keep what the answer that it stands for would say of itself (RFC 9110, 15.4.5).
#[tokio::test]
async fn an_answer_that_nothing_has_changed_says_what_the_whole_one_would() {
    let (app, company, alice, dr) = crate::consultations::scene().await;
    let staff = app.platform_admin().await;
    article(&app, "published", 1, "sleep", &[("en", "sleeping", "The whole text")]).await;
    let booked = crate::consultations::book_on(&alice, &dr, crate::consultations::in_days(&app, 3)).await;
    let features = format!("/admin/companies/{}/features", company.id);
    let calendar = json!({"kind": "feed", "label": "Phone"});
    let calendar = dr.post(&format!("/practitioners/{}/calendars", dr.id), calendar).await.expect(201).str("/url");
    let calendar = &calendar[calendar.find("/calendars/").unwrap()..];
    let session = format!("/consultations/{}", booked.str("/id"));
    let nobody = app.anonymous();
    for (user, path) in [
        (&nobody, "/articles/feed.xml"),
        (&nobody, "/articles/feed.xml?language=fr"),
        (&nobody, "//.well-known/jwks.json"),
        (&nobody, calendar),
        (&alice, "/articles/sleeping"),
        (&alice, "/me"),
        (&alice, session.as_str()),
        (&staff, features.as_str()),
    ] {
        for coding in ["identity", "gzip"] {
            let ask = |tag: &str| {
                let request = user.request(reqwest::Method::GET, path).header("accept-encoding", coding);
                Answer::of(if tag.is_empty() { request } else { request.header("if-none-match", tag) })
            };
            let whole = ask("").await.expect(200);
            let again = ask(whole.header("etag")).await.expect(304);
            let told = |answer: &Answer| {
                let all = |name: &str| {
                    let values = answer.headers.get_all(name).iter().map(|it| it.to_str().unwrap().to_owned());
                    values.collect::<Vec<_>>()
                };
                (all("cache-control"), all("vary"), answer.header("etag").trim_start_matches("W/").to_owned())
            };
            assert_eq!(told(&again), told(&whole), "{path} {coding}");
            assert!(again.bytes.is_empty());
        }
    }
    app.settle().await;
}

/// What a checker that sees nothing wrong is worth.
#[tokio::test]
async fn a_feed_with_a_fault_is_none() {
    let app = TestApp::start().await;
    article(&app, "published", 2, "sleep", &[("en", "sleeping", "Text")]).await;
    article(&app, "published", 1, "stress", &[("en", "stress", "Text")]).await;
    let good = feed(&app, "?language=en").await.text();
    tools::try_feed(good.as_bytes()).unwrap();
    let spoilt = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} in {good}");
        good.replacen(from, to, 1)
    };
    let date = good.split_once("<pubDate>").unwrap().1.split_once("</pubDate>").unwrap().0;
    let build = good.split_once("<lastBuildDate>").unwrap().1.split_once("</lastBuildDate>").unwrap().0;
    let older = good.rsplit_once("<pubDate>").unwrap().1.split_once("</pubDate>").unwrap().0;
    let item = good.split_once("<item>").unwrap().1.split_once("</item>").unwrap().0;
    let wrong_day = if date.starts_with("Mon") { date.replacen("Mon", "Tue", 1) } else { format!("Mon{}", &date[3..]) };
    for (fault, text) in [
        ("an unknown element", spoilt("<item>", "<item><mood>fine</mood>")),
        ("an unknown element of the channel", spoilt("<language>", "<colour>blue</colour><language>")),
        ("an element of no namespace that is none", spoilt("<atom:link", "<atom:unlink")),
        ("no title of the channel", spoilt("<title>", "<!-- ").replacen("</title>", " -->", 1)),
        ("two languages", spoilt("<language>en</language>", "<language>en</language><language>fr</language>")),
        ("a date as XML writes it", spoilt(date, "2026-11-22T07:30:00Z")),
        ("a day of the week that is another", spoilt(date, &wrong_day)),
        ("a date without a zone", spoilt(date, date.rsplit_once(' ').unwrap().0)),
        ("a date of a build that is none", spoilt(build, "today")),
        ("older ones first", spoilt(date, "NEW").replacen(older, date, 1).replacen("NEW", older, 1)),
        ("an address without a host", spoilt("<link>http", "<link>articles/http")),
        ("the same item twice", spoilt("</channel>", &format!("<item>{item}</item></channel>"))),
        ("an id that says to be an address", spoilt("isPermaLink=\"false\"", "isPermaLink=\"true\"")),
        ("a link to itself that is none", spoilt("rel=\"self\"", "rel=\"alternate\"")),
        ("another version", spoilt("version=\"2.0\"", "version=\"2.1\"")),
        ("no XML", spoilt("</channel>", "")),
    ] {
        let complaint = tools::try_feed(text.as_bytes());
        assert!(complaint.is_err(), "{fault} was taken:\n{text}");
    }
}
