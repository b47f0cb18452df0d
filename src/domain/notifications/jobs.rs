//! Mails about appointments, neutral in every word: they are read at work.

use serde::{Deserialize, Serialize};
use serde_json::json;

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

/// What it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppointmentMail {
    Booked,
    Cancelled,
}

/// Tells one of the two about their appointment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendAppointmentMail {
    pub consultation_id: ConsultationId,
    pub to: Reader,
    pub kind: AppointmentMail,
}

impl Job for SendAppointmentMail {
    const KIND: &'static str = "notifications.send_appointment_mail";
    const QUEUE: Queue = Queue::Mail;
}

impl SendAppointmentMail {
    /// One mail for each of these.
    pub fn key(&self) -> String {
        let kind = match self.kind {
            AppointmentMail::Booked => "booked",
            AppointmentMail::Cancelled => "cancelled",
        };
        let reader = match self.to {
            Reader::Employee => "employee",
            Reader::Practitioner => "practitioner",
        };
        format!("appointment_{kind}:{}:{reader}", self.consultation_id)
    }

    fn template(&self) -> &'static str {
        match (self.kind, self.to) {
            (AppointmentMail::Booked, Reader::Employee) => "appointment_booked_employee",
            (AppointmentMail::Booked, Reader::Practitioner) => "appointment_booked_practitioner",
            (AppointmentMail::Cancelled, _) => "appointment_cancelled",
        }
    }

    /// Whether there is still something to tell.
    fn is_current(&self, it: &Appointment) -> bool {
        match self.kind {
            AppointmentMail::Booked => it.status != Status::Cancelled,
            AppointmentMail::Cancelled => it.status == Status::Cancelled,
        }
    }
}

/// Looks at the consultation again, and stays silent about a booking that was cancelled meanwhile.
pub async fn send_appointment_mail(cx: JobContext, job: SendAppointmentMail) -> Result<()> {
    let config = &cx.platform.config;
    let reader = match job.to {
        Reader::Employee => DoneBy::Employee,
        Reader::Practitioner => DoneBy::Practitioner,
    };
    mail::deliver(&cx, &job.key(), async |tx| {
        let found = consultations::find_appointment(tx, job.consultation_id, reader).await?;
        let Some(it) = found.filter(|it| job.is_current(it)) else { return Ok(None) };
        let to = mail::mailbox(Some(&it.reader.display_name), &it.reader.email)?;
        let context = json!({
            "name": it.reader.display_name,
            "with": it.other_name,
            "starts_at": it.starts_at,
            "minutes": (it.ends_at - it.starts_at).num_minutes(),
            "mode": it.mode,
            "time_zone": it.reader.time_zone,
            "link": format!("{}/consultations/{}", config.public_url.as_str().trim_end_matches('/'), it.id),
        });
        let mut letter = Letter::new(to, Recipient::User(it.reader.user_id), it.reader.locale, job.template(), context);
        letter.calendar = Some(consultations::calendar::entry(config, &it, cx.now())?);
        Ok(Some(letter))
    })
    .await
}
