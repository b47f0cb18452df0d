//! What staff look at and switch.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::model::{Count, Email, EmailStatus, Features, Job, JobState, Maintained, QueueCount, bits_of};
use super::store;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::http::{Etag, PageQuery};
use crate::platform::ids::CompanyId;
use crate::platform::jobs::{self, Queue};
use crate::platform::maintenance::State;
use crate::platform::problem::{Error as Refusal, Problem};
use crate::platform::{Context, Result, Tx};

/// As late as anything was mailed.
const FAR: DateTime<Utc> = match DateTime::from_timestamp(32_503_680_000, 0) {
    Some(far) => far,
    None => DateTime::UNIX_EPOCH,
};

/// Figures of the whole platform.
pub struct Overview {
    pub as_of: DateTime<Utc>,
    pub counts: Vec<Count>,
    pub queues: Vec<QueueCount>,
    pub maintenance: Maintained,
}

pub async fn overview(cx: &Context) -> Result<Overview> {
    let mut tx = cx.read(Permission::OperatePlatform).await?;
    Ok(Overview {
        as_of: cx.now(),
        counts: store::count(&mut tx, cx.now()).await?,
        queues: store::count_jobs(&mut tx).await?,
        maintenance: store::find_maintenance(&mut tx).await?,
    })
}

pub async fn list_jobs(
    cx: &Context,
    state: JobState,
    queue: Option<Queue>,
    page: &PageQuery<String>,
) -> Result<Vec<Job>> {
    let mut tx = cx.read(Permission::OperatePlatform).await?;
    store::list_jobs(&mut tx, state.statuses(), queue, page.after.as_deref(), page.fetch()).await
}

/// Queues a job again that is dead, or that a wrong clock put off, with all its attempts.
pub async fn retry_job(cx: &Context, id: &str) -> Result<()> {
    let (mut tx, bits) = begin_with_job(cx, id).await?;
    if !jobs::retry(&mut tx, id).await? {
        return Err(Error::JobNotDead.into());
    }
    tx.audit_done("job.retried", "job", bits).await?;
    tx.commit().await
}

/// Takes a job away for good that is dead, or that a wrong clock put off.
pub async fn discard_job(cx: &Context, id: &str) -> Result<()> {
    let (mut tx, bits) = begin_with_job(cx, id).await?;
    if !jobs::discard(&mut tx, id).await? {
        return Err(Error::JobNotDead.into());
    }
    tx.audit_done("job.discarded", "job", bits).await?;
    tx.commit().await
}

async fn begin_with_job(cx: &Context, id: &str) -> Result<(Tx, Uuid)> {
    let bits = bits_of(id).ok_or(Refusal::NotFound)?;
    let mut tx = cx.begin(Permission::OperatePlatform).await?;
    if !jobs::is_there(&mut tx, id).await? {
        return Err(Refusal::NotFound.into());
    }
    Ok((tx, bits))
}

pub async fn list_emails(
    cx: &Context,
    status: Option<EmailStatus>,
    template: Option<&str>,
    page: &PageQuery<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<Email>> {
    let mut tx = cx.read(Permission::OperatePlatform).await?;
    let after = page.after.map(|(at, id)| (at.clamp(DateTime::UNIX_EPOCH, FAR), id));
    store::list_emails(&mut tx, status, template, after, page.fetch()).await
}

/// The version of a company's modules: what they are.
pub fn etag(it: Features) -> Result<Etag> {
    Ok(Etag::of_content(&serde_json::to_vec(&it).map_err(Problem::internal)?))
}

pub async fn find_features(cx: &Context, id: CompanyId) -> Result<Features> {
    let mut tx = cx.read(Permission::OperatePlatform).await?;
    if !store::is_company(&mut tx, id).await? {
        return Err(Refusal::NotFound.into());
    }
    store::find_features(&mut tx, id).await
}

pub async fn set_features(cx: &Context, id: CompanyId, to: Features, if_match: Option<&str>) -> Result<Features> {
    let mut tx = cx.begin(Permission::OperatePlatform).await?;
    if !store::lock_company(&mut tx, id).await? {
        return Err(Refusal::NotFound.into());
    }
    let known = store::find_features(&mut tx, id).await?;
    etag(known)?.require(if_match)?;
    let changed = known.changed(to);
    if !changed.is_empty() {
        store::save_features(&mut tx, id, to).await?;
        let entry = Entry::done("company.features_changed", "company", id.0).of_company(id);
        tx.audit(entry.with(Detail::Fields, changed)).await?;
    }
    tx.commit().await?;
    Ok(to)
}

pub async fn find_maintenance(cx: &Context) -> Result<Maintained> {
    let mut tx = cx.read(Permission::OperatePlatform).await?;
    store::find_maintenance(&mut tx).await
}

/// Holds on every node within two seconds, on this one at once.
pub async fn set_maintenance(cx: &Context, is_on: bool, retry_after_seconds: i32) -> Result<Maintained> {
    let mut tx = cx.begin(Permission::OperatePlatform).await?;
    let known = store::find_maintenance(&mut tx).await?;
    store::save_maintenance(&mut tx, is_on, retry_after_seconds, cx.now()).await?;
    if known.is_on != is_on {
        let action = if is_on { "maintenance.begun" } else { "maintenance.ended" };
        tx.audit_done(action, "maintenance", None).await?;
    } else if known.retry_after_seconds != retry_after_seconds {
        tx.audit_done("maintenance.changed", "maintenance", None).await?;
    }
    let now = store::find_maintenance(&mut tx).await?;
    tx.commit().await?;
    cx.platform().maintenance.note(State { is_on, retry_after_seconds });
    Ok(now)
}
