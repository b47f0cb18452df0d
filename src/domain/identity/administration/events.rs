//! What happened to an account, for higher floors.

use serde::{Deserialize, Serialize};

use crate::platform::ids::UserId;
use crate::platform::jobs::{Job, Queue};

/// An employee's account was suspended: they cannot come to what they booked.
#[derive(Debug, Serialize, Deserialize)]
pub struct EmployeeSuspended {
    pub user_id: UserId,
}

/// A practitioner's account was suspended, and staff want what is booked with them to be cancelled.
#[derive(Debug, Serialize, Deserialize)]
pub struct PractitionerSuspended {
    pub user_id: UserId,
}

impl Job for PractitionerSuspended {
    const KIND: &'static str = "identity.practitioner_suspended";
    const QUEUE: Queue = Queue::Events;
}

impl Job for EmployeeSuspended {
    const KIND: &'static str = "identity.employee_suspended";
    const QUEUE: Queue = Queue::Events;
}
