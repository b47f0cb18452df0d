//! `/reports/practitioner`.

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi, Tags};
use uuid::Uuid;

use super::ZONE;
use super::model::{Activity, Flagged};
use super::service::{self, Report};
use crate::domain::usage::api::MonthForm;
use crate::domain::usage::model::{Month, Months};
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::Formed;
use crate::platform::ids::{ConsultationId, PractitionerId};

#[derive(Tags)]
enum Tag {
    /// What practitioners did, and what it is worth.
    Activity,
}

/// An amount of money.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct AmountDue {
    /// Minor units of the currency.
    amount: i64,
    /// ISO 4217.
    currency: String,
}

/// Sessions whose claimed and seen times differ. What they are worth is part of the month's amount.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct FlaggedTotals {
    sessions: i32,
    /// Of the completed ones among them.
    minutes: i32,
    amount: AmountDue,
}

/// One month in one currency.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ActivityMonth {
    /// `YYYY-MM`, by the zone of the platform.
    month: String,
    /// Whether it is final. The present one is not; a month is published three days after its end.
    published: bool,
    /// Whether it was published after the database had been brought back from a backup without it: it may have been published,
    /// and paid, before, by other numbers.
    restored: bool,
    /// Sessions that are still to come, or to be ended.
    open: i32,
    completed: i32,
    cancelled_by_employee: i32,
    /// By the practitioner, the platform, or because nobody confirmed in time.
    cancelled_otherwise: i32,
    missed_by_employee: i32,
    /// By the practitioner, or by nobody knows whom.
    missed_otherwise: i32,
    /// Of completed sessions, as they were claimed; begun minutes are whole ones.
    minutes: i32,
    /// The sum over completed sessions of minutes times the hourly rate at the session's start, each rounded half up.
    amount_due: AmountDue,
    flagged: FlaggedTotals,
}

impl From<Activity> for ActivityMonth {
    fn from(it: Activity) -> Self {
        let money = |amount| AmountDue { amount, currency: it.currency.clone() };
        Self {
            month: Month::from(it.month).to_string(),
            published: it.is_published,
            restored: it.is_restored,
            open: it.open,
            completed: it.completed,
            cancelled_by_employee: it.cancelled_by_employee,
            cancelled_otherwise: it.cancelled_otherwise,
            missed_by_employee: it.missed_by_employee,
            missed_otherwise: it.missed_otherwise,
            minutes: it.minutes,
            amount_due: money(it.amount),
            flagged: FlaggedTotals {
                sessions: it.flagged,
                minutes: it.flagged_minutes,
                amount: money(it.flagged_amount),
            },
        }
    }
}

/// A session whose claimed and seen times differ.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct FlaggedSession {
    consultation_id: ConsultationId,
    starts_at: DateTime<Utc>,
    /// `completed` or `no_show`.
    status: String,
    /// What was claimed; absent where it is said not to have been held.
    claimed_minutes: Option<i32>,
    /// How long the server saw both people at once; absent where it was not looked at.
    seen_minutes: Option<i32>,
    amount: AmountDue,
}

impl From<Flagged> for FlaggedSession {
    fn from(it: Flagged) -> Self {
        Self {
            consultation_id: it.id,
            starts_at: it.starts_at,
            status: it.status,
            claimed_minutes: it.minutes,
            seen_minutes: it.seen_minutes,
            amount: AmountDue { amount: it.amount, currency: it.currency },
        }
    }
}

/// What a practitioner did in some months.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct ActivityReport {
    practitioner_id: PractitionerId,
    display_name: String,
    /// When what is not published was counted.
    as_of: DateTime<Utc>,
    /// The zone whose months these are.
    time_zone: String,
    /// Months in which there was anything, oldest first; one for each currency.
    months: Vec<ActivityMonth>,
    /// Newest first, at most 100.
    flagged_sessions: Vec<FlaggedSession>,
    /// Whether there are older ones; fewer months show them.
    more_flagged: bool,
}

impl From<Report> for ActivityReport {
    fn from(it: Report) -> Self {
        Self {
            practitioner_id: it.practitioner,
            display_name: it.subject.display_name,
            as_of: it.subject.as_of,
            time_zone: ZONE.to_owned(),
            months: it.months.into_iter().map(Into::into).collect(),
            flagged_sessions: it.flagged.into_iter().map(Into::into).collect(),
            more_flagged: it.has_more_flagged,
        }
    }
}

impl Example for ActivityReport {
    fn example() -> Self {
        let at = |day, hour| Utc.with_ymd_and_hms(2026, 6, day, hour, 0, 0).single().unwrap_or_default();
        let money = |amount| AmountDue { amount, currency: "EUR".into() };
        let id = |n: u128| Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0000 + n);
        Self {
            practitioner_id: PractitionerId(id(0x51)),
            display_name: "Dr Claire Martin".into(),
            as_of: at(30, 9),
            time_zone: ZONE.to_owned(),
            months: vec![ActivityMonth {
                month: "2026-05".into(),
                published: true,
                restored: false,
                open: 0,
                completed: 42,
                cancelled_by_employee: 3,
                cancelled_otherwise: 1,
                missed_by_employee: 2,
                missed_otherwise: 0,
                minutes: 1995,
                amount_due: money(299_250),
                flagged: FlaggedTotals { sessions: 1, minutes: 50, amount: money(7_500) },
            }],
            flagged_sessions: vec![FlaggedSession {
                consultation_id: ConsultationId(id(0x31)),
                starts_at: at(2, 8),
                status: "completed".into(),
                claimed_minutes: Some(50),
                seen_minutes: Some(12),
                amount: money(7_500),
            }],
            more_flagged: false,
        }
    }
}

pub struct ActivityApi;

#[OpenApi(prefix_path = "/api/v1")]
impl ActivityApi {
    /// A practitioner's activity by month
    ///
    /// Sessions by state, minutes, and the amount due; practitioners read their own. Months that are published are final. Sessions
    /// whose claimed and seen times differ are listed: they are part of the amounts until whoever pays has looked at them.
    #[oai(path = "/reports/practitioner", method = "get", operation_id = "getActivity", tag = "Tag::Activity")]
    async fn activity(
        &self,
        cx: Authorized<perm::ReadActivity>,
        /// The first month, `YYYY-MM`.
        from: Query<Formed<MonthForm>>,
        /// The last month, `YYYY-MM`; at most 24 months are covered.
        to: Query<Formed<MonthForm>>,
        /// By platform admins: whose activity.
        #[oai(name = "practitionerId")]
        practitioner_id: Query<Option<PractitionerId>>,
    ) -> Result<Json<ActivityReport>> {
        let months = Months::read(&from.0, &to.0, "query:")?;
        Ok(Json(service::report(&cx, practitioner_id.0, &months).await?.into()))
    }
}
