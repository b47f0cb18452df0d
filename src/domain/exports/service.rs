//! Use cases: ask for a file, look how far it is, fetch it.

use super::error::Error;
use super::jobs::MakeExport;
use super::model::{Export, Kind, Params, Status};
use super::store::{self, NewExport};
use crate::domain::usage;
use crate::platform::auth::Permission;
use crate::platform::http::{IdempotencyKey, PageQuery};
use crate::platform::ids::{CompanyId, ExportId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

/// Files that one person waits for at once.
const MOST_UNFINISHED: i64 = 10;

pub async fn request(
    cx: &Context,
    key: Option<&IdempotencyKey>,
    kind: Kind,
    company: Option<CompanyId>,
    params: Params,
) -> Result<Export> {
    if !kind.is_for(cx.caller().role) {
        return Err(Error::NotYourKind.into());
    }
    let mut tx = cx.begin(Permission::Export).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    let company_id = match kind {
        Kind::Usage => Some(usage::service::enter(cx, &mut tx, company, "/companyId").await?),
        Kind::PractitionerActivity | Kind::Payroll => None,
    };
    check(&mut tx, kind, company, &params).await?;
    // others wait behind them
    if store::count_unfinished(&mut tx, cx.caller().user_id).await? >= MOST_UNFINISHED {
        return Err(Error::TooManyExports.into());
    }
    let id: ExportId = cx.new_id();
    let new = NewExport { id, kind, company_id, requested_by: cx.caller().user_id, params: &params, at: cx.now() };
    store::insert(&mut tx, &new).await?;
    tx.enqueue(&MakeExport { export_id: id }, Some(&id.to_string()), None).await?;
    tx.audit_done("export.requested", "export", id.0).await?;
    let made = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    tx.remember(key, &made).await?;
    tx.commit().await?;
    Ok(made)
}

/// What the kind asks of the rest.
async fn check(tx: &mut Tx, kind: Kind, company: Option<CompanyId>, params: &Params) -> Result<()> {
    let invalid = |pointer, code| Err(Problem::from(Refusal::Invalid).at(pointer, code));
    if kind == Kind::Usage {
        usage::store::find_basis(tx).await?.ok_or(Refusal::NotFound)?;
        return Ok(());
    }
    if company.is_some() {
        return invalid("/companyId", "only_usage");
    }
    if params.by.is_some() {
        return invalid("/by", "only_usage");
    }
    if kind == Kind::Payroll {
        // who pays must not pay by what may still change
        let published = usage::find_published_until(tx).await?;
        if published.is_none_or(|until| until < params.to.first_day()) {
            return invalid("/to", "month_open");
        }
    }
    Ok(())
}

pub async fn list(cx: &Context, page: &PageQuery<ExportId>) -> Result<Vec<Export>> {
    let mut tx = cx.read(Permission::Export).await?;
    let exports = store::list(&mut tx, page.after, page.fetch()).await?;
    Ok(exports.into_iter().map(|export| export.at(cx.now())).collect())
}

pub async fn get(cx: &Context, id: ExportId) -> Result<Export> {
    let mut tx = cx.read(Permission::Export).await?;
    Ok(store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?.at(cx.now()))
}

/// The export and the key of its file. That it was fetched is noted before the first byte is sent.
pub async fn fetch(cx: &Context, id: ExportId) -> Result<(Export, String)> {
    let mut tx = cx.begin(Permission::Export).await?;
    let export = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?.at(cx.now());
    // somebody whose role is another one now has no business with it any more
    if !store::is_entitled(&mut tx, id).await? {
        return Err(Refusal::NotFound.into());
    }
    match export.status {
        Status::Ready => {}
        Status::Expired => return Err(Error::Expired.into()),
        Status::Pending | Status::Running | Status::Failed => return Err(Error::NotReady.into()),
    }
    let file_key =
        export.file_key.clone().ok_or_else(|| Problem::internal("an export that is ready without a file"))?;
    tx.audit_done("export.downloaded", "export", id.0).await?;
    tx.commit().await?;
    Ok((export, file_key))
}
