//! Begin, change, publish, archive, delete.

use chrono::{DateTime, Utc};

use super::model::{Change, NewText};
use super::store::{self, Locked};
use crate::domain::content::error::Error;
use crate::domain::content::model::{Category, Named, Status, slug_of};
use crate::domain::content::service::{Seen, read};
use crate::domain::content::store::resolve;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Etag, IdempotencyKey};
use crate::platform::ids::ArticleId;
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Result, Tx};

/// Begins an article; it is a draft of the caller's.
pub async fn create(cx: &Context, category: Category, draft: Change, once: Option<&IdempotencyKey>) -> Result<Seen> {
    check(&draft)?;
    let mut tx = cx.begin(Permission::WriteArticles).await?;
    if let Some(id) = tx.recall::<ArticleId>(once).await? {
        return read(cx, &mut tx, id, cx.locale()).await;
    }
    let id: ArticleId = cx.new_id();
    let tags = draft.tags.unwrap_or_default();
    store::insert(&mut tx, id, cx.caller().user_id, category, &tags, draft.cover.flatten(), cx.now()).await?;
    save_texts(cx, &mut tx, id, draft.texts.as_deref().unwrap_or_default()).await?;
    tx.audit_done("article.created", "article", id.0).await?;
    tx.remember(once, &id).await?;
    finish(cx, tx, id).await
}

pub async fn change(cx: &Context, named: &Named, change: Change, if_match: Option<&str>) -> Result<Seen> {
    check(&change)?;
    let mut tx = cx.begin(Permission::WriteArticles).await?;
    let (id, known) = lock(cx, &mut tx, named).await?;
    require(&known, if_match)?;
    store::save(&mut tx, id, change.category, change.tags.as_deref(), change.cover).await?;
    if let Some(texts) = &change.texts {
        save_texts(cx, &mut tx, id, texts).await?;
        let languages: Vec<&str> = texts.iter().map(|text| text.language.as_str()).collect();
        store::keep_languages(&mut tx, id, &languages).await?;
    }
    tx.audit(Entry::done("article.updated", "article", id.0).with(Detail::Fields, change.fields())).await?;
    finish(cx, tx, id).await
}

/// What was never published is gone for good; what was is archived, and its names stay its own.
pub async fn delete(cx: &Context, named: &Named, if_match: Option<&str>) -> Result<()> {
    let mut tx = cx.begin(Permission::WriteArticles).await?;
    let (id, known) = lock(cx, &mut tx, named).await?;
    require(&known, if_match)?;
    if known.status == Status::Archived {
        return Ok(());
    }
    if known.published_at.is_none() {
        if known.status == Status::Scheduled {
            store::set_status(&mut tx, id, Status::Draft, cx.now()).await?;
        }
        if !store::delete(&mut tx, id).await? {
            return Err(Refusal::Stale.into());
        }
        tx.audit_done("article.deleted", "article", id.0).await?;
    } else if cx.caller().role == Role::PlatformAdmin {
        store::set_status(&mut tx, id, Status::Archived, cx.now()).await?;
        tx.audit_done("article.archived", "article", id.0).await?;
    } else {
        return Err(Error::ArticleNotDraft.into());
    }
    tx.commit().await
}

/// Publishes it now, or has the clock do it.
pub async fn publish(cx: &Context, named: &Named, at: Option<DateTime<Utc>>, if_match: Option<&str>) -> Result<Seen> {
    let now = cx.now();
    let mut faults = FieldErrors::new();
    faults.check(at.is_none_or(|at| at > now), "query:at", "in_past");
    faults.finish()?;
    let mut tx = cx.begin(Permission::PublishArticles).await?;
    let (id, known) = lock(cx, &mut tx, named).await?;
    if if_match.is_some() {
        require(&known, if_match)?;
    }
    match (known.status, at) {
        (Status::Published, None) => {}
        (Status::Published, Some(_)) => return Err(Error::ArticlePublished.into()),
        (_, None) => {
            store::set_status(&mut tx, id, Status::Published, now).await?;
            tx.audit_done("article.published", "article", id.0).await?;
        }
        (_, Some(at)) => {
            store::set_status(&mut tx, id, Status::Scheduled, at).await?;
            tx.audit_done("article.scheduled", "article", id.0).await?;
        }
    }
    finish(cx, tx, id).await
}

/// A draft again, whatever it was.
pub async fn unpublish(cx: &Context, named: &Named, if_match: Option<&str>) -> Result<Seen> {
    let mut tx = cx.begin(Permission::PublishArticles).await?;
    let (id, known) = lock(cx, &mut tx, named).await?;
    if if_match.is_some() {
        require(&known, if_match)?;
    }
    if known.status != Status::Draft {
        store::set_status(&mut tx, id, Status::Draft, cx.now()).await?;
        tx.audit_done("article.unpublished", "article", id.0).await?;
    }
    finish(cx, tx, id).await
}

fn check(change: &Change) -> Result<()> {
    let mut faults = FieldErrors::new();
    change.check(&mut faults);
    faults.finish()
}

/// An article that the caller may change. One's own that is no draft any more is told apart from others'.
async fn lock(cx: &Context, tx: &mut Tx, named: &Named) -> Result<(ArticleId, Locked)> {
    let id = match named {
        Named::Id(id) => *id,
        Named::Slug(slug) => resolve(tx, slug).await?.ok_or(Refusal::NotFound)?.0,
    };
    if let Some(known) = store::lock(tx, id).await? {
        return Ok((id, known));
    }
    let is_own = store::is_by(tx, id, cx.caller().user_id).await?;
    Err(if is_own { Error::ArticleNotDraft.into() } else { Refusal::NotFound.into() })
}

/// The client knows the present version, in whichever language it read it.
fn require(known: &Locked, if_match: Option<&str>) -> Result<()> {
    let [french, english] = Locale::ALL.map(|it| Etag::of_variant(known.updated_at, it.as_str()).require(if_match));
    french.or(english)
}

async fn save_texts(cx: &Context, tx: &mut Tx, id: ArticleId, texts: &[NewText]) -> Result<()> {
    for (at, text) in texts.iter().enumerate() {
        let slug = match &text.slug {
            Some(slug) => slug.clone(),
            None => name(tx, id, text).await?,
        };
        store::save_text(tx, id, text, &slug, cx.now()).await.map_err(|problem| match problem.code() {
            "slug_taken" => problem.at(format!("/texts/{at}/slug"), "article_slug_taken"),
            _ => problem,
        })?;
    }
    Ok(())
}

/// The name that a text has, or one made of its title that nobody else has had.
async fn name(tx: &mut Tx, id: ArticleId, text: &NewText) -> Result<String> {
    if let Some(slug) = store::find_slug(tx, id, text.language).await? {
        return Ok(slug);
    }
    let slug = slug_of(&text.title);
    // the other text of the same article may have it as well
    if store::is_slug_free(tx, id, &slug).await? {
        return Ok(slug);
    }
    let [.., a, b, c, d] = *id.0.as_bytes();
    Ok(format!("{slug}-{}", hex::encode([a, b, c, d])))
}

async fn finish(cx: &Context, mut tx: Tx, id: ArticleId) -> Result<Seen> {
    let seen = read(cx, &mut tx, id, cx.locale()).await?;
    tx.commit().await?;
    Ok(seen)
}
