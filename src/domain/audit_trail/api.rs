//! `/audit-logs`, `/audit-logs/verification` and `/privacy/access-log`.

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi, Tags};
use serde_json::{Value, json};
use uuid::Uuid;

use super::chain::Fault;
use super::model::{Access, Filter, Key, LogEntry, Verification};
use super::service;
use super::verify::Chain;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Page, PageQuery};
use crate::platform::ids::{CompanyId, PractitionerId, UserId};

#[derive(Tags)]
enum Tag {
    /// Who did what, and whether the record of it is whole.
    Audit,
    /// What concerns one's own data.
    Privacy,
}

/// Who acted.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ActorAnswer {
    /// Absent where the reader may not know the account, and where nobody was signed in.
    id: Option<UserId>,
    /// `employee`, `practitioner`, `hr`, `company_admin`, `platform_admin`; `system` for jobs, `visitor` for somebody not
    /// signed in, `operator` for the command line.
    role: Option<String>,
    /// Where the reader may see the account.
    display_name: Option<String>,
}

/// Whose data it was.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SubjectAnswer {
    /// `user` for an account, `employee` for an entry of a directory.
    r#type: String,
    id: Uuid,
}

/// An entry of the audit log. It is never changed, and holds nothing of anybody's health.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct LogEntryAnswer {
    id: Uuid,
    at: DateTime<Utc>,
    actor: ActorAnswer,
    /// Absent for what concerns no company.
    company_id: Option<CompanyId>,
    /// `domain.verb`, such as `employee.updated`.
    action: String,
    object_type: String,
    /// Absent where no single object is meant, such as for a list.
    object_id: Option<Uuid>,
    subject: Option<SubjectAnswer>,
    /// `success` or `refused`.
    outcome: String,
    /// Numbers, states and names of fields; no free text.
    details: Value,
    /// The client's address. Employers see their own only.
    ip: Option<String>,
    request_id: Option<String>,
}

impl Example for LogEntryAnswer {
    fn example() -> Self {
        Self {
            id: example_id(0x10),
            at: example_time(),
            actor: ActorAnswer {
                id: Some(UserId(example_id(0x20))),
                role: Some("hr".into()),
                display_name: Some("Inès Moreau".into()),
            },
            company_id: Some(CompanyId(example_id(0x30))),
            action: "employee.updated".into(),
            object_type: "employee".into(),
            object_id: Some(example_id(0x40)),
            subject: Some(SubjectAnswer { r#type: "employee".into(), id: example_id(0x40) }),
            outcome: "success".into(),
            details: json!({ "fields": ["department", "site"] }),
            ip: Some("192.0.2.7".into()),
            request_id: Some("3f0c6f2a".into()),
        }
    }
}

impl From<LogEntry> for LogEntryAnswer {
    fn from(it: LogEntry) -> Self {
        Self {
            id: it.id,
            at: it.at,
            actor: ActorAnswer { id: it.actor_id, role: it.actor_role, display_name: it.actor_name },
            company_id: it.company_id,
            action: it.action,
            object_type: it.object_type,
            object_id: it.object_id,
            subject: it.subject_type.zip(it.subject_id).map(|(r#type, id)| SubjectAnswer { r#type, id }),
            outcome: it.outcome,
            details: it.details,
            ip: it.ip,
            request_id: it.request_id,
        }
    }
}

/// In what capacity somebody opened or changed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Capacity {
    /// Staff of the platform.
    PlatformStaff,
    /// HR or an admin of the person's company.
    Employer,
    Practitioner,
    Employee,
    /// The program by itself, such as a scheduled job.
    System,
    /// Somebody who was not signed in, such as at a log-in that failed.
    Visitor,
}

impl Capacity {
    fn of(role: Option<&str>) -> Self {
        match role {
            Some("platform_admin" | "operator") => Self::PlatformStaff,
            Some("hr" | "company_admin") => Self::Employer,
            Some("practitioner") => Self::Practitioner,
            Some("employee") => Self::Employee,
            Some("system") => Self::System,
            _ => Self::Visitor,
        }
    }
}

/// Reading or changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AccessKind {
    Read,
    Change,
}

/// How much was opened at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Scope {
    /// This person's data.
    Own,
    /// A list or a file of people, among whom this person was or may have been.
    List,
}

/// The practitioner who acted; nobody else is named.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct AccessPractitioner {
    id: PractitionerId,
    display_name: String,
}

