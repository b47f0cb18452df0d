//! Telling people what happened: in the program and by mail.
//!
//! The floors below say what happened and know neither lists nor mails. [`reactions`] hears them through the queue and, in
//! one transaction, adds a line to the list of each reader and enqueues one mail for each, as far as the reader wants it;
//! [`jobs`] builds each mail when it is sent, so that what has changed meanwhile, the reader's mind included, is not told.
//!
//! **A line says nothing.** It is a kind and an id. Its [`words`] are made when it is shown, in the reader's language and
//! zone, from what the reader may see of the thing then. However often an event is heard, it makes one line.
//!
//! **Preferences** are a person's for each kind and channel; only what somebody does not want is kept. Messages about
//! safety, and about sessions that are taken away, are told everybody: the database holds no wish against them.
//!
//! **Messages and missed calls** are no jobs of their own while they happen: the database notes them, and the schedule looks
//! ([`messages`], [`calls`]).
//!
//! **Live** ([`socket`]): triggers notify whose list, or which of whose sessions, has changed, by ids; the sockets of that
//! person on every node read it as themselves.

mod api;
pub mod calls;
mod error;
pub mod jobs;
pub mod messages;
pub mod model;
pub mod reactions;
pub mod reviews;
mod service;
mod socket;
mod store;
pub mod waitlist;
mod words;

pub use api::NotificationsApi;
pub use error::Error;
pub use socket::{namespace, open};

use crate::platform::jobs::Registry;

/// The handlers and schedules of this module.
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
    registry.on(reactions::on_account_touched);
    registry.on(reactions::on_review_moderated);
    registry.on(jobs::send_appointment_mail);
    registry.on(waitlist::send_waitlist_mail);
    registry.on(messages::tell_unread);
    registry.on(messages::send_message_mail);
    registry.on(calls::send_missed_call_mail);
    registry.on(reviews::send_verdict_mail);
    registry.schedule("notifications.tell_unread", "*/10 * * * * *", || messages::TellUnread {});
    registry.on(jobs::purge);
    registry.schedule("notifications.purge", "0 7 4 * * *", || jobs::Purge {});
}
