//! What staff see.

use chrono::{DateTime, Utc};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::ids::CompanyId;

/// Letters of the ids of jobs (ULID, Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What becomes of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "JobState", rename_all = "snake_case")]
pub enum JobState {
    /// Waits, for its time or for a worker; perhaps to be tried again.
    Pending,
    Running,
    /// Failed for good.
    #[default]
    Dead,
}

impl JobState {
    /// As the queue calls it.
    pub fn statuses(self) -> &'static [&'static str] {
        match self {
            Self::Pending => &["Pending", "Failed"],
            Self::Running => &["Queued", "Running"],
            Self::Dead => &["Killed"],
        }
    }

    pub fn of(status: &str) -> Self {
        match status {
            "Pending" | "Failed" => Self::Pending,
            "Killed" => Self::Dead,
            _ => Self::Running,
        }
    }
}

/// A job, without whose it is and what it holds.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Job {
    pub id: String,
    pub queue: String,
    pub kind: String,
    /// The queue's word.
    pub state: String,
    pub attempts: i32,
    pub max_attempts: i32,
    /// Of the last failure.
    pub code: Option<String>,
    pub run_at: DateTime<Utc>,
    pub done_at: Option<DateTime<Utc>>,
    /// Of one that sends a mail which was not taken: which, of which template.
    pub email_id: Option<Uuid>,
    pub template: Option<String>,
}

/// The 128 bits of a job's id. `None`: it is none.
pub fn bits_of(id: &str) -> Option<Uuid> {
    if id.len() != 26 {
        return None;
    }
    let mut bits: u128 = 0;
    for (at, letter) in id.bytes().enumerate() {
        let value = LETTERS.iter().position(|it| *it == letter)?;
        // 130 bits would fit into 26 letters
        if at == 0 && value > 7 {
            return None;
        }
        bits = (bits << 5) | u128::try_from(value).ok()?;
    }
    Some(Uuid::from_u128(bits))
}

/// What was mailed, without to whom.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Email {
    pub id: Uuid,
    pub template: Option<String>,
    pub company_id: Option<CompanyId>,
    pub locale: Option<String>,
    pub status: EmailStatus,
    pub message_id: Option<String>,
    pub attempts: i32,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    /// Of one that was not taken: the job that sends it.
    pub job_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, Enum)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "EmailStatus", rename_all = "snake_case")]
pub enum EmailStatus {
    Sent,
    /// There was nothing to tell any more, or it was not wanted.
    Skipped,
    /// It was not taken, and will be tried again.
    Retrying,
    /// It was not taken, and nothing tries it again.
    Failed,
}

/// A module that a company has or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Feature {
    Video,
    Audio,
    Chat,
    Articles,
}

impl Feature {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Chat => "chat",
            Self::Articles => "articles",
        }
    }
}

/// All of them.
#[allow(clippy::struct_excessive_bools)] // each is one module
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    pub video: bool,
    pub audio: bool,
    pub chat: bool,
    pub articles: bool,
}

impl Features {
    /// A company has whatever is not switched off.
    pub fn without(off: &[Feature]) -> Self {
        let has = |it| !off.contains(&it);
        Self {
            video: has(Feature::Video),
            audio: has(Feature::Audio),
            chat: has(Feature::Chat),
            articles: has(Feature::Articles),
        }
    }

    pub fn each(self) -> [(Feature, bool); 4] {
        [
            (Feature::Video, self.video),
            (Feature::Audio, self.audio),
            (Feature::Chat, self.chat),
            (Feature::Articles, self.articles),
        ]
    }

    /// Those that differ, for the log.
    pub fn changed(self, to: Self) -> Vec<&'static str> {
        let both = self.each().into_iter().zip(to.each());
        both.filter(|((_, before), (_, after))| before != after).map(|((it, _), _)| it.as_str()).collect()
    }
}

/// How many there are of a sort.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(clippy::struct_field_names)]
pub struct Count {
    pub what: String,
    pub of: String,
    pub count: i64,
}

/// What is in a queue.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct QueueCount {
    pub queue: String,
    pub pending: i64,
    pub running: i64,
    pub dead: i64,
}

/// Whether writing is refused.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Maintained {
    pub is_on: bool,
    pub retry_after_seconds: i32,
    pub since: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_job_is_128_bits() {
        assert_eq!(bits_of("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap().to_string(), "01563e3a-b5d3-d676-4c61-efb99302bd5b");
        for bad in ["", "01ARZ3NDEKTSV4RRFFQ69G5FA", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU", "é"] {
            assert_eq!(bits_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_company_has_what_is_not_switched_off() {
        let all = Features::without(&[]);
        let some = Features::without(&[Feature::Chat, Feature::Articles]);
        assert!(all.each().iter().all(|(_, has)| *has));
        assert_eq!(all.changed(some), ["chat", "articles"]);
        assert!(some.changed(some).is_empty());
    }
}
