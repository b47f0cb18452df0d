//! What happened to a consultation, for the floors above: each is enqueued with the change itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::platform::ids::{ConsultationId, PractitionerId};
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

/// One of the two, or the platform, has cancelled.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ConsultationCancelled {
    pub consultation_id: ConsultationId,
}

impl Job for ConsultationCancelled {
    const KIND: &'static str = "consultations.cancelled";
    const QUEUE: Queue = Queue::Events;
}

/// An employee has asked a practitioner who confirms by hand.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ConsultationRequested {
    pub consultation_id: ConsultationId,
}

impl Job for ConsultationRequested {
    const KIND: &'static str = "consultations.requested";
    const QUEUE: Queue = Queue::Events;
}

/// The practitioner has confirmed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ConsultationConfirmed {
    pub consultation_id: ConsultationId,
}

impl Job for ConsultationConfirmed {
    const KIND: &'static str = "consultations.confirmed";
    const QUEUE: Queue = Queue::Events;
}

/// One of the two has moved it to another time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ConsultationRescheduled {
    pub consultation_id: ConsultationId,
    /// The calendars' number of this change.
    pub sequence: i32,
    /// Its start before.
    #[serde(default)]
    pub moved_from: Option<DateTime<Utc>>,
}

impl Job for ConsultationRescheduled {
    const KIND: &'static str = "consultations.rescheduled";
    const QUEUE: Queue = Queue::Events;
}

/// A request was not confirmed in time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ConsultationExpired {
    pub consultation_id: ConsultationId,
}

impl Job for ConsultationExpired {
    const KIND: &'static str = "consultations.expired";
    const QUEUE: Queue = Queue::Events;
}

/// A day or an hour before a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Reminder {
    Day,
    Hour,
}

/// Both are to be reminded, unless it was moved again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReminderDue {
    pub consultation_id: ConsultationId,
    pub reminder: Reminder,
    /// The start that it is about.
    pub starts_at: DateTime<Utc>,
}

impl Job for ReminderDue {
    const KIND: &'static str = "consultations.reminder_due";
    const QUEUE: Queue = Queue::Events;
}

/// It was not held: one of the two said so, or the schedule.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ConsultationMissed {
    pub consultation_id: ConsultationId,
}

impl Job for ConsultationMissed {
    const KIND: &'static str = "consultations.missed";
    const QUEUE: Queue = Queue::Events;
}

/// A practitioner's time became free: a session was cancelled or moved, or a request lapsed. Only time to come.
///
/// Where anybody waits for the practitioner, the time is kept for them since then (`policies/waitlist.sql`); else
/// somebody may have taken it again when this is heard.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TimeFreed {
    /// The session that had it.
    pub consultation_id: ConsultationId,
    pub practitioner_id: PractitionerId,
    /// Without the buffers.
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

impl Job for TimeFreed {
    const KIND: &'static str = "consultations.time_freed";
    const QUEUE: Queue = Queue::Events;
}

impl TimeFreed {
    /// With the change that frees it, which happens once.
    pub(super) async fn emit(&self, tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
        if self.starts_at <= now { Ok(()) } else { tx.enqueue(self, None, None).await }
    }
}

/// Tells the floors above, once for each consultation. The transaction must be in the consultation's company.
pub(super) async fn emit<E: Job>(tx: &mut Tx, event: &E, id: ConsultationId) -> Result<()> {
    tx.enqueue(event, Some(&id.to_string()), None).await
}

/// The same for what can happen to one consultation several times.
pub(super) async fn emit_nth<E: Job>(tx: &mut Tx, event: &E, id: ConsultationId, nth: i32) -> Result<()> {
    tx.enqueue(event, Some(&format!("{id}:{nth}")), None).await
}
