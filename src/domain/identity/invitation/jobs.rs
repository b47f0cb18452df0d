//! Invitations by mail. The token is made by the job: neither the queue nor the database ever holds it.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::store;
use crate::platform::auth::tokens::OpaqueToken;
use crate::platform::crypto::derive;
use crate::platform::ids::{EmployeeId, UserId};
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Problem, Result, Tx};

/// Invites a person whose account waits for them: HR, a company admin, a practitioner.
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

/// How long an invitation opens an account.
const INVITATION_TTL: TimeDelta = TimeDelta::days(7);

/// Registers what this module does later.
pub fn jobs(registry: &mut Registry) {
    registry.on(|cx: JobContext, job: InviteUser| async move { invite(&cx, Recipient::User(job.user_id)).await });
    registry.on(|cx: JobContext, job: InviteEmployee| async move {
        invite(&cx, Recipient::Employee(job.employee_id)).await
    });
}

/// Sends the invitation. The token is computed from the job's id, so that a job that runs twice sends one link,
/// and no queue, log or table holds what opens the account.
async fn invite(cx: &JobContext, recipient: Recipient) -> Result<()> {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, cx.job_id.as_bytes());
    let token = invitation_token(cx, id)?;
    mail::deliver(cx, &format!("invitation:{id}"), async |tx: &mut Tx| {
        let (invitee, user, employee) = match recipient {
            Recipient::User(id) => (store::find_invited_user(tx, id).await?, Some(id), None),
            Recipient::Employee(id) => (store::find_invited_employee(tx, id).await?, None, Some(id)),
        };
        // who has an account needs no invitation any more
        let Some(invitee) = invitee else { return Ok(None) };
        let expires_at = cx.now() + INVITATION_TTL;
        store::save_invitation(tx, id, &token.hash, user, employee, cx.now(), expires_at).await?;
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
