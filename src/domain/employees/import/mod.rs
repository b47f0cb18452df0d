//! Imports a file of people.

mod plan;
pub mod sheet;

use serde::{Deserialize, Serialize};

use self::plan::{Directory, Plan};
pub use self::plan::{Entry, Outcome};
use self::sheet::Sheet;
use super::model::Field;
use super::store;
use crate::domain::companies;
use crate::domain::identity::account::address::TellReturner;
use crate::domain::identity::invitation;
use crate::platform::audit::{self, Detail};
use crate::platform::auth::Permission;
use crate::platform::http::IdempotencyKey;
use crate::platform::ids::CompanyId;
use crate::platform::problem::{Error as Refusal, Problem};
use crate::platform::{Context, Result, Tx};

/// What a file does to the directory, or would do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub dry_run: bool,
    /// Whether anything was written.
    pub applied: bool,
    pub encoding: String,
    pub delimiter: String,
    pub counts: Counts,
    /// Headers that mean nothing here.
    pub unknown_columns: Vec<String>,
    pub rows: Vec<RowReport>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    pub rows: usize,
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    pub reactivated: usize,
    pub rejected: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowReport {
    pub line: u64,
    pub email: String,
    pub outcome: Outcome,
    pub errors: Vec<RowError>,
}

/// One fault of a row; its words are `field.<code>` of `locales/`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowError {
    /// Absent where the whole row is meant.
    pub column: Option<Field>,
    pub code: String,
    pub args: Vec<(String, String)>,
}

/// How an import is asked for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Mode {
    /// Write nothing; say what would be written.
    pub dry_run: bool,
    /// Write the good rows though others are rejected.
    pub partial: bool,
}

/// Why nothing was imported: a cause, or rows that were rejected.
#[derive(Debug)]
pub enum Failure {
    Problem(Problem),
    Rejected(Box<Report>),
}

impl<T: Into<Problem>> From<T> for Failure {
    fn from(cause: T) -> Self {
        Self::Problem(cause.into())
    }
}

/// Reads a file and takes its people into the directory of the caller's company.
pub async fn import(cx: &Context, key: Option<&IdempotencyKey>, file: Vec<u8>, mode: Mode) -> Result<Report, Failure> {
    // parsing takes a while and waits for nothing: not on the threads that answer requests
    let sheet = tokio::task::spawn_blocking(move || sheet::read(&file)).await.map_err(Problem::internal)??;
    let company_id = cx.caller().company_id.ok_or(Refusal::Forbidden)?;
    if mode.dry_run {
        // the database itself refuses to write in this transaction
        let mut tx = cx.read(Permission::ManageEmployees).await?;
        let plan = make_plan(cx, &mut tx, company_id, &sheet).await?;
        drop(tx);
        let report = report(sheet, plan, mode, false);
        // it tells who is in the directory, as a list does
        let mut tx = cx.begin(Permission::ManageEmployees).await?;
        tx.audit(entry("employee.import_checked", &report, mode)).await?;
        tx.commit().await?;
        return Ok(report);
    }
    let mut tx = cx.begin(Permission::ManageEmployees).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    store::allow_long_statements(&mut tx).await?;
    store::lock_directory(&mut tx, company_id).await?;
    let plan = make_plan(cx, &mut tx, company_id, &sheet).await?;
    if !plan.is_clean() && !mode.partial {
        return Err(Failure::Rejected(Box::new(report(sheet, plan, mode, false))));
    }
    write(cx, &mut tx, company_id, &plan).await?;
    tx.audit_each(audit::Entry::done("employee.reactivated", "employee", None), plan.back.iter().copied()).await?;
    let report = report(sheet, plan, mode, true);
    tx.audit(entry("employee.imported", &report, mode)).await?;
    tx.remember(key, &report).await?;
    tx.commit().await?;
    Ok(report)
}

/// What the audit log says of a file.
fn entry<'a>(action: &'a str, report: &Report, mode: Mode) -> audit::Entry<'a> {
    audit::Entry::done(action, "employee", None)
        .with(Detail::Created, report.counts.created)
        .with(Detail::Updated, report.counts.updated)
        .with(Detail::Unchanged, report.counts.unchanged)
        .with(Detail::Reactivated, report.counts.reactivated)
        .with(Detail::Rejected, report.counts.rejected)
        .with(Detail::Partial, mode.partial)
}

async fn make_plan(cx: &Context, tx: &mut Tx, company_id: CompanyId, sheet: &Sheet) -> Result<Plan> {
    let company = companies::require_active(tx, company_id).await?;
    let emails: Vec<&str> = sheet.rows.iter().map(|row| row.email.as_str()).collect();
    let numbers: Vec<&str> = sheet.rows.iter().filter_map(|row| row.staff_number.as_deref()).collect();
    let directory = Directory {
        known: store::list_known(tx, company_id, &emails, &numbers).await?,
        seats: company.seats,
        taken: store::count_active(tx, company_id).await?,
        locale: company.locale,
    };
    Ok(plan::plan(sheet, &directory, || cx.new_id()))
}

/// Three statements however many rows there are, and one each for the mails to who is new and who is back.
async fn write(cx: &Context, tx: &mut Tx, company_id: CompanyId, plan: &Plan) -> Result<()> {
    let departments = store::ensure_departments(tx, company_id, &plan.departments(), || cx.new_id()).await?;
    store::insert_all(tx, company_id, &plan.insert, &departments).await?;
    store::save_all(tx, company_id, &plan.save, &departments).await?;
    let people: Vec<_> = plan.insert.iter().map(|entry| (entry.id, entry.email.as_str())).collect();
    invitation::invite_employees(cx, tx, &people).await?;
    let back: Vec<_> = plan.back.iter().map(|&employee_id| TellReturner { employee_id }).collect();
    tx.enqueue_all(back.iter().map(|mail| (mail, None)), None).await
}

fn report(sheet: Sheet, plan: Plan, mode: Mode, applied: bool) -> Report {
    let counts = Counts {
        rows: plan.decisions.len(),
        created: plan.count(Outcome::Created),
        updated: plan.count(Outcome::Updated),
        unchanged: plan.count(Outcome::Unchanged),
        reactivated: plan.count(Outcome::Reactivated),
        rejected: plan.count(Outcome::Rejected),
    };
    let rows = plan
        .decisions
        .into_iter()
        .map(|decision| RowReport {
            line: decision.line,
            email: decision.email,
            outcome: decision.outcome,
            errors: decision
                .faults
                .into_iter()
                .map(|(column, fault)| RowError {
                    column,
                    code: fault.code().to_owned(),
                    args: fault.args().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                })
                .collect(),
        })
        .collect();
    Report {
        dry_run: mode.dry_run,
        applied,
        encoding: sheet.encoding.to_owned(),
        delimiter: sheet.delimiter.to_string(),
        counts,
        unknown_columns: sheet.unknown,
        rows,
    }
}
