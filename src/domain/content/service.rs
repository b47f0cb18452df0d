//! Reading articles.

use super::markdown::render_all;
use super::model::{Article, Category, Named, Status, Summary, Text};
use super::store::{self, Key, Listing};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::PageQuery;
use crate::platform::ids::ArticleId;
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Result, Tx};

/// Which articles to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Published ones, unless said.
    pub status: Option<Status>,
    /// The request's, unless said.
    pub language: Option<Locale>,
    pub category: Option<Category>,
    pub tag: Option<String>,
}

/// An article, as whoever asks may see it.
pub struct Seen {
    pub article: Article,
    /// Its text, safe to show.
    pub html: String,
    /// As they are written, for who may write them.
    pub texts: Option<Vec<Text>>,
}

/// Where a name leads.
pub enum Found {
    Here(Box<Seen>),
    /// It has another name now.
    Moved(String),
}

/// Whether somebody writes articles: then they see more than what is published, as far as the database shows it.
fn writes(role: Role) -> bool {
    matches!(role, Role::Practitioner | Role::PlatformAdmin)
}

/// Articles, the newest first.
pub async fn list(cx: &Context, filter: &Filter, page: &PageQuery<Key>) -> Result<Vec<Summary>> {
    let status = filter.status.unwrap_or_default();
    let mut faults = FieldErrors::new();
    faults.check(status == Status::Published || writes(cx.caller().role), "query:status", "not_for_role");
    faults.finish()?;
    let mut tx = cx.read(Permission::ReadArticles).await?;
    let listing = Listing {
        status,
        language: filter.language.unwrap_or(cx.locale()),
        category: filter.category,
        tag: filter.tag.as_deref(),
        after: page.after,
        fetch: page.fetch(),
    };
    store::list(&mut tx, listing).await
}

/// An article by its id, or by a name that it has or had.
pub async fn find(cx: &Context, named: &Named, language: Option<Locale>) -> Result<Found> {
    let mut tx = cx.read(Permission::ReadArticles).await?;
    let language = language.unwrap_or(cx.locale());
    let (id, is_present) = match named {
        Named::Id(id) => (*id, true),
        Named::Slug(slug) => store::resolve(&mut tx, slug).await?.ok_or(Refusal::NotFound)?,
    };
    let seen = read(cx, &mut tx, id, language).await?;
    Ok(if is_present { Found::Here(Box::new(seen)) } else { Found::Moved(seen.article.summary.slug) })
}

/// An article as the caller may see it.
pub(super) async fn read(cx: &Context, tx: &mut Tx, id: ArticleId, language: Locale) -> Result<Seen> {
    let caller = cx.caller();
    let found = store::find(tx, id, language, !writes(caller.role)).await?;
    let article = found.ok_or(Refusal::NotFound)?;
    let may_write = caller.role == Role::PlatformAdmin || article.author_id == Some(caller.user_id);
    let texts = if may_write { Some(store::list_texts(tx, id).await?) } else { None };
    let html = render_all(vec![article.body.clone()]).await?.pop().unwrap_or_default();
    Ok(Seen { article, html, texts })
}
