//! Composing a message, and handing it to the mail server, or in development to a folder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use url::{Host, Url};

use super::templates::Templates;
use super::{Error, Letter};
use crate::platform::config::Config;
use crate::platform::jobs::Permanent;
use crate::platform::problem::{Problem, Result};
use crate::platform::telemetry::traces;

/// For each answer of the mail server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// For a whole delivery: shorter than the database lets a transaction idle.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(25);

/// The mail settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("SMTP_URL is neither smtp:// nor smtps://, nor file:/// in development")]
    Url,
    #[error("SMTP_URL: tls is one of required, opportunistic, none")]
    TlsMode,
    #[error("SMTP_URL: {0}")]
    Tls(lettre::transport::smtp::Error),
    #[error("MAIL_FROM is not an address")]
    From,
    #[error("a mail template cannot be read: {0}")]
    Template(minijinja::Error),
    #[error("the folder of mails cannot be made: {0}")]
    Folder(std::io::Error),
}

enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

/// Sends letters.
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
    templates: Templates,
    /// The right side of our Message-IDs.
    host: String,
}

impl Mailer {
    /// Reads the settings; connects when the first mail is sent. To be called inside the runtime.
    pub fn open(config: &Config) -> Result<Self, MailerError> {
        let url = Url::parse(config.smtp_url.expose_secret()).map_err(|_| MailerError::Url)?;
        let transport = match url.scheme() {
            "smtp" | "smtps" => Transport::Smtp(smtp(&url)?),
            "file" if !config.is_production() => {
                let folder = url.to_file_path().map_err(|()| MailerError::Url)?;
                std::fs::create_dir_all(&folder).map_err(MailerError::Folder)?;
                Transport::Folder(folder)
            }
            _ => return Err(MailerError::Url),
        };
        Ok(Self {
            transport,
            from: config.mail_from.parse().map_err(|_| MailerError::From)?,
            templates: Templates::load(config.public_url.as_str()).map_err(MailerError::Template)?,
            host: config.public_url.host_str().unwrap_or("localhost").to_owned(),
        })
    }

    /// Whether mails can be handed over now.
    pub async fn is_reachable(&self) -> bool {
        match &self.transport {
            Transport::Folder(folder) => folder.is_dir(),
            Transport::Smtp(smtp) => smtp.test_connection().await.unwrap_or(false),
        }
    }

    /// The Message-ID of a key: the same each time, so that a second copy can be told.
    pub fn message_id(&self, key: &str) -> String {
        let hash = digest::digest(&digest::SHA256, key.as_bytes());
        let short: String = hex::encode(hash.as_ref()).chars().take(40).collect();
        format!("<{short}@{}>", self.host)
    }

    /// Sends a letter. Faults of the server that pass are worth another attempt, the others are [`Permanent`]. The
    /// server's words are kept from the log: they may repeat the address.
    pub(super) async fn send(&self, letter: &Letter, message_id: &str, now: DateTime<Utc>) -> Result<()> {
        let message = self.compose(letter, message_id, now)?;
        let _span = traces::child("smtp delivery", Vec::new);
        match &self.transport {
            Transport::Folder(folder) => {
                let name = format!("{:013}-{}.eml", now.timestamp_millis(), file_stem(message_id));
                write_atomically(folder, &name, &message.formatted()).await.map_err(Problem::internal)
            }
            Transport::Smtp(smtp) => match tokio::time::timeout(DELIVERY_TIMEOUT, smtp.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => {
                    let status = error.status().map(u16::from);
                    // without a status nobody but this machine has spoken
                    let local = status.is_none().then(|| format!("{error:?}"));
                    tracing::warn!(status, error = local, "the mail server did not take a mail");
                    if status.is_some_and(is_about_the_letter) {
                        Err(Permanent::because(Error::Refused))
                    } else {
                        Err(Error::Unavailable.into())
                    }
                }
                Err(_) => Err(Error::Unavailable.into()),
            },
        }
    }

