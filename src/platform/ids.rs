//! Identifiers: UUID version 7 (RFC 9562), one type for each kind of thing.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A new identifier: 48 bits of time, 74 random bits.
pub fn uuid_v7(now: DateTime<Utc>, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize, sqlx::Type, poem_openapi::NewType,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// An account: a person who can log in.
    UserId,
    /// A log-in of an account on a device, and the family of its refresh tokens.
    SessionId,
    /// A client company: the tenant.
    CompanyId,
    /// An entry of a company's directory. Never the account of the same person.
    EmployeeId,
    /// A care professional. The same value as the practitioner's [`UserId`].
    PractitionerId,
    OverrideId,
    ConsultationId,
    /// A message of a consultation's conversation.
    MessageId,
    /// A call between the two people of a consultation.
    CallId,
    /// What a practitioner wrote about a session.
    NoteId,
    JournalEntryId,
    /// A person's place in a practitioner's line.
    WaitlistEntryId,
    /// A time that is kept for those who wait.
    HoldId,
    /// A kept time, offered to one of them.
    WaitlistOfferId,
    /// A calendar of a practitioner: one that is read, or one that is shown.
    CalendarId,
    /// A line of somebody's notifications.
    NotificationId,
    ExportId,
    /// What somebody asked for of their own data: a copy, or its erasure.
    PrivacyRequestId,
    /// A file that somebody brought.
    FileId,
    ArticleId,
    /// An announcement of the platform or of a company.
    NewsId,
    /// What an employee said of a session. Random, so that it tells nothing of when.
    ReviewId,
}

impl FileId {
    /// Where the file is fetched, with an access token.
    pub fn url(self) -> String {
        format!("/api/v1/files/{self}")
    }
}

impl From<PractitionerId> for UserId {
    fn from(id: PractitionerId) -> Self {
        Self(id.0)
    }
}

impl From<UserId> for PractitionerId {
    fn from(id: UserId) -> Self {
        Self(id.0)
    }
}
