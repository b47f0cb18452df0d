//! Every night: the chains are recomputed, and who runs the platform is told if one is broken; then entries that were
//! kept for long enough go.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store;
use super::verify::{self, Chain, Verified};
use crate::platform::Result;
use crate::platform::ids::UserId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};

/// Recomputes every chain.
#[derive(Debug, Serialize, Deserialize)]
pub struct VerifyAuditLog {}

impl Job for VerifyAuditLog {
    const KIND: &'static str = "audit_trail.verify";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Removes the entries that were kept for long enough.
#[derive(Debug, Serialize, Deserialize)]
pub struct CutAuditLog {}

impl Job for CutAuditLog {
    const KIND: &'static str = "audit_trail.cut";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Entries that are removed with one statement.
const CUT: i32 = 5_000;

/// Tells a platform admin that the audit log was tampered with.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailBrokenChain {
    pub user_id: UserId,
    /// `YYYY-MM-DD`: one mail a day.
    pub day: String,
    pub chains: u32,
}

impl Job for MailBrokenChain {
    const KIND: &'static str = "audit_trail.mail_broken_chain";
    const QUEUE: Queue = Queue::Mail;
}

pub fn register(registry: &mut Registry) {
    registry.on(verify_all);
    registry.schedule("audit_trail.verify", "0 41 2 * * *", || VerifyAuditLog {});
    registry.on(cut_all);
    registry.schedule("audit_trail.cut", "0 11 5 * * *", || CutAuditLog {});
    registry.on(mail_broken_chain);
}

async fn verify_all(cx: JobContext, _: VerifyAuditLog) -> Result<()> {
    let mut broken = 0_u32;
    for (chain, _) in verify::chains(&cx.platform).await? {
        let found = verify_one(&cx, chain).await?;
        for (by, count) in &found.known {
            tracing::warn!(company_id = ?chain.0.map(|id| id.0), findings = count, since = %by.at,
                           "the audit log is not whole, and the operator said that this is known");
        }
        if found.findings > 0 {
            broken += 1;
            tracing::error!(
                company_id = ?chain.0.map(|id| id.0),
                findings = found.findings,
                first = found.first.map(|finding| finding.fault.as_str()),
                "the audit log was tampered with"
            );
        }
    }
    if broken > 0 {
        let day = cx.now().date_naive().to_string();
        let mut tx = cx.begin().await?;
        let jobs: Vec<_> = store::list_admins(&mut tx)
            .await?
            .into_iter()
            .map(|user_id| MailBrokenChain { user_id, day: day.clone(), chains: broken })
            .collect();
        tx.enqueue_all(jobs.iter().map(|job| (job, Some(format!("{}:{}", job.user_id, job.day)))), None).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Recomputes a chain and keeps what was found. What the last time found whole must still be there.
async fn verify_one(cx: &JobContext, chain: Chain) -> Result<Verified> {
    let cx = JobContext { company_id: chain.0, user_id: None, ..cx.clone() };
    let found = verify::verify_again(&cx.platform, chain, |_| {}).await?;
    let mut tx = cx.begin().await?;
    store::save_verification(&mut tx, chain.id(), cx.now(), &found).await?;
    tx.commit().await?;
    Ok(found)
}

async fn cut_all(cx: JobContext, _: CutAuditLog) -> Result<()> {
    for (chain, _) in verify::chains(&cx.platform).await? {
        let cx = JobContext { company_id: chain.0, user_id: None, ..cx.clone() };
        loop {
            let mut tx = cx.begin().await?;
            let gone = store::cut(&mut tx, CUT).await?;
            tx.commit().await?;
            if gone == 0 {
                break;
            }
            tracing::info!(company_id = ?chain.0.map(|id| id.0), gone, "entries of the audit log were removed");
        }
    }
    Ok(())
}

async fn mail_broken_chain(cx: JobContext, job: MailBrokenChain) -> Result<()> {
    mail::deliver(&cx, &format!("audit_broken:{}:{}", job.user_id, job.day), async |tx| {
        let Some(admin) = store::find_admin(tx, job.user_id).await? else { return Ok(None) };
        let context = json!({ "name": admin.display_name, "chains": job.chains });
        let to = mail::mailbox(Some(&admin.display_name), &admin.email)?;
        Ok(Some(Letter::new(to, Recipient::User(admin.id), admin.locale, "audit_broken", context)))
    })
    .await
}
