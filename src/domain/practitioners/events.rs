//! What happened to a practitioner, for the floors above.

use serde::{Deserialize, Serialize};

use crate::platform::ids::PractitionerId;
use crate::platform::jobs::{Job, Queue};

/// Somebody takes no bookings any more, and what is booked is to be cancelled.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PractitionerDeactivated {
    pub practitioner_id: PractitionerId,
}

impl Job for PractitionerDeactivated {
    const KIND: &'static str = "practitioners.deactivated";
    const QUEUE: Queue = Queue::Events;
}
