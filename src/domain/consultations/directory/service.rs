//! Finds practitioners.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::model::{Found, Shown, Sort, next_page};
use crate::domain::consultations::slots::{self, FirstFree, Search, Slot};
use crate::domain::practitioners::{self, After, Filter, Listed, Mode, Order, Status, Whose};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Cursor, PageQuery};
use crate::platform::ids::PractitionerId;
use crate::platform::{Context, FieldErrors, Result, Tx};

/// The longest horizon that a practitioner can set.
const FURTHEST: TimeDelta = TimeDelta::days(366);
/// Practitioners whose first free time is looked for at once.
const CHUNK: i64 = 500;
const CHUNK_LEN: usize = 500;
/// How often more of them are looked at for one page by name; one that has found too few says where the next one goes on. A
/// network by time is looked through as a whole.
const CHUNKS: usize = 20;

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

/// Whether somebody is told when practitioners have time.
fn sees_times(role: Role) -> bool {
    matches!(role, Role::Employee | Role::PlatformAdmin)
}

pub async fn search(cx: &Context, mut query: Query) -> Result<Page> {
    let role = cx.caller().role;
    let sees_times = sees_times(role);
    let mut faults = FieldErrors::new();
    faults.check(sees_times || query.free_before.is_none(), "query:freeBefore", "not_for_role");
    faults.check(sees_times || query.sort != Sort::NextFree, "query:sort", "not_for_role");
    faults.finish()?;
    // employees may also see whom they have met, and company admins choose from all; a list is of the network
    query.filter.network_only = matches!(role, Role::Employee | Role::Hr);
    if role != Role::PlatformAdmin {
        query.filter.status = Some(Status::Active);
    }

    let mut tx = cx.read(Permission::ListPractitioners).await?;
    match query.sort {
        Sort::Name => in_order(cx, &mut tx, &query, Order::Name, sees_times).await,
        Sort::Rating => in_order(cx, &mut tx, &query, Order::Rating, sees_times).await,
        Sort::NextFree => by_next_free(cx, &mut tx, &query).await,
    }
}

async fn in_order(cx: &Context, tx: &mut Tx, query: &Query, order: Order, sees_times: bool) -> Result<Page> {
    let page: PageQuery<After> = PageQuery::new(query.limit, query.cursor.as_deref())?;
    let limit = page.limit as usize;
    if query.free_before.is_some() {
        return free_in_order(cx, tx, query, order, page.after, limit).await;
    }
    let rows = practitioners::directory(tx, &query.filter, order, page.after.as_ref(), page.fetch()).await?;
    let free = if sees_times { first_free(cx, tx, &rows, query).await? } else { HashMap::new() };
    let mut items: Vec<Found> = with_times(rows, &free);
    let is_more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| is_more);
    let next_cursor = last.map(|it| Cursor::encode(&place(&it.listed)));
    Ok(Page { items, next_cursor })
}

/// Where a page in an order goes on.
fn place(it: &Listed) -> After {
    (it.rating.map_or(0, |it| it.tenths), it.display_name.clone(), it.id)
}

/// Whether somebody is free is known only when it was looked for.
async fn free_in_order(
    cx: &Context,
    tx: &mut Tx,
    query: &Query,
    order: Order,
    mut after: Option<After>,
    limit: usize,
) -> Result<Page> {
    let mut items: Vec<Found> = Vec::new();
    for _ in 0..CHUNKS {
        let rows = practitioners::directory(tx, &query.filter, order, after.as_ref(), CHUNK).await?;
        let is_last = rows.len() < CHUNK_LEN;
        after = rows.last().map(place).filter(|_| !is_last);
        let free = first_free(cx, tx, &rows, query).await?;
        items.extend(with_times(rows, &free).into_iter().filter(|it| it.next_free_at.is_some()));
        if items.len() > limit {
            items.truncate(limit);
            after = items.last().map(|it| place(&it.listed));
            break;
        }
        if is_last {
            break;
        }
    }
    Ok(Page { items, next_cursor: after.map(|after| Cursor::encode(&after)) })
}

async fn by_next_free(cx: &Context, tx: &mut Tx, query: &Query) -> Result<Page> {
    let page: PageQuery<()> = PageQuery::new(query.limit, None)?;
    let shown = query.cursor.as_deref().map(Shown::decode).transpose()?.unwrap_or_default();
    // all of them at once: whom a question finds, and how well, is asked once for a page. Whoever is last by name may be the
    // first who has time, so nobody is left out
    let rows = practitioners::directory(tx, &query.filter, Order::Name, None, i64::MAX).await?;
    let mut free = HashMap::new();
    for some in rows.chunks(CHUNK_LEN) {
        free.extend(first_free(cx, tx, some, query).await?);
    }
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
    free_before(cx, tx, rows, query.filter.mode, query.free_before).await
}

/// Practitioners whom somebody found, with when they have time for the caller, where the caller books.
pub async fn with_first_free(cx: &Context, tx: &mut Tx, rows: Vec<Listed>, mode: Option<Mode>) -> Result<Vec<Found>> {
    let free =
        if sees_times(cx.caller().role) { free_before(cx, tx, &rows, mode, None).await? } else { HashMap::new() };
    Ok(with_times(rows, &free))
}

async fn free_before(
    cx: &Context,
    tx: &mut Tx,
    rows: &[Listed],
    mode: Option<Mode>,
    before: Option<DateTime<Utc>>,
) -> Result<HashMap<PractitionerId, Slot>> {
    let coverage = match slots::find_coverage(cx, tx).await {
        Ok(coverage) => coverage,
        Err(problem) if problem.status().is_server_error() => return Err(problem),
        Err(_) => return Ok(HashMap::new()),
    };
    let ids: Vec<PractitionerId> = rows.iter().map(|row| row.id).collect();
    let now = cx.now();
    let furthest = now + FURTHEST;
    let to = before.map_or(furthest, |before| before.min(furthest));
    let search = Search { whose: Whose::These(&ids), from: now, to, but_for: None };
    let wanted = FirstFree { length: None, mode };
    slots::find_first_free(cx, tx, coverage.as_ref(), &search, wanted).await
}

fn with_times(rows: Vec<Listed>, free: &HashMap<PractitionerId, Slot>) -> Vec<Found> {
    let with = |listed: Listed| Found { next_free_at: free.get(&listed.id).map(|slot| slot.starts_at), listed };
    rows.into_iter().map(with).collect()
}
