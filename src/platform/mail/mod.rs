//! Mail through SMTP, from templates in two languages.
//!
//! A mail is a job: enqueued with the change that it tells of, built when it is sent, so that a mail about
//! something that has changed meanwhile stays silent. [`deliver`] sends it once for each key. Subjects,
//! bodies and calendar entries are neutral: work mailboxes and calendars are read by others.
//!
//! What each template is given, beside `name` (the reader's); times are RFC 3339, zones IANA names:
//!
//! | template | context |
//! |---|---|
//! | `invitation` | `organisation` (or null: the platform), `link`, `expires_at`, `time_zone` |
//! | `invitation_address` | `link`, `expires_at`, `time_zone`; no name: the mailbox may be a stranger’s |
//! | `directory_changed` | `organisation` |
//! | `appointment_booked_employee` | `starts_at`, `time_zone`, `minutes`, `mode` (`video`, `audio`, `chat`), `link` |
//! | `appointment_booked_practitioner` | the same, and `with`: the other's display name |
//! | `appointment_cancelled`, `appointment_expired` | `starts_at`, `time_zone`, `link` |
//! | `appointment_requested_employee`, `appointment_requested_practitioner` | as booked, and `expires_at` |
//! | `appointment_moved` | as booked, `pending` (still to be confirmed), `free` (the reader may cancel without cost) |
//! | `appointment_reminder` | as booked |
//! | `message_waiting`, `call_missed` | `link` |
//! | `review_moderated` | `is_published` |
//! | `waitlist_offer` | `starts_at`, `minutes`, `expires_at`, `time_zone`, `link` |
//! | `audit_broken` | `chains`: how many |
//! | `calendar_failing` | `label`, `since`, `time_zone`, `reason` (words), `link` |
//! | `export_ready` | `expires_at`, `time_zone` |
//! | `export_failed` | |
//! | `password_changed`, `email_changed` | `changed_at`, `time_zone` |
//! | `password_reset`, `email_verification`, `email_change` | `link`, `expires_at`, `time_zone` |
//! | `left_company`, `left_company_privately`, `back_at_company` | `organisation`, `link` |
//! | `company_archived` | `organisation`, `until`, `time_zone`, `link` |
//! | `two_factor` | `change` (`enabled`, `replaced`, `disabled`, `reset`, `codes_renewed`, `code_used`), `left` (of the last), `changed_at`, `time_zone` |

pub mod ics;
mod mailbox;
mod mailer;
mod templates;
mod words;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

pub use lettre::message::Mailbox;
pub use mailbox::dev_mailbox;
pub use mailer::{Mailer, MailerError};

use crate::causes;
use crate::platform::db::Tx;
use crate::platform::ids::{EmployeeId, UserId};
use crate::platform::jobs::{JobContext, Permanent};
use crate::platform::locale::Locale;
use crate::platform::problem::Result;

causes! {
    /// Why a mail was not sent. Seen by operators, as the code of a dead job.
    pub enum Error {
        /// The mail server refused this mail for good.
        Refused => (BAD_GATEWAY, "mail_refused"),
        /// The mail server is away, busy, or refuses the program itself.
        Unavailable => (SERVICE_UNAVAILABLE, "mail_unavailable"),
        /// The template, the address or a header is unusable.
        Malformed => (INTERNAL_SERVER_ERROR, "mail_malformed"),
    }
}

/// Whom the log says that a mail went to; it holds no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Of an account.
    User(UserId),
    /// Of an entry of a directory.
    Employee(EmployeeId),
    /// Of the invitation of a member, who is nobody yet: the log names none.
    Member(Uuid),
}

/// An invitation or its withdrawal, for the reader's calendar.
#[derive(Clone, Debug)]
pub struct Calendar {
    pub method: ics::Method,
    pub ics: String,
}

/// A mail to be sent.
#[derive(Clone, Debug)]
pub struct Letter {
    pub to: Mailbox,
    pub recipient: Recipient,
    pub locale: Locale,
    /// A name in `templates/mail/`.
    pub template: &'static str,
    /// What the template names; a missing one is a fault.
    pub context: Value,
    pub calendar: Option<Calendar>,
    pub reply_to: Option<Mailbox>,
}

impl Letter {
    /// A letter without calendar entry.
    pub fn new(to: Mailbox, recipient: Recipient, locale: Locale, template: &'static str, context: Value) -> Self {
        Self { to, recipient, locale, template, context, calendar: None, reply_to: None }
    }
}

