//! What happened in the directory, for higher floors.

use serde::{Deserialize, Serialize};

use crate::platform::ids::EmployeeId;
use crate::platform::jobs::{Job, Queue};

/// A person left the company: they cannot book on its contract any more.
#[derive(Debug, Serialize, Deserialize)]
pub struct EmployeeLeft {
    pub employee_id: EmployeeId,
}

impl Job for EmployeeLeft {
    const KIND: &'static str = "employees.employee_left";
    const QUEUE: Queue = Queue::Events;
}
