//! Finds practitioners.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::model::{Found, Shown, Sort, next_page};
use crate::domain::consultations::slots::{self, FirstFree, Search, Slot};
use crate::domain::practitioners::{self, Filter, Listed, Status, Whose};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Cursor, PageQuery};
use crate::platform::ids::PractitionerId;
use crate::platform::{Context, FieldErrors, Result, Tx};

/// The longest horizon that a practitioner can set.
const FURTHEST: TimeDelta = TimeDelta::days(366);
/// Practitioners among whom the first free time is looked for.
const MOST: i64 = 1_000;

/// What is asked of the directory.
pub struct Query {
    pub filter: Filter,
    /// Who have a free slot that starts before this.
    pub free_before: Option<DateTime<Utc>>,
    pub sort: Sort,
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

/// A page, and where the next one begins.
pub struct Page {
    pub items: Vec<Found>,
    pub next_cursor: Option<String>,
}

pub async fn search(cx: &Context, mut query: Query) -> Result<Page> {
    let role = cx.caller().role;
    let sees_times = matches!(role, Role::Employee | Role::PlatformAdmin);
    let mut faults = FieldErrors::new();
    faults.check(sees_times || query.free_before.is_none(), "query:freeBefore", "not_for_role");
    faults.check(sees_times || query.sort == Sort::Name, "query:sort", "not_for_role");
    faults.finish()?;
    // employees may also see whom they have met, and company admins choose from all; a list is of the network
    query.filter.network_only = matches!(role, Role::Employee | Role::Hr);
    if role != Role::PlatformAdmin {
        query.filter.status = Some(Status::Active);
    }

    let mut tx = cx.read(Permission::ListPractitioners).await?;
    match query.sort {
        Sort::Name => by_name(cx, &mut tx, &query, sees_times).await,
        Sort::NextFree => by_next_free(cx, &mut tx, &query).await,
    }
}

async fn by_name(cx: &Context, tx: &mut Tx, query: &Query, sees_times: bool) -> Result<Page> {
    let page: PageQuery<(String, PractitionerId)> = PageQuery::new(query.limit, query.cursor.as_deref())?;
    // whether somebody is free is known only when it was looked for
    let fetch = if query.free_before.is_some() { MOST } else { page.fetch() };
    let rows = practitioners::directory(tx, &query.filter, page.after.as_ref(), fetch).await?;
    let free = if sees_times { first_free(cx, tx, &rows, query).await? } else { HashMap::new() };
    let mut items: Vec<Found> = with_times(rows, &free);
    if query.free_before.is_some() {
        items.retain(|it| it.next_free_at.is_some());
    }
    let limit = page.limit as usize;
    let is_more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| is_more);
    let next_cursor = last.map(|it| Cursor::encode(&(&it.listed.display_name, it.listed.id)));
    Ok(Page { items, next_cursor })
}

async fn by_next_free(cx: &Context, tx: &mut Tx, query: &Query) -> Result<Page> {
    let page: PageQuery<()> = PageQuery::new(query.limit, None)?;
    let shown = query.cursor.as_deref().map(Shown::decode).transpose()?.unwrap_or_default();
    let rows = practitioners::directory(tx, &query.filter, None, MOST).await?;
    let free = first_free(cx, tx, &rows, query).await?;
    let mut all = with_times(rows, &free);
    if query.free_before.is_some() {
        all.retain(|it| it.next_free_at.is_some());
    }
    let (items, next_cursor) = next_page(all, shown, page.limit as usize);
    Ok(Page { items, next_cursor })
}

/// When each has time for the caller. Whose company lets nobody book today finds nobody free, and the directory all
/// the same.
async fn first_free(
    cx: &Context,
    tx: &mut Tx,
    rows: &[Listed],
    query: &Query,
) -> Result<HashMap<PractitionerId, Slot>> {
    let coverage = match slots::find_coverage(cx, tx).await {
        Ok(coverage) => coverage,
        Err(problem) if problem.status().is_server_error() => return Err(problem),
        Err(_) => return Ok(HashMap::new()),
    };
    let ids: Vec<PractitionerId> = rows.iter().map(|row| row.id).collect();
    let now = cx.now();
    let furthest = now + FURTHEST;
    let to = query.free_before.map_or(furthest, |before| before.min(furthest));
    let search = Search { whose: Whose::These(&ids), from: now, to, but_for: None };
    let wanted = FirstFree { length: None, mode: query.filter.mode };
    slots::find_first_free(cx, tx, coverage.as_ref(), &search, wanted).await
}

fn with_times(rows: Vec<Listed>, free: &HashMap<PractitionerId, Slot>) -> Vec<Found> {
    let with = |listed: Listed| Found { next_free_at: free.get(&listed.id).map(|slot| slot.starts_at), listed };
    rows.into_iter().map(with).collect()
}
