//! What an article is, and how its text becomes HTML.

use std::borrow::Cow;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use pulldown_cmark::{Options, Parser, html};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use crate::platform::ids::{ArticleId, FileId, UserId};
use crate::platform::locale::Locale;

/// Letters of a name that is made of a title.
const LONGEST_MADE_SLUG: usize = 80;
/// Where pictures of our own are.
const OWN_PICTURES: &str = "/api/v1/files/";

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

/// Where an article is on its way to its readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "ArticleStatus", rename_all = "snake_case")]
pub enum Status {
    /// Being written.
    Draft,
    /// Published by the clock.
    Scheduled,
    #[default]
    Published,
    /// Not shown any more; its names stay its own.
    Archived,
}

/// An article by its id, or by a name that a text of it has or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Id(ArticleId),
    Slug(String),
}

impl From<String> for Named {
    /// No name has the form of an id: the database sees to it.
    fn from(text: String) -> Self {
        let is_id = text.len() == 36;
        Uuid::from_str(&text).ok().filter(|_| is_id).map_or(Self::Slug(text), |id| Self::Id(ArticleId(id)))
    }
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
    pub cover_id: Option<FileId>,
    pub status: Status,
    /// Of a scheduled one.
    pub publish_at: Option<DateTime<Utc>>,
    /// When it was published first.
    pub published_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
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
    pub author_id: Option<UserId>,
}

/// An article in a language, as it is written.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Text {
    pub language: Locale,
    pub slug: String,
    pub title: String,
    pub summary: String,
    /// Markdown.
    pub body: String,
}

/// A name for addresses, made of a title: small letters, digits and hyphens.
pub fn slug_of(title: &str) -> String {
    let mut slug = String::new();
    for letter in title.nfd() {
        match letter {
            'a'..='z' | '0'..='9' => slug.push(letter),
            'A'..='Z' => slug.push(letter.to_ascii_lowercase()),
            'œ' | 'Œ' => slug.push_str("oe"),
            'æ' | 'Æ' => slug.push_str("ae"),
            'ß' => slug.push_str("ss"),
            // accents that stood on a letter
            '\u{300}'..='\u{36f}' => {}
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    if slug.len() > LONGEST_MADE_SLUG {
        slug.truncate(LONGEST_MADE_SLUG + 1);
        // not in the middle of a word
        slug.truncate(slug.rfind('-').unwrap_or(LONGEST_MADE_SLUG));
    }
    let slug = slug.trim_end_matches('-');
    match Named::from(slug.to_owned()) {
        Named::Slug(slug) if !slug.is_empty() => slug,
        _ => "article".to_owned(),
    }
}

/// Whether a text is a name for addresses.
pub fn is_slug(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    text.len() <= 120 && text.split('-').all(is_word) && matches!(Named::from(text.to_owned()), Named::Slug(_))
}

/// Markdown as HTML that is safe to show: what is written in HTML passes the sanitiser as well, which keeps the
/// elements of texts and drops scripts, styles, frames, forms, event handlers and addresses that run something. Pictures
/// are our own alone: one from elsewhere would tell whoever keeps it who reads about what.
pub fn render(markdown: &str) -> String {
    let mut unsafe_html = String::with_capacity(markdown.len() * 3 / 2);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    html::push_html(&mut unsafe_html, Parser::new_ext(markdown, options));
    ammonia::Builder::default()
        .attribute_filter(|element, attribute, value| {
            let is_elsewhere = element == "img" && attribute == "src" && !value.starts_with(OWN_PICTURES);
            if is_elsewhere { None } else { Some(Cow::Borrowed(value)) }
        })
        .clean(&unsafe_html)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_titles() {
        for (title, slug) in [
            ("Mieux dormir : sept habitudes", "mieux-dormir-sept-habitudes"),
            ("L’été, ça use… l’œil !", "l-ete-ca-use-l-oeil"),
            ("  --- ", "article"),
            ("睡眠", "article"),
            ("01941f29-7c00-7c1f-8a52-6d0e4b9f3a17", "article"),
        ] {
            assert_eq!(slug_of(title), slug, "{title}");
            assert!(is_slug(&slug_of(title)));
        }
        let long = slug_of(&"beaucoup de mots ".repeat(20));
        assert!(long.len() <= 80 && is_slug(&long), "{long}");
        assert!(is_slug(&slug_of(&"x".repeat(200))));
        for bad in ["", "-", "a-", "-a", "a--b", "A", "é", "a b", "01941f29-7c00-7c1f-8a52-6d0e4b9f3a17"] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    #[test]
    fn an_id_is_told_from_a_name() {
        let id = "01941f29-7c00-7c1f-8a52-6d0e4b9f3a17";
        assert_eq!(Named::from(id.to_owned()), Named::Id(ArticleId(id.parse().unwrap())));
        for name in ["sleep", "01941f297c007c1f8a526d0e4b9f3a17"] {
            assert_eq!(Named::from(name.to_owned()), Named::Slug(name.to_owned()));
        }
    }

    #[test]
    fn pictures_are_our_own() {
        let own = "/api/v1/files/01941f29-7c00-7c1f-8a52-6d0e4b9f3a17";
        assert!(render(&format!("![a]({own})")).contains(own));
        for elsewhere in ["https://tracker.example/x.png", "//tracker.example/x.png", "x.png", "/api/v1/../x"] {
            let html = render(&format!("![seen]({elsewhere}) <img src=\"{elsewhere}\">"));
            assert!(!html.contains("src="), "{html}");
        }
    }

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
