//! Asks, and puts together what was found.

use std::collections::HashMap;

use super::model::{Facet, Filter, Hit, Item, Kind, Sort};
use super::store::{self, Question};
use crate::domain::consultations::directory;
use crate::domain::practitioners;
use crate::domain::{content, practitioners::Filter as Narrowed};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Cursor, PageQuery};
use crate::platform::ids::{ArticleId, PractitionerId};
use crate::platform::problem::FieldErrors;
use crate::platform::{Context, Result, Tx};

/// More than any score.
const MOST: i32 = 100_000;

/// What is asked.
pub struct Query {
    pub words: String,
    pub filter: Filter,
    pub sort: Sort,
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

/// A page, and where the next one begins. Figures come with the first one.
pub struct Page {
    pub items: Vec<Item>,
    pub next_cursor: Option<String>,
    pub facets: Option<Vec<Facet>>,
}

pub async fn search(cx: &Context, mut query: Query) -> Result<Page> {
    let role = cx.caller().role;
    let mut faults = FieldErrors::new();
    let of_practitioners = query.filter.kind == Some(Kind::Practitioner);
    faults.check(role != Role::Practitioner || !of_practitioners, "query:type", "not_for_role");
    faults.check(query.sort == Sort::Relevance || of_practitioners, "query:sort", "search_sort");
    faults.finish()?;
    if role == Role::Practitioner {
        query.filter.kind = Some(Kind::Article);
    }
    match query.sort {
        Sort::Relevance => by_relevance(cx, &query).await,
        Sort::NextFree => by_directory(cx, query, directory::Sort::NextFree).await,
        Sort::Rating => by_directory(cx, query, directory::Sort::Rating).await,
    }
}

async fn by_relevance(cx: &Context, query: &Query) -> Result<Page> {
    let page: PageQuery<Hit> = PageQuery::new(query.limit, query.cursor.as_deref())?;
    let mut tx = cx.read(Permission::Search).await?;
    let question = Question { words: &query.words, filter: &query.filter, role: cx.caller().role };
    let (mut hits, facets) = if let Some(last) = page.after {
        // a forged cursor may hold what no score is
        let after = Hit { score: last.score.clamp(0, MOST), ..last };
        (store::list(&mut tx, &question, after, page.fetch()).await?, None)
    } else {
        let (hits, facets) = store::begin(&mut tx, &question, page.fetch()).await?;
        (hits, Some(facets))
    };
    let limit = page.limit as usize;
    let is_more = hits.len() > limit;
    hits.truncate(limit);
    let next_cursor = hits.last().filter(|_| is_more).map(Cursor::encode);
    let items = know(cx, &mut tx, &hits, query).await?;
    Ok(Page { items, next_cursor, facets })
}

/// What the hits are, in their order.
async fn know(cx: &Context, tx: &mut Tx, hits: &[Hit], query: &Query) -> Result<Vec<Item>> {
    let of = |kind| hits.iter().filter(move |hit| hit.kind == kind).map(|hit| hit.id);
    let articles: Vec<ArticleId> = of(Kind::Article).map(ArticleId).collect();
    let people: Vec<PractitionerId> = of(Kind::Practitioner).map(PractitionerId).collect();
    let mut known = HashMap::new();
    if !articles.is_empty() {
        let found = content::by_ids(tx, &articles, cx.locale()).await?;
        known.extend(found.into_iter().map(|it| (it.id.0, Item::Article(Box::new(it)))));
    }
    if !people.is_empty() {
        let listed = practitioners::by_ids(tx, &people).await?;
        let found = directory::with_first_free(cx, tx, listed, query.filter.mode).await?;
        known.extend(found.into_iter().map(|it| (it.listed.id.0, Item::Practitioner(Box::new(it)))));
    }
    Ok(hits.iter().filter_map(|hit| known.remove(&hit.id)).collect())
}

/// In an order that the directory has.
async fn by_directory(cx: &Context, query: Query, sort: directory::Sort) -> Result<Page> {
    let facets = if query.cursor.is_none() {
        let mut tx = cx.read(Permission::Search).await?;
        let question = Question { words: &query.words, filter: &query.filter, role: cx.caller().role };
        Some(store::count(&mut tx, &question).await?)
    } else {
        None
    };
    // narrowed to articles, it finds no practitioner
    if !query.filter.takes(Kind::Practitioner) {
        return Ok(Page { items: Vec::new(), next_cursor: None, facets });
    }
    let filter = Narrowed {
        specialty: query.filter.specialty,
        language: query.filter.language,
        mode: query.filter.mode,
        words: Vec::new(),
        // found by what counts them
        question: Some(query.words),
        status: Some(practitioners::Status::Active),
        network_only: false,
    };
    let asked = directory::Query { filter, free_before: None, sort, limit: query.limit, cursor: query.cursor };
    let found = directory::search(cx, asked).await?;
    let items = found.items.into_iter().map(|it| Item::Practitioner(Box::new(it))).collect();
    Ok(Page { items, next_cursor: found.next_cursor, facets })
}