/// Something that somebody else did with the caller's data.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct AccessAnswer {
    id: Uuid,
    at: DateTime<Utc>,
    by: Capacity,
    practitioner: Option<AccessPractitioner>,
    kind: AccessKind,
    scope: Scope,
    /// `domain.verb`, such as `employee.read`.
    action: String,
    /// What was opened or changed, such as `employee` (the directory entry), `user` (the account), `consultation`.
    object_type: String,
    /// Absent for lists.
    object_id: Option<Uuid>,
    /// `success` or `refused`.
    outcome: String,
}

impl Example for AccessAnswer {
    fn example() -> Self {
        Self {
            id: example_id(0x11),
            at: example_time(),
            by: Capacity::PlatformStaff,
            practitioner: None,
            kind: AccessKind::Read,
            scope: Scope::Own,
            action: "employee.read".into(),
            object_type: "employee".into(),
            object_id: Some(example_id(0x40)),
            outcome: "success".into(),
        }
    }
}

impl From<Access> for AccessAnswer {
    fn from(it: Access) -> Self {
        Self {
            id: it.id,
            at: it.at,
            by: Capacity::of(it.actor_role.as_deref()),
            practitioner: it
                .practitioner_id
                .zip(it.practitioner_name)
                .map(|(id, display_name)| AccessPractitioner { id, display_name }),
            kind: if it.is_read { AccessKind::Read } else { AccessKind::Change },
            scope: if it.is_list { Scope::List } else { Scope::Own },
            action: it.action,
            object_type: it.object_type,
            object_id: it.object_id,
            outcome: it.outcome,
        }
    }
}

/// The first thing found to be wrong.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct FindingAnswer {
    fault: Fault,
    /// The place in the chain; absent for an entry that is in none.
    sequence: Option<i64>,
    /// The last place, where several are meant.
    until: Option<i64>,
    entry_id: Option<Uuid>,
}

/// That what is wrong with a chain is known: the operator said so, at the command line.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct AcknowledgementAnswer {
    at: DateTime<Utc>,
    by: String,
    reason: String,
}

/// What the last verification of a chain found.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct VerificationAnswer {
    /// Absent for the chain of what belongs to no company.
    company_id: Option<CompanyId>,
    is_whole: bool,
    verified_at: DateTime<Utc>,
    /// How far the chain went when it was last whole.
    sequence: i64,
    /// The SHA-256 at that place, in hexadecimal.
    digest: String,
    /// How much is wrong and was not acknowledged.
    findings: i32,
    first_finding: Option<FindingAnswer>,
    /// How much is wrong and known.
    acknowledged: i32,
    /// The last time that something was.
    acknowledgement: Option<AcknowledgementAnswer>,
}

impl Example for VerificationAnswer {
    fn example() -> Self {
        Self {
            company_id: Some(CompanyId(example_id(0x30))),
            is_whole: true,
            verified_at: example_time(),
            sequence: 1842,
            digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            findings: 0,
            first_finding: None,
            acknowledged: 0,
            acknowledgement: None,
        }
    }
}

impl From<Verification> for VerificationAnswer {
    fn from(it: Verification) -> Self {
        Self {
            company_id: Chain::of(it.chain).0,
            is_whole: it.findings == 0 && it.acknowledged == 0,
            verified_at: it.verified_at,
            sequence: it.sequence,
            digest: hex::encode(it.digest),
            findings: it.findings,
            first_finding: it.first.map(|first| FindingAnswer {
                fault: first.0.fault,
                sequence: first.0.sequence,
                until: first.0.until,
                entry_id: first.0.entry_id,
            }),
            acknowledged: it.acknowledged,
            acknowledgement: it
                .acknowledged_at
                .zip(it.decided_by)
                .zip(it.reason)
                .map(|((at, by), reason)| AcknowledgementAnswer { at, by, reason }),
        }
    }
}

