//! Asking for invitations, for the domains that keep those who are invited.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::jobs::{InviteEmployee, InviteMember, InviteUser, TellOfCorrection};
use super::store;
use crate::platform::ids::{EmployeeId, UserId};
use crate::platform::jobs::Job;
use crate::platform::{Problem, Result, Tx};

/// Invitations that one entry, or one address of a company, gets within 24 hours.
pub const MOST_IN_A_DAY: i32 = 5;

/// Invites a person of the directory. [`Error::TooManyInvitations`] where they got enough.
pub async fn invite_employee(tx: &mut Tx, id: EmployeeId, address: &str, now: DateTime<Utc>) -> Result<()> {
    invite(tx, &InviteEmployee { employee_id: id }, id.0, address, now).await
}

/// Invites people of the directory, whose addresses are given; who got enough is passed over.
pub async fn invite_employees(tx: &mut Tx, people: &[(EmployeeId, &str)], now: DateTime<Utc>) -> Result<()> {
    let subjects: Vec<_> = people.iter().map(|(id, _)| id.0).collect();
    let addresses: Vec<_> = people.iter().map(|(_, address)| *address).collect();
    let refused = store::note_invitations(tx, &subjects, &addresses, now, MOST_IN_A_DAY).await?;
    let refused: HashSet<Uuid> = refused.into_iter().map(|(subject, _)| subject).collect();
    let jobs: Vec<_> = people
        .iter()
        .filter(|(id, _)| !refused.contains(&id.0))
        .map(|(id, _)| InviteEmployee { employee_id: *id })
        .collect();
    tx.enqueue_all(jobs.iter().map(|job| (job, None)), None).await
}

/// Invites a member of the transaction's company, by the id of the pending entry.
pub async fn invite_member(tx: &mut Tx, id: Uuid, address: &str, now: DateTime<Utc>) -> Result<()> {
    invite(tx, &InviteMember { invitation_id: id }, id, address, now).await
}

/// Invites somebody whose account waits for them.
pub async fn invite_user(tx: &mut Tx, id: UserId, address: &str, now: DateTime<Utc>) -> Result<()> {
    invite(tx, &InviteUser { user_id: id }, id.0, address, now).await
}

async fn invite<J: Job>(tx: &mut Tx, job: &J, subject: Uuid, address: &str, now: DateTime<Utc>) -> Result<()> {
    let refused = store::note_invitations(tx, &[subject], &[address], now, MOST_IN_A_DAY).await?;
    if let Some((_, free_at)) = refused.first() {
        let wait = (*free_at - now).num_seconds() + 1;
        return Err(Problem::from(Error::TooManyInvitations)
            .with_arg("most", MOST_IN_A_DAY.to_string())
            .with_header("retry-after", wait.to_string()));
    }
    tx.enqueue(job, None, None).await
}

/// Lets the holder of an entry's account, where there is one, know that the directory has another address for them.
pub async fn tell_of_correction(tx: &mut Tx, id: EmployeeId) -> Result<()> {
    tx.enqueue(&TellOfCorrection { employee_id: id }, None, None).await
}
