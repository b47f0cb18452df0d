//! Use cases of a company's members: who works for it as HR or as its admin.

use super::error::Error;
use super::model::{self, Company, Member, MemberRole, MemberStatus, Status};
use super::service;
use super::store::{self, RemovalOutcome};
use crate::domain::identity::invitation;
use crate::platform::audit::Entry;
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{IdempotencyKey, PageQuery};
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Result, Tx};

/// Somebody to invite.
#[derive(Debug)]
pub struct NewMember {
    pub email: String,
    pub display_name: String,
    /// The company's unless said.
    pub locale: Option<Locale>,
}

impl NewMember {
    /// Notes the faults of the fields below `parent`; puts the texts into the form in which they are kept.
    pub(super) fn checked(mut self, parent: &str, faults: &mut FieldErrors) -> Self {
        match model::normalise_address(&self.email) {
            Some(address) => self.email = address,
            None => faults.add(format!("{parent}/email"), "email"),
        }
        match model::clean_name(&self.display_name) {
            Some(name) => self.display_name = name,
            None => faults.add(format!("{parent}/displayName"), "text"),
        }
        self
    }
}

/// Those who have an account and those who are invited. What the platform's staff read is written to the company's log.
pub async fn list(cx: &Context, company: CompanyId, page: &PageQuery<UserId>) -> Result<Vec<Member>> {
    if !cx.caller().is(Role::PlatformAdmin) {
        let mut tx = cx.read(Permission::ManageMembers).await?;
        store::find(&mut tx, company).await?.ok_or(Refusal::NotFound)?;
        return store::list_members(&mut tx, company, page.after, page.fetch()).await;
    }
    let mut tx = cx.begin(Permission::ManageMembers).await?;
    service::enter(cx, &mut tx, company).await?;
    let members = store::list_members(&mut tx, company, page.after, page.fetch()).await?;
    let read = Entry::done("member.read_by_platform", "member", None);
    tx.audit(read.clone()).await?;
    let shown = members.iter().take(page.limit as usize).filter(|it| it.status != MemberStatus::Invited);
    tx.audit_each(read, shown.map(|it| it.id)).await?;
    tx.commit().await?;
    Ok(members)
}

/// Invites somebody, or invites them again: a pending invitation takes the new role, name and language. Whether the
/// address has an account is asked when the invitation is accepted, and told to who accepts.
pub async fn invite(
    cx: &Context,
    key: Option<&IdempotencyKey>,
    company: CompanyId,
    new: NewMember,
    role: MemberRole,
) -> Result<Member> {
    let mut faults = FieldErrors::new();
    let new = new.checked("", &mut faults);
    faults.finish()?;
    let mut tx = cx.begin(Permission::ManageMembers).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    let company = service::enter(cx, &mut tx, company).await?;
    if company.status == Status::Archived || !cx.caller().is(Role::PlatformAdmin) {
        company.status.require_active()?;
    }
    // which the list of members says as well
    if store::is_member(&mut tx, company.id, &new.email).await? {
        return Err(Error::AlreadyMember.into());
    }
    let member = invite_into(cx, &mut tx, &company, new, role).await?;
    tx.remember(key, &member).await?;
    tx.commit().await?;
    Ok(member)
}

/// Adds or renews the pending invitation, and sends it.
pub(super) async fn invite_into(
    cx: &Context,
    tx: &mut Tx,
    company: &Company,
    new: NewMember,
    role: MemberRole,
) -> Result<Member> {
    let member = Member {
        id: cx.new_id(),
        email: new.email,
        display_name: new.display_name,
        role: role.into(),
        locale: new.locale.unwrap_or(company.locale),
        status: MemberStatus::Invited,
        created_at: cx.now(),
    };
    let member = store::save_invitation(tx, company.id, member).await?;
    invitation::invite_member(cx, tx, member.id.0, &member.email).await?;
    tx.audit_done("member.invited", "member", member.id.0).await?;
    Ok(member)
}

/// Takes a member away: their sessions end at once, and they cannot log in any more. A pending invitation is withdrawn,
/// and its link opens nothing.
pub async fn remove(cx: &Context, company: CompanyId, id: UserId) -> Result<()> {
    let mut tx = cx.begin(Permission::ManageMembers).await?;
    service::enter(cx, &mut tx, company).await?;
    if store::delete_invitation(&mut tx, company, id).await? {
        tx.audit_done("member.invitation_withdrawn", "member", id.0).await?;
        return tx.commit().await;
    }
    match store::delete_member(&mut tx, id, cx.now()).await? {
        RemovalOutcome::Removed => {}
        RemovalOutcome::NotFound => return Err(Refusal::NotFound.into()),
        RemovalOutcome::LastAdmin => return Err(Error::LastAdmin.into()),
    }
    tx.audit(Entry::done("member.removed", "member", id.0).about(id)).await?;
    tx.commit().await?;
    cx.platform().sessions.refresh(cx.platform()).await;
    Ok(())
}
