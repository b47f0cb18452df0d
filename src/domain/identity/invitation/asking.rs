//! Asking for invitations, for the domains that keep those who are invited.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::jobs::{InviteEmployee, InviteMember, InviteUser, TellOfCorrection};
use super::store;
use crate::platform::ids::{EmployeeId, UserId};
use crate::platform::jobs::Job;
use crate::platform::{Context, Problem, Result, Tx};

/// Invitations that one entry, or one address of a company, gets within 24 hours.
pub const MOST_IN_A_DAY: i32 = 5;

/// Invites a person of the directory. [`Error::TooManyInvitations`] where they got enough.
pub async fn invite_employee(cx: &Context, tx: &mut Tx, id: EmployeeId, address: &str) -> Result<()> {
    invite(cx, tx, &InviteEmployee { employee_id: id }, id.0, address).await
}

/// Invites people of the directory, whose addresses are given; who got enough is passed over.
pub async fn invite_employees(cx: &Context, tx: &mut Tx, people: &[(EmployeeId, &str)]) -> Result<()> {
    let subjects: Vec<_> = people.iter().map(|(id, _)| id.0).collect();
    let addresses: Vec<_> = people.iter().map(|(_, address)| *address).collect();
    let refused = note(cx, tx, &subjects, &addresses).await?;
    let jobs: Vec<_> = people
        .iter()
        .filter(|(id, _)| !refused.contains_key(&id.0))
        .map(|(id, _)| InviteEmployee { employee_id: *id })
        .collect();
    tx.enqueue_all(jobs.iter().map(|job| (job, None)), None).await
}

/// Invites a member of the transaction's company, by the id of the pending entry.
pub async fn invite_member(cx: &Context, tx: &mut Tx, id: Uuid, address: &str) -> Result<()> {
    invite(cx, tx, &InviteMember { invitation_id: id }, id, address).await
}

/// Invites somebody whose account waits for them.
pub async fn invite_user(cx: &Context, tx: &mut Tx, id: UserId, address: &str) -> Result<()> {
    invite(cx, tx, &InviteUser { user_id: id }, id.0, address).await
}

async fn invite<J: Job>(cx: &Context, tx: &mut Tx, job: &J, subject: Uuid, address: &str) -> Result<()> {
    let refused = note(cx, tx, &[subject], &[address]).await?;
    if let Some(free_at) = refused.get(&subject) {
        return Err(too_many(cx, Error::TooManyInvitations, MOST_IN_A_DAY.into(), *free_at));
    }
    tx.enqueue(job, None, None).await
}

/// Counts invitations; those that are not to be sent, and when they could be.
/// [`Error::CompanyInvitationsExhausted`] where the company has written to too many.
async fn note(
    cx: &Context,
    tx: &mut Tx,
    subjects: &[Uuid],
    addresses: &[&str],
) -> Result<HashMap<Uuid, DateTime<Utc>>> {
    let most = cx.platform().config.company_invitations_per_day;
    let refused = store::note_invitations(tx, subjects, addresses, cx.now(), MOST_IN_A_DAY, most).await?;
    if let Some(all) = refused.iter().find(|it| it.subject.is_none()) {
        return Err(too_many(cx, Error::CompanyInvitationsExhausted, most.into(), all.free_at));
    }
    Ok(refused.into_iter().filter_map(|it| Some((it.subject?, it.free_at))).collect())
}

fn too_many(cx: &Context, cause: Error, most: i64, free_at: DateTime<Utc>) -> Problem {
    let wait = (free_at - cx.now()).num_seconds().max(0) + 1;
    Problem::from(cause).with_arg("most", most.to_string()).with_header("retry-after", wait.to_string())
}

/// Lets the holder of an entry's account, where there is one, know that the directory has another address for them.
pub async fn tell_of_correction(tx: &mut Tx, id: EmployeeId) -> Result<()> {
    tx.enqueue(&TellOfCorrection { employee_id: id }, None, None).await
}
