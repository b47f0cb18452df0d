//! Telling people what happened: today by mail.
//!
//! The floors below say what happened and know no mail. [`reactions`] hears them through the queue and enqueues one
//! mail for each reader; [`jobs`] builds each when it is sent, so that what has changed meanwhile is not told.

pub mod jobs;
pub mod reactions;
pub mod waitlist;

use crate::platform::jobs::Registry;

/// The handlers of this module.
pub fn jobs(registry: &mut Registry) {
    registry.on(reactions::on_requested);
    registry.on(reactions::on_booked);
    registry.on(reactions::on_confirmed);
    registry.on(reactions::on_rescheduled);
    registry.on(reactions::on_cancelled);
    registry.on(reactions::on_expired);
    registry.on(reactions::on_missed);
    registry.on(reactions::on_reminder_due);
    registry.on(reactions::on_waitlist_offered);
    registry.on(jobs::send_appointment_mail);
    registry.on(waitlist::send_waitlist_mail);
}
