//! What other modules' events make this one do: a line in the list and a mail, decided and written together.

use chrono::{DateTime, Utc};

use super::jobs::{AppointmentMail, Reader, SendAppointmentMail};
use super::model::Kind;
use super::reviews::SendVerdictMail;
use super::store;
use super::waitlist::SendWaitlistMail;
use crate::domain::consultations::events::{
    ConsultationBooked, ConsultationCancelled, ConsultationConfirmed, ConsultationExpired, ConsultationMissed,
    ConsultationRequested, ConsultationRescheduled, Reminder, ReminderDue,
};
use crate::domain::consultations::waitlist::events::WaitlistOffered;
use crate::domain::identity::safety::{AccountTouched, Touched};
use crate::domain::reviews::events::ReviewModerated;
use crate::platform::Result;
use crate::platform::ids::ConsultationId;
use crate::platform::jobs::JobContext;

/// Both people learn that it waits to be confirmed.
pub async fn on_requested(cx: JobContext, event: ConsultationRequested) -> Result<()> {
    tell_both(&cx, event.consultation_id, AppointmentMail::Requested, Telling::default()).await
}

/// Both people get the appointment.
pub async fn on_booked(cx: JobContext, event: ConsultationBooked) -> Result<()> {
    tell_both(&cx, event.consultation_id, AppointmentMail::Booked, Telling::default()).await
}

/// As when it is booked.
pub async fn on_confirmed(cx: JobContext, event: ConsultationConfirmed) -> Result<()> {
    tell_both(&cx, event.consultation_id, AppointmentMail::Confirmed, Telling::default()).await
}

/// Both people get the new time.
pub async fn on_rescheduled(cx: JobContext, event: ConsultationRescheduled) -> Result<()> {
    let it = Telling { sequence: Some(event.sequence), start: event.moved_from };
    tell_both(&cx, event.consultation_id, AppointmentMail::Rescheduled, it).await
}

/// Both people get the withdrawal.
pub async fn on_cancelled(cx: JobContext, event: ConsultationCancelled) -> Result<()> {
    tell_both(&cx, event.consultation_id, AppointmentMail::Cancelled, Telling::default()).await
}

/// Both people learn that nothing came of it.
pub async fn on_expired(cx: JobContext, event: ConsultationExpired) -> Result<()> {
    tell_both(&cx, event.consultation_id, AppointmentMail::Expired, Telling::default()).await
}

/// Both people learn that it is noted as not held, and the employee what that costs.
pub async fn on_missed(cx: JobContext, event: ConsultationMissed) -> Result<()> {
    tell_both(&cx, event.consultation_id, AppointmentMail::Missed, Telling::default()).await
}

pub async fn on_reminder_due(cx: JobContext, event: ReminderDue) -> Result<()> {
    let kind = match event.reminder {
        Reminder::Day => AppointmentMail::ReminderDay,
        Reminder::Hour => AppointmentMail::ReminderHour,
    };
    let it = Telling { sequence: None, start: Some(event.starts_at) };
    tell_both(&cx, event.consultation_id, kind, it).await
}

/// What tells several mails of one kind apart: see [`SendAppointmentMail`].
#[derive(Clone, Copy, Default)]
struct Telling {
    sequence: Option<i32>,
    start: Option<DateTime<Utc>>,
}

/// Who waits learns which time is kept for them.
pub async fn on_waitlist_offered(cx: JobContext, event: WaitlistOffered) -> Result<()> {
    let mail = SendWaitlistMail { offer_id: event.offer_id };
    let mut tx = cx.begin().await?;
    if store::notify_of_offer(&mut tx, cx.new_id(), event.offer_id, cx.now()).await? {
        tx.enqueue(&mail, Some(&mail.key()), None).await?;
    }
    tx.commit().await
}

/// The person finds it in their list as well; the mail about it is the accounts' own affair, and nobody switches it off.
pub async fn on_account_touched(cx: JobContext, event: AccountTouched) -> Result<()> {
    let kind = match event.what {
        Touched::Password => Kind::PasswordChanged,
        Touched::Email => Kind::EmailChanged,
        Touched::TwoFactor => Kind::TwoFactorChanged,
        Touched::Session => Kind::SessionEnded,
    };
    let mut tx = cx.begin().await?;
    store::notify_of_account(&mut tx, cx.new_id(), event.user_id, kind, event.at).await?;
    tx.commit().await
}

/// The author learns what was decided about their words.
pub async fn on_review_moderated(cx: JobContext, event: ReviewModerated) -> Result<()> {
    let mail = SendVerdictMail { review_id: event.review_id, version: event.version };
    let mut tx = cx.begin().await?;
    if store::notify_of_review(&mut tx, cx.new_id(), event.review_id, event.version, cx.now()).await? {
        tx.enqueue(&mail, Some(&mail.key()), None).await?;
    }
    tx.commit().await
}

async fn tell_both(
    cx: &JobContext,
    consultation_id: ConsultationId,
    kind: AppointmentMail,
    Telling { sequence, start }: Telling,
) -> Result<()> {
    let to = [Reader::Employee, Reader::Practitioner];
    let mut tx = cx.begin().await?;
    // the employee first, always: two reactions that tell the same people do not wait for each other in a circle
    let mut wanted = Vec::new();
    for mail in to.map(|to| SendAppointmentMail { consultation_id, to, kind, sequence, start }) {
        let (id, reader, kind) = (cx.new_id(), mail.to.as_str(), mail.kind.notification());
        if store::notify_of_consultation(&mut tx, id, consultation_id, reader, kind, mail.nth(), cx.now()).await? {
            wanted.push(mail);
        }
    }
    // one of each, however often the event is heard
    tx.enqueue_all(wanted.iter().map(|mail| (mail, Some(mail.key()))), None).await?;
    tx.commit().await
}
