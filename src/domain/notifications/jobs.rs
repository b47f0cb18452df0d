//! Mails about appointments, neutral in every word: they are read at work. And what removes old notifications.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::{Channel, Kind};
use super::store;
use crate::domain::consultations::model::DoneBy;
use crate::domain::consultations::{self, Appointment, Status};
use crate::platform::Result;
use crate::platform::ids::ConsultationId;
use crate::platform::jobs::{Job, JobContext, Queue};
use crate::platform::mail::{self, Letter, Recipient};

/// Which of the two reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    Employee,
    Practitioner,
}

impl Reader {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Practitioner => "practitioner",
        }
    }
}

/// What it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppointmentMail {
    /// It waits for the practitioner.
    Requested,
    Booked,
    /// What waited is agreed.
    Confirmed,
    Rescheduled,
    Cancelled,
    /// It waited in vain.
    Expired,
    /// It was not held.
    Missed,
    ReminderDay,
    ReminderHour,
}

impl AppointmentMail {
    /// The kind under which people choose whether they want it.
    pub fn notification(self) -> Kind {
        match self {
            Self::Requested => Kind::ConsultationRequested,
            Self::Booked => Kind::ConsultationBooked,
            Self::Confirmed => Kind::ConsultationConfirmed,
            Self::Rescheduled => Kind::ConsultationRescheduled,
            Self::Cancelled => Kind::ConsultationCancelled,
            Self::Expired => Kind::ConsultationExpired,
            Self::Missed => Kind::ConsultationMissed,
            Self::ReminderDay => Kind::ReminderDay,
            Self::ReminderHour => Kind::ReminderHour,
        }
    }
}

/// Tells one of the two about their appointment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendAppointmentMail {
    pub consultation_id: ConsultationId,
    pub to: Reader,
    pub kind: AppointmentMail,
    /// Of what happens several times: the calendars' number of the change that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i32>,
    /// Of a move, the start before; of a reminder, the start that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<DateTime<Utc>>,
}

impl Job for SendAppointmentMail {
    const KIND: &'static str = "notifications.send_appointment_mail";
    const QUEUE: Queue = Queue::Mail;
}

impl SendAppointmentMail {
    /// One mail for each of these.
    pub fn key(&self) -> String {
        let kind = match self.kind {
            AppointmentMail::Requested => "requested",
            AppointmentMail::Booked => "booked",
            AppointmentMail::Confirmed => "confirmed",
            AppointmentMail::Rescheduled => "rescheduled",
            AppointmentMail::Cancelled => "cancelled",
            AppointmentMail::Expired => "expired",
            AppointmentMail::Missed => "missed",
            AppointmentMail::ReminderDay => "reminder_day",
            AppointmentMail::ReminderHour => "reminder_hour",
        };
        let reader = self.to.as_str();
        let nth = match (self.sequence, self.start) {
            (Some(sequence), _) => format!(":{sequence}"),
            (None, Some(start)) => format!(":{}", start.timestamp()),
            (None, None) => String::new(),
        };
        format!("appointment_{kind}:{}:{reader}{nth}", self.consultation_id)
    }

    /// What tells several notifications of one kind apart, as [`SendAppointmentMail::key`] does.
    pub fn nth(&self) -> i64 {
        match (self.sequence, self.start) {
            (Some(sequence), _) => sequence.into(),
            (None, Some(start)) => start.timestamp(),
            (None, None) => 0,
        }
    }

