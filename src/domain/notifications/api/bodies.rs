//! Bodies of requests and answers.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::types::Example;
use uuid::Uuid;

use crate::domain::notifications::model::{Kind, Notification, ObjectType, Preference};
use crate::domain::notifications::service::{Excerpt, Preferences};
use crate::platform::http::{Page, PageQuery};
use crate::platform::ids::NotificationId;

/// Something that somebody is told.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct NotificationAnswer {
    id: NotificationId,
    kind: Kind,
    /// What it says, in the reader’s language and time zone. Plain text that names nobody.
    text: String,
    object_type: ObjectType,
    /// Of what it is about; whether that can still be seen is another matter.
    object_id: Uuid,
    created_at: DateTime<Utc>,
    /// Absent: not read yet.
    read_at: Option<DateTime<Utc>>,
}

impl From<Notification> for NotificationAnswer {
    fn from(it: Notification) -> Self {
        Self {
            id: it.line.id,
            kind: it.line.kind,
            text: it.text,
            object_type: it.line.object_type,
            object_id: it.line.object_id,
            created_at: it.line.created_at,
            read_at: it.line.read_at,
        }
    }
}

impl Example for NotificationAnswer {
    fn example() -> Self {
        Self {
            id: NotificationId(uuid::uuid!("01941f29-7c00-7d20-9c11-5f0a2b8c7d31")),
            kind: Kind::ConsultationBooked,
            text: "A session is booked for Tuesday 24 November 2026 at 14:30 (Europe/Paris).".into(),
            object_type: ObjectType::Consultation,
            object_id: uuid::uuid!("01941f29-7c00-7c1f-8a52-6d0e4b9f3a17"),
            created_at: DateTime::from_timestamp(1_795_190_400, 0).unwrap_or_default(),
            read_at: None,
        }
    }
}

/// A page of notifications.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct NotificationsAnswer {
    items: Vec<NotificationAnswer>,
    /// Send it as `cursor` to get the next page; absent on the last one.
    next_cursor: Option<String>,
    /// Of all, not only of this page; 1000 stands for more as well.
    unread_count: i64,
}

impl NotificationsAnswer {
    pub fn new(query: &PageQuery<i64>, excerpt: Excerpt) -> Self {
        let page = Page::new(query, excerpt.items, |it| it.line.place, NotificationAnswer::from);
        Self { items: page.items, next_cursor: page.next_cursor, unread_count: excerpt.unread }
    }
}

impl Example for NotificationsAnswer {
    fn example() -> Self {
        Self { items: vec![NotificationAnswer::example()], next_cursor: None, unread_count: 1 }
    }
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct UnreadAnswer {
    /// How many are not read; 1000 stands for more as well.
    pub unread_count: i64,
}

impl Example for UnreadAnswer {
    fn example() -> Self {
        Self { unread_count: 0 }
    }
}

/// How one is told of a kind.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct PreferenceAnswer {
    kind: Kind,
    /// In the program: the list, and what comes live.
    in_app: bool,
    email: bool,
    /// Whether it is told everybody, and cannot be switched off.
    locked: bool,
}

impl From<Preference> for PreferenceAnswer {
    fn from(it: Preference) -> Self {
        Self { kind: it.kind, in_app: it.in_app, email: it.email, locked: it.kind.is_service() }
    }
}

impl Example for PreferenceAnswer {
    fn example() -> Self {
        Preference { kind: Kind::ReminderHour, in_app: true, email: false }.into()
    }
}

/// How one is told of what.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct PreferencesBody {
    items: Vec<PreferenceAnswer>,
}

impl From<&Preferences> for PreferencesBody {
    fn from(it: &Preferences) -> Self {
        Self { items: it.items.iter().copied().map(Into::into).collect() }
    }
}

impl Example for PreferencesBody {
    fn example() -> Self {
        Self { items: vec![PreferenceAnswer::example()] }
    }
}

/// How one wants to be told of a kind.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct PreferenceRequest {
    kind: Kind,
    in_app: bool,
    email: bool,
    /// As it was answered; it is not changed by saying so.
    #[allow(dead_code)]
    locked: Option<bool>,
}

impl From<PreferenceRequest> for Preference {
    fn from(it: PreferenceRequest) -> Self {
        Self { kind: it.kind, in_app: it.in_app, email: it.email }
    }
}

impl Example for PreferenceRequest {
    fn example() -> Self {
        Self { kind: Kind::ConsultationMissed, in_app: true, email: false, locked: None }
    }
}

/// How one wants to be told of what.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct PreferencesRequest {
    /// Each kind once.
    #[oai(validator(max_items = 100))]
    pub items: Vec<PreferenceRequest>,
}

impl Example for PreferencesRequest {
    fn example() -> Self {
        Self { items: vec![PreferenceRequest::example()] }
    }
}
