//! Invitations by mail. The token is made by the job: neither the queue nor the database ever holds it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::store::{self, Subject};
use crate::platform::auth::tokens::OpaqueToken;
use crate::platform::crypto::derive;
use crate::platform::ids::{EmployeeId, UserId};
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Platform, Problem, Result, Tx};

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

/// Sends the link of an invitation to the address that its holder chose.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailChosenAddress {
    pub token_id: Uuid,
}

impl Job for MailChosenAddress {
    const KIND: &'static str = "identity.mail_chosen_address";
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
    registry.on(mail_chosen_address);
    registry.on(|cx: JobContext, job: TellOfCorrection| async move { tell_of_correction(&cx, job.employee_id).await });
}

/// An invitation that is about to be sent.
struct Minted {
    id: Uuid,
    token: OpaqueToken,
    invitee: store::Invitee,
    expires_at: DateTime<Utc>,
}

/// Makes the token, in a transaction of its own: nobody who comes with an earlier link waits until the mail is sent, and
/// a correction of the address finds this link and ends it. `None`: there is nobody to invite any more.
///
/// The token is computed from the job's id and the address, so that a job that runs twice sends one link, and none to
/// two addresses; no queue, log or table holds what opens the account.
async fn mint(cx: &JobContext, to: Subject) -> Result<Option<Minted>> {
    let mut tx = cx.begin().await?;
    store::lock(&mut tx, to).await?;
    let found = match to {
        Subject { user: Some(id), .. } => store::find_user(&mut tx, id).await?,
        Subject { employee: Some(id), .. } => store::find_employee(&mut tx, id).await?,
        Subject { member: Some(id), .. } => store::find_member(&mut tx, id).await?,
        Subject { .. } => None,
    };
    let Some(invitee) = found else { return Ok(None) };
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{} {}", cx.job_id, invitee.email).as_bytes());
    let token = invitation_token(&cx.platform, id)?;
    let expires_at = cx.now() + INVITATION_TTL;
    store::save(&mut tx, id, &token.hash, to, cx.now(), expires_at).await?;
    tx.commit().await?;
    Ok(Some(Minted { id, token, invitee, expires_at }))
}

/// Sends the invitation, and ends the ones before it once it is sent.
async fn invite(cx: &JobContext, to: Subject) -> Result<()> {
    let minted = mint(cx, to).await?;
    let recipient = match to {
        Subject { user: Some(id), .. } => Recipient::User(id),
        Subject { employee: Some(id), .. } => Recipient::Employee(id),
        Subject { member, .. } => Recipient::Member(member.unwrap_or_default()),
    };
    mail::deliver(cx, &format!("invitation:{}", cx.job_id), async |tx: &mut Tx| {
        let Some(it) = &minted else { return Ok(None) };
        // corrected, withdrawn, or asked for once more a moment ago: of several at once the last one is mailed
        if !store::is_to_send(tx, it.id).await? {
            return Ok(None);
        }
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.invitee.display_name), &it.invitee.email)?,
            recipient,
            it.invitee.locale,
            "invitation",
            json!({
                "name": it.invitee.display_name,
                "organisation": it.invitee.company_name,
                "link": accept_link(&cx.platform, &it.token),
                "expires_at": it.expires_at,
                "time_zone": it.invitee.time_zone,
            }),
        )))
    })
    .await?;
    let Some(it) = minted else { return Ok(()) };
    let mut tx = cx.begin().await?;
    store::lock(&mut tx, to).await?;
    store::end_older(&mut tx, it.id, to).await?;
    tx.commit().await
}

/// The token of an id, as it is made today.
pub(super) fn invitation_token(platform: &Platform, id: Uuid) -> Result<OpaqueToken> {
    candidates(platform, id).next().ok_or_else(|| Problem::internal("MASTER_KEYS names no key"))
}

/// The token of an id by each master key, the present one first.
fn candidates(platform: &Platform, id: Uuid) -> impl Iterator<Item = OpaqueToken> {
    let keys = platform.config.master_keys.iter();
    keys.map(move |(_, master)| OpaqueToken::from_bytes(&derive::key(master, &format!("invitation {id}"))))
}

/// Says nothing of who invited whom: the mailbox may be a stranger's.
async fn mail_chosen_address(cx: JobContext, job: MailChosenAddress) -> Result<()> {
    let id = job.token_id;
    mail::deliver(&cx, &format!("chosen_address:{id}"), async |tx: &mut Tx| {
        let Some(it) = store::find_chosen_address(tx, id, cx.now()).await? else { return Ok(None) };
        let token = candidates(&cx.platform, id)
            .find(|token| token.hash == it.hash)
            .ok_or_else(|| Problem::internal("MASTER_KEYS names no key that this token was made with"))?;
        let recipient = match (it.employee_id, it.member_invitation_id) {
            (Some(employee), _) => Recipient::Employee(employee),
            (None, Some(member)) => Recipient::Member(member),
            (None, None) => return Ok(None),
        };
        Ok(Some(Letter::new(
            mail::mailbox(None, &it.address)?,
            recipient,
            it.locale,
            "invitation_address",
            json!({
                "link": accept_link(&cx.platform, &token),
                "expires_at": it.expires_at,
                "time_zone": it.time_zone,
            }),
        )))
    })
    .await
}

/// Behind the number sign: browsers do not send it, so that no log keeps it.
fn accept_link(platform: &Platform, token: &OpaqueToken) -> String {
    format!("{}accept-invitation#token={}", platform.config.public_url, token.plain)
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
