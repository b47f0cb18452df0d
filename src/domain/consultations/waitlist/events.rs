//! What happened on a waiting list, enqueued with the change itself.

use serde::{Deserialize, Serialize};

use crate::platform::ids::WaitlistOfferId;
use crate::platform::jobs::{Job, Queue};

/// A time is kept for somebody who waits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct WaitlistOffered {
    pub offer_id: WaitlistOfferId,
}

impl Job for WaitlistOffered {
    const KIND: &'static str = "waitlist.offered";
    const QUEUE: Queue = Queue::Events;
}

/// Somebody does not want the time that was kept for them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TimeReturned {
    pub offer_id: WaitlistOfferId,
}

impl Job for TimeReturned {
    const KIND: &'static str = "waitlist.time_returned";
    const QUEUE: Queue = Queue::Events;
}
