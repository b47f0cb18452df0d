//! Mails about addresses, and forgetting what nobody proved.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::super::links::{self, Purpose};
use super::store;
use crate::platform::ids::EmployeeId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Problem, Result, Tx};

/// Asks a new address for its proof; or tells its holder, where it is an account already.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailEmailProof {
    pub token_id: Uuid,
}

impl Job for MailEmailProof {
    const KIND: &'static str = "identity.mail_email_proof";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells the old address that another one is to take its place, and how to stop that.
#[derive(Debug, Serialize, Deserialize)]
pub struct WarnOfEmailChange {
    pub token_id: Uuid,
}

impl Job for WarnOfEmailChange {
    const KIND: &'static str = "identity.warn_of_email_change";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells the old address that it is the account's no more.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellEmailChanged {
    pub token_id: Uuid,
    pub changed_at: DateTime<Utc>,
}

impl Job for TellEmailChanged {
    const KIND: &'static str = "identity.tell_email_changed";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells somebody who left their company how they keep their account.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellLeaver {
    pub employee_id: EmployeeId,
}

impl Job for TellLeaver {
    const KIND: &'static str = "identity.tell_leaver";
    const QUEUE: Queue = Queue::Mail;
}

/// Forgets addresses that nobody proved in time.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForgetPendingAddresses {}

impl Job for ForgetPendingAddresses {
    const KIND: &'static str = "identity.forget_pending_addresses";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Registers what this module does later.
pub(in crate::domain::identity) fn jobs(registry: &mut Registry) {
    registry.on(mail_email_proof);
    registry.on(warn_of_email_change);
    registry.on(tell_email_changed);
    registry.on(tell_leaver);
    registry.on(forget_pending_addresses);
    registry.schedule("identity.forget_pending_addresses", "0 27 3 * * *", || ForgetPendingAddresses {});
}

async fn mail_email_proof(cx: JobContext, job: MailEmailProof) -> Result<()> {
    let id = job.token_id;
    mail::deliver(&cx, &format!("email_proof:{id}"), async |tx: &mut Tx| {
        let Some(it) = store::find_letter(tx, id, cx.now()).await? else { return Ok(None) };
        let to = mail::mailbox(Some(&it.display_name), &it.address)?;
        if it.taken {
            return Ok(Some(Letter::new(
                to,
                Recipient::User(it.user_id),
                it.locale,
                "email_taken",
                json!({ "name": it.display_name }),
            )));
        }
        let link = link(&cx, "verify-email", Purpose::EmailVerification, &it, id)?;
        Ok(Some(Letter::new(
            to,
            Recipient::User(it.user_id),
            it.locale,
            "email_verification",
            json!({
                "name": it.display_name, "link": link, "expires_at": it.expires_at, "time_zone": it.time_zone,
            }),
        )))
    })
    .await
}

async fn warn_of_email_change(cx: JobContext, job: WarnOfEmailChange) -> Result<()> {
    let id = job.token_id;
    mail::deliver(&cx, &format!("email_change:{id}"), async |tx: &mut Tx| {
        let Some(it) = store::find_letter(tx, id, cx.now()).await? else { return Ok(None) };
        let link = link(&cx, "stop-email-change", Purpose::EmailChange, &it, id)?;
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.display_name), &it.address)?,
            Recipient::User(it.user_id),
            it.locale,
            "email_change",
            json!({
                "name": it.display_name, "link": link, "expires_at": it.expires_at, "time_zone": it.time_zone,
            }),
        )))
    })
    .await
}

fn link(cx: &JobContext, page: &str, purpose: Purpose, it: &store::Letter, id: Uuid) -> Result<String> {
    let token = links::find_token(&cx.platform, purpose, id, &it.hash)
        .ok_or_else(|| Problem::internal("MASTER_KEYS names no key that this token was made with"))?;
    Ok(links::link(&cx.platform, page, &token))
}

async fn tell_email_changed(cx: JobContext, job: TellEmailChanged) -> Result<()> {
    let id = job.token_id;
    mail::deliver(&cx, &format!("email_changed:{id}"), async |tx: &mut Tx| {
        let Some(it) = store::find_former(tx, id).await? else { return Ok(None) };
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.display_name), &it.address)?,
            Recipient::User(it.user_id),
            it.locale,
            "email_changed",
            json!({ "name": it.display_name, "changed_at": job.changed_at, "time_zone": it.time_zone }),
        )))
    })
    .await
}

/// Goes to the account's address at once: where that is the employer's, the person may not have it for long. The last
/// mail that goes there.
async fn tell_leaver(cx: JobContext, job: TellLeaver) -> Result<()> {
    mail::deliver(&cx, &format!("leaver:{}", cx.job_id), async |tx: &mut Tx| {
        let Some(it) = store::find_leaver(tx, job.employee_id).await? else { return Ok(None) };
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.display_name), &it.email)?,
            Recipient::User(it.user_id),
            it.locale,
            "left_company",
            json!({
                "name": it.display_name,
                "organisation": it.company_name,
                "private_address": it.private_address,
                "link": format!("{}account", cx.platform.config.public_url),
            }),
        )))
    })
    .await
}

async fn forget_pending_addresses(cx: JobContext, _: ForgetPendingAddresses) -> Result<()> {
    let mut tx = cx.begin().await?;
    let forgotten = store::forget_pending(&mut tx, cx.now()).await?;
    tx.commit().await?;
    tracing::info!(forgotten, "forgot addresses that nobody proved");
    Ok(())
}
