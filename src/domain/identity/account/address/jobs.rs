//! Mails about addresses, and forgetting what nobody proved.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::super::links::{self, Purpose};
use super::store::{self, News};
use crate::platform::audit::Entry;
use crate::platform::ids::EmployeeId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Problem, Result, Tx};

/// Asks a new address for its proof, in the same words where it is an account's already.
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

/// Tells somebody who left their company what becomes of an account, if they have one. It goes to the address of the
/// directory, in the same words to everybody: whoever reads that mailbox learns nothing of accounts.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellLeaver {
    pub employee_id: EmployeeId,
}

impl Job for TellLeaver {
    const KIND: &'static str = "identity.tell_leaver";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells somebody who left, where their account has a private address, that it goes on. Nobody, otherwise.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellLeaverPrivately {
    pub employee_id: EmployeeId,
}

impl Job for TellLeaverPrivately {
    const KIND: &'static str = "identity.tell_leaver_privately";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells somebody who is back at their company how mail reaches them again, as [`TellLeaver`] does.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellReturner {
    pub employee_id: EmployeeId,
}

impl Job for TellReturner {
    const KIND: &'static str = "identity.tell_returner";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells all people of the job's company, which was archived, until when their mailbox at work counts as theirs; some
/// in each run.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellPeopleOfArchiving {
    /// One archiving: each is told of once.
    pub archiving_id: Uuid,
    /// The last one who was told.
    pub after: Option<EmployeeId>,
}

impl Job for TellPeopleOfArchiving {
    const KIND: &'static str = "identity.tell_people_of_archiving";
    const QUEUE: Queue = Queue::Events;
}

/// Tells one of them, as [`TellLeaver`] does.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellOfArchiving {
    pub employee_id: EmployeeId,
}

impl Job for TellOfArchiving {
    const KIND: &'static str = "identity.tell_of_archiving";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells all people of the job's company, which is active again after so long that their mailboxes at work were lost, how
/// mail reaches them again, as [`TellReturner`] does; some in each run.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellPeopleOfReturn {
    /// One return: each is told of once.
    pub return_id: Uuid,
    /// The last one who was told.
    pub after: Option<EmployeeId>,
}

impl Job for TellPeopleOfReturn {
    const KIND: &'static str = "identity.tell_people_of_return";
    const QUEUE: Queue = Queue::Events;
}

/// Notes that the people of companies that are archived for long have lost their mailboxes there.
#[derive(Debug, Serialize, Deserialize)]
pub struct CloseWorkMailboxes {}

impl Job for CloseWorkMailboxes {
    const KIND: &'static str = "identity.close_work_mailboxes";
    const QUEUE: Queue = Queue::Maintenance;
}

/// How long the people of an archived company keep their mailbox at work, so that they can give another address.
pub const ARCHIVED_GRACE: TimeDelta = TimeDelta::days(30);
/// Who is told of an archiving in one transaction.
const TOLD_AT_ONCE: usize = 500;

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
    registry.on(tell_leaver_privately);
    registry.on(tell_returner);
    registry.on(tell_people_of_archiving);
    registry.on(tell_of_archiving);
    registry.on(tell_people_of_return);
    registry.on(close_work_mailboxes);
    registry.schedule("identity.close_work_mailboxes", "0 31 3 * * *", || CloseWorkMailboxes {});
    registry.on(forget_pending_addresses);
    registry.schedule("identity.forget_pending_addresses", "0 27 3 * * *", || ForgetPendingAddresses {});
}

