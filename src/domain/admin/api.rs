//! `/admin/overview`, `/admin/jobs`, `/admin/emails`, `/admin/companies/{id}/features`, `/admin/maintenance`.

use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, Tags};
use uuid::Uuid;

use super::model::{Email, EmailStatus, Features, Job, JobState, Maintained, QueueCount};
use super::service::{self, Overview};
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Page, PageQuery, Tagged};
use crate::platform::ids::CompanyId;
use crate::platform::jobs::Queue;

#[derive(Tags)]
enum Tag {
    /// What the platform's staff run.
    Administration,
}

/// Client companies.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CompanyCounts {
    active: i64,
    suspended: i64,
    archived: i64,
}

/// Accounts by role, and how many of all of them wait for their owner or are suspended.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct AccountCounts {
    employees: i64,
    practitioners: i64,
    hr: i64,
    company_admins: i64,
    platform_admins: i64,
    invited: i64,
    suspended: i64,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PractitionerCounts {
    /// Wait to be verified.
    unverified: i64,
    active: i64,
    inactive: i64,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SessionCounts {
    in_progress: i64,
    /// Confirmed ones that begin within a day.
    next_day: i64,
    /// Requests that practitioners have not answered.
    to_confirm: i64,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ArticleCounts {
    draft: i64,
    scheduled: i64,
    published: i64,
    archived: i64,
}

/// Mails of the past 24 hours.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct EmailCounts {
    sent: i64,
    skipped: i64,
    /// Not taken, and to be tried again.
    retrying: i64,
    /// Not taken, and not tried any more.
    failed: i64,
}

/// What is in a queue.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct QueueAnswer {
    queue: String,
    pending: i64,
    running: i64,
    /// Failed for good: dead letters.
    dead: i64,
}

impl From<QueueCount> for QueueAnswer {
    fn from(it: QueueCount) -> Self {
        let QueueCount { queue, pending, running, dead } = it;
        Self { queue, pending, running, dead }
    }
}

/// How the platform is doing, in figures that are nobody's.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct OverviewAnswer {
    as_of: DateTime<Utc>,
    companies: CompanyCounts,
    accounts: AccountCounts,
    practitioners: PractitionerCounts,
    sessions: SessionCounts,
    articles: ArticleCounts,
    /// Reviews that wait for a moderator.
    reviews_to_moderate: i64,
    emails: EmailCounts,
    queues: Vec<QueueAnswer>,
    maintenance: MaintenanceAnswer,
}

impl From<Overview> for OverviewAnswer {
    fn from(it: Overview) -> Self {
        let Overview { as_of, counts, queues, maintenance } = it;
        let count =
            |what: &str, of: &str| counts.iter().find(|it| it.what == what && it.of == of).map_or(0, |it| it.count);
        Self {
            as_of,
            companies: CompanyCounts {
                active: count("company", "active"),
                suspended: count("company", "suspended"),
                archived: count("company", "archived"),
            },
            accounts: AccountCounts {
                employees: count("account", "employee"),
                practitioners: count("account", "practitioner"),
                hr: count("account", "hr"),
                company_admins: count("account", "company_admin"),
                platform_admins: count("account", "platform_admin"),
                invited: count("standing", "invited"),
                suspended: count("standing", "suspended"),
            },
            practitioners: PractitionerCounts {
                unverified: count("practitioner", "unverified"),
                active: count("practitioner", "active"),
                inactive: count("practitioner", "inactive"),
            },
            sessions: SessionCounts {
                in_progress: count("session", "in_progress"),
                next_day: count("session", "next_day"),
                to_confirm: count("session", "to_confirm"),
            },
            articles: ArticleCounts {
                draft: count("article", "draft"),
                scheduled: count("article", "scheduled"),
                published: count("article", "published"),
                archived: count("article", "archived"),
            },
            reviews_to_moderate: count("review", "pending"),
            emails: EmailCounts {
                sent: count("email", "sent"),
                skipped: count("email", "skipped"),
                retrying: count("email", "retrying"),
                failed: count("email", "failed"),
            },
            queues: queues.into_iter().map(QueueAnswer::from).collect(),
            maintenance: maintenance.into(),
        }
    }
}

