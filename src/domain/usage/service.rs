//! Use cases: read the counters, ask for a file of them, fetch it.

use chrono::TimeDelta;

use super::error::Error;
use super::jobs::MakeExport;
use super::model::{Basis, Breakdown, Export, ExportParams, ExportStatus, Line, Months};
use super::store::{self, NewExport};
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::http::{IdempotencyKey, PageQuery};
use crate::platform::ids::{CompanyId, ExportId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

/// How long a file can be fetched.
pub const EXPORT_LIFE: TimeDelta = TimeDelta::days(7);

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
        entry = entry.with(Detail::By, by.as_str());
    }
    tx.audit(entry).await?;
    tx.commit().await?;
    Ok(Report { basis, lines })
}

/// Makes the transaction about a company: the caller's own, or the one that a platform admin names.
async fn enter(cx: &Context, tx: &mut Tx, company: Option<CompanyId>, pointer: &str) -> Result<CompanyId> {
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

pub async fn request_export(
    cx: &Context,
    key: Option<&IdempotencyKey>,
    company: Option<CompanyId>,
    params: ExportParams,
) -> Result<Export> {
    let mut tx = cx.begin(Permission::Export).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    let company_id = enter(cx, &mut tx, company, "/companyId").await?;
    store::find_basis(&mut tx).await?.ok_or(Refusal::NotFound)?;
    let id: ExportId = cx.new_id();
    let new = NewExport {
        id,
        company_id: Some(company_id),
        requested_by: cx.caller().user_id,
        params: &params,
        at: cx.now(),
    };
    store::insert_export(&mut tx, &new).await?;
    tx.enqueue(&MakeExport { export_id: id }, Some(&id.to_string()), None).await?;
    tx.audit_done("export.requested", "export", id.0).await?;
    let made = store::find_export(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    tx.remember(key, &made).await?;
    tx.commit().await?;
    Ok(made)
}

pub async fn list_exports(cx: &Context, page: &PageQuery<ExportId>) -> Result<Vec<Export>> {
    let mut tx = cx.read(Permission::Export).await?;
    let exports = store::list_exports(&mut tx, page.after, page.fetch()).await?;
    Ok(exports.into_iter().map(|export| export.at(cx.now())).collect())
}

pub async fn get_export(cx: &Context, id: ExportId) -> Result<Export> {
    let mut tx = cx.read(Permission::Export).await?;
    Ok(store::find_export(&mut tx, id).await?.ok_or(Refusal::NotFound)?.at(cx.now()))
}

/// The export and the key of its file. That it was fetched is noted before the first byte is sent.
pub async fn fetch_export(cx: &Context, id: ExportId) -> Result<(Export, String)> {
    let mut tx = cx.begin(Permission::Export).await?;
    let export = store::find_export(&mut tx, id).await?.ok_or(Refusal::NotFound)?.at(cx.now());
    match export.status {
        ExportStatus::Ready => {}
        ExportStatus::Expired => return Err(Error::Expired.into()),
        ExportStatus::Pending | ExportStatus::Running | ExportStatus::Failed => return Err(Error::NotReady.into()),
    }
    let file_key =
        export.file_key.clone().ok_or_else(|| Problem::internal("an export that is ready without a file"))?;
    tx.audit_done("export.downloaded", "export", id.0).await?;
    tx.commit().await?;
    Ok((export, file_key))
}
