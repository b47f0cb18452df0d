//! A copy on its way. Pure.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::crypto::envelope::{Document, KeyPurpose, Subject};
use crate::platform::ids::{CompanyId, PrivacyRequestId, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "CopyStatus", rename_all = "snake_case")]
pub enum Status {
    Pending,
    Running,
    Ready,
    Failed,
    /// Its days are over, and the file is gone.
    Expired,
    /// The account is being erased.
    Stopped,
}

/// A copy that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
pub struct Copy {
    pub id: PrivacyRequestId,
    pub status: Status,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub size_bytes: Option<i64>,
    pub done_steps: i32,
    pub all_steps: i32,
}

impl Copy {
    /// As things are at a moment: the file goes with its time, whenever a job looks.
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        if self.status == Status::Ready && self.expires_at.is_some_and(|at| at <= now) {
            self.status = Status::Expired;
        }
        self
    }

    /// 0 to 100.
    pub fn percent(&self) -> i32 {
        match self.status {
            Status::Ready | Status::Expired => 100,
            // the last step is putting the file in its place
            _ => (self.done_steps * 100 / self.all_steps.max(1)).min(99),
        }
    }
}

/// What the key of a copy is for: it belongs to no company.
pub fn subject(id: PrivacyRequestId, person: UserId) -> Subject {
    Subject { purpose: KeyPurpose::COPY, id: id.0, person, company: CompanyId(Uuid::nil()) }
}

/// What the key of its pieces is for.
pub fn document(id: PrivacyRequestId) -> Document {
    Document { domain: "privacy", table: "privacy_requests", column: "object", row: id.0, version: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_never_whole_before_the_file_is_there() {
        let copy = |status, done_steps, all_steps| Copy {
            id: PrivacyRequestId(Uuid::nil()),
            status,
            created_at: DateTime::default(),
            finished_at: None,
            expires_at: Some(DateTime::default()),
            size_bytes: None,
            done_steps,
            all_steps,
        };
        assert_eq!(copy(Status::Pending, 0, 0).percent(), 0);
        assert_eq!(copy(Status::Running, 5, 10).percent(), 50);
        assert_eq!(copy(Status::Running, 10, 10).percent(), 99);
        assert_eq!(copy(Status::Ready, 10, 10).percent(), 100);
        assert_eq!(copy(Status::Ready, 1, 1).at(DateTime::default()).status, Status::Expired);
    }
}
