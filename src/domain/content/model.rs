//! What an article is, and how its text becomes HTML.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use pulldown_cmark::{Options, Parser, html};
use serde::{Deserialize, Serialize};

use crate::platform::ids::ArticleId;
use crate::platform::locale::Locale;

/// What an article is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ArticleCategory", rename_all = "snake_case")]
pub enum Category {
    /// How the service works.
    GettingStarted,
    Stress,
    Sleep,
    Work,
    Relationships,
    Nutrition,
    Movement,
}

/// An article in one of its languages, as lists show it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Summary {
    pub id: ArticleId,
    pub language: Locale,
    pub slug: String,
    pub title: String,
    pub summary: String,
    pub category: Category,
    pub tags: Vec<String>,
    pub published_at: DateTime<Utc>,
}

/// Under which name an article is found in a language.
#[derive(Clone, Debug, Deserialize)]
pub struct Translation {
    pub language: Locale,
    pub slug: String,
}

/// An article to read.
#[derive(Clone, Debug)]
pub struct Article {
    pub summary: Summary,
    /// Markdown.
    pub body: String,
    pub translations: Vec<Translation>,
    /// Of the article and all its translations.
    pub updated_at: DateTime<Utc>,
}

/// Markdown as HTML that is safe to show: what is written in HTML passes the sanitiser as well, which keeps the
/// elements of texts and drops scripts, styles, frames, forms, event handlers and addresses that run something.
pub fn render(markdown: &str) -> String {
    let mut unsafe_html = String::with_capacity(markdown.len() * 3 / 2);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    html::push_html(&mut unsafe_html, Parser::new_ext(markdown, options));
    ammonia::clean(&unsafe_html)
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn markdown_becomes_html() {
        let html =
            render("## Dormir\n\nUn **rituel**, [chaque soir](https://example.org/nuit):\n\n- lire\n- éteindre\n");
        for part in
            ["<h2>Dormir</h2>", "<strong>rituel</strong>", "href=\"https://example.org/nuit\"", "<li>éteindre</li>"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(html.contains("rel=\"noopener noreferrer\""), "{html}");
        assert!(render("| a | b |\n|---|---|\n| 1 | 2 |").contains("<table>"));
    }

    #[test]
    fn nothing_in_a_text_can_run() {
        for attack in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "![x](x\" onerror=\"alert(1))",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt&colon;alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
            "<javascript:alert(1)>",
            "<svg onload=alert(1)><animate onbegin=alert(1)></svg>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
            "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
            "<form action=javascript:alert(1)><button>x</button></form>",
            "<a href=\"https://ok.example\" onclick=alert(1) style=\"position:fixed\">x</a>",
            "<style>@import 'https://evil.example/x.css';</style>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
            "<details open ontoggle=alert(1)>x</details>",
            "<base href=\"https://evil.example/\"><meta http-equiv=refresh content=0>",
            "```html\n<script>alert(1)</script>\n```",
        ] {
            let html = render(attack).to_lowercase();
            let tags: Vec<&str> = html.split('<').skip(1).filter_map(|it| it.split_once('>')).map(|it| it.0).collect();
            for tag in tags {
                for bad in
                    ["script", "style", "iframe", "svg", "math", "form", "base", "meta", "javascript", "data:", " on"]
                {
                    // titles and alternative texts are quoted, and may say anything
                    assert!(!tag.contains(bad) || tag.contains("title=") || tag.contains("alt="), "{attack} → {html}");
                }
            }
            assert!(!html.contains("<script") && !html.contains("javascript:alert(1)\""), "{attack} → {html}");
        }
    }
}
