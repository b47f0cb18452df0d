//! The warning that a session was ended for safety, and the nightly clearing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store;
use crate::platform::Result;
use crate::platform::auth::signing_keys;
use crate::platform::ids::{SessionId, UserId};
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};

/// Tells a person that a used refresh token came again, and that the session was ended for it.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellOfReuse {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub at: DateTime<Utc>,
}

impl Job for TellOfReuse {
    const KIND: &'static str = "identity.tell_of_reuse";
    const QUEUE: Queue = Queue::Mail;
}

/// Removes sessions, one-time tokens, known devices and failed attempts that are over.
#[derive(Debug, Serialize, Deserialize)]
pub struct PurgeSessions {}

impl Job for PurgeSessions {
    const KIND: &'static str = "identity.purge_sessions";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Rows of a kind removed in one statement. A session takes thousands of refresh tokens with it.
const BATCH: i32 = 200;

pub fn jobs(registry: &mut Registry) {
    registry.on(tell_of_reuse);
    registry.on(purge);
    registry.schedule("identity.purge_sessions", "0 41 3 * * *", || PurgeSessions {});
}

async fn tell_of_reuse(cx: JobContext, job: TellOfReuse) -> Result<()> {
    mail::deliver(&cx, &format!("session_ended:{}", job.session_id), async |tx| {
        let Some(reader) = store::find_reader(tx, job.user_id).await? else { return Ok(None) };
        Ok(Some(Letter::new(
            mail::mailbox(Some(&reader.display_name), &reader.email)?,
            Recipient::User(job.user_id),
            reader.locale,
            "session_ended",
            json!({ "name": reader.display_name, "ended_at": job.at, "time_zone": reader.time_zone }),
        )))
    })
    .await
}

async fn purge(cx: JobContext, _: PurgeSessions) -> Result<()> {
    loop {
        let mut tx = cx.begin().await?;
        let more = store::purge(&mut tx, cx.now(), BATCH).await?;
        tx.commit().await?;
        if !more {
            break;
        }
    }
    let mut tx = cx.begin().await?;
    signing_keys::purge(tx.conn(), cx.now()).await?;
    tx.commit().await
}
