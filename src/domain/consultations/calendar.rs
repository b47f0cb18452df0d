//! A consultation as a calendar entry: private, with a neutral title, for calendars at work are read by others.

use chrono::{DateTime, Utc};

use super::model::Status;
use super::store::Appointment;
use crate::platform::config::Config;
use crate::platform::ids::ConsultationId;
use crate::platform::mail::ics::{self, Method};
use crate::platform::mail::{Calendar, Mailbox};
use crate::platform::{Problem, Result};

/// The name that calendars know a consultation by, in mails and feeds alike: the id alone (RFC 7986, 5.3), so that
/// what was sent from one address of this installation is found again from another.
pub fn uid(id: ConsultationId) -> String {
    id.to_string()
}

/// The entry for the reader's calendar: an invitation, or its withdrawal once the consultation is cancelled.
pub fn entry(config: &Config, it: &Appointment, now: DateTime<Utc>) -> Result<Calendar> {
    let method = if it.status == Status::Cancelled { Method::Cancel } else { Method::Request };
    let sender: Mailbox = config.mail_from.parse().map_err(Problem::internal)?;
    let host = config.public_url.host_str().unwrap_or("localhost");
    let locale = it.reader.locale.as_str();
    let ics = ics::invitation(&ics::Event {
        uid: &uid(it.id),
        sequence: it.ics_sequence.unsigned_abs(),
        starts_at: it.starts_at,
        ends_at: it.ends_at,
        summary: &rust_i18n::t!("calendar.title", locale = locale),
        description: &rust_i18n::t!("calendar.description", locale = locale),
        url: config.public_url.as_str(),
        organizer: ics::Party { name: sender.name.as_deref().unwrap_or(host), email: sender.email.as_ref() },
        attendee: ics::Party { name: &it.reader.display_name, email: &it.reader.email },
        method,
        // calendars hear of what is agreed
        is_tentative: false,
        dtstamp: now,
    });
    Ok(Calendar { method, ics })
}
