//! The link that sets a password anew, and the news that one was set.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::super::links::{self, Purpose};
use super::store;
use crate::platform::audit::Entry;
use crate::platform::ids::UserId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Result, Tx};

/// Somebody asked for a new password; the person may be nobody.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailPasswordReset {
    pub user_id: UserId,
    pub asked_at: DateTime<Utc>,
}

impl Job for MailPasswordReset {
    const KIND: &'static str = "identity.mail_password_reset";
    const QUEUE: Queue = Queue::Mail;
}

/// A password was set or changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellPasswordChanged {
    pub user_id: UserId,
    pub changed_at: DateTime<Utc>,
}

impl Job for TellPasswordChanged {
    const KIND: &'static str = "identity.tell_password_changed";
    const QUEUE: Queue = Queue::Mail;
}

/// How long a link sets a password, counted from the request for it.
const RESET_TTL: TimeDelta = TimeDelta::minutes(30);

/// Registers what this module does later.
pub(in crate::domain::identity) fn jobs(registry: &mut Registry) {
    registry.on(mail_password_reset);
    registry.on(tell_password_changed);
}

async fn mail_password_reset(cx: JobContext, job: MailPasswordReset) -> Result<()> {
    let until = job.asked_at + RESET_TTL;
    // a mail server was away for so long that nobody waits any more
    if cx.now() >= until {
        return Ok(());
    }
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, cx.job_id.as_bytes());
    let token = links::token(&cx.platform, Purpose::PasswordReset, id)?;
    mail::deliver(&cx, &format!("password_reset:{id}"), async |tx: &mut Tx| {
        let found = store::open_reset(tx, job.user_id, id, &token.hash, job.asked_at, until).await?;
        let Some(it) = found else { return Ok(None) };
        tx.audit(Entry::done("user.password_reset_mailed", "user", job.user_id.0).about(job.user_id)).await?;
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.display_name), &it.email)?,
            Recipient::User(job.user_id),
            it.locale,
            "password_reset",
            json!({
                "name": it.display_name,
                "link": links::link(&cx.platform, "reset-password", &token),
                "expires_at": until,
                "time_zone": it.time_zone,
            }),
        )))
    })
    .await
}

async fn tell_password_changed(cx: JobContext, job: TellPasswordChanged) -> Result<()> {
    mail::deliver(&cx, &format!("password_changed:{}", cx.job_id), async |tx: &mut Tx| {
        let Some(it) = store::find_person_to_tell(tx, job.user_id).await? else { return Ok(None) };
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.display_name), &it.email)?,
            Recipient::User(job.user_id),
            it.locale,
            "password_changed",
            json!({ "name": it.display_name, "changed_at": job.changed_at, "time_zone": it.time_zone }),
        )))
    })
    .await
}
