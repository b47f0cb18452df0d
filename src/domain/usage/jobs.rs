//! Counting anew, writing the files, telling that they are ready, sweeping them away.

use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::csv;
use super::model::{ExportStatus, Months};
use super::service::EXPORT_LIFE;
use super::store::{self, Finished};
use crate::platform::ids::ExportId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Problem, Result, Tx};

/// Lines that are written at once.
const BATCH: usize = 500;
/// Months of companies that are published at once.
const MONTHS: i32 = 200;

/// Counts what is not published, and publishes the months that are over.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshUsage {}

impl Job for RefreshUsage {
    const KIND: &'static str = "usage.refresh";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Writes the file of an export.
#[derive(Debug, Serialize, Deserialize)]
pub struct MakeExport {
    pub export_id: ExportId,
}

impl Job for MakeExport {
    const KIND: &'static str = "usage.export";
    const QUEUE: Queue = Queue::Exports;
}

/// Tells the person who asked for an export that it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailExportReady {
    pub export_id: ExportId,
}

impl Job for MailExportReady {
    const KIND: &'static str = "usage.mail_export_ready";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells the person who asked for an export that it could not be made.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailExportFailed {
    pub export_id: ExportId,
}

impl Job for MailExportFailed {
    const KIND: &'static str = "usage.mail_export_failed";
    const QUEUE: Queue = Queue::Mail;
}

/// Removes the files whose time is over.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepExports {}

impl Job for SweepExports {
    const KIND: &'static str = "usage.sweep_exports";
    const QUEUE: Queue = Queue::Maintenance;
}

pub fn register(registry: &mut Registry) {
    registry.on(refresh);
    registry.schedule("usage.refresh", "0 5 * * * *", || RefreshUsage {});
    registry.on(make_export);
    registry.on_given_up(give_up_export);
    registry.on(mail_export_ready);
    registry.on(mail_export_failed);
    registry.on(sweep_exports);
    registry.schedule("usage.sweep_exports", "0 35 * * * *", || SweepExports {});
}

async fn refresh(cx: JobContext, _: RefreshUsage) -> Result<()> {
    let mut tx = cx.begin().await?;
    store::refresh(&mut tx, cx.now()).await?;
    tx.commit().await?;
    loop {
        let mut tx = cx.begin().await?;
        let published = store::publish(&mut tx, MONTHS).await?;
        tx.commit().await?;
        if published == 0 {
            return Ok(());
        }
    }
}

/// No attempt is left, or the last one took its worker down: nobody must wait for the file any longer.
async fn give_up_export(cx: JobContext, job: MakeExport) -> Result<()> {
    let id = job.export_id;
    let mut tx = cx.begin().await?;
    if is_wanted(&mut tx, id).await? {
        store::save_status(&mut tx, id, ExportStatus::Failed, Some(cx.now())).await?;
        tx.enqueue(&MailExportFailed { export_id: id }, Some(&id.to_string()), None).await?;
    }
    tx.commit().await
}

async fn make_export(cx: JobContext, job: MakeExport) -> Result<()> {
    let id = job.export_id;
    let mut tx = cx.begin().await?;
    if !is_wanted(&mut tx, id).await? {
        return Ok(());
    }
    store::save_status(&mut tx, id, ExportStatus::Running, None).await?;
    tx.commit().await?;

    // the lock is held until the file is there: a second worker then finds it made
    let mut tx = cx.begin().await?;
    if !is_wanted(&mut tx, id).await? {
        return Ok(());
    }
    // the name follows from the id: a repetition replaces what an earlier one left
    let file_key = format!("exports/{}.csv", id.0.simple());
    let row_count = write_file(&cx, &mut tx, id, &file_key).await?;
    let done = Finished { file_key: &file_key, row_count, at: cx.now(), expires_at: cx.now() + EXPORT_LIFE };
    store::save_ready(&mut tx, id, &done).await?;
    tx.enqueue(&MailExportReady { export_id: id }, Some(&id.to_string()), None).await?;
    tx.commit().await
}

/// Locks the export; whether its file is still to be made.
async fn is_wanted(tx: &mut Tx, id: ExportId) -> Result<bool> {
    let export = store::lock_export(tx, id).await?;
    Ok(export.is_some_and(|export| !matches!(export.status, ExportStatus::Ready | ExportStatus::Expired)))
}

/// Streams the counters into the file; says how many lines there are.
async fn write_file(cx: &JobContext, tx: &mut Tx, id: ExportId, file_key: &str) -> Result<i32> {
    let export = store::find_export(tx, id).await?.ok_or_else(|| Problem::internal("the export is gone"))?;
    let params = export.params;
    let mut file = cx.platform.storage.create(file_key);
    file.write(&csv::head(&params)?).await?;
    let mut row_count = 0;
    let months = Months { from: params.from, to: params.to };
    let mut batches = store::stream_lines(tx, &months, params.by).try_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let lines = batch.map_err(|failed| failed.1)?;
        row_count += i32::try_from(lines.len()).map_err(Problem::internal)?;
        file.write(&csv::body(&params, &lines)?).await?;
    }
    drop(batches);
    file.finish().await?;
    Ok(row_count)
}

async fn mail_export_ready(cx: JobContext, job: MailExportReady) -> Result<()> {
    tell(&cx, job.export_id, ExportStatus::Ready, "export_ready").await
}

async fn mail_export_failed(cx: JobContext, job: MailExportFailed) -> Result<()> {
    tell(&cx, job.export_id, ExportStatus::Failed, "export_failed").await
}

/// Tells who asked for a file, if it is still as they are told.
async fn tell(cx: &JobContext, id: ExportId, status: ExportStatus, template: &'static str) -> Result<()> {
    mail::deliver(cx, &format!("usage.{template}:{id}"), async |tx| {
        let Some(reader) = store::find_requester(tx, id, status).await? else { return Ok(None) };
        if !store::wants_mail(tx, reader.id, template).await? {
            return Ok(None);
        }
        let context = json!({
            "name": reader.display_name,
            "link": format!("{}/exports/{id}", cx.platform.config.public_url.as_str().trim_end_matches('/')),
            "expires_at": reader.expires_at,
            "time_zone": reader.time_zone,
        });
        let to = mail::mailbox(Some(&reader.display_name), &reader.email)?;
        Ok(Some(Letter::new(to, Recipient::User(reader.id), reader.locale, template, context)))
    })
    .await
}

async fn sweep_exports(cx: JobContext, _: SweepExports) -> Result<()> {
    loop {
        let mut tx = cx.begin().await?;
        let expired = store::list_expired(&mut tx, cx.now()).await?;
        if expired.is_empty() {
            return Ok(());
        }
        // files first: one that is forgotten could not be found again
        for (_, file_key) in &expired {
            cx.platform.storage.delete(file_key).await?;
        }
        let ids: Vec<_> = expired.into_iter().map(|(id, _)| id).collect();
        store::forget_files(&mut tx, &ids).await?;
        tx.commit().await?;
    }
}
