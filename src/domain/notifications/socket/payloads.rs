//! What goes over a socket of notifications, and what the document says of it.

use chrono::{DateTime, Utc};
use poem_openapi::Object;

use crate::domain::calls::glance::Ringing;
use crate::domain::chat::Standing;
use crate::domain::consultations::Status;
use crate::domain::consultations::glance::Glance;
use crate::domain::notifications::api::NotificationAnswer;
use crate::domain::practitioners::Mode;
use crate::platform::auth::Permission;
use crate::platform::ids::{CallId, ConsultationId, PractitionerId};
use crate::platform::realtime::{Namespace, Nothing};

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

/// How a conversation stands in one's own list, as `GET /conversations` has it.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct ConversationNews {
    pub conversation_id: ConsultationId,
    /// Of the last message; before there is one, of the booking.
    pub last_at: DateTime<Utc>,
    /// The number of the last message; 0 before there is one.
    pub last_seq: i64,
    /// Messages of the other one that are not read yet; 100 stands for more as well.
    pub unread: i64,
}

impl From<Standing> for ConversationNews {
    fn from(Standing { id, last_at, last_seq, last_rev: _, unread }: Standing) -> Self {
        Self { conversation_id: id, last_at, last_seq, unread }
    }
}

/// The other one of a session of one's own rings.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct CallRings {
    pub consultation_id: ConsultationId,
    pub call_id: CallId,
    /// Nobody need be told that it has stopped by then.
    pub rings_until: DateTime<Utc>,
}

impl From<Ringing> for CallRings {
    fn from(Ringing { call_id, consultation_id, rings_until }: Ringing) -> Self {
        Self { consultation_id, call_id, rings_until }
    }
}

/// It rings no more.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct CallStopped {
    pub consultation_id: ConsultationId,
    pub call_id: CallId,
}

/// The other one is there.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct PeerJoined {
    pub consultation_id: ConsultationId,
}

/// The events of `/notifications`.
pub fn namespace() -> Namespace {
    let about =
        "What somebody is told, and what changes under their eyes. There is nothing to join: each is told their own.";
    Namespace::new("/notifications", Permission::Notifications, about)
        .goes_on::<WatchEvent, Nothing>(
            "slots:watch",
            "Is told that a practitioner's free times change, from now on: as far as the caller could list them.",
        )
        .goes_on::<WatchEvent, Nothing>("slots:unwatch", "Is told no more of a practitioner's free times.")
        .tells::<NotificationAnswer>("notification:new", "Something was added to one's list; in its order.")
        .tells::<UnreadNews>(
            "unread:count",
            "How many are not read: after connecting, and whenever that has changed, on whichever device.",
        )
        .tells::<ConsultationNews>("consultation:updated", "A session of one's own was booked or has changed.")
        .tells::<ConversationNews>(
            "conversation:updated",
            "In a conversation of one's own something was said, taken back or read, on whichever device; once a second at most.",
        )
        .tells::<CallRings>(
            "call:ringing",
            "The other one of a session of one's own rings; also told who connects while it does. It is answered in `/audio-call`.",
        )
        .tells::<CallStopped>("call:stopped", "It rings no more: somebody has answered, on whichever device, or nobody has.")
        .tells::<PeerJoined>("consultation:peer-joined", "The other one has come to a session of one's own, and waits.")
        .tells::<SlotsNews>(
            "slots:changed",
            "The free times of a practitioner whom the socket watches may have changed; once a second at most.",
        )
}
