//! Every night: what is over its time is removed, some at a time.

use serde::{Deserialize, Serialize};

use super::store;
use crate::domain::privacy::erasure::{MailErasure, Told, WAIT_FOR_UNUSED};
use crate::platform::audit::{Detail, Entry};
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::{Problem, Result};

/// Records that go in one transaction.
const BATCH: i32 = 1_000;
/// Accounts that one night asks about.
const MOST_UNUSED: i32 = 5_000;
/// One night removes so much of a kind, and the next one goes on.
const MOST_BATCHES: usize = 1_000;

/// What is removed here, as `app.retention_rules` calls it; `leftover` is what an erasure met on its way.
const RECORDS: [&str; 18] = [
    "clinical_note",
    "message",
    "consultation_reason",
    "call",
    "review",
    // after what belongs to it
    "consultation",
    "payroll",
    "former_employee",
    "destroyed_key",
    "journal_wrap_before",
    "mail_record",
    "invitation_count",
    "member_invitation",
    "past_override",
    "usage_export",
    "privacy_request",
    "consent",
    "leftover",
];

/// Removes the records that are over their time.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemoveExpired {}

impl Job for RemoveExpired {
    const KIND: &'static str = "privacy.remove_expired";
    const QUEUE: Queue = Queue::Maintenance;
}

pub fn register(registry: &mut Registry) {
    registry.on(remove_expired);
    registry.schedule("privacy.remove_expired", "0 31 4 * * *", || RemoveExpired {});
    for record in RECORDS {
        metrics::counter!("huntzen_retention_removed_total", "record" => record).increment(0);
    }
}

async fn remove_expired(cx: JobContext, _: RemoveExpired) -> Result<()> {
    let mut failed = None;
    for record in RECORDS {
        // one kind that cannot be removed keeps no other
        if let Err(problem) = remove(&cx, record).await {
            tracing::warn!(record, code = problem.code(), "records over their time are removed later");
            failed = Some(problem);
        }
    }
    if let Err(problem) = tell_unused(&cx).await {
        tracing::warn!(code = problem.code(), "those who do not use their accounts are told later");
        failed = Some(problem);
    }
    failed.map_or(Ok(()), Err)
}

/// Asks for the erasure of accounts that nobody uses, and tells their people: who comes back within the time keeps theirs.
async fn tell_unused(cx: &JobContext) -> Result<()> {
    let mut tx = cx.begin().await?;
    let unused = store::list_unused(&mut tx, cx.now(), MOST_UNUSED).await?;
    drop(tx);
    for it in unused {
        let its = JobContext { company_id: it.company_id, user_id: Some(it.user_id), ..cx.clone() };
        let mut tx = its.begin().await?;
        let id = cx.platform.new_id();
        if store::ask_for_unused(&mut tx, id, cx.now(), cx.now() + WAIT_FOR_UNUSED).await? {
            tx.audit(Entry::done("erasure.asked", "privacy_request", id.0).about(it.user_id)).await?;
            let mail = MailErasure { request_id: id, what: Told::Unused };
            tx.enqueue(&mail, Some(&format!("{id}:unused")), None).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn remove(cx: &JobContext, record: &'static str) -> Result<()> {
    let open_days = i32::from(cx.platform.config.chat_open_days);
    let mut removed = 0;
    let mut failed = Ok(());
    for _ in 0..MOST_BATCHES {
        let some = async {
            let mut tx = cx.begin().await?;
            let gone = store::remove(&mut tx, record, cx.now(), BATCH, open_days).await?;
            tx.commit().await?;
            Ok::<_, Problem>(gone)
        };
        match some.await {
            Ok(0) => break,
            Ok(gone) => removed += gone,
            Err(problem) => {
                failed = Err(problem);
                break;
            }
        }
    }
    if removed > 0 {
        metrics::counter!("huntzen_retention_removed_total", "record" => record).increment(removed.unsigned_abs());
        tracing::info!(record, removed, "records over their time were removed");
        let mut tx = cx.begin().await?;
        let entry = Entry::done("retention.applied", "retention", None).with(Detail::Kind, record);
        tx.audit(entry.with(Detail::Count, removed)).await?;
        tx.commit().await?;
    }
    failed
}
