//! The readable side of a copy: one page for each section, in the person's language and zone. Pure.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use rust_i18n::t;
use serde_json::Value;

use crate::platform::locale::Locale;
use crate::platform::mail;

/// In whose language and zone.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    pub locale: Locale,
    pub time_zone: &'a str,
}

fn words(key: &str, locale: Locale) -> Option<String> {
    let key = format!("privacy.copy.{key}");
    let text = t!(&key, locale = locale.as_str()).into_owned();
    (text != key).then_some(text)
}

pub fn title(section: &str, locale: Locale) -> String {
    words(&format!("section.{section}"), locale).unwrap_or_else(|| format!("privacy.{section}"))
}

/// What is to be known of a section, where there is something.
pub fn note(section: &str, locale: Locale) -> Option<String> {
    words(&format!("note.{section}"), locale)
}

/// The name of a field.
pub fn label(field: &str, locale: Locale) -> String {
    words(&format!("field.{field}"), locale).unwrap_or_else(|| field.replace('_', " "))
}

pub fn phrase(key: &str, locale: Locale) -> String {
    words(key, locale).unwrap_or_default()
}

/// A text among markup.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            it => out.push(it),
        }
    }
    out
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:50rem;padding:0 1rem;color:#222}\
h1{font-size:1.5rem}dl{border:1px solid #ccc;border-radius:.5rem;padding:.75rem 1rem;margin:1rem 0}\
dt{font-weight:600;color:#555;font-size:.85rem}dd{margin:0 0 .5rem;white-space:pre-wrap;overflow-wrap:anywhere}\
.note{background:#f3f3f3;padding:.75rem 1rem;border-radius:.5rem}";

impl Reader<'_> {
    /// The beginning of a page. Nothing of it is loaded from anywhere, and nothing runs.
    pub fn head(&self, title: &str) -> String {
        let (language, title) = (self.locale.as_str(), escaped(title));
        format!(
            "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n\
             <body>\n<h1>{title}</h1>\n"
        )
    }

    #[allow(clippy::unused_self)] // of a page, as its head
    pub fn foot(&self) -> &'static str {
        "</body>\n</html>\n"
    }

    #[allow(clippy::unused_self)]
    pub fn note(&self, text: &str) -> String {
        format!("<p class=\"note\">{}</p>\n", escaped(text))
    }

    /// A row of a section.
    pub fn row(&self, row: &Value) -> String {
        let mut out = String::from("<dl>\n");
        for (field, value) in row.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            let (name, text) = (escaped(&label(field, self.locale)), escaped(&self.text(value)));
            let _ = writeln!(out, "<dt>{name}</dt><dd>{text}</dd>");
        }
        out.push_str("</dl>\n");
        out
    }

    /// A value as people read it.
    fn text(&self, value: &Value) -> String {
        match value {
            Value::Null => "–".to_owned(),
            Value::Bool(yes) => phrase(if *yes { "yes" } else { "no" }, self.locale),
            Value::Number(number) => number.to_string(),
            Value::String(text) => self.said(text),
            Value::Array(list) => list.iter().map(|it| self.text(it)).collect::<Vec<_>>().join(", "),
            Value::Object(fields) => {
                let parts = fields.iter().filter(|(_, value)| !value.is_null());
                let parts = parts.map(|(field, value)| format!("{}: {}", label(field, self.locale), self.text(value)));
                parts.collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// Times in the person's zone, words of the program in their language, everything else as it is.
    fn said(&self, text: &str) -> String {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return mail::moment(at.with_timezone(&Utc), self.time_zone, self.locale);
        }
        let is_word = text.len() <= 40 && text.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
        let said = if is_word { words(&format!("value.{text}"), self.locale) } else { None };
        said.unwrap_or_else(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_wrote_is_no_markup() {
        let reader = Reader { locale: Locale::Fr, time_zone: "Europe/Paris" };
        let row = json!({"body": "<script>alert('a & \"b\"')</script>", "created_at": "2026-11-24T13:30:00+00:00", "private": true, "x": null});
        let html = reader.row(&row);
        assert!(html.contains("&lt;script&gt;alert(&#39;a &amp; &quot;b&quot;&#39;)&lt;/script&gt;"), "{html}");
        assert!(html.contains("14:30") && html.contains("oui") && !html.contains("<dt>x"), "{html}");
        assert!(reader.head("<x>").contains("<title>&lt;x&gt;</title>"));
    }
}
