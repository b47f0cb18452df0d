//! The mail about a time that is kept for somebody who waits, as neutral as those about appointments.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::{Channel, Kind};
use super::store;
use crate::domain::consultations::waitlist;
use crate::platform::Result;
use crate::platform::ids::WaitlistOfferId;
use crate::platform::jobs::{Job, JobContext, Queue};
use crate::platform::mail::{self, Letter, Recipient};

/// Tells who waits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendWaitlistMail {
    pub offer_id: WaitlistOfferId,
}

impl Job for SendWaitlistMail {
    const KIND: &'static str = "notifications.send_waitlist_mail";
    const QUEUE: Queue = Queue::Mail;
}

impl SendWaitlistMail {
    pub fn key(&self) -> String {
        format!("waitlist_offer:{}", self.offer_id)
    }
}

/// Looks at the offer again, and stays silent about one that is over.
pub async fn send_waitlist_mail(cx: JobContext, job: SendWaitlistMail) -> Result<()> {
    mail::deliver(&cx, &job.key(), async |tx| {
        let Some(it) = waitlist::find_notice(tx, job.offer_id, cx.now()).await? else { return Ok(None) };
        // who has changed their mind since it was enqueued gets none
        if !store::wants(tx, it.reader.user_id, Kind::WaitlistOffered, Channel::Email).await? {
            return Ok(None);
        }
        let to = mail::mailbox(Some(&it.reader.display_name), &it.reader.email)?;
        let public = cx.platform.config.public_url.as_str().trim_end_matches('/');
        let context = json!({
            "name": it.reader.display_name,
            "starts_at": it.starts_at,
            "minutes": (it.ends_at - it.starts_at).num_minutes(),
            "expires_at": it.expires_at,
            "time_zone": it.reader.time_zone,
            "link": format!("{public}/practitioners/{}", it.practitioner_id),
        });
        let reader = Recipient::User(it.reader.user_id);
        Ok(Some(Letter::new(to, reader, it.reader.locale, "waitlist_offer", context)))
    })
    .await
}
