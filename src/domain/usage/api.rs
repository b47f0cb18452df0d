//! `/reports/usage`.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi, Tags};
use uuid::Uuid;

use super::model::{Basis, Breakdown, Count, Dimension, Line, Months, Withheld};
use super::service::{self, Report};
use super::words;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Form, Formed};
use crate::platform::ids::CompanyId;
use crate::platform::locale::Locale;

#[derive(Tags)]
enum Tag {
    /// Usage counters. Numbers that rest on too few people are withheld.
    Reports,
}

pub struct MonthForm;

impl Form for MonthForm {
    const PATTERN: &'static str = "^[2-9][0-9]{3}-(0[1-9]|1[0-2])$";
    const EXAMPLE: &'static str = "2026-01";
}

struct BreakdownForm;

impl Form for BreakdownForm {
    const PATTERN: &'static str = BY;
    const EXAMPLE: &'static str = "specialty,mode";
}

/// One dimension, or specialty with one of the others, in either order.
const BY: &str = "^(specialty|mode|department|specialty,(mode|department)|(mode|department),specialty)$";

/// A number of the report.
#[derive(Debug, Default, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct UsageCell {
    specialty: Option<String>,
    mode: Option<String>,
    /// The department's name when the month was published. Departments with few employees are counted together, with the
    /// people of none.
    department: Option<String>,
    /// Absent for those that are counted together.
    department_id: Option<Uuid>,
    /// Completed sessions.
    sessions: Option<i32>,
    /// Minutes of completed sessions. Told of months in which nothing is withheld, in no table: with the lengths of sessions,
    /// which everybody knows, they would tell of what is.
    minutes: Option<i32>,
    /// Distinct people, rounded down to a multiple of five.
    people: Option<i32>,
    /// Why there is no number.
    withheld: Option<Withheld>,
}

impl UsageCell {
    fn counted(count: Count) -> Self {
        match count {
            Count::Shown { sessions, minutes, people } => {
                Self { sessions: Some(sessions), minutes, people: Some(people), ..Self::default() }
            }
            Count::Withheld(why) => Self { withheld: Some(why), ..Self::default() },
        }
    }

    fn new(line: &Line, by: Option<Breakdown>, locale: Locale) -> Self {
        let mut cell = Self::counted(line.count);
        let Some(by) = by else { return cell };
        for (dimension, key) in std::iter::once(by.rows()).chain(by.columns()).zip([&line.row, &line.column]) {
            match dimension {
                Dimension::Specialty => cell.specialty = Some(key.clone()),
                Dimension::Mode => cell.mode = Some(key.clone()),
                Dimension::Department => {
                    cell.department = Some(words::department(line, locale).into_owned());
                    cell.department_id = key.parse().ok();
                }
            }
        }
        cell
    }
}

/// The whole month.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct UsageTotals {
    sessions: Option<i32>,
    minutes: Option<i32>,
    /// Distinct people, rounded down to a multiple of five.
    people: Option<i32>,
    /// Why there is no number.
    withheld: Option<Withheld>,
}

impl From<Count> for UsageTotals {
    fn from(count: Count) -> Self {
        let UsageCell { sessions, minutes, people, withheld, .. } = UsageCell::counted(count);
        Self { sessions, minutes, people, withheld }
    }
}

/// One calendar month of the company's time zone.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UsageMonth {
    /// `YYYY-MM`.
    month: String,
    /// The fewest people that a shown number of this month rests on: what was in force when the month closed.
    threshold: i32,
    /// One for each value of the dimension, or pair of values, used or not; none without a dimension.
    cells: Vec<UsageCell>,
    totals: UsageTotals,
}

/// What the company bought.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct BoughtCare {
    contract_starts_on: NaiveDate,
    /// The first day that is not covered any more.
    contract_ends_on: NaiveDate,
    /// People who may use it.
    seats: i32,
    /// In each contract year.
    sessions_per_employee: i32,
}

impl From<&Basis> for BoughtCare {
    fn from(it: &Basis) -> Self {
        Self {
            contract_starts_on: it.contract_starts_on,
            contract_ends_on: it.contract_ends_on,
            seats: it.seats,
            sessions_per_employee: it.sessions_per_employee,
        }
    }
}