    fn template(&self) -> &'static str {
        match (self.kind, self.to) {
            (AppointmentMail::Requested, Reader::Employee) => "appointment_requested_employee",
            (AppointmentMail::Requested, Reader::Practitioner) => "appointment_requested_practitioner",
            (AppointmentMail::Booked | AppointmentMail::Confirmed, Reader::Employee) => "appointment_booked_employee",
            (AppointmentMail::Booked | AppointmentMail::Confirmed, Reader::Practitioner) => {
                "appointment_booked_practitioner"
            }
            (AppointmentMail::Rescheduled, _) => "appointment_moved",
            (AppointmentMail::Cancelled, _) => "appointment_cancelled",
            (AppointmentMail::Expired, _) => "appointment_expired",
            (AppointmentMail::Missed, _) => "appointment_missed",
            (AppointmentMail::ReminderDay | AppointmentMail::ReminderHour, _) => "appointment_reminder",
        }
    }

    /// Whether there is still something to tell.
    fn is_current(&self, it: &Appointment, now: DateTime<Utc>) -> bool {
        let is_latest = self.sequence == Some(it.ics_sequence);
        match self.kind {
            AppointmentMail::Requested => it.status == Status::Pending,
            // of one that was moved or cancelled since, the newer mail tells
            AppointmentMail::Booked | AppointmentMail::Confirmed => it.status != Status::Cancelled,
            AppointmentMail::Rescheduled => is_latest && it.status != Status::Cancelled,
            AppointmentMail::Cancelled | AppointmentMail::Expired => it.status == Status::Cancelled,
            AppointmentMail::Missed => it.status == Status::NoShow,
            AppointmentMail::ReminderDay | AppointmentMail::ReminderHour => {
                // whose way of meeting or length has changed since is reminded all the same
                self.start == Some(it.starts_at)
                    && it.status == Status::Confirmed
                    && now < it.starts_at
                    && !it.practitioner_suspended
            }
        }
    }

    /// Whether calendars hear of it: of what was agreed, whenever it changes.
    fn has_calendar(&self, it: &Appointment) -> bool {
        let changes_nothing =
            [AppointmentMail::Missed, AppointmentMail::ReminderDay, AppointmentMail::ReminderHour].contains(&self.kind);
        it.was_agreed && !changes_nothing
    }
}

/// Looks at the consultation again, and stays silent about what is not so any more.
pub async fn send_appointment_mail(cx: JobContext, job: SendAppointmentMail) -> Result<()> {
    let config = &cx.platform.config;
    let reader = match job.to {
        Reader::Employee => DoneBy::Employee,
        Reader::Practitioner => DoneBy::Practitioner,
    };
    mail::deliver(&cx, &job.key(), async |tx| {
        let found = consultations::find_appointment(tx, job.consultation_id, reader).await?;
        let Some(it) = found.filter(|it| job.is_current(it, cx.now())) else { return Ok(None) };
        // who has changed their mind since it was enqueued gets none
        if !store::wants(tx, it.reader.user_id, job.kind.notification(), Channel::Email).await? {
            return Ok(None);
        }
        let to = mail::mailbox(Some(&it.reader.display_name), &it.reader.email)?;
        let context = json!({
            "name": it.reader.display_name,
            "with": it.other_name,
            "starts_at": it.starts_at,
            "minutes": (it.ends_at - it.starts_at).num_minutes(),
            "mode": it.mode,
            "time_zone": it.reader.time_zone,
            "expires_at": it.expires_at,
            "pending": it.status == Status::Pending,
            "moved_from": job.start.filter(|start| *start != it.starts_at),
            "free": it.free_to_cancel && job.to == Reader::Employee,
            // what an employee has used is nobody else's business
            "counts": (job.to == Reader::Employee).then_some(it.counts),
            "link": format!("{}/consultations/{}", config.public_url.as_str().trim_end_matches('/'), it.id),
        });
        let mut letter = Letter::new(to, Recipient::User(it.reader.user_id), it.reader.locale, job.template(), context);
        if job.has_calendar(&it) {
            letter.calendar = Some(consultations::calendar::entry(config, &it, cx.now())?);
        }
        Ok(Some(letter))
    })
    .await
}

/// Removes notifications that are past their time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Purge {}

impl Job for Purge {
    const KIND: &'static str = "notifications.purge";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Rows removed in one transaction.
const BATCH: i32 = 5_000;

pub async fn purge(cx: JobContext, _: Purge) -> Result<()> {
    loop {
        let mut tx = cx.begin().await?;
        let more = store::purge(&mut tx, cx.now(), BATCH).await?;
        tx.commit().await?;
        if !more {
            return Ok(());
        }
    }
}
