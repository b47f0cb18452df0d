//! Writing the files, telling what became of them, sweeping them away.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::lines::{Reader, Writer};
use super::model::{Export, Failure, Status};
use super::store::{self, Finished};
use crate::platform::ids::ExportId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Problem, Result, Tx};

/// So many lines are written before it is said how far the file is, and looked whether it is still wanted.
const STRIDE: i32 = 20_000;
/// A file is younger than its job can be: that it is ready may be about to be said.
const YOUNG: TimeDelta = TimeDelta::days(2);

/// Writes the file of an export.
#[derive(Debug, Serialize, Deserialize)]
pub struct MakeExport {
    pub export_id: ExportId,
}

impl Job for MakeExport {
    const KIND: &'static str = "exports.make";
    const QUEUE: Queue = Queue::Exports;
}

/// Tells the person who asked for an export that it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailExportReady {
    pub export_id: ExportId,
}

impl Job for MailExportReady {
    const KIND: &'static str = "exports.mail_ready";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells the person who asked for an export that it could not be made.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailExportFailed {
    pub export_id: ExportId,
    /// When it failed: what fails again is told again.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
}

impl Job for MailExportFailed {
    const KIND: &'static str = "exports.mail_failed";
    const QUEUE: Queue = Queue::Mail;
}

/// Removes the files whose time is over.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepExports {}

impl Job for SweepExports {
    const KIND: &'static str = "exports.sweep";
    const QUEUE: Queue = Queue::Maintenance;
}

pub fn register(registry: &mut Registry) {
    registry.on(make);
    registry.on_given_up(give_up);
    registry.on(mail_ready);
    registry.on(mail_failed);
    registry.on(sweep);
    registry.schedule("exports.sweep", "0 35 * * * *", || SweepExports {});
}

/// No attempt is left, or the last one took its worker down: nobody must wait for the file any longer.
async fn give_up(cx: JobContext, job: MakeExport) -> Result<()> {
    let id = job.export_id;
    let mut tx = cx.begin().await?;
    store::hold(&mut tx, id).await?;
    if find_wanted(&mut tx, id).await?.is_some() {
        let at = cx.now();
        store::save_failed(&mut tx, id, Failure::NotMade, at).await?;
        let key = format!("{id} {}", at.timestamp_millis());
        tx.enqueue(&MailExportFailed { export_id: id, at: Some(at) }, Some(&key), None).await?;
        // what an attempt has written before it died; the sweep finds what cannot be removed now
        if let Err(problem) = cx.platform.storage.delete(&file_key(id)).await {
            tracing::warn!(export = %id, error = %problem.code(), "the file of an export that failed stays for now");
        }
    }
    tx.commit().await
}

/// It follows from the id: a repetition replaces what an earlier one left.
fn file_key(id: ExportId) -> String {
    format!("exports/{}.csv", id.0.simple())
}

async fn make(cx: JobContext, job: MakeExport) -> Result<()> {
    let id = job.export_id;
    // held until the file is there: a second worker then finds it made
    let mut tx = cx.begin().await?;
    store::hold(&mut tx, id).await?;
    store::wait_for_storage(&mut tx).await?;
    let Some(export) = find_wanted(&mut tx, id).await? else { return Ok(()) };
    let mut beside = cx.begin().await?;
    store::save_running(&mut beside, id).await?;
    beside.commit().await?;

    let file_key = file_key(id);
    let Some(row_count) = write_file(&cx, &mut tx, &export, &file_key).await? else {
        return refuse(&cx, tx, id, &file_key).await;
    };
    if !store::is_entitled(&mut tx, id).await? {
        return refuse(&cx, tx, id, &file_key).await;
    }
    let done = Finished { file_key: &file_key, row_count, at: cx.now() };
    store::save_ready(&mut tx, id, &done).await?;
    tx.enqueue(&MailExportReady { export_id: id }, Some(&id.to_string()), None).await?;
    tx.commit().await
}

/// Who asked may not have it any more: nothing of it stays.
async fn refuse(cx: &JobContext, mut tx: Tx, id: ExportId, file_key: &str) -> Result<()> {
    cx.platform.storage.delete(file_key).await?;
    store::save_failed(&mut tx, id, Failure::NotEntitled, cx.now()).await?;
    tx.commit().await
}

