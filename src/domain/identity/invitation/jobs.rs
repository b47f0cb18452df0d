//! Invitations by mail. The token is made by the job: neither the queue nor the database ever holds it.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::store::{self, Subject};
use crate::platform::auth::tokens::OpaqueToken;
use crate::platform::crypto::derive;
use crate::platform::ids::{EmployeeId, UserId};
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Problem, Result, Tx};

/// Invites a person whose account waits for them: a practitioner, one of the platform's staff.
#[derive(Debug, Serialize, Deserialize)]
pub struct InviteUser {
    pub user_id: UserId,
}

impl Job for InviteUser {
    const KIND: &'static str = "identity.invite_user";
    const QUEUE: Queue = Queue::Mail;
}

/// Invites a person of a company's directory, who gets an account by accepting.
#[derive(Debug, Serialize, Deserialize)]
pub struct InviteEmployee {
    pub employee_id: EmployeeId,
}

impl Job for InviteEmployee {
    const KIND: &'static str = "identity.invite_employee";
    const QUEUE: Queue = Queue::Mail;
}

/// Invites a member of a company, who gets an account by accepting.
#[derive(Debug, Serialize, Deserialize)]
pub struct InviteMember {
    pub invitation_id: Uuid,
}

impl Job for InviteMember {
    const KIND: &'static str = "identity.invite_member";
    const QUEUE: Queue = Queue::Mail;
}

/// Tells the holder of an entry's account that the directory has another address for them. The mail goes to the
/// account's own address, whatever the directory says; nothing is sent where there is no account.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellOfCorrection {
    pub employee_id: EmployeeId,
}

impl Job for TellOfCorrection {
    const KIND: &'static str = "identity.tell_of_correction";
    const QUEUE: Queue = Queue::Mail;
}

/// How long an invitation opens an account.
pub const INVITATION_TTL: TimeDelta = TimeDelta::days(7);

/// Registers what this module does later.
pub fn jobs(registry: &mut Registry) {
    registry.on(|cx: JobContext, job: InviteUser| async move {
        invite(&cx, Subject { user: Some(job.user_id), ..Subject::default() }).await
    });
    registry.on(|cx: JobContext, job: InviteEmployee| async move {
        invite(&cx, Subject { employee: Some(job.employee_id), ..Subject::default() }).await
    });
    registry.on(|cx: JobContext, job: InviteMember| async move {
        invite(&cx, Subject { member: Some(job.invitation_id), ..Subject::default() }).await
    });
    registry.on(|cx: JobContext, job: TellOfCorrection| async move { tell_of_correction(&cx, job.employee_id).await });
}

/// Sends the invitation. The token is computed from the job's id, so that a job that runs twice sends one link,
/// and no queue, log or table holds what opens the account.
async fn invite(cx: &JobContext, to: Subject) -> Result<()> {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, cx.job_id.as_bytes());
    let token = invitation_token(cx, id)?;
    mail::deliver(cx, &format!("invitation:{id}"), async |tx: &mut Tx| {
        let (found, recipient) = match to {
            Subject { user: Some(id), .. } => (store::find_user(tx, id).await?, Recipient::User(id)),
            Subject { employee: Some(id), .. } => (store::find_employee(tx, id).await?, Recipient::Employee(id)),
            Subject { member: Some(id), .. } => (store::find_member(tx, id).await?, Recipient::Member(id)),
            Subject { .. } => return Ok(None),
        };
        let Some(invitee) = found else { return Ok(None) };
        let expires_at = cx.now() + INVITATION_TTL;
        store::save(tx, id, &token.hash, to, cx.now(), expires_at).await?;
        Ok(Some(Letter::new(
            mail::mailbox(Some(&invitee.display_name), &invitee.email)?,
            recipient,
            invitee.locale,
            "invitation",
            json!({
                "name": invitee.display_name,
                "organisation": invitee.company_name,
                // behind the number sign: browsers do not send it, so that no log keeps it
                "link": format!("{}accept-invitation#token={}", cx.platform.config.public_url, token.plain),
                "expires_at": expires_at,
                "time_zone": invitee.time_zone,
            }),
        )))
    })
    .await
}

fn invitation_token(cx: &JobContext, id: Uuid) -> Result<OpaqueToken> {
    let (_, master) =
        cx.platform.config.master_keys.first().ok_or_else(|| Problem::internal("MASTER_KEYS names no key"))?;
    Ok(OpaqueToken::from_bytes(&derive::key(master, &format!("invitation {id}"))))
}

async fn tell_of_correction(cx: &JobContext, entry: EmployeeId) -> Result<()> {
    mail::deliver(cx, &format!("directory_changed:{}", cx.job_id), async |tx: &mut Tx| {
        let Some(holder) = store::find_holder(tx, entry).await? else { return Ok(None) };
        Ok(Some(Letter::new(
            mail::mailbox(Some(&holder.display_name), &holder.email)?,
            Recipient::User(holder.id),
            holder.locale,
            "directory_changed",
            json!({ "name": holder.display_name, "organisation": holder.company_name }),
        )))
    })
    .await
}