fn instant() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default()
}

impl Example for OverviewAnswer {
    fn example() -> Self {
        let count = |what: &str, of: &str, count| super::model::Count { what: what.into(), of: of.into(), count };
        let counts = vec![
            count("company", "active", 42),
            count("account", "employee", 8120),
            count("account", "practitioner", 96),
            count("practitioner", "active", 88),
            count("session", "next_day", 131),
            count("email", "sent", 412),
        ];
        let queues = vec![QueueCount { queue: "mail".into(), pending: 3, running: 1, dead: 0 }];
        let maintenance = Maintained { is_on: false, retry_after_seconds: 300, since: None };
        Overview { as_of: instant(), counts, queues, maintenance }.into()
    }
}

/// A queue.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename = "JobQueue", rename_all = "snake_case")]
pub enum QueueName {
    Mail,
    Events,
    Exports,
    Feeds,
    Counting,
    Maintenance,
}

impl From<QueueName> for Queue {
    fn from(it: QueueName) -> Self {
        match it {
            QueueName::Mail => Self::Mail,
            QueueName::Events => Self::Events,
            QueueName::Exports => Self::Exports,
            QueueName::Feeds => Self::Feeds,
            QueueName::Counting => Self::Counting,
            QueueName::Maintenance => Self::Maintenance,
        }
    }
}

/// A job: neither whose it is nor what it holds.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct JobAnswer {
    /// A ULID.
    id: String,
    queue: String,
    kind: String,
    state: JobState,
    /// Made so far.
    attempts: i32,
    max_attempts: i32,
    /// The code of the last failure.
    code: Option<String>,
    run_at: DateTime<Utc>,
    /// Of a dead one: when it died.
    died_at: Option<DateTime<Utc>>,
    /// Of one that sends a mail which was not taken: the mail's id in `GET /admin/emails`.
    email_id: Option<Uuid>,
    /// And its template.
    template: Option<String>,
}

impl From<Job> for JobAnswer {
    fn from(it: Job) -> Self {
        Self {
            state: JobState::of(&it.state),
            id: it.id,
            queue: it.queue,
            kind: it.kind,
            attempts: it.attempts,
            max_attempts: it.max_attempts,
            code: it.code,
            run_at: it.run_at,
            died_at: it.done_at,
            email_id: it.email_id,
            template: it.template,
        }
    }
}

impl Example for JobAnswer {
    fn example() -> Self {
        Self {
            id: "01KAP7V3T8M4Q2Z9X6C5B1N0HD".into(),
            queue: "mail".into(),
            kind: "notifications.send_appointment_mail".into(),
            state: JobState::Dead,
            attempts: 150,
            max_attempts: 150,
            code: Some("mail_unavailable".into()),
            run_at: instant(),
            died_at: Some(instant()),
            email_id: Some(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0e01)),
            template: Some("appointment_booked_employee".into()),
        }
    }
}

/// What was mailed: never to whom.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct EmailAnswer {
    id: Uuid,
    template: Option<String>,
    company_id: Option<CompanyId>,
    locale: Option<String>,
    status: EmailStatus,
    /// As the mail server knows it.
    message_id: Option<String>,
    attempts: i32,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    /// Of a mail that was not taken: the job that sends it, which is retried or discarded at `/admin/jobs`. It is gone where
    /// the job was discarded.
    job_id: Option<String>,
}

impl From<Email> for EmailAnswer {
    fn from(it: Email) -> Self {
        let Email { id, template, company_id, locale, status, message_id, attempts, created_at, sent_at, job_id } = it;
        Self { id, template, company_id, locale, status, message_id, attempts, created_at, sent_at, job_id }
    }
}

