//! Reading articles.

use super::model::{Article, Category, Summary};
use super::store::{self, Key, Listing};
use crate::platform::auth::Permission;
use crate::platform::http::PageQuery;
use crate::platform::locale::Locale;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Result};

/// Which articles to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The request's, unless said.
    pub language: Option<Locale>,
    pub category: Option<Category>,
    pub tag: Option<String>,
}

/// Published articles, the newest first.
pub async fn list(cx: &Context, filter: &Filter, page: &PageQuery<Key>) -> Result<Vec<Summary>> {
    let mut tx = cx.read(Permission::ReadArticles).await?;
    let listing = Listing {
        language: filter.language.unwrap_or(cx.locale()),
        category: filter.category,
        tag: filter.tag.as_deref(),
        after: page.after,
        fetch: page.fetch(),
    };
    store::list(&mut tx, listing).await
}

/// A published article by its name in any language.
pub async fn find(cx: &Context, slug: &str, language: Option<Locale>) -> Result<Article> {
    let mut tx = cx.read(Permission::ReadArticles).await?;
    store::find(&mut tx, slug, language.unwrap_or(cx.locale())).await?.ok_or_else(|| Refusal::NotFound.into())
}
