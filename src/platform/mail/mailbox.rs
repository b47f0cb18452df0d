//! `/dev/mail`: in development, the mails that would have been sent.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mail_parser::{Message, MessageParser, MimeHeaders};
use poem::http::{StatusCode, header};
use poem::web::{Data, Path as UrlPath};
use poem::{EndpointExt, Response, Route, get, handler};
use secrecy::ExposeSecret;
use url::Url;

use crate::platform::config::Config;

/// Mails in a list.
const NEWEST: usize = 200;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

#[derive(Clone)]
struct Folder(PathBuf);

/// The mailbox, to be nested at `/dev/mail`. `None` in production and where mail goes to a server.
pub fn dev_mailbox(config: &Config) -> Option<impl poem::IntoEndpoint<Endpoint: poem::Endpoint + 'static> + use<>> {
    if config.is_production() {
        return None;
    }
    let url = Url::parse(config.smtp_url.expose_secret()).ok().filter(|url| url.scheme() == "file")?;
    let folder = Folder(url.to_file_path().ok()?);
    Some(Route::new().at("/", get(list)).at("/:name", get(show)).data(folder))
}

/// Only names that the mailer gives: nothing that leads out of the folder.
fn is_mail(name: &str) -> bool {
    name.strip_suffix(".eml").is_some_and(|stem| {
        !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

/// Names of mails, newest first.
async fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(mut entries) = tokio::fs::read_dir(folder).await {
        while let Ok(Some(entry)) = entries.next_entry().await {
            names.extend(entry.file_name().into_string().ok().filter(|name| is_mail(name)));
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    names
}

#[handler]
async fn list(Data(folder): Data<&Folder>) -> Response {
    let mut rows = String::new();
    for name in names(&folder.0).await.into_iter().take(NEWEST) {
        let Ok(bytes) = tokio::fs::read(folder.0.join(&name)).await else { continue };
        let Some(mail) = MessageParser::default().parse(&bytes) else { continue };
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td><a href=\"/dev/mail/{name}\">{}</a></td></tr>",
            escape(&date(&mail)),
            escape(&to(&mail)),
            escape(mail.subject().unwrap_or("–")),
        );
    }
    let empty = if rows.is_empty() { "<p>No mail yet.</p>" } else { "" };
    page("Mail", &format!("<table><tr><th>Date</th><th>To</th><th>Subject</th></tr>{rows}</table>{empty}"))
}

#[handler]
async fn show(Data(folder): Data<&Folder>, UrlPath(name): UrlPath<String>) -> Response {
    let bytes = if is_mail(&name) { tokio::fs::read(folder.0.join(&name)).await.ok() } else { None };
    let Some(bytes) = bytes else { return missing() };
    let Some(mail) = MessageParser::default().parse(&bytes) else { return missing() };
    let mut body = String::from("<p><a href=\"/dev/mail/\">All mails</a></p><table>");
    for (name, value) in mail.headers_raw() {
        let _ = write!(body, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value.trim()));
    }
    body.push_str("</table>");
    if let Some(text) = mail.body_text(0) {
        let _ = write!(body, "<h2>Text</h2><pre>{}</pre>", escape(&text));
    }
    if let Some(html) = mail.body_html(0) {
        // nothing in it may run, send or navigate
        let _ = write!(body, "<h2>HTML</h2><iframe sandbox title=\"HTML\" srcdoc=\"{}\"></iframe>", escape(&html));
    }
    for part in mail.attachments() {
        let kind = part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("-")));
        let title = escape(part.attachment_name().or(kind.as_deref()).unwrap_or("part"));
        let _ = write!(body, "<h2>{title}</h2><pre>{}</pre>", escape(part.text_contents().unwrap_or("(binary)")));
    }
    page(&escape(mail.subject().unwrap_or("–")), &body)
}

fn date(mail: &Message<'_>) -> String {
    mail.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default()
}

fn to(mail: &Message<'_>) -> String {
    mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or("–").to_owned()
}

fn missing() -> Response {
    Response::builder().status(StatusCode::NOT_FOUND).content_type("text/plain; charset=utf-8").body("no such mail")
}

/// A page; `title` and `body` are HTML already.
fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>\
         body{{font:16px/1.5 sans-serif;margin:2rem;max-width:70rem}} table{{border-collapse:collapse}}\
         th,td{{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;overflow-wrap:anywhere}}\
         pre{{white-space:pre-wrap;background:#f2f5f7;padding:1rem}}\
         iframe{{width:100%;height:36rem;border:1px solid #ccd5dc}}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    );
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::CACHE_CONTROL, "no-store")
        .body(html)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mailers_own_names_are_opened() {
        assert!(is_mail("1795248000000-0a1b2c.eml"));
        for name in
            ["../secret.eml", "..eml", ".eml", "/etc/passwd", "a/b.eml", "a.b.eml", ".1-a.eml", "a.eml\0", "%2e.eml"]
        {
            assert!(!is_mail(name), "{name}");
        }
    }

    #[test]
    fn what_a_mail_says_is_not_markup() {
        assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }
}
