//! An entry as it is read, and what a list of them is narrowed to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::platform::ids::{CompanyId, PractitionerId, UserId};
use crate::platform::problem::FieldErrors;

/// An entry of the log, as far as its reader may see it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct LogEntry {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub actor_id: Option<UserId>,
    pub actor_role: Option<String>,
    /// Where the reader may see the account.
    pub actor_name: Option<String>,
    pub company_id: Option<CompanyId>,
    pub action: String,
    pub object_type: String,
    pub object_id: Option<Uuid>,
    pub subject_type: Option<String>,
    pub subject_id: Option<Uuid>,
    pub outcome: String,
    pub details: Value,
    pub ip: Option<String>,
    pub request_id: Option<String>,
}

impl LogEntry {
    /// As an employer reads it: of whom it does not employ, the role; and from where only itself came.
    #[must_use]
    pub fn for_employer(mut self, reader: UserId) -> Self {
        if !matches!(self.actor_role.as_deref(), Some("hr" | "company_admin")) {
            self.actor_id = None;
            self.actor_name = None;
        }
        if self.actor_id != Some(reader) {
            self.ip = None;
            self.request_id = None;
        }
        self
    }
}

/// Newest first: the key of the last one seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(pub DateTime<Utc>, pub Uuid);

/// What the log is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub company_id: Option<CompanyId>,
    pub actor_id: Option<UserId>,
    pub subject_id: Option<Uuid>,
    pub action: Option<String>,
    pub object_type: Option<String>,
    pub object_id: Option<Uuid>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
    /// By whom the company employs: an employer asks for no other actor by name.
    pub by_members_only: bool,
}

impl Filter {
    pub fn check(&self) -> FieldErrors {
        let mut faults = FieldErrors::new();
        if let (Some(from), Some(to)) = (self.from, self.to) {
            faults.check(from < to, "query:to", "order");
        }
        faults
    }

    /// The names of what is given: what the log says of its own reading.
    pub fn names(&self) -> Vec<&'static str> {
        [
            ("company_id", self.company_id.is_some()),
            ("actor_id", self.actor_id.is_some()),
            ("subject_id", self.subject_id.is_some()),
            ("action", self.action.is_some()),
            ("object_type", self.object_type.is_some()),
            ("object_id", self.object_id.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

/// Something that somebody else did with a person's data.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Access {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub actor_role: Option<String>,
    /// Only a practitioner is named, whom the person knows.
    pub practitioner_id: Option<PractitionerId>,
    pub practitioner_name: Option<String>,
    pub action: String,
    pub object_type: String,
    pub object_id: Option<Uuid>,
    pub is_read: bool,
    /// The directory as a list, or a file of people: the person was probably among them.
    pub is_list: bool,
    pub outcome: String,
}

/// What the last verification of a chain found.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Verification {
    pub chain: Uuid,
    pub verified_at: DateTime<Utc>,
    pub sequence: i64,
    pub digest: Vec<u8>,
    pub findings: i32,
    pub first: Option<sqlx::types::Json<super::chain::Finding>>,
    /// What is wrong and known.
    pub acknowledged: i32,
    /// When that was said last, by whom and why.
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub decided_by: Option<String>,
    pub reason: Option<String>,
}

/// That what is wrong with a chain is known: who says so, and why.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Acknowledgement {
    pub decided_by: String,
    pub reason: String,
    pub at: DateTime<Utc>,
}
