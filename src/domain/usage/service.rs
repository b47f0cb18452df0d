//! Use case: read the counters.

use super::model::{Basis, Breakdown, Line, Months};
use super::store;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::ids::CompanyId;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

/// The counters of some months.
pub struct Report {
    pub basis: Basis,
    pub lines: Vec<Line>,
}

pub async fn report(
    cx: &Context,
    company: Option<CompanyId>,
    months: &Months,
    by: Option<Breakdown>,
) -> Result<Report> {
    let mut tx = cx.begin(Permission::ReadUsage).await?;
    enter(cx, &mut tx, company, "query:companyId").await?;
    let basis = store::find_basis(&mut tx).await?.ok_or(Refusal::NotFound)?;
    let lines = store::list_lines(&mut tx, months, by).await?;
    // who compares many answers with one another leaves a trace of it
    let mut entry = Entry::done("usage.read", "usage", None)
        .with(Detail::From, months.from.first_day())
        .with(Detail::To, months.to.first_day());
    if let Some(by) = by {
        entry = entry.with(Detail::By, by.noted_as());
    }
    tx.audit(entry).await?;
    tx.commit().await?;
    Ok(Report { basis, lines })
}

/// Makes the transaction about a company: the caller's own, or the one that a platform admin names.
pub async fn enter(cx: &Context, tx: &mut Tx, company: Option<CompanyId>, pointer: &str) -> Result<CompanyId> {
    let id = match (company, cx.caller().company_id) {
        (None, Some(own)) => own,
        (Some(named), Some(own)) if named == own => own,
        (Some(_), Some(_)) => return Err(Refusal::NotFound.into()),
        (Some(named), None) => named,
        (None, None) => return Err(Problem::from(Refusal::Invalid).at(pointer, "required")),
    };
    if cx.caller().company_id.is_none() {
        tx.enter_company(id).await?;
    }
    Ok(id)
}
