//! Making a copy, telling its person, sweeping it away.

mod making;

use chrono::TimeDelta;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::Status;
use super::store;
use crate::platform::Result;
use crate::platform::ids::PrivacyRequestId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};

/// Files whose objects go in one transaction.
const BATCH: i32 = 100;
/// An object is younger than its making can be: its row may be about to name it.
const YOUNG: TimeDelta = TimeDelta::hours(24);

/// Makes somebody's copy of their data.
#[derive(Debug, Serialize, Deserialize)]
pub struct MakeCopy {
    pub request_id: PrivacyRequestId,
}

impl Job for MakeCopy {
    const KIND: &'static str = "privacy.make_copy";
    const QUEUE: Queue = Queue::Exports;
}

/// Tells the person that their copy is ready, or that it could not be made.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailCopy {
    pub request_id: PrivacyRequestId,
    pub is_ready: bool,
}

impl Job for MailCopy {
    const KIND: &'static str = "privacy.mail_copy";
    const QUEUE: Queue = Queue::Mail;
}

/// Removes the files of copies whose time is over.
#[derive(Debug, Serialize, Deserialize)]
pub struct CollectCopies {}

impl Job for CollectCopies {
    const KIND: &'static str = "privacy.collect_copies";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Removes the objects that no copy knows.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepCopies {}

impl Job for SweepCopies {
    const KIND: &'static str = "privacy.sweep_copies";
    const QUEUE: Queue = Queue::Maintenance;
}

pub fn register(registry: &mut Registry) {
    registry.on(making::make);
    registry.on_given_up(give_up);
    registry.on(mail_copy);
    registry.on(collect);
    registry.schedule("privacy.collect_copies", "50 */10 * * * *", || CollectCopies {});
    registry.on(sweep);
    registry.schedule("privacy.sweep_copies", "0 50 3 * * *", || SweepCopies {});
}

/// No attempt is left, or the last one took its worker down: nobody must wait any longer.
async fn give_up(cx: JobContext, job: MakeCopy) -> Result<()> {
    let id = job.request_id;
    let mut tx = cx.begin().await?;
    if store::fail(&mut tx, id, cx.now()).await? {
        tx.enqueue(&MailCopy { request_id: id, is_ready: false }, Some(&format!("{id}:failed")), None).await?;
    }
    tx.commit().await
}

async fn mail_copy(cx: JobContext, job: MailCopy) -> Result<()> {
    let id = job.request_id;
    let (status, template, kind) = if job.is_ready {
        (Status::Ready, "export_ready", "privacy_export_ready")
    } else {
        (Status::Failed, "export_failed", "privacy_export_failed")
    };
    mail::deliver(&cx, &format!("privacy.{template}:{id}"), async |tx| {
        let Some(reader) = store::find_reader(tx, id, status).await? else { return Ok(None) };
        if !store::wants_mail(tx, reader.id, kind).await? {
            return Ok(None);
        }
        let context = json!({
            "name": reader.display_name, "expires_at": reader.expires_at, "time_zone": reader.time_zone,
        });
        let to = mail::mailbox(Some(&reader.display_name), &reader.email)?;
        Ok(Some(Letter::new(to, Recipient::User(reader.id), reader.locale, template, context)))
    })
    .await
}

async fn collect(cx: JobContext, _: CollectCopies) -> Result<()> {
    loop {
        let mut tx = cx.begin().await?;
        let over = store::list_to_collect(&mut tx, cx.now(), BATCH).await?;
        tx.commit().await?;
        if over.is_empty() {
            return Ok(());
        }
        // objects first: one that is forgotten would be found by the sweep alone
        for (_, object_key) in &over {
            cx.platform.storage.delete(object_key).await?;
        }
        let gone: Vec<_> = over.into_iter().map(|(id, _)| id).collect();
        let mut tx = cx.begin().await?;
        store::forget(&mut tx, &gone).await?;
        tx.commit().await?;
    }
}

async fn sweep(cx: JobContext, _: SweepCopies) -> Result<()> {
    let storage = &cx.platform.storage;
    let mut found = storage.list_before("privacy", cx.now() - YOUNG);
    let mut removed = 0;
    while let Some(object_keys) = found.try_next().await? {
        let mut tx = cx.begin().await?;
        let unknown = store::list_unknown(&mut tx, &object_keys).await?;
        drop(tx);
        for object_key in &unknown {
            storage.delete(object_key).await?;
        }
        removed += unknown.len();
    }
    if removed > 0 {
        tracing::warn!(removed, "objects that no copy of anybody's data knew");
    }
    Ok(())
}
