//! Use cases of reading: the log by role, one's own access log, what the last verification found.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::chain::Finding;
use super::model::{Access, Acknowledgement, Filter, Key, LogEntry, Verification};
use super::store;
use super::verify::{self, Chain};
use crate::domain::companies;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::db::Db;
use crate::platform::http::PageQuery;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Platform, Problem, Result, Tx};

/// The log, as far as the caller's role may read it. What the platform's staff read of it is written to it.
pub async fn list(cx: &Context, mut filter: Filter, page: &PageQuery<Key>) -> Result<Vec<LogEntry>> {
    filter.check().finish()?;
    let caller = cx.caller();
    if caller.is(Role::PlatformAdmin) {
        return list_for_platform(cx, filter, page).await;
    }
    if filter.company_id.is_some_and(|wanted| Some(wanted) != caller.company_id) {
        return Err(Refusal::NotFound.into());
    }
    // row security narrows it to their own actions, or to the company's; said twice, no index would be used well
    filter.company_id = None;
    let is_employer = caller.is(Role::Hr) || caller.is(Role::CompanyAdmin);
    // an employer does not learn which of the staff it was by asking for each
    filter.by_members_only = is_employer && filter.actor_id.is_some();
    let mut tx = cx.read(Permission::ReadAuditLog).await?;
    let entries = store::list(&mut tx, &filter, page.after, page.fetch()).await?;
    Ok(entries.into_iter().map(|entry| if is_employer { entry.for_employer(caller.user_id) } else { entry }).collect())
}

async fn list_for_platform(cx: &Context, filter: Filter, page: &PageQuery<Key>) -> Result<Vec<LogEntry>> {
    let mut tx: Tx = cx.begin(Permission::ReadAuditLog).await?;
    if let Some(company) = filter.company_id {
        companies::find_in(&mut tx, company).await?.ok_or(Refusal::NotFound)?;
    }
    let entries = store::list(&mut tx, &filter, page.after, page.fetch()).await?;
    let mut entry = Entry::done("audit_log.read", "audit_log", None)
        .with(Detail::Count, entries.len().min(page.limit as usize))
        .with(Detail::Filters, filter.names());
    if let Some(company) = filter.company_id {
        entry = entry.of_company(company);
    }
    // who asks what a person did, or what was done to them, has opened that person's data
    let named = [filter.actor_id.map(|id| id.0), filter.subject_id, filter.object_id];
    let people = store::find_people(&mut tx, &named.into_iter().flatten().collect::<Vec<_>>()).await?;
    match people.as_slice() {
        [] => tx.audit(entry).await?,
        people => {
            for person in people {
                tx.audit(entry.clone().about(*person)).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(entries)
}

/// What others did with the caller's own data.
pub async fn list_accesses(cx: &Context, page: &PageQuery<Key>) -> Result<Vec<Access>> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    store::list_accesses(&mut tx, page.after, page.fetch()).await
}

/// More would say that the chain is another one.
const MOST_ACKNOWLEDGED: usize = 10_000;

/// Keeps that what is wrong with a chain is known, for the operator; how much that is. `None`: it is whole, or all of it
/// is known.
pub async fn acknowledge(
    platform: &Arc<Platform>,
    owner: &PgConnectOptions,
    chain: Chain,
    it: &Acknowledgement,
    mut tell: impl FnMut(Finding) + Send,
) -> Result<Option<u64>> {
    let mut findings = Vec::new();
    let found = verify::verify_again(platform, chain, |finding| {
        tell(finding);
        if findings.len() < MOST_ACKNOWLEDGED {
            findings.push(finding);
        }
    })
    .await?;
    if findings.is_empty() {
        return Ok(None);
    }
    if found.findings > findings.len() as u64 {
        return Err(Problem::internal(format!("more than {MOST_ACKNOWLEDGED} findings")));
    }
    let mut tx = Db::as_owner(owner).await?;
    store::acknowledge(&mut tx, chain.id(), it, found.head, &findings).await?;
    tx.commit().await?;
    Ok(Some(found.findings))
}

/// The last verification of each chain, broken ones first.
pub async fn list_verifications(cx: &Context, page: &PageQuery<(bool, Uuid)>) -> Result<Vec<Verification>> {
    let mut tx = cx.read(Permission::ReadAuditVerification).await?;
    store::list_verifications(&mut tx, page.after, page.fetch()).await
}