/// Usage by month.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct UsageReport {
    /// When the counters were counted.
    as_of: DateTime<Utc>,
    /// The fewest people that shown numbers will rest on of the months that are yet to close.
    threshold: i32,
    bought: BoughtCare,
    /// Only months that are published, oldest first.
    months: Vec<UsageMonth>,
}

impl UsageReport {
    fn new(report: &Report, by: Option<Breakdown>, locale: Locale) -> Self {
        let mut months = Vec::new();
        let mut cells = Vec::new();
        // the line of the month as a whole comes last
        for line in &report.lines {
            if line.is_total {
                let cells = std::mem::take(&mut cells);
                let (month, threshold) = (line.month.to_string(), line.threshold);
                months.push(UsageMonth { month, threshold, cells, totals: line.count.into() });
            } else {
                cells.push(UsageCell::new(line, by, locale));
            }
        }
        let Basis { as_of, threshold, .. } = report.basis;
        Self { as_of, threshold, bought: (&report.basis).into(), months }
    }
}

/// A number of a series.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct UsagePoint {
    /// `YYYY-MM`.
    month: String,
    sessions: Option<i32>,
    minutes: Option<i32>,
    /// Distinct people, rounded down to a multiple of five.
    people: Option<i32>,
    /// Why there is no number.
    withheld: Option<Withheld>,
}

impl From<&Line> for UsagePoint {
    fn from(line: &Line) -> Self {
        let UsageCell { sessions, minutes, people, withheld, .. } = UsageCell::counted(line.count);
        Self { month: line.month.to_string(), sessions, minutes, people, withheld }
    }
}

/// One value of the dimension, or pair of values, over time.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct UsageSeries {
    specialty: Option<String>,
    mode: Option<String>,
    /// The name that the department had last.
    department: Option<String>,
    department_id: Option<Uuid>,
    /// Oldest first; a department has none in months in which it was counted with others.
    points: Vec<UsagePoint>,
}

/// Usage over time.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct UsageTimeseries {
    /// When the counters were counted.
    as_of: DateTime<Utc>,
    /// The months that are published of those asked for, oldest first.
    months: Vec<String>,
    /// The company as a whole.
    totals: Vec<UsagePoint>,
    series: Vec<UsageSeries>,
}

impl UsageTimeseries {
    fn new(report: &Report, by: Option<Breakdown>, locale: Locale) -> Self {
        let (mut months, mut totals) = (Vec::new(), Vec::new());
        let mut series = BTreeMap::<(&str, &str), UsageSeries>::new();
        for line in &report.lines {
            if line.is_total {
                months.push(line.month.to_string());
                totals.push(line.into());
                continue;
            }
            let UsageCell { specialty, mode, department, department_id, .. } = UsageCell::new(line, by, locale);
            let of = series.entry((line.row.as_str(), line.column.as_str())).or_insert_with(|| UsageSeries {
                specialty,
                mode,
                department: None,
                department_id,
                points: Vec::new(),
            });
            of.department = department;
            of.points.push(line.into());
        }
        let mut series: Vec<_> = series.into_values().collect();
        series.sort_by(|a, b| (&a.specialty, &a.department).cmp(&(&b.specialty, &b.department)));
        Self { as_of: report.basis.as_of, months, totals, series }
    }
}

impl Example for UsageTimeseries {
    fn example() -> Self {
        let point = |month: &str, count| {
            let UsageCell { sessions, minutes, people, withheld, .. } = UsageCell::counted(count);
            UsagePoint { month: month.into(), sessions, minutes, people, withheld }
        };
        let shown = |sessions, people| Count::Shown { sessions, minutes: None, people };
        Self {
            as_of: example_time(9),
            months: vec!["2026-05".into(), "2026-06".into()],
            totals: vec![point("2026-05", shown(80, 45)), point("2026-06", shown(92, 50))],
            series: vec![UsageSeries {
                specialty: None,
                mode: Some("video".into()),
                department: None,
                department_id: None,
                points: vec![point("2026-05", shown(58, 30)), point("2026-06", Count::Withheld(Withheld::SmallGroup))],
            }],
        }
    }
}