impl Example for EmailAnswer {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0e01),
            template: Some("appointment_booked_employee".into()),
            company_id: Some(CompanyId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a11))),
            locale: Some("fr".into()),
            status: EmailStatus::Failed,
            message_id: None,
            attempts: 150,
            created_at: instant(),
            sent_at: None,
            job_id: Some("01KAP7V3T8M4Q2Z9X6C5B1N0HD".into()),
        }
    }
}

/// The modules of a company.
#[allow(clippy::struct_excessive_bools)] // each is one module
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct FeaturesBody {
    /// Sessions by video.
    video: bool,
    /// Sessions by audio call.
    audio: bool,
    /// Sessions by chat. Every session has its conversation.
    chat: bool,
    /// Its people read articles.
    articles: bool,
}

impl From<Features> for FeaturesBody {
    fn from(it: Features) -> Self {
        let Features { video, audio, chat, articles } = it;
        Self { video, audio, chat, articles }
    }
}

impl From<FeaturesBody> for Features {
    fn from(it: FeaturesBody) -> Self {
        let FeaturesBody { video, audio, chat, articles } = it;
        Self { video, audio, chat, articles }
    }
}

impl Example for FeaturesBody {
    fn example() -> Self {
        Self { video: true, audio: true, chat: false, articles: true }
    }
}

/// Whether changes are refused.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct MaintenanceAnswer {
    is_on: bool,
    /// When clients are told to come back.
    retry_after_seconds: i32,
    since: Option<DateTime<Utc>>,
}

impl From<Maintained> for MaintenanceAnswer {
    fn from(it: Maintained) -> Self {
        let Maintained { is_on, retry_after_seconds, since } = it;
        Self { is_on, retry_after_seconds, since }
    }
}

impl Example for MaintenanceAnswer {
    fn example() -> Self {
        Self { is_on: true, retry_after_seconds: 600, since: Some(instant()) }
    }
}

/// Switches maintenance.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct MaintenanceRequest {
    is_on: bool,
    /// When clients are told to come back: ten seconds to a day.
    #[oai(default = "five_minutes", validator(minimum(value = "10"), maximum(value = "86400")))]
    retry_after_seconds: i32,
}

fn five_minutes() -> i32 {
    300
}

impl Example for MaintenanceRequest {
    fn example() -> Self {
        Self { is_on: true, retry_after_seconds: 600 }
    }
}

#[derive(ApiResponse)]
pub enum JobDone {
    /// It is so.
    #[oai(status = 204)]
    Done,
}

pub struct OperationsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Administration")]
impl OperationsApi {
    /// How the platform is doing
    ///
    /// Figures that are nobody's: companies, accounts, sessions, queues, mails.
    #[oai(path = "/admin/overview", method = "get", operation_id = "getOverview")]
    async fn overview(&self, cx: Authorized<perm::OperatePlatform>) -> Result<Json<OverviewAnswer>> {
        Ok(Json(service::overview(&cx).await?.into()))
    }

