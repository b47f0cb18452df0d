//! What the clock does to sessions, every minute: requests lapse, sessions that nobody ended end, and both people are
//! reminded.
//!
//! - A request that was not confirmed in time is cancelled, and its time is free again.
//! - A session that goes on half an hour after its planned end ended then.
//! - A session of which nobody said anything until a day after its end was held if the server saw both people in it at
//!   once, for as long as it saw them; somebody has to look at it. Else it did not take place: whom the server saw alone
//!   was there, the other was not. Where it saw neither, nobody is said to have missed it, and nothing counts.
//!
//! Each is one transaction, and looks again: whoever was faster wins, on whichever node.

mod store;

use serde::{Deserialize, Serialize};

use super::events::{self, ConsultationExpired, ConsultationMissed, ReminderDue};
use super::store::find_time;
use crate::platform::Result;
use crate::platform::ids::ConsultationId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use store::Closed;

/// What one turn does at most; the rest is for the next one.
const AT_ONCE: i32 = 500;

/// The schedule's turn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KeepTime {}

impl Job for KeepTime {
    const KIND: &'static str = "consultations.keep_time";
    const QUEUE: Queue = Queue::Maintenance;
    /// The next turn does what this one could not.
    const MAX_ATTEMPTS: i32 = 3;
}

pub fn jobs(registry: &mut Registry) {
    registry.on(keep_time);
    registry.schedule("consultations.keep_time", "0 * * * * *", || KeepTime {});
}

async fn keep_time(cx: JobContext, _: KeepTime) -> Result<()> {
    let mut failed = None;
    let due = store::list_due(&mut cx.begin().await?, cx.now(), AT_ONCE).await?;
    for (id, company_id) in due {
        let cx = JobContext { company_id: Some(company_id), user_id: None, ..cx.clone() };
        // one that fails must not hold up the others
        if let Err(problem) = close(&cx, id).await {
            failed = Some(problem);
        }
    }
    remind(&cx).await?;
    failed.map_or(Ok(()), Err)
}

async fn close(cx: &JobContext, id: ConsultationId) -> Result<()> {
    let mut tx = cx.begin().await?;
    let action = match store::close(&mut tx, id, cx.now()).await? {
        None => return Ok(()),
        Some(Closed::Expired) => {
            events::emit(&mut tx, &ConsultationExpired { consultation_id: id }, id).await?;
            find_time(&mut tx, id).await?.emit(&mut tx, cx.now()).await?;
            "consultation.expired"
        }
        Some(Closed::Ended) => "consultation.ended",
        Some(Closed::Missed) => {
            events::emit(&mut tx, &ConsultationMissed { consultation_id: id }, id).await?;
            "consultation.missed"
        }
    };
    tx.audit_done(action, "consultation", id.0).await?;
    tx.commit().await
}

async fn remind(cx: &JobContext) -> Result<()> {
    let mut tx = cx.begin().await?;
    for due in store::take_due_reminders(&mut tx, cx.now(), AT_ONCE).await? {
        tx.enter_company(due.company_id).await?;
        let event = ReminderDue { consultation_id: due.id, reminder: due.reminder, starts_at: due.starts_at };
        tx.enqueue(&event, None, None).await?;
    }
    tx.commit().await
}
