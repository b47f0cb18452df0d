//! Invitations by mail. The token is made by the job: neither the queue nor the database ever holds it.

use serde::{Deserialize, Serialize};

use crate::platform::ids::{EmployeeId, UserId};
use crate::platform::jobs::{Job, Queue};

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