    fn compose(&self, letter: &Letter, message_id: &str, now: DateTime<Utc>) -> Result<Message> {
        let malformed = || Permanent::because(Error::Malformed);
        let rendered =
            self.templates.render(letter.template, letter.locale, letter.context.clone()).map_err(|error| {
                tracing::error!(template = letter.template, kind = ?error.kind(), "a mail template failed");
                malformed()
            })?;
        for value in [Some(&rendered.subject), letter.to.name.as_ref()].into_iter().flatten() {
            refuse_control(value)?;
        }
        if let Some(name) = letter.reply_to.as_ref().and_then(|reply_to| reply_to.name.as_ref()) {
            refuse_control(name)?;
        }
        let mut alternatives = MultiPart::alternative_plain_html(rendered.text, rendered.html);
        if let Some(calendar) = &letter.calendar {
            let kind = format!("text/calendar; method={}; charset=utf-8", calendar.method.as_str());
            let kind = ContentType::parse(&kind).map_err(|_| malformed())?;
            alternatives = alternatives.singlepart(SinglePart::builder().header(kind).body(calendar.ics.clone()));
        }
        let body = match &letter.calendar {
            None => alternatives,
            Some(calendar) => {
                let kind = ContentType::parse("application/ics").map_err(|_| malformed())?;
                let file = Attachment::new("invite.ics".to_owned()).body(calendar.ics.clone(), kind);
                MultiPart::mixed().multipart(alternatives).singlepart(file)
            }
        };
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(letter.to.clone())
            .subject(rendered.subject)
            .date(SystemTime::from(now))
            .message_id(Some(message_id.to_owned()))
            .header(AutoSubmitted);
        if let Some(reply_to) = &letter.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        message.multipart(body).map_err(|_| malformed())
    }
}

/// `5xx` speaks of this letter, unless it is the program that is not let in (RFC 4954).
fn is_about_the_letter(status: u16) -> bool {
    (500..600).contains(&status) && !matches!(status, 502 | 503 | 530 | 534 | 535 | 538)
}

/// Refuses what could end a header and begin another.
fn refuse_control(value: &str) -> Result<()> {
    if value.chars().any(char::is_control) { Err(Permanent::because(Error::Malformed)) } else { Ok(()) }
}

fn file_stem(message_id: &str) -> String {
    message_id.chars().filter(char::is_ascii_hexdigit).take(16).collect()
}

/// A reader sees the whole file or none.
async fn write_atomically(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let hidden = folder.join(format!(".{name}"));
    tokio::fs::write(&hidden, bytes).await?;
    tokio::fs::rename(&hidden, folder.join(name)).await
}