    /// List jobs
    ///
    /// Those that have failed for good, unless said: the newest first. Neither whose a job is nor what it holds; of one whose
    /// mail was not taken, which mail (`emailId`).
    #[oai(path = "/admin/jobs", method = "get", operation_id = "listJobs")]
    async fn jobs(
        &self,
        cx: Authorized<perm::OperatePlatform>,
        /// `dead` unless said.
        state: Query<Option<JobState>>,
        /// Only of this queue.
        queue: Query<Option<QueueName>>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<JobAnswer>>> {
        let page: PageQuery<String> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::list_jobs(&cx, state.0.unwrap_or_default(), queue.0.map(Into::into), &page).await?;
        Ok(Json(Page::new(&page, rows, |row| row.id.clone(), JobAnswer::from)))
    }

    /// Try a dead job again
    ///
    /// With all its attempts. So is one that waits for more than two hours (`runAt`), which only a clock that was wrong brings
    /// about. Any other that is not dead is left alone (`409 job_not_dead`).
    #[oai(path = "/admin/jobs/:id/retry", method = "post", operation_id = "retryJob")]
    async fn retry(
        &self,
        cx: Authorized<perm::OperatePlatform>,
        /// The job's.
        #[oai(validator(max_length = 64))]
        id: Path<String>,
    ) -> Result<JobDone> {
        service::retry_job(&cx, &id.0).await?;
        Ok(JobDone::Done)
    }

    /// Discard a dead job
    ///
    /// For good. So is one that waits for more than two hours (`runAt`), unless it makes a file (queue `exports`): whoever waits
    /// for that is told by its last attempt; try it again first. Any other that is not dead is left alone (`409 job_not_dead`).
    #[oai(path = "/admin/jobs/:id/discard", method = "post", operation_id = "discardJob")]
    async fn discard(
        &self,
        cx: Authorized<perm::OperatePlatform>,
        /// The job's.
        #[oai(validator(max_length = 64))]
        id: Path<String>,
    ) -> Result<JobDone> {
        service::discard_job(&cx, &id.0).await?;
        Ok(JobDone::Done)
    }

    /// List what was mailed
    ///
    /// The newest first: which template, when, with which outcome; never to whom. A mail that was not taken is `retrying` while
    /// its job (`jobId`) tries again, and `failed` when that has died: `POST /admin/jobs/{jobId}/retry` sends it after all.
    #[oai(path = "/admin/emails", method = "get", operation_id = "listEmails")]
    async fn emails(
        &self,
        cx: Authorized<perm::OperatePlatform>,
        status: Query<Option<EmailStatus>>,
        /// Only of this template.
        #[oai(validator(max_length = 100))]
        template: Query<Option<String>>,
        /// 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<EmailAnswer>>> {
        let page: PageQuery<(DateTime<Utc>, Uuid)> = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let rows = service::list_emails(&cx, status.0, template.0.as_deref(), &page).await?;
        Ok(Json(Page::new(&page, rows, |row| (row.created_at, row.id), EmailAnswer::from)))
    }

    /// Read which modules a company has
    #[oai(path = "/admin/companies/:id/features", method = "get", operation_id = "getFeatures")]
    async fn features(
        &self,
        cx: Authorized<perm::OperatePlatform>,
        id: Path<CompanyId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<FeaturesBody>> {
        let it = service::find_features(&cx, id.0).await?;
        Ok(Tagged::new(it.into(), &service::etag(it)?, if_none_match.0.as_deref()))
    }

    /// Say which modules a company has
    ///
    /// Sessions of a kind that it has not are not offered and not booked; what was booked before is held as agreed.
    #[oai(path = "/admin/companies/:id/features", method = "put", operation_id = "setFeatures")]
    async fn set_features(
        &self,
        cx: Authorized<perm::OperatePlatform>,
        id: Path<CompanyId>,
        /// The version that the client knows.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<FeaturesBody>,
    ) -> Result<Tagged<FeaturesBody>> {
        let it = service::set_features(&cx, id.0, body.0.into(), if_match.0.as_deref()).await?;
        Ok(Tagged::new(it.into(), &service::etag(it)?, None))
    }

    /// Read whether changes are refused
    #[oai(path = "/admin/maintenance", method = "get", operation_id = "getMaintenance")]
    async fn maintenance(&self, cx: Authorized<perm::OperatePlatform>) -> Result<Json<MaintenanceAnswer>> {
        Ok(Json(service::find_maintenance(&cx).await?.into()))
    }

    /// Switch maintenance
    ///
    /// While it is on, changes are answered by `503 maintenance` with `Retry-After`, on every node within two seconds. Reading
    /// goes on; so do jobs, and sessions: they are joined, started and ended. Platform admins are exempt, and everybody can log
    /// in and out.
    #[oai(path = "/admin/maintenance", method = "put", operation_id = "setMaintenance")]
    async fn set_maintenance(
        &self,
        cx: Authorized<perm::OperatePlatform>,
        body: Body<MaintenanceRequest>,
    ) -> Result<Json<MaintenanceAnswer>> {
        let MaintenanceRequest { is_on, retry_after_seconds } = body.0;
        Ok(Json(service::set_maintenance(&cx, is_on, retry_after_seconds).await?.into()))
    }
}
