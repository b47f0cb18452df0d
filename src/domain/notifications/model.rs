//! Kinds of notifications: about what each is, whom it concerns, and which nobody can switch off.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::auth::Role;
use crate::platform::ids::NotificationId;

/// What a notification tells. The database has the same list (`notifications_kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "NotificationKind", rename_all = "snake_case")]
pub enum Kind {
    /// A session waits for the practitioner.
    ConsultationRequested,
    ConsultationBooked,
    /// The practitioner agreed to what was asked.
    ConsultationConfirmed,
    ConsultationRescheduled,
    ConsultationCancelled,
    /// A request that nobody answered.
    ConsultationExpired,
    /// It was not held.
    ConsultationMissed,
    ReminderDay,
    ReminderHour,
    /// The other one rang, and nobody answered.
    CallMissed,
    /// A time is kept for somebody who waits.
    WaitlistOffered,
    /// The other one wrote, and it was not read at once.
    MessageReceived,
    /// A moderator decided about one's review.
    ReviewPublished,
    ReviewRejected,
    /// A file that was asked for.
    ExportReady,
    ExportFailed,
    /// A copy of one's own data.
    PrivacyExportReady,
    PrivacyExportFailed,
    /// A calendar that is kept elsewhere cannot be read.
    CalendarFailing,
    PasswordChanged,
    EmailChanged,
    TwoFactorChanged,
    /// A session was ended for safety.
    SessionEnded,
    /// One's account is to be erased.
    ErasureAsked,
    ErasureWithdrawn,
    ErasureRefused,
}

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "NotificationObject", rename_all = "snake_case")]
pub enum ObjectType {
    Consultation,
    WaitlistOffer,
    /// Its id is the consultation's.
    Conversation,
    Export,
    PrivacyExport,
    Calendar,
    /// One's own.
    Account,
}

/// How somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Channel {
    InApp,
    Email,
}

impl Channel {
    /// As the database writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InApp => "in_app",
            Self::Email => "email",
        }
    }
}

/// What somebody does not want to be told, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Refused {
    pub kind: Kind,
    pub channel: Channel,
}

/// How somebody is told of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    pub kind: Kind,
    pub in_app: bool,
    pub email: bool,
}

impl Preference {
    /// Of each kind that concerns a role: told, unless it is refused.
    pub fn all(role: Role, refused: &[Refused]) -> Vec<Self> {
        let wants = |kind, channel| !refused.contains(&Refused { kind, channel });
        Kind::ALL
            .into_iter()
            .filter(|kind| kind.concerns(role))
            .map(|kind| Self { kind, in_app: wants(kind, Channel::InApp), email: wants(kind, Channel::Email) })
            .collect()
    }

    /// The channels by which it is not wanted.
    pub fn refused(self) -> impl Iterator<Item = Refused> {
        let Self { kind, in_app, email } = self;
        let channels = [(Channel::InApp, in_app), (Channel::Email, email)];
        channels.into_iter().filter(|(_, is_wanted)| !is_wanted).map(move |(channel, _)| Refused { kind, channel })
    }
}

impl Kind {
    pub const ALL: [Self; 26] = [
        Self::ConsultationRequested,
        Self::ConsultationBooked,
        Self::ConsultationConfirmed,
        Self::ConsultationRescheduled,
        Self::ConsultationCancelled,
        Self::ConsultationExpired,
        Self::ConsultationMissed,
        Self::ReminderDay,
        Self::ReminderHour,
        Self::CallMissed,
        Self::WaitlistOffered,
        Self::MessageReceived,
        Self::ReviewPublished,
        Self::ReviewRejected,
        Self::ExportReady,
        Self::ExportFailed,
        Self::PrivacyExportReady,
        Self::PrivacyExportFailed,
        Self::CalendarFailing,
        Self::PasswordChanged,
        Self::EmailChanged,
        Self::TwoFactorChanged,
        Self::SessionEnded,
        Self::ErasureAsked,
        Self::ErasureWithdrawn,
        Self::ErasureRefused,
    ];