fn example_time(hour: u32) -> DateTime<Utc> {
    use chrono::TimeZone;
    Utc.with_ymd_and_hms(2026, 7, 1, hour, 5, 0).single().unwrap_or_default()
}

impl Example for UsageReport {
    fn example() -> Self {
        let cell = |mode: &str, count| UsageCell { mode: Some(mode.into()), ..UsageCell::counted(count) };
        let month = UsageMonth {
            month: "2026-06".into(),
            threshold: 11,
            cells: vec![
                cell("audio", Count::Withheld(Withheld::SmallGroup)),
                cell("chat", Count::Withheld(Withheld::SmallGroup)),
                cell("video", Count::Shown { sessions: 61, minutes: None, people: 35 }),
            ],
            totals: Count::Shown { sessions: 92, minutes: None, people: 50 }.into(),
        };
        let bought = BoughtCare {
            contract_starts_on: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap_or_default(),
            contract_ends_on: NaiveDate::from_ymd_opt(2027, 1, 1).unwrap_or_default(),
            seats: 250,
            sessions_per_employee: 6,
        };
        Self { as_of: example_time(9), threshold: 11, bought, months: vec![month] }
    }
}

pub struct UsageApi;

#[OpenApi(prefix_path = "/api/v1")]
impl UsageApi {
    /// Usage by month
    ///
    /// Completed sessions, their minutes, and how many people had them, for calendar months of the company's time zone, in
    /// total and by one dimension, or by specialty and another one. A month is published three days after its end and never
    /// changes afterwards. Numbers that rest on fewer people than the month's `threshold`, or on nearly everybody of a
    /// department, are withheld, and so are others from which they could be computed; the reason is the same for all of them,
    /// and in a table with something withheld, or of departments, nobody is told like few. Somebody counts in the department in
    /// which they have been since before the month began, and otherwise among those that are counted together.
    #[oai(path = "/reports/usage", method = "get", operation_id = "getUsage", tag = "Tag::Reports")]
    async fn usage(
        &self,
        cx: Authorized<perm::ReadUsage>,
        /// The first month, `YYYY-MM`.
        from: Query<Formed<MonthForm>>,
        /// The last month, `YYYY-MM`; at most 24 months are covered.
        to: Query<Formed<MonthForm>>,
        /// `specialty`, `mode`, `department`, `specialty,mode` or `specialty,department`. Only totals unless said.
        by: Query<Option<Formed<BreakdownForm>>>,
        /// By platform admins: which company.
        #[oai(name = "companyId")]
        company_id: Query<Option<CompanyId>>,
    ) -> Result<Json<UsageReport>> {
        let by = Breakdown::read(by.0.as_deref(), "query:by")?;
        let months = Months::read(&from.0, &to.0, "query:")?;
        let report = service::report(&cx, company_id.0, &months, by).await?;
        Ok(Json(UsageReport::new(&report, by, cx.locale())))
    }

    /// Usage over time
    ///
    /// The numbers of `/reports/usage`, in one series for each value of the dimension, or pair of values.
    #[oai(
        path = "/reports/usage/timeseries",
        method = "get",
        operation_id = "getUsageTimeseries",
        tag = "Tag::Reports"
    )]
    async fn timeseries(
        &self,
        cx: Authorized<perm::ReadUsage>,
        /// The first month, `YYYY-MM`.
        from: Query<Formed<MonthForm>>,
        /// The last month, `YYYY-MM`; at most 24 months are covered.
        to: Query<Formed<MonthForm>>,
        /// `specialty`, `mode`, `department`, `specialty,mode` or `specialty,department`. Only totals unless said.
        by: Query<Option<Formed<BreakdownForm>>>,
        /// By platform admins: which company.
        #[oai(name = "companyId")]
        company_id: Query<Option<CompanyId>>,
    ) -> Result<Json<UsageTimeseries>> {
        let by = Breakdown::read(by.0.as_deref(), "query:by")?;
        let months = Months::read(&from.0, &to.0, "query:")?;
        let report = service::report(&cx, company_id.0, &months, by).await?;
        Ok(Json(UsageTimeseries::new(&report, by, cx.locale())))
    }
}