/// The export, if its file is still to be made.
async fn find_wanted(tx: &mut Tx, id: ExportId) -> Result<Option<Export>> {
    let export = store::find(tx, id).await?;
    Ok(export.filter(|export| {
        let is_over = matches!(export.status, Status::Ready | Status::Expired);
        !is_over && export.failure != Some(Failure::NotEntitled)
    }))
}

/// Streams the lines into the file; how many there are. `None`: who asked may not have it any more.
async fn write_file(cx: &JobContext, tx: &mut Tx, export: &Export, file_key: &str) -> Result<Option<i32>> {
    let mut reader = Reader::new(export.kind, &export.params);
    let writer = Writer::new(export.kind, &export.params);
    let expected = reader.count(tx).await?;
    let mut file = cx.platform.storage.create(file_key);
    file.write(&writer.head()).await?;
    let (mut rows, mut told) = (0, -STRIDE);
    let mut read = reader.next(tx).await?;
    while let Some(page) = read {
        let is_due = rows - told >= STRIDE;
        if is_due {
            told = rows;
        }
        let tell = async { if is_due { tell_progress(cx, export.id, told, expected).await } else { Ok(true) } };
        // lines are written while the database looks for the next page
        let (next, is_entitled, written) = tokio::join!(reader.next(tx), tell, writer.write(&page, &mut file));
        if !is_entitled? {
            return Ok(None);
        }
        written?;
        read = next?;
        let count = i32::try_from(page.rows()).ok();
        rows = count.and_then(|it| rows.checked_add(it)).ok_or_else(|| Problem::internal("too many lines"))?;
    }
    file.finish().await?;
    Ok(Some(rows))
}

/// Says how far a file is, beside the transaction that reads: it is to be seen at once. Whether who asked may still have it.
async fn tell_progress(cx: &JobContext, id: ExportId, rows: i32, expected: i32) -> Result<bool> {
    let mut beside = cx.begin().await?;
    if !store::is_entitled(&mut beside, id).await? {
        return Ok(false);
    }
    store::save_progress(&mut beside, id, rows, expected).await?;
    beside.commit().await?;
    Ok(true)
}

async fn mail_ready(cx: JobContext, job: MailExportReady) -> Result<()> {
    tell(&cx, job.export_id, None, Status::Ready, "export_ready").await
}

async fn mail_failed(cx: JobContext, job: MailExportFailed) -> Result<()> {
    tell(&cx, job.export_id, job.at, Status::Failed, "export_failed").await
}

/// Tells who asked for a file, if it is still as they are told.
async fn tell(
    cx: &JobContext,
    id: ExportId,
    at: Option<DateTime<Utc>>,
    status: Status,
    template: &'static str,
) -> Result<()> {
    let time = at.map(|at| format!(":{}", at.timestamp_millis())).unwrap_or_default();
    mail::deliver(cx, &format!("exports.{template}:{id}{time}"), async |tx| {
        let Some(reader) = store::find_requester(tx, id, status).await? else { return Ok(None) };
        if !store::wants_mail(tx, reader.id, template).await? {
            return Ok(None);
        }
        let context = json!({
            "name": reader.display_name,
            "expires_at": reader.expires_at,
            "time_zone": reader.time_zone,
        });
        let to = mail::mailbox(Some(&reader.display_name), &reader.email)?;
        Ok(Some(Letter::new(to, Recipient::User(reader.id), reader.locale, template, context)))
    })
    .await
}

async fn sweep(cx: JobContext, _: SweepExports) -> Result<()> {
    loop {
        let mut tx = cx.begin().await?;
        let expired = store::list_expired(&mut tx, cx.now()).await?;
        if expired.is_empty() {
            break;
        }
        // files first: one that is forgotten could not be found again
        for (_, file_key) in &expired {
            cx.platform.storage.delete(file_key).await?;
        }
        let ids: Vec<_> = expired.into_iter().map(|(id, _)| id).collect();
        store::forget_files(&mut tx, &ids).await?;
        tx.commit().await?;
    }
    // and those that nobody was ever told of
    let storage = &cx.platform.storage;
    let mut found = storage.list_before("exports", cx.now() - YOUNG);
    while let Some(file_keys) = found.try_next().await? {
        let mut tx = cx.begin().await?;
        let unknown = store::list_unknown(&mut tx, &file_keys).await?;
        drop(tx);
        for file_key in &unknown {
            storage.delete(file_key).await?;
        }
    }
    Ok(())
}
