//! That the other one wrote: told where it was not read soon after, in the program and later by mail, once until it is read.
//!
//! What is being written is none of the queue's business: the database notes since when a conversation waits for somebody
//! (`policies/notifications_messages.sql`), and the schedule looks at those whose time has come.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::{Channel, Kind};
use super::{calls, store};
use crate::domain::consultations;
use crate::domain::consultations::model::DoneBy;
use crate::platform::Result;
use crate::platform::ids::{ConsultationId, UserId};
use crate::platform::jobs::{Job, JobContext, Queue};
use crate::platform::mail::{self, Letter, Recipient};

/// Looks for conversations that wait to be read, and for calls that were missed.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellUnread {}

impl Job for TellUnread {
    const KIND: &'static str = "notifications.tell_unread";
    const QUEUE: Queue = Queue::Events;
}

/// Tells one of the two that a conversation waits for them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendMessageMail {
    pub conversation_id: ConsultationId,
    pub reader_id: UserId,
    /// Since the first message that they have not read.
    pub since: DateTime<Utc>,
}

impl Job for SendMessageMail {
    const KIND: &'static str = "notifications.send_message_mail";
    const QUEUE: Queue = Queue::Mail;
}

impl SendMessageMail {
    /// One until it is read.
    pub fn key(&self) -> String {
        format!("message_waiting:{}:{}:{}", self.conversation_id, self.reader_id, self.since.timestamp_micros())
    }
}

/// Conversations that one run looks at; the next one looks at the rest.
const AT_ONCE: i32 = 500;

pub async fn tell_unread(cx: JobContext, _: TellUnread) -> Result<()> {
    let mut tx = cx.begin().await?;
    let due = store::list_due_conversations(&mut tx, cx.now(), AT_ONCE).await?;
    drop(tx);
    let mut failed = None;
    for (company, conversation_id, reader_id) in due {
        // each on its own: nobody's list is held while others are told, and what fails for one holds nobody else up
        let of_company = JobContext { company_id: Some(company), user_id: None, ..cx.clone() };
        if let Err(problem) = tell_of(&of_company, conversation_id, reader_id).await {
            tracing::warn!(code = problem.code(), %conversation_id, "its reader is told later");
            failed.get_or_insert(problem);
        }
    }
    calls::tell_missed(&cx).await?;
    failed.map_or(Ok(()), Err)
}

async fn tell_of(cx: &JobContext, conversation_id: ConsultationId, reader_id: UserId) -> Result<()> {
    let mut tx = cx.begin().await?;
    let since = store::notify_of_messages(&mut tx, cx.new_id(), conversation_id, reader_id, cx.now()).await?;
    if let Some(since) = since {
        let mail = SendMessageMail { conversation_id, reader_id, since };
        tx.enqueue(&mail, Some(&mail.key()), None).await?;
    }
    tx.commit().await
}

/// Says that there is something, and neither what nor from whom.
pub async fn send_message_mail(cx: JobContext, job: SendMessageMail) -> Result<()> {
    mail::deliver(&cx, &job.key(), async |tx| {
        let is_so = store::waits_to_be_read(tx, job.conversation_id, job.reader_id, job.since).await?
            && store::wants(tx, job.reader_id, Kind::MessageReceived, Channel::Email).await?;
        if !is_so {
            return Ok(None);
        }
        let mut found = None;
        for reader in [DoneBy::Employee, DoneBy::Practitioner] {
            let it = consultations::find_appointment(tx, job.conversation_id, reader).await?;
            found = found.or(it.filter(|it| it.reader.user_id == job.reader_id));
        }
        let Some(it) = found else { return Ok(None) };
        let to = mail::mailbox(Some(&it.reader.display_name), &it.reader.email)?;
        let public = cx.platform.config.public_url.as_str().trim_end_matches('/');
        let context = json!({
            "name": it.reader.display_name,
            "link": format!("{public}/consultations/{}", job.conversation_id),
        });
        let reader = Recipient::User(it.reader.user_id);
        Ok(Some(Letter::new(to, reader, it.reader.locale, "message_waiting", context)))
    })
    .await
}
