//! What happened to an account, for higher floors.

use serde::{Deserialize, Serialize};

use crate::platform::ids::UserId;
use crate::platform::jobs::{Job, Queue};

/// An employee's account was suspended: they cannot come to what they booked.
#[derive(Debug, Serialize, Deserialize)]
pub struct EmployeeSuspended {
    pub user_id: UserId,
}

impl Job for EmployeeSuspended {
    const KIND: &'static str = "identity.employee_suspended";
    const QUEUE: Queue = Queue::Events;
}
