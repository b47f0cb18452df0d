//! A month of a practitioner, and the sessions of it that somebody has to look at.

use chrono::{DateTime, NaiveDate, Utc};

use crate::platform::ids::ConsultationId;

/// One month in one currency.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Activity {
    pub month: NaiveDate,
    pub currency: String,
    /// Whether it is final.
    pub is_published: bool,
    /// Whether it may have been published before, by other numbers.
    pub is_restored: bool,
    /// Still to come, or to be ended.
    pub open: i32,
    pub completed: i32,
    pub cancelled_by_employee: i32,
    pub cancelled_otherwise: i32,
    pub missed_by_employee: i32,
    pub missed_otherwise: i32,
    /// Of completed sessions.
    pub minutes: i32,
    /// Minor units.
    pub amount: i64,
    /// Sessions whose claimed and seen times differ; what they are worth is in `amount`.
    pub flagged: i32,
    pub flagged_minutes: i32,
    pub flagged_amount: i64,
}

/// A session whose claimed and seen times differ.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Flagged {
    pub id: ConsultationId,
    pub starts_at: DateTime<Utc>,
    pub status: String,
    /// As they were claimed.
    pub minutes: Option<i32>,
    pub seen_minutes: Option<i32>,
    pub amount: i64,
    pub currency: String,
}

/// Whose activity it is.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Subject {
    pub display_name: String,
    /// When what is not published was counted.
    pub as_of: DateTime<Utc>,
}
