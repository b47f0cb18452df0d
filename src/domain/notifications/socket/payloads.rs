//! What goes over a socket of notifications.

use chrono::{DateTime, Utc};
use poem_openapi::Object;

use crate::domain::consultations::Status;
use crate::domain::consultations::glance::Glance;
use crate::domain::practitioners::Mode;
use crate::platform::ids::{ConsultationId, PractitionerId};

/// `slots:watch`, `slots:unwatch`.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatchEvent {
    pub practitioner_id: PractitionerId,
}

/// Whose free times may have changed.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct SlotsNews {
    pub practitioner_id: PractitionerId,
}

/// How many notifications are not read.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct UnreadNews {
    /// 1000 stands for more as well.
    pub unread_count: i64,
}

/// How a session of one's own stands now.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct ConsultationNews {
    pub consultation_id: ConsultationId,
    pub status: Status,
    pub mode: Mode,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    /// Of its version, as the `ETag` of `GET /consultations/{id}`.
    pub updated_at: DateTime<Utc>,
}

impl From<Glance> for ConsultationNews {
    fn from(it: Glance) -> Self {
        let Glance { id, status, mode, starts_at, ends_at, updated_at, time_zone: _ } = it;
        Self { consultation_id: id, status, mode, starts_at, ends_at, updated_at }
    }
}
