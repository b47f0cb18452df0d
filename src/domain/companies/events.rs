//! What happened to a company, for higher floors.

use serde::{Deserialize, Serialize};

use crate::platform::jobs::{Job, Queue};

/// The company of the job was archived: nothing that is booked on its contract takes place any more.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct CompanyArchived {}

impl Job for CompanyArchived {
    const KIND: &'static str = "companies.company_archived";
    const QUEUE: Queue = Queue::Events;
}
