//! Tells a person by mail that their second factor has changed: who did not do it themselves must hear of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::identity::safety::{self, Touched};
use crate::domain::identity::session::store::find_reader;
use crate::platform::ids::UserId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Result, Tx};

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Enabled,
    /// Another app or device.
    Replaced,
    Disabled,
    /// Switched off by the operator.
    Reset,
    CodesRenewed,
    RecoveryCodeUsed {
        left: i64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct TellOfTwoFactor {
    pub user_id: UserId,
    pub change: Change,
    pub at: DateTime<Utc>,
}

impl Job for TellOfTwoFactor {
    const KIND: &'static str = "identity.tell_of_two_factor";
    const QUEUE: Queue = Queue::Mail;
}

pub fn jobs(registry: &mut Registry) {
    registry.on(send);
}

/// Enqueues the mail, and the news for the floors above, with the change.
pub async fn tell(tx: &mut Tx, person: UserId, change: Change, at: DateTime<Utc>) -> Result<()> {
    tx.enqueue(&TellOfTwoFactor { user_id: person, change, at }, None, None).await?;
    safety::emit(tx, person, Touched::TwoFactor, at).await
}

async fn send(cx: JobContext, job: TellOfTwoFactor) -> Result<()> {
    let (change, left) = match job.change {
        Change::Enabled => ("enabled", None),
        Change::Replaced => ("replaced", None),
        Change::Disabled => ("disabled", None),
        Change::Reset => ("reset", None),
        Change::CodesRenewed => ("codes_renewed", None),
        Change::RecoveryCodeUsed { left } => ("code_used", Some(left)),
    };
    mail::deliver(&cx, &format!("two_factor:{}", cx.job_id), async |tx| {
        let Some(reader) = find_reader(tx, job.user_id).await? else { return Ok(None) };
        Ok(Some(Letter::new(
            mail::mailbox(Some(&reader.display_name), &reader.email)?,
            Recipient::User(job.user_id),
            reader.locale,
            "two_factor",
            json!({
                "name": reader.display_name,
                "change": change,
                "left": left,
                "changed_at": job.at,
                "time_zone": reader.time_zone,
            }),
        )))
    })
    .await
}
