//! Markdown as HTML that is safe to show.
//!
//! What is written in HTML is shown as it is written, as text: nobody needs it for an article, and elements that nothing
//! closes, or thousands within each other, would have whoever reads them pay for it with every word. What Markdown makes is
//! closed, and within each other only so deep, so that the work grows with the length of a text and with nothing else.
//! The sanitiser goes over it all the same.

use std::borrow::Cow;

use pulldown_cmark::{Event, Options, Parser, html};

use crate::platform::problem::{Problem, Result};

/// Quotes, lists, emphasis and the like within each other; what is deeper is refused when it is written, and loses its form when
/// it is read.
pub const DEEPEST: usize = 32;
/// From so many bytes on texts are rendered on a thread of their own: requests wait on the others.
const LONG: usize = 10_000;
/// Where pictures of our own are.
const OWN_PICTURES: &str = "/api/v1/files/";

fn events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

/// How deep its parts are within each other.
pub fn depth(markdown: &str) -> usize {
    let mut depth: usize = 0;
    let mut deepest = 0;
    for event in events(markdown) {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What is shown of a text: HTML as text, and nothing deeper than [`DEEPEST`].
fn shown(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    let mut depth: usize = 0;
    events(markdown).filter_map(move |event| match event {
        Event::Start(_) => {
            depth += 1;
            (depth <= DEEPEST).then_some(event)
        }
        Event::End(_) => {
            depth = depth.saturating_sub(1);
            (depth < DEEPEST).then_some(event)
        }
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        _ => Some(event),
    })
}

/// Pictures are our own alone: one from elsewhere would tell whoever keeps it who reads about what.
pub fn render(markdown: &str) -> String {
    let mut unsafe_html = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut unsafe_html, shown(markdown));
    ammonia::Builder::default()
        .attribute_filter(|element, attribute, value| {
            let is_elsewhere = element == "img" && attribute == "src" && !value.starts_with(OWN_PICTURES);
            if is_elsewhere { None } else { Some(Cow::Borrowed(value)) }
        })
        .clean(&unsafe_html)
        .to_string()
}

/// Renders texts where that keeps no request waiting.
pub async fn render_all(texts: Vec<String>) -> Result<Vec<String>> {
    let length: usize = texts.iter().map(String::len).sum();
    let all = move || -> Vec<String> { texts.iter().map(|text| render(text)).collect() };
    if length < LONG {
        return Ok(all());
    }
    tokio::task::spawn_blocking(all).await.map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tags of a text's HTML, and how many elements are open at each of them, all together: what a browser or a sanitiser
    /// that looks through the open elements at each tag has to do.
    fn work(html: &str) -> (usize, usize) {
        let (mut open, mut tags, mut steps): (usize, usize, usize) = (0, 0, 0);
        for tag in html.split('<').skip(1) {
            tags += 1;
            let is_void = ["br", "hr", "img"].iter().any(|name| tag.starts_with(name));
            match tag.strip_prefix('/') {
                Some(_) => open = open.saturating_sub(1),
                None if !is_void => open += 1,
                None => {}
            }
            steps += open;
        }
        (tags, steps)
    }

    /// Texts of a length that do their worst: deep, unclosed, crossed, repeated.
    fn hostile(length: usize) -> Vec<String> {
        let repeated = |part: &str| part.repeat(length / part.len());
        let half = |part: &str| part.repeat(length / 2 / part.len());
        let nested = |open: &str, close: &str| {
            let times = length / (open.len() + close.len());
            format!("{}x{}", open.repeat(times), close.repeat(times))
        };
        let lists = (0..300).map(|n| "  ".repeat(n) + "- x\n").collect::<Vec<_>>().concat();
        let formats = (0..length / 40).map(|n| format!("<b id=\"{n}\">")).collect::<Vec<_>>().concat();
        vec![
            half("<div>") + &half("<p>"),
            formats + &half("\n\nx"),
            format!("<div>\n\n{}", half("<p>x\n\n")),
            half("<table><td>") + &half("<b>"),
            nested("<i>", "</i>"),
            repeated(">"),
            repeated("> "),
            half("> ") + "x\n" + &half("\n> x"),
            repeated(&(">".repeat(300) + " x\n\n")),
            lists.repeat(length / lists.len() + 1).chars().take(length).collect(),
            repeated("- "),
            repeated("1. "),
            repeated("* > "),
            nested("**a ", "**"),
            nested("*a _b ", "_ *"),
            nested("~~a ", "~~"),
            repeated("**a *b "),
            nested("[a](", ")"),
            nested("[", "](x)"),
            nested("![", "](x)"),
            repeated("[a][b]"),
            repeated("a|b\n"),
            half("|") + "\n" + &half("-|"),
            repeated("`"),
            repeated("```\n"),
            repeated("\\"),
            repeated("&amp;"),
            repeated("<"),
            repeated("<!--"),
            repeated("<a href=\""),
        ]
    }

    #[test]
    fn a_hostile_text_costs_what_it_is_long_and_no_more() {
        for text in hostile(100_000) {
            let start: String = text.chars().take(20).collect();
            let of_parser = events(&text).count();
            assert!(of_parser <= 4 * text.len() + 100, "{start}: {of_parser} events");
            let mut written = String::new();
            html::push_html(&mut written, shown(&text));
            // closing everything at each tag, and what it would take without the bound
            let (tags, steps) = work(&written);
            assert!(steps <= 3 * DEEPEST * (tags + 1), "{start}: {steps} steps for {tags} tags");
            assert!(written.len() <= 16 * text.len(), "{start}: {} bytes", written.len());
            let clean = render(&text);
            assert!(clean.len() <= 20 * text.len(), "{start}: {} bytes", clean.len());
        }
    }

    /// The test above would notice: without the bound the same texts take a thousand times the work.
    #[test]
    fn without_a_bound_it_would_cost_its_length_squared() {
        let text = ">".repeat(300) + " x\n\n";
        let text = text.repeat(300);
        let mut unbounded = String::new();
        html::push_html(&mut unbounded, events(&text));
        let (tags, steps) = work(&unbounded);
        assert!(steps > 3 * DEEPEST * (tags + 1), "{steps} steps for {tags} tags");
        assert!(depth(&text) > 300 && depth(&">".repeat(100_000)) > 1_000);
    }

    #[test]
    fn what_is_too_deep_loses_its_form_and_no_words() {
        let quote = |levels: usize| "> ".repeat(levels) + "words";
        // the paragraph is one level more
        assert_eq!((depth("words"), depth(&quote(31)), depth(&quote(32))), (1, 32, 33));
        assert_eq!(render(&quote(31)).matches("<blockquote>").count(), 31);
        let deep = render(&quote(5_000));
        assert_eq!((deep.matches("<blockquote>").count(), deep.contains("words")), (DEEPEST, true));
        assert_eq!(depth("- a\n  - b\n    - c\n\n**bold _both_**"), 6);
    }

    #[test]
    fn html_is_shown_as_it_is_written() {
        assert_eq!(render("a <b>bold</b> word"), "<p>a &lt;b&gt;bold&lt;/b&gt; word</p>\n");
        let block = render("<div class=\"x\">\n*not Markdown*\n</div>\n\n*Markdown*");
        assert!(block.contains("&lt;div") && block.contains("<em>Markdown</em>"), "{block}");
    }

    #[tokio::test]
    async fn long_texts_are_rendered_as_short_ones_are() {
        let texts = vec!["*a*".to_owned(), "b ".repeat(LONG), String::new()];
        let one_by_one: Vec<_> = texts.iter().map(|text| render(text)).collect();
        assert_eq!(render_all(texts).await.unwrap(), one_by_one);
        assert_eq!(render_all(vec!["*a*".to_owned()]).await.unwrap(), ["<p><em>a</em></p>\n"]);
    }

    #[test]
    fn pictures_are_our_own() {
        let own = "/api/v1/files/01941f29-7c00-7c1f-8a52-6d0e4b9f3a17";
        assert!(render(&format!("![a]({own})")).contains(own));
        for elsewhere in ["https://tracker.example/x.png", "//tracker.example/x.png", "x.png", "/api/v1/../x"] {
            let html = render(&format!("![seen]({elsewhere}) <img src=\"{elsewhere}\">"));
            assert!(html.contains("<img alt=\"seen\">") && html.matches("<img").count() == 1, "{html}");
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
