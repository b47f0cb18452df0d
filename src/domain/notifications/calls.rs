//! That somebody rang and nobody answered: told in the program some seconds after it stopped ringing, and by mail once for
//! each session, unless the two have talked since (`policies/notifications_calls.sql`).

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::{Channel, Kind};
use super::store;
use crate::domain::consultations;
use crate::domain::consultations::model::DoneBy;
use crate::platform::Result;
use crate::platform::ids::{CallId, ConsultationId, UserId};
use crate::platform::jobs::{Job, JobContext, Queue};
use crate::platform::mail::{self, Letter, Recipient};

/// Tells one of the two that the other one rang in vain.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendMissedCallMail {
    pub consultation_id: ConsultationId,
    pub call_id: CallId,
    pub reader_id: UserId,
}

impl Job for SendMissedCallMail {
    const KIND: &'static str = "notifications.send_missed_call_mail";
    const QUEUE: Queue = Queue::Mail;
}

impl SendMissedCallMail {
    /// One for each session, however often it rang.
    pub fn key(&self) -> String {
        format!("call_missed:{}:{}", self.consultation_id, self.reader_id)
    }
}

/// Calls that one run looks at; the next one looks at the rest.
const AT_ONCE: i32 = 500;

pub async fn tell_missed(cx: &JobContext) -> Result<()> {
    let mut tx = cx.begin().await?;
    let due = store::list_missed_calls(&mut tx, cx.now(), AT_ONCE).await?;
    drop(tx);
    let mut failed = None;
    for (company, call_id) in due {
        // each on its own, as messages are
        let of_company = JobContext { company_id: Some(company), user_id: None, ..cx.clone() };
        if let Err(problem) = tell_of(&of_company, call_id).await {
            tracing::warn!(code = problem.code(), %call_id, "whoever was called is told later");
            failed.get_or_insert(problem);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn tell_of(cx: &JobContext, call_id: CallId) -> Result<()> {
    let mut tx = cx.begin().await?;
    let mailed = store::notify_of_missed_call(&mut tx, cx.new_id(), call_id, cx.now()).await?;
    if let Some((consultation_id, reader_id)) = mailed {
        let mail = SendMissedCallMail { consultation_id, call_id, reader_id };
        tx.enqueue(&mail, Some(&mail.key()), None).await?;
    }
    tx.commit().await
}

/// Says that somebody rang, and not who.
pub async fn send_missed_call_mail(cx: JobContext, job: SendMissedCallMail) -> Result<()> {
    mail::deliver(&cx, &job.key(), async |tx| {
        let is_so = store::is_call_missed(tx, job.call_id, cx.now()).await?
            && store::wants(tx, job.reader_id, Kind::CallMissed, Channel::Email).await?;
        if !is_so {
            return Ok(None);
        }
        let mut found = None;
        for reader in [DoneBy::Employee, DoneBy::Practitioner] {
            let it = consultations::find_appointment(tx, job.consultation_id, reader).await?;
            found = found.or(it.filter(|it| it.reader.user_id == job.reader_id));
        }
        let Some(it) = found else { return Ok(None) };
        let to = mail::mailbox(Some(&it.reader.display_name), &it.reader.email)?;
        let public = cx.platform.config.public_url.as_str().trim_end_matches('/');
        let context = json!({
            "name": it.reader.display_name,
            "link": format!("{public}/consultations/{}", job.consultation_id),
        });
        let reader = Recipient::User(it.reader.user_id);
        Ok(Some(Letter::new(to, reader, it.reader.locale, "call_missed", context)))
    })
    .await
}
