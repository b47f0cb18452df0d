//! `/search`.

use poem_openapi::param::Query as Param;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi, Tags};

use super::model::{Facet, Filter, Item, Kind, Sort};
use super::service::{self, Page, Query};
use crate::domain::consultations::directory::PractitionerItem;
use crate::domain::content::ArticleItem;
use crate::domain::content::model::Category;
use crate::domain::practitioners::{Mode, Specialty};
use crate::platform::Result;
use crate::platform::auth::{Authorized, Role, perm};

#[derive(Tags)]
enum Tag {
    /// Practitioners and articles, by words.
    Search,
}

/// Something that was found: what `type` says.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct SearchItem {
    #[oai(rename = "type")]
    kind: Kind,
    practitioner: Option<PractitionerItem>,
    article: Option<ArticleItem>,
}

impl SearchItem {
    fn of(it: Item, role: Role) -> Self {
        match it {
            Item::Article(it) => Self { kind: Kind::Article, practitioner: None, article: Some((*it).into()) },
            Item::Practitioner(it) => {
                let practitioner = Some(PractitionerItem::of(*it, role));
                Self { kind: Kind::Practitioner, practitioner, article: None }
            }
        }
    }
}

impl Example for SearchItem {
    fn example() -> Self {
        Self { kind: Kind::Practitioner, practitioner: Some(PractitionerItem::example()), article: None }
    }
}

/// How many are of a value.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct FacetValue {
    value: String,
    count: i64,
}

/// Figures of everything that was found, not of a page: the most frequent value first.
#[derive(Debug, Default, Object)]
#[oai(rename_all = "camelCase")]
pub struct Facets {
    types: Vec<FacetValue>,
    /// Of articles.
    categories: Vec<FacetValue>,
    /// Of practitioners.
    specialties: Vec<FacetValue>,
    /// Of practitioners, as ISO 639-1.
    languages: Vec<FacetValue>,
    /// Of practitioners.
    modes: Vec<FacetValue>,
}

impl From<Vec<Facet>> for Facets {
    fn from(all: Vec<Facet>) -> Self {
        let mut facets = Self::default();
        for Facet { facet, value, count } in all {
            let list = match facet.as_str() {
                "type" => &mut facets.types,
                "category" => &mut facets.categories,
                "specialty" => &mut facets.specialties,
                "language" => &mut facets.languages,
                _ => &mut facets.modes,
            };
            list.push(FacetValue { value, count });
        }
        facets
    }
}

/// A page of what was found.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SearchPage {
    items: Vec<SearchItem>,
    /// Send it as `cursor` to get the next page; absent on the last one.
    next_cursor: Option<String>,
    /// On the first page.
    facets: Option<Facets>,
}

pub struct SearchApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Search")]
impl SearchApi {
    /// Search practitioners and articles
    ///
    /// For words that all occur: in a practitioner's name, field of care or bio; in an article's title, summary, tags or text,
    /// in French or English. Accents, capitals and small slips in longer words do not matter; the last letters may be missing.
    /// What answers best comes first. Practitioners are those of the caller's company's network (of all, for who chooses it);
    /// practitioners themselves search articles. A filter about practitioners leaves articles out, and the other way round.
    #[oai(path = "/search", method = "get", operation_id = "search")]
    #[allow(clippy::too_many_arguments)] // one for each parameter of the query
    async fn search(
        &self,
        cx: Authorized<perm::Search>,
        /// Words; eight of them count.
        #[oai(validator(min_length = 1, max_length = 100, pattern = r"\S"))]
        q: Param<String>,
        /// Only these. Both unless said.
        #[oai(name = "type")]
        kind: Param<Option<Kind>>,
        /// Practitioners who offer this field of care.
        specialty: Param<Option<Specialty>>,
        /// Practitioners who speak this language (ISO 639-1).
        #[oai(validator(pattern = "^[a-z]{2}$"))]
        language: Param<Option<String>>,
        /// Practitioners who hold sessions in this way.
        mode: Param<Option<Mode>>,
        /// Articles of this category.
        category: Param<Option<Category>>,
        /// `next_free` (for employees and platform admins) and `rating` are orders of practitioners, and want
        /// `type=practitioner`. By relevance unless said.
        sort: Param<Option<Sort>>,
        /// 1–100; 20 unless said.
        limit: Param<Option<u32>>,
        /// `nextCursor` of the page before, of the same order.
        cursor: Param<Option<String>>,
    ) -> Result<Json<SearchPage>> {
        let filter =
            Filter { kind: kind.0, specialty: specialty.0, language: language.0, mode: mode.0, category: category.0 };
        let query = Query { words: q.0, filter, sort: sort.0.unwrap_or_default(), limit: limit.0, cursor: cursor.0 };
        let Page { items, next_cursor, facets } = service::search(&cx, query).await?;
        let role = cx.caller().role;
        let items = items.into_iter().map(|it| SearchItem::of(it, role)).collect();
        Ok(Json(SearchPage { items, next_cursor, facets: facets.map(Facets::from) }))
    }
}
