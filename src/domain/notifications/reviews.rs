//! What a moderator decided about a review, told its author by mail: neither why nor about whom.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store;
use crate::platform::Result;
use crate::platform::ids::ReviewId;
use crate::platform::jobs::{Job, JobContext, Queue};
use crate::platform::mail::{self, Letter, Recipient};

/// Tells the author of a review, whom the job does not name.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendVerdictMail {
    pub review_id: ReviewId,
    pub version: i32,
}

impl Job for SendVerdictMail {
    const KIND: &'static str = "notifications.send_verdict_mail";
    const QUEUE: Queue = Queue::Mail;
}

impl SendVerdictMail {
    /// One for each verdict.
    pub fn key(&self) -> String {
        format!("review_moderated:{}:{}", self.review_id, self.version)
    }
}

/// Looks again: of a review that was changed or taken back since, nothing is said.
pub async fn send_verdict_mail(cx: JobContext, job: SendVerdictMail) -> Result<()> {
    mail::deliver(&cx, &job.key(), async |tx| {
        let Some(it) = store::find_reader_of_verdict(tx, job.review_id, job.version).await? else { return Ok(None) };
        let to = mail::mailbox(Some(&it.display_name), &it.email)?;
        let context = json!({ "name": it.display_name, "is_published": it.is_published });
        Ok(Some(Letter::new(to, Recipient::User(it.id), it.locale, "review_moderated", context)))
    })
    .await
}