    /// As the database, the API and the words' keys write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConsultationRequested => "consultation_requested",
            Self::ConsultationBooked => "consultation_booked",
            Self::ConsultationConfirmed => "consultation_confirmed",
            Self::ConsultationRescheduled => "consultation_rescheduled",
            Self::ConsultationCancelled => "consultation_cancelled",
            Self::ConsultationExpired => "consultation_expired",
            Self::ConsultationMissed => "consultation_missed",
            Self::ReminderDay => "reminder_day",
            Self::ReminderHour => "reminder_hour",
            Self::CallMissed => "call_missed",
            Self::WaitlistOffered => "waitlist_offered",
            Self::MessageReceived => "message_received",
            Self::ReviewPublished => "review_published",
            Self::ReviewRejected => "review_rejected",
            Self::ExportReady => "export_ready",
            Self::ExportFailed => "export_failed",
            Self::PrivacyExportReady => "privacy_export_ready",
            Self::PrivacyExportFailed => "privacy_export_failed",
            Self::CalendarFailing => "calendar_failing",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::TwoFactorChanged => "two_factor_changed",
            Self::SessionEnded => "session_ended",
            Self::ErasureAsked => "erasure_asked",
            Self::ErasureWithdrawn => "erasure_withdrawn",
            Self::ErasureRefused => "erasure_refused",
        }
    }

    /// Told everybody, by every channel: what concerns one's safety, and what takes a session away or to another time.
    pub fn is_service(self) -> bool {
        matches!(
            self,
            Self::ConsultationRescheduled
                | Self::ConsultationCancelled
                | Self::ConsultationExpired
                | Self::PasswordChanged
                | Self::EmailChanged
                | Self::TwoFactorChanged
                | Self::SessionEnded
                | Self::ErasureAsked
                | Self::ErasureWithdrawn
                | Self::ErasureRefused
        )
    }

    /// Whether people of a role are ever told of it.
    pub fn concerns(self, role: Role) -> bool {
        match self {
            Self::PasswordChanged
            | Self::EmailChanged
            | Self::TwoFactorChanged
            | Self::SessionEnded
            | Self::PrivacyExportReady
            | Self::PrivacyExportFailed
            | Self::ErasureAsked
            | Self::ErasureWithdrawn
            | Self::ErasureRefused => true,
            Self::WaitlistOffered | Self::ReviewPublished | Self::ReviewRejected => role == Role::Employee,
            Self::ExportReady | Self::ExportFailed => role != Role::Employee,
            Self::CalendarFailing => role == Role::Practitioner,
            _ => matches!(role, Role::Employee | Role::Practitioner),
        }
    }
}

/// A line of somebody's list.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Line {
    pub id: NotificationId,
    /// Grows from one to the next.
    pub place: i64,
    pub kind: Kind,
    pub object_type: ObjectType,
    pub object_id: Uuid,
    pub created_at: DateTime<Utc>,
    pub read_at: Option<DateTime<Utc>>,
}

/// What is known of the thing now: when it is, in words of its reader's zone and language.
#[derive(Clone, Debug)]
pub struct Notification {
    pub line: Line,
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_as_the_database_writes_it() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            for locale in ["fr", "en"] {
                for form in ["at", "plain"] {
                    let key = format!("notification.{}.{form}", kind.as_str());
                    assert_ne!(rust_i18n::t!(&key, locale = locale), key, "{locale}");
                }
            }
        }
    }

    #[test]
    fn employers_and_staff_are_told_of_their_own_account_and_files_alone() {
        for role in [Role::Hr, Role::CompanyAdmin, Role::PlatformAdmin] {
            for kind in Kind::ALL.into_iter().filter(|kind| kind.concerns(role)) {
                assert!(
                    !kind.as_str().starts_with("consultation") && !kind.as_str().starts_with("reminder"),
                    "{kind:?}"
                );
                assert!(![Kind::MessageReceived, Kind::WaitlistOffered, Kind::CallMissed].contains(&kind), "{kind:?}");
            }
        }
    }
}
