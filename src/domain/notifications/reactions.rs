//! What other modules' events make this one do.

use super::jobs::{AppointmentMail, Reader, SendAppointmentMail};
use crate::domain::consultations::events::{ConsultationBooked, ConsultationCancelled};
use crate::platform::Result;
use crate::platform::ids::ConsultationId;
use crate::platform::jobs::JobContext;

/// Both people get the appointment.
pub async fn on_booked(cx: JobContext, event: ConsultationBooked) -> Result<()> {
    tell_both(&cx, event.consultation_id, AppointmentMail::Booked).await
}

/// Both people get the withdrawal.
pub async fn on_cancelled(cx: JobContext, event: ConsultationCancelled) -> Result<()> {
    tell_both(&cx, event.consultation_id, AppointmentMail::Cancelled).await
}

async fn tell_both(cx: &JobContext, consultation_id: ConsultationId, kind: AppointmentMail) -> Result<()> {
    let mails = [Reader::Employee, Reader::Practitioner].map(|to| SendAppointmentMail { consultation_id, to, kind });
    let mut tx = cx.begin().await?;
    // one of each, however often the event is heard
    tx.enqueue_all(mails.iter().map(|mail| (mail, Some(mail.key()))), None).await?;
    tx.commit().await
}