async fn mail_email_proof(cx: JobContext, job: MailEmailProof) -> Result<()> {
    let id = job.token_id;
    mail::deliver(&cx, &format!("email_proof:{id}"), async |tx: &mut Tx| {
        let Some(it) = store::find_letter(tx, id, cx.now()).await? else { return Ok(None) };
        let link = link(&cx, "verify-email", Purpose::EmailVerification, &it, id)?;
        if let Some(holder) = it.holder {
            // they find it in their access log, whoever reads the mailbox
            tx.audit(Entry::refused("user.address_claimed", "user", holder.0).about(holder)).await?;
        }
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.display_name), &it.address)?,
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

/// A letter to an address of the directory. `None`: the news are old.
async fn letter_to_entry(
    cx: &JobContext,
    tx: &mut Tx,
    entry: EmployeeId,
    news: News,
    template: &'static str,
) -> Result<Option<Letter>> {
    let Some(it) = store::find_entry(tx, entry, news).await? else { return Ok(None) };
    Ok(Some(Letter::new(
        mail::mailbox(Some(&it.display_name), &it.email)?,
        Recipient::Employee(entry),
        it.locale,
        template,
        json!({
            "name": it.display_name,
            "organisation": it.company_name,
            "link": account_link(cx),
            "until": it.archived_at.map(|at| at + ARCHIVED_GRACE),
            "time_zone": it.time_zone,
        }),
    )))
}

fn account_link(cx: &JobContext) -> String {
    format!("{}account", cx.platform.config.public_url)
}

/// Goes out at once: the person may not have the mailbox for long.
async fn tell_leaver(cx: JobContext, job: TellLeaver) -> Result<()> {
    mail::deliver(&cx, &format!("leaver:{}", cx.job_id), async |tx: &mut Tx| {
        letter_to_entry(&cx, tx, job.employee_id, News::Left, "left_company").await
    })
    .await
}

async fn tell_leaver_privately(cx: JobContext, job: TellLeaverPrivately) -> Result<()> {
    mail::deliver(&cx, &format!("leaver_privately:{}", cx.job_id), async |tx: &mut Tx| {
        let Some(it) = store::find_private_leaver(tx, job.employee_id).await? else { return Ok(None) };
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.display_name), &it.email)?,
            Recipient::User(it.user_id),
            it.locale,
            "left_company_privately",
            json!({ "name": it.display_name, "organisation": it.company_name, "link": account_link(&cx) }),
        )))
    })
    .await
}

async fn tell_returner(cx: JobContext, job: TellReturner) -> Result<()> {
    mail::deliver(&cx, &format!("returner:{}", cx.job_id), async |tx: &mut Tx| {
        letter_to_entry(&cx, tx, job.employee_id, News::Back, "back_at_company").await
    })
    .await
}

async fn tell_people_of_archiving(cx: JobContext, job: TellPeopleOfArchiving) -> Result<()> {
    let mut tx = cx.begin().await?;
    let people = store::list_people_to_tell(&mut tx, News::Archived, job.after, TOLD_AT_ONCE).await?;
    let mails: Vec<_> = people.iter().map(|&employee_id| TellOfArchiving { employee_id }).collect();
    let key = |it: &TellOfArchiving| format!("{}:{}", job.archiving_id, it.employee_id);
    tx.enqueue_all(mails.iter().map(|it| (it, Some(key(it)))), None).await?;
    if let Some(&last) = people.last().filter(|_| people.len() == TOLD_AT_ONCE) {
        let rest = TellPeopleOfArchiving { after: Some(last), ..job };
        tx.enqueue(&rest, Some(&format!("{}:{last}", rest.archiving_id)), None).await?;
    }
    tx.commit().await
}

async fn tell_people_of_return(cx: JobContext, job: TellPeopleOfReturn) -> Result<()> {
    let mut tx = cx.begin().await?;
    let people = store::list_people_to_tell(&mut tx, News::Back, job.after, TOLD_AT_ONCE).await?;
    let mails: Vec<_> = people.iter().map(|&employee_id| TellReturner { employee_id }).collect();
    let key = |it: &TellReturner| format!("{}:{}", job.return_id, it.employee_id);
    tx.enqueue_all(mails.iter().map(|it| (it, Some(key(it)))), None).await?;
    if let Some(&last) = people.last().filter(|_| people.len() == TOLD_AT_ONCE) {
        let rest = TellPeopleOfReturn { after: Some(last), ..job };
        tx.enqueue(&rest, Some(&format!("{}:{last}", rest.return_id)), None).await?;
    }
    tx.commit().await
}

async fn tell_of_archiving(cx: JobContext, job: TellOfArchiving) -> Result<()> {
    mail::deliver(&cx, &format!("archiving:{}", cx.job_id), async |tx: &mut Tx| {
        letter_to_entry(&cx, tx, job.employee_id, News::Archived, "company_archived").await
    })
    .await
}

async fn close_work_mailboxes(cx: JobContext, _: CloseWorkMailboxes) -> Result<()> {
    let mut tx = cx.begin().await?;
    let closed = store::close_work_mailboxes(&mut tx, cx.now(), cx.now() - ARCHIVED_GRACE).await?;
    tx.commit().await?;
    tracing::info!(closed, "people of archived companies lost their mailbox there");
    Ok(())
}

async fn forget_pending_addresses(cx: JobContext, _: ForgetPendingAddresses) -> Result<()> {
    let mut tx = cx.begin().await?;
    let forgotten = store::forget_pending(&mut tx, cx.now()).await?;
    tx.commit().await?;
    tracing::info!(forgotten, "forgot addresses that nobody proved");
    Ok(())
}