/// A time in a reader's zone and language, as mails tell it: *Tuesday 24 November 2026 at 14:30 (Europe/Paris)*.
pub fn moment(at: DateTime<Utc>, time_zone: &str, locale: Locale) -> String {
    let at = at.to_rfc3339();
    words::moment(&at, time_zone, locale.as_str()).unwrap_or(at)
}

/// An address with the name that mail programs show. No name keeps a mail from being sent: what could begin a header of
/// its own is a space, and a name of which nothing is left is none.
pub fn mailbox(name: Option<&str>, address: &str) -> Result<Mailbox> {
    let address = address.parse().map_err(|_| Permanent::because(Error::Malformed))?;
    let name = name.map(|name| name.replace(char::is_control, " ").trim().to_owned()).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, address))
}

/// Sends the mail of a key once, however often the job runs. `build` answers `None` where nothing is to be told
/// any more.
///
/// The log is written in the transaction in which the mail is built, and committed when the server has taken it. If
/// the process dies between the two, the mail goes out once more, with the same Message-ID. A mail that was not taken is
/// noted with its job, which tries again; when that has died, the database notes that the mail has failed.
pub async fn deliver(
    cx: &JobContext,
    key: &str,
    build: impl AsyncFnOnce(&mut Tx) -> Result<Option<Letter>>,
) -> Result<()> {
    let mut tx = cx.begin().await?;
    // a second run of the same mail waits here until the first is through
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(key).execute(tx.conn()).await?;
    let status: Option<String> = sqlx::query_scalar("SELECT status FROM app.email_log WHERE key = $1")
        .bind(key)
        .fetch_optional(tx.conn())
        .await?;
    if status.as_deref() == Some("sent") {
        return Ok(());
    }
    let Some(letter) = build(&mut tx).await? else {
        note(&mut tx, cx, key, "skipped", None, None).await?;
        tx.commit().await?;
        count("skipped");
        return Ok(());
    };
    let mailer = &cx.platform.mailer;
    let message_id = mailer.message_id(key);
    if let Err(problem) = mailer.send(&letter, &message_id, cx.now()).await {
        drop(tx);
        count(problem.code().strip_prefix("mail_").unwrap_or("unavailable"));
        let mut tx = cx.begin().await?;
        note(&mut tx, cx, key, "retrying", Some(&letter), None).await?;
        tx.commit().await?;
        return Err(problem);
    }
    count("sent");
    note(&mut tx, cx, key, "sent", Some(&letter), Some(&message_id)).await?;
    tx.commit().await
}

fn count(outcome: &'static str) {
    metrics::counter!("huntzen_mails_total", "outcome" => outcome).increment(1);
}

async fn note(
    tx: &mut Tx,
    cx: &JobContext,
    key: &str,
    status: &str,
    letter: Option<&Letter>,
    message_id: Option<&str>,
) -> Result<()> {
    let (user, employee) = match letter.map(|letter| letter.recipient) {
        Some(Recipient::User(id)) => (Some(id), None),
        Some(Recipient::Employee(id)) => (None, Some(id)),
        Some(Recipient::Member(_)) | None => (None, None),
    };
    sqlx::query(
        "INSERT INTO app.email_log AS log (id, key, template, company_id, recipient_user_id, recipient_employee_id,
                                           locale, status, message_id, attempts, sent_at, job_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (key) DO UPDATE SET
             template = excluded.template, recipient_user_id = excluded.recipient_user_id,
             recipient_employee_id = excluded.recipient_employee_id, locale = excluded.locale,
             status = excluded.status, message_id = excluded.message_id, attempts = excluded.attempts,
             sent_at = excluded.sent_at, job_id = excluded.job_id
         WHERE log.status <> 'sent'",
    )
    .bind(cx.new_id::<Uuid>())
    .bind(key)
    .bind(letter.map(|letter| letter.template))
    .bind(cx.company_id)
    .bind(user)
    .bind(employee)
    .bind(letter.map(|letter| letter.locale.as_str()))
    .bind(status)
    .bind(message_id)
    .bind(cx.attempt)
    .bind((status == "sent").then(|| cx.now()))
    .bind((status == "retrying").then_some(&cx.job_id))
    .execute(tx.conn())
    .await?;
    Ok(())
}
