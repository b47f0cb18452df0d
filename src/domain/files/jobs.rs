//! What nobody needs any more goes.

use chrono::TimeDelta;
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::store;
use crate::platform::Result;
use crate::platform::ids::FileId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};

/// Files whose objects go in one transaction.
const BATCH: i32 = 100;
/// A storage that is away lets each wait.
const DELETED_AT_ONCE: usize = 10;
/// An object is younger than its upload can be: its row may be about to come.
const YOUNG: TimeDelta = TimeDelta::hours(2);

/// Removes what was deleted, given up or never sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct CollectFiles {}

impl Job for CollectFiles {
    const KIND: &'static str = "files.collect";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Removes the objects that no file knows.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepStorage {}

impl Job for SweepStorage {
    const KIND: &'static str = "files.sweep_storage";
    const QUEUE: Queue = Queue::Maintenance;
}

pub fn register(registry: &mut Registry) {
    registry.on(collect);
    registry.schedule("files.collect", "20 */10 * * * *", || CollectFiles {});
    registry.on(sweep);
    registry.schedule("files.sweep_storage", "0 20 3 * * *", || SweepStorage {});
}

async fn collect(cx: JobContext, _: CollectFiles) -> Result<()> {
    loop {
        let mut tx = cx.begin().await?;
        let files = store::list_to_collect(&mut tx, cx.now(), BATCH).await?;
        tx.commit().await?;
        if files.is_empty() {
            return Ok(());
        }
        // objects first: one whose row is gone would be found by the sweep alone
        let storage = &cx.platform.storage;
        let delete = |(id, object_key): (FileId, String)| async move {
            match storage.delete(&object_key).await {
                Ok(()) => Some(id),
                // an object that cannot be deleted keeps none behind it
                Err(problem) => {
                    tracing::warn!(?problem, file_id = %id, "a file is collected later");
                    None
                }
            }
        };
        let deleted = futures_util::stream::iter(files).map(delete).buffer_unordered(DELETED_AT_ONCE);
        let gone: Vec<_> = deleted.filter_map(std::future::ready).collect().await;
        if gone.is_empty() {
            return Ok(());
        }
        let mut tx = cx.begin().await?;
        store::forget(&mut tx, &gone).await?;
        tx.commit().await?;
    }
}

async fn sweep(cx: JobContext, _: SweepStorage) -> Result<()> {
    let storage = &cx.platform.storage;
    let moment = cx.now() - YOUNG;
    let mut removed = storage.remove_unfinished(moment).await?;
    let mut found = storage.list_before("files", moment);
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
        tracing::warn!(removed, "objects that no file knew");
    }
    Ok(())
}
