//! RSS 2.0 (rssboard.org/rss-specification), with the link to itself that its best practices ask for.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use rust_i18n::t;
use uuid::Uuid;

use crate::platform::locale::Locale;

/// An article in the feed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Item {
    pub id: Uuid,
    pub title: String,
    pub summary: String,
    pub category: String,
    pub published_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The feed as a document. `public` is where the program is reached, without a slash at its end.
pub fn render(items: &[Item], locale: Locale, public: &str) -> String {
    let language = locale.as_str();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str("<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\">\n<channel>\n");
    let own = format!("{public}/api/v1/articles/feed.xml?language={language}");
    element(&mut xml, "title", &t!("feed.title", locale = language));
    // the one page that there is
    element(&mut xml, "link", &format!("{public}/docs"));
    element(&mut xml, "description", &t!("feed.description", locale = language));
    element(&mut xml, "language", language);
    let _ = writeln!(xml, "<atom:link href=\"{}\" rel=\"self\" type=\"application/rss+xml\"/>", escaped(&own));
    if let Some(changed) = items.iter().map(|it| it.updated_at).max() {
        element(&mut xml, "lastBuildDate", &changed.to_rfc2822());
    }
    for it in items {
        xml.push_str("<item>\n");
        element(&mut xml, "title", &it.title);
        element(&mut xml, "description", &it.summary);
        element(&mut xml, "category", &t!(format!("article_category.{}", it.category), locale = language));
        // the same article, whatever it is called
        let _ = writeln!(xml, "<guid isPermaLink=\"false\">urn:uuid:{}</guid>", it.id);
        element(&mut xml, "pubDate", &it.published_at.to_rfc2822());
        xml.push_str("</item>\n");
    }
    xml.push_str("</channel>\n</rss>\n");
    xml
}

fn element(xml: &mut String, name: &str, text: &str) {
    let _ = writeln!(xml, "<{name}>{}</{name}>", escaped(text));
}

/// Without what no XML document may hold (XML 1.0, 2.2), however it is written.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => out.push(letter),
            _ => {}
        }
    }
    out
}
