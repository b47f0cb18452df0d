//! What happened to a consultation, for the floors above: each is enqueued with the change itself.

use serde::{Deserialize, Serialize};

use crate::platform::ids::ConsultationId;
use crate::platform::jobs::{Job, Queue};
use crate::platform::{Result, Tx};

/// An employee has booked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ConsultationBooked {
    pub consultation_id: ConsultationId,
}

impl Job for ConsultationBooked {
    const KIND: &'static str = "consultations.booked";
    const QUEUE: Queue = Queue::Events;
}

/// One of the two has cancelled.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ConsultationCancelled {
    pub consultation_id: ConsultationId,
}

impl Job for ConsultationCancelled {
    const KIND: &'static str = "consultations.cancelled";
    const QUEUE: Queue = Queue::Events;
}

/// Tells the floors above, once for each consultation. The transaction must be in the consultation's company.
pub(super) async fn emit<E: Job>(tx: &mut Tx, event: &E, id: ConsultationId) -> Result<()> {
    tx.enqueue(event, Some(&id.to_string()), None).await
}