fn example_id(n: u128) -> Uuid {
    Uuid::from_u128(0x0193_5a00_0000_7000_8000_0000_0000_0000 | n)
}

fn example_time() -> DateTime<Utc> {
    Utc.timestamp_opt(1_772_526_000, 0).single().unwrap_or_default()
}

pub struct AuditTrailApi;

#[OpenApi(prefix_path = "/api/v1")]
impl AuditTrailApi {
    /// Read the audit log
    ///
    /// Newest first. Employees and practitioners read what they did themselves; HR and company admins what was done to
    /// their company's directory, and nothing of anybody's care; platform admins all but what employees do with their
    /// consultations. What platform admins read here is written to the log.
    #[oai(path = "/audit-logs", method = "get", operation_id = "listAuditLogs", tag = "Tag::Audit")]
    #[allow(clippy::too_many_arguments)] // one for each parameter of the query
    async fn list(
        &self,
        cx: Authorized<perm::ReadAuditLog>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
        /// Only what this account did.
        #[oai(name = "actorId")]
        actor_id: Query<Option<UserId>>,
        /// Only what concerned this account or entry of a directory.
        #[oai(name = "subjectId")]
        subject_id: Query<Option<Uuid>>,
        /// Only this action, such as `employee.updated`.
        #[oai(validator(max_length = 60, pattern = r"^[a-z_]+\.[a-z_]+$"))]
        action: Query<Option<String>>,
        /// Only objects of this type, such as `employee`.
        #[oai(name = "objectType", validator(max_length = 40, pattern = "^[a-z_]+$"))]
        object_type: Query<Option<String>>,
        /// Only this object.
        #[oai(name = "objectId")]
        object_id: Query<Option<Uuid>>,
        /// From this time on.
        from: Query<Option<DateTime<Utc>>>,
        /// Before this time.
        to: Query<Option<DateTime<Utc>>>,
        /// Only what concerned this company; for platform admins.
        #[oai(name = "companyId")]
        company_id: Query<Option<CompanyId>>,
    ) -> Result<Json<Page<LogEntryAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let filter = Filter {
            company_id: company_id.0,
            actor_id: actor_id.0,
            subject_id: subject_id.0,
            action: action.0,
            object_type: object_type.0,
            object_id: object_id.0,
            from: from.0,
            to: to.0,
            by_members_only: false,
        };
        let entries = service::list(&cx, filter, &page).await?;
        Ok(Json(Page::new(&page, entries, |it: &LogEntry| Key(it.at, it.id), LogEntryAnswer::from)))
    }

    /// Read whether the audit log is whole
    ///
    /// What the last nightly verification found of each chain, broken ones first. `huntzen audit verify` tells more.
    #[oai(
        path = "/audit-logs/verification",
        method = "get",
        operation_id = "listAuditVerifications",
        tag = "Tag::Audit"
    )]
    async fn verification(
        &self,
        cx: Authorized<perm::ReadAuditVerification>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<VerificationAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let found = service::list_verifications(&cx, &page).await?;
        let key = |it: &Verification| (it.findings == 0, it.chain);
        Ok(Json(Page::new(&page, found, key, VerificationAnswer::from)))
    }

    /// Read who opened or changed my data
    ///
    /// Newest first: what others did with the caller's account, directory entry and consultations, staff of the platform
    /// included, and log-ins that failed. Practitioners are named; of all others it says in what capacity they acted.
    #[oai(path = "/privacy/access-log", method = "get", operation_id = "listAccessLog", tag = "Tag::Privacy")]
    async fn access_log(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<AccessAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let found = service::list_accesses(&cx, &page).await?;
        Ok(Json(Page::new(&page, found, |it: &Access| Key(it.at, it.id), AccessAnswer::from)))
    }
}
