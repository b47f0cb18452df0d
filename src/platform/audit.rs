//! The append-only log of sensitive actions and reads, written inside the transaction of the action itself.
//!
//! An entry says who, what, which object, whose data, from where, with which outcome: ids and words of the program,
//! never health content and nothing that somebody typed. Who and for which company is found out by the database from
//! the connection; the program does not get to say it.

use chrono::NaiveDate;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::platform::db::Tx;
use crate::platform::ids::{CompanyId, EmployeeId, PractitionerId, UserId};
use crate::platform::problem::Result;

/// What was done, to what, and whose data it concerns.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    action: &'a str,
    object_type: &'a str,
    object_id: Option<Uuid>,
    subject: Option<Subject>,
    company_id: Option<CompanyId>,
    outcome: Outcome,
    details: Map<String, Value>,
}

/// The person whose data an action opens or changes. They find it in their access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    User(UserId),
    /// An entry of a directory, which is all that an employer knows of a person.
    Employee(EmployeeId),
}

impl Subject {
    fn columns(self) -> (&'static str, Uuid) {
        match self {
            Self::User(id) => ("user", id.0),
            Self::Employee(id) => ("employee", id.0),
        }
    }
}

impl From<UserId> for Subject {
    fn from(id: UserId) -> Self {
        Self::User(id)
    }
}

impl From<PractitionerId> for Subject {
    fn from(id: PractitionerId) -> Self {
        Self::User(id.into())
    }
}

impl From<EmployeeId> for Subject {
    fn from(id: EmployeeId) -> Self {
        Self::Employee(id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

macro_rules! details {
    ($($name:ident => $key:literal),* $(,)?) => {
        /// What an entry may say besides ids. The database holds the same list (`app.audit_details_are_plain`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Detail { $($name),* }

        impl Detail {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key),* }
            }
        }
    };
}

details! {
    Attempts => "attempts",
    By => "by",
    Count => "count",
    Created => "created",
    Digest => "digest",
    Fields => "fields",
    Filters => "filters",
    Format => "format",
    From => "from",
    Kind => "kind",
    Limit => "limit",
    Method => "method",
    Mode => "mode",
    Of => "of",
    Partial => "partial",
    Purpose => "purpose",
    Reactivated => "reactivated",
    Reason => "reason",
    Rejected => "rejected",
    Removed => "removed",
    Role => "role",
    Sessions => "sessions",
    Status => "status",
    To => "to",
    Unchanged => "unchanged",
    Updated => "updated",
}

/// A value of a detail: numbers, yes or no, dates, ids, and words that stand in the program's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain(Value);

impl From<bool> for Plain {
    fn from(flag: bool) -> Self {
        Self(flag.into())
    }
}

impl From<i64> for Plain {
    fn from(count: i64) -> Self {
        Self(count.into())
    }
}

impl From<usize> for Plain {
    fn from(count: usize) -> Self {
        Self(count.into())
    }
}

impl From<&'static str> for Plain {
    fn from(word: &'static str) -> Self {
        Self(word.into())
    }
}

impl From<Vec<&'static str>> for Plain {
    fn from(words: Vec<&'static str>) -> Self {
        Self(words.into())
    }
}

impl From<Uuid> for Plain {
    fn from(id: Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl From<NaiveDate> for Plain {
    fn from(day: NaiveDate) -> Self {
        Self(day.to_string().into())
    }
}

impl<'a> Entry<'a> {
    /// An action that succeeded: `domain.verb` in the past tense, such as `company.created`, and the kind of its object,
    /// a table's name in the singular.
    pub fn done(action: &'a str, object_type: &'a str, object_id: impl Into<Option<Uuid>>) -> Self {
        Self {
            action,
            object_type,
            object_id: object_id.into(),
            subject: None,
            company_id: None,
            outcome: Outcome::Success,
            details: Map::new(),
        }
    }

    /// An attempt that was refused. Commit its transaction all the same.
    pub fn refused(action: &'a str, object_type: &'a str, object_id: impl Into<Option<Uuid>>) -> Self {
        Self { outcome: Outcome::Refused, ..Self::done(action, object_type, object_id) }
    }

    /// Whose data it concerns.
    #[must_use]
    pub fn about(mut self, subject: impl Into<Subject>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The account that somebody who is not signed in tried to get at, with its company, where there is one: its person
    /// sees it.
    #[must_use]
    pub fn of_account(mut self, account: Option<(UserId, Option<CompanyId>)>) -> Self {
        if let Some((id, company)) = account {
            self.object_id = Some(id.0);
            self.subject = Some(id.into());
            self.company_id = company;
        }
        self
    }

    /// The company that it concerns, where it is not the transaction's.
    #[must_use]
    pub fn of_company(mut self, company: CompanyId) -> Self {
        self.company_id = Some(company);
        self
    }

    #[must_use]
    pub fn with(mut self, detail: Detail, value: impl Into<Plain>) -> Self {
        self.details.insert(detail.key().to_owned(), value.into().0);
        self
    }
}

/// The statement that writes an entry. Benchmarks send it as well.
pub const WRITE: &str = "SELECT app.audit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

impl Tx {
    /// Writes an entry; it stands or falls with the transaction.
    pub async fn audit(&mut self, entry: Entry<'_>) -> Result<()> {
        let (ip, request_id) = (self.actor().ip.map(|ip| ip.to_string()), self.actor().request_id.clone());
        let (subject_type, subject_id) = entry.subject.map(Subject::columns).unzip();
        sqlx::query(WRITE)
            .bind(entry.action)
            .bind(entry.object_type)
            .bind(entry.object_id)
            .bind(subject_type)
            .bind(subject_id)
            .bind(entry.company_id)
            .bind(entry.outcome.as_str())
            .bind(Value::Object(entry.details))
            .bind(ip)
            .bind(request_id.as_deref())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// The same entry about each of some people, who are its objects as well: each finds it in their access log. One
    /// statement.
    pub async fn audit_each<S: Into<Subject>>(
        &mut self,
        entry: Entry<'_>,
        people: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        let (kinds, ids): (Vec<&str>, Vec<Uuid>) = people.into_iter().map(|it| it.into().columns()).unzip();
        if ids.is_empty() {
            return Ok(());
        }
        let (ip, request_id) = (self.actor().ip.map(|ip| ip.to_string()), self.actor().request_id.clone());
        sqlx::query(
            "SELECT app.audit($1, $2, person.id, person.kind, person.id, $3, $4, $5, $6, $7)
             FROM unnest($8::text[], $9::uuid[]) WITH ORDINALITY AS person (kind, id, place) ORDER BY place",
        )
        .bind(entry.action)
        .bind(entry.object_type)
        .bind(entry.company_id)
        .bind(entry.outcome.as_str())
        .bind(Value::Object(entry.details))
        .bind(ip)
        .bind(request_id.as_deref())
        .bind(kinds)
        .bind(ids)
        .execute(self.conn())
        .await?;
        Ok(())
    }

    /// The usual entry: the action of this transaction succeeded.
    pub async fn audit_done(
        &mut self,
        action: &str,
        object_type: &str,
        object_id: impl Into<Option<Uuid>>,
    ) -> Result<()> {
        self.audit(Entry::done(action, object_type, object_id)).await
    }
}