/// Without `?tls=`, TLS is required, except to this machine itself.
fn smtp(url: &Url) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailerError> {
    let host = url.host().ok_or(MailerError::Url)?;
    let name = match host {
        Host::Ipv6(ip) => ip.to_string(),
        other => other.to_string(),
    };
    let is_here = is_this_machine(&name);
    let mode = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
    let (tls, port) = if url.scheme() == "smtps" {
        (Tls::Wrapper(TlsParameters::new(name.clone()).map_err(MailerError::Tls)?), 465)
    } else {
        let parameters = || TlsParameters::new(name.clone()).map_err(MailerError::Tls);
        match mode.as_deref() {
            Some("none") => (Tls::None, 25),
            Some("opportunistic") => (Tls::Opportunistic(parameters()?), 587),
            None if is_here => (Tls::None, 25),
            None | Some("required") => (Tls::Required(parameters()?), 587),
            Some(_) => return Err(MailerError::TlsMode),
        }
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(name)
        .port(url.port().unwrap_or(port))
        .tls(tls)
        .timeout(Some(ANSWER_TIMEOUT))
        .pool_config(PoolConfig::new().max_size(8).idle_timeout(Duration::from_secs(30)))
        .hello_name(ClientId::default());
    if !url.username().is_empty() {
        let decode = |part: &str| percent_decoded(part);
        builder =
            builder.credentials(Credentials::new(decode(url.username()), decode(url.password().unwrap_or_default())));
    }
    Ok(builder.build())
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A part of a URL as it was meant: the parser leaves `%40` as it is.
fn percent_decoded(part: &str) -> String {
    // a query is decoded by the parser, except that there a plus is a space
    let query = format!("p={}", part.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Tells answering machines to stay quiet (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> std::result::Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::platform::ids::UserId;
    use crate::platform::locale::Locale;
    use crate::platform::mail::{Calendar, Recipient, ics};

    fn mailer() -> Mailer {
        Mailer {
            transport: Transport::Folder(PathBuf::new()),
            from: "HuntZen <no-reply@care.example>".parse().unwrap(),
            templates: Templates::load("https://care.example/").unwrap(),
            host: "care.example".to_owned(),
        }
    }

    fn letter(name: &str) -> Letter {
        let to = Mailbox::new(Some(name.to_owned()), "rosa@firm.example".parse().unwrap());
        let user = Recipient::User(UserId(uuid::Uuid::nil()));
        Letter::new(
            to,
            user,
            Locale::Fr,
            "password_changed",
            json!({ "name": "Rosa", "changed_at": "2026-11-21T08:00:00Z", "time_zone": "Europe/Paris" }),
        )
    }

    fn text(message: &Message) -> String {
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn a_message_says_who_wrote_it_when_and_that_a_machine_did() {
        let mailer = mailer();
        let id = mailer.message_id("a key");
        let now = DateTime::from_timestamp(1_795_248_000, 0).unwrap();
        let raw = text(&mailer.compose(&letter("Rosa Lé"), &id, now).unwrap());
        for line in [
            "From: HuntZen <no-reply@care.example>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Date: Sat, 21 Nov 2026 08:00:00 +0000\r\n",
            &format!("Message-ID: {id}\r\n"),
            "Content-Type: multipart/alternative;",
            "Content-Type: text/html; charset=utf-8\r\n",
        ] {
            assert!(raw.contains(line), "{line} in {raw}");
        }
        assert_eq!(id, mailer.message_id("a key"));
        assert_ne!(id, mailer.message_id("another key"));
    }

    #[test]
    fn a_name_cannot_begin_a_header_of_its_own() {
        let mailer = mailer();
        for name in ["Rosa\r\nBcc: all@firm.example", "Rosa\nX: y", "Rosa\r", "Rosa\0"] {
            let problem = mailer.compose(&letter(name), "<id@care.example>", DateTime::UNIX_EPOCH).unwrap_err();
            assert_eq!(problem.code(), "mail_malformed");
        }
    }

    #[test]
    fn no_name_keeps_a_letter_from_being_sent() {
        let mailer = mailer();
        for (name, shown) in [("Rosa\r\nBcc: all@firm.example", "Rosa  Bcc: all@firm.example"), ("Rosa\n", "Rosa")] {
            let mut letter = letter("");
            letter.to = crate::platform::mail::mailbox(Some(name), "rosa@firm.example").unwrap();
            assert_eq!(letter.to.name.as_deref(), Some(shown));
            let raw = text(&mailer.compose(&letter, "<id@care.example>", DateTime::UNIX_EPOCH).unwrap());
            assert!(!raw.lines().any(|line| line.starts_with("Bcc:")), "{raw}");
        }
        assert_eq!(crate::platform::mail::mailbox(Some("\n "), "rosa@firm.example").unwrap().name, None);
    }

    #[test]
    fn an_invitation_is_an_alternative_and_a_file() {
        let mut letter = letter("Rosa");
        let ics = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".to_owned();
        letter.calendar = Some(Calendar { method: ics::Method::Request, ics });
        let raw = text(&mailer().compose(&letter, "<id@care.example>", DateTime::UNIX_EPOCH).unwrap());
        assert!(raw.contains("Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n"), "{raw}");
        assert!(raw.contains("filename=\"invite.ics\""), "{raw}");
        assert!(raw.contains("Content-Type: multipart/mixed;"), "{raw}");
    }

    #[test]
    fn refusals_of_the_program_are_not_refusals_of_the_letter() {
        assert!([550, 552, 554].into_iter().all(is_about_the_letter));
        assert!(![421, 450, 530, 535, 250].into_iter().any(is_about_the_letter));
    }

    #[tokio::test]
    async fn only_a_known_way_of_tls_is_taken() {
        let open = |url: &str| smtp(&Url::parse(url).unwrap());
        assert!(open("smtp://127.0.0.1:2525").is_ok());
        assert!(open("smtp://user:p%40ss@mail.example?tls=opportunistic").is_ok());
        assert!(matches!(open("smtp://mail.example?tls=perhaps"), Err(MailerError::TlsMode)));
        assert!(["localhost", "127.0.0.1", "::1"].into_iter().all(is_this_machine));
        assert!(!["mail.example", "10.0.0.1", "localhost.example"].into_iter().any(is_this_machine));
        assert_eq!(percent_decoded("p%40s+s%25"), "p@s+s%");
    }
}
