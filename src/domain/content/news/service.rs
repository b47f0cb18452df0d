//! Announce, change, take back; read, and note that it was read.

use chrono::{DateTime, Utc};

use super::model::{Audience, Change, News, Source, Texts};
use super::store::{self, Key};
use crate::domain::content::markdown;
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Etag, IdempotencyKey, PageQuery};
use crate::platform::ids::NewsId;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Result, Tx};

/// Later than anything that is asked for.
const FAR: DateTime<Utc> = match DateTime::from_timestamp(32_503_680_000, 0) {
    Some(far) => far,
    None => DateTime::UNIX_EPOCH,
};

fn is_over(it: &News, now: DateTime<Utc>) -> bool {
    it.expires_at.is_some_and(|end| end <= now)
}

/// What the caller's news are, the newest first. Who writes some of them also sees which of these are over.
pub async fn list(cx: &Context, unread_only: bool, page: &PageQuery<Key>) -> Result<Vec<News>> {
    let mut tx = cx.read(Permission::ReadNews).await?;
    let role = cx.caller().role;
    let after = page.after.map(|(at, id)| (at.clamp(DateTime::UNIX_EPOCH, FAR), id));
    store::list(&mut tx, role, Source::written_by(role), cx.now(), unread_only, after, page.fetch()).await
}

pub async fn read(cx: &Context, id: NewsId) -> Result<News> {
    let mut tx = cx.read(Permission::ReadNews).await?;
    find(cx, &mut tx, id).await
}

async fn find(cx: &Context, tx: &mut Tx, id: NewsId) -> Result<News> {
    let role = cx.caller().role;
    let found = store::find(tx, role, id).await?;
    let is_written = |it: &News| Source::written_by(role) == Some(it.source);
    found.filter(|it| is_written(it) || !is_over(it, cx.now())).ok_or_else(|| Refusal::NotFound.into())
}

/// Twice is once.
pub async fn note_read(cx: &Context, id: NewsId) -> Result<()> {
    let mut tx = cx.begin(Permission::ReadNews).await?;
    find(cx, &mut tx, id).await?;
    store::note_read(&mut tx, id, cx.now()).await?;
    tx.commit().await
}

/// HR and admins tell their company's employees, staff whom they say.
pub async fn announce(
    cx: &Context,
    texts: &Texts,
    expires_at: Option<DateTime<Utc>>,
    audience: Option<Audience>,
    once: Option<&IdempotencyKey>,
) -> Result<News> {
    check(cx, Some(texts), expires_at, audience.as_ref())?;
    let mut tx = cx.begin(Permission::WriteNews).await?;
    if let Some(id) = tx.recall::<NewsId>(once).await? {
        return find(cx, &mut tx, id).await;
    }
    let id: NewsId = cx.new_id();
    if cx.caller().role == Role::PlatformAdmin {
        let audience = audience.unwrap_or(Audience::Everybody);
        store::insert_for_platform(&mut tx, id, texts, &audience, cx.now(), expires_at).await?;
    } else {
        store::insert_for_company(&mut tx, id, texts, cx.now(), expires_at).await?;
    }
    tx.audit_done("news.announced", "news", id.0).await?;
    tx.remember(once, &id).await?;
    let made = find(cx, &mut tx, id).await?;
    tx.commit().await?;
    Ok(made)
}

pub async fn change(cx: &Context, id: NewsId, change: Change, if_match: Option<&str>) -> Result<News> {
    check(cx, change.texts.as_ref(), change.expires_at.flatten(), change.audience.as_ref())?;
    let mut tx = cx.begin(Permission::WriteNews).await?;
    let role = cx.caller().role;
    let known = lock(cx, &mut tx, id, if_match).await?;
    let texts = change.texts.unwrap_or(known.texts);
    let end = change.expires_at.unwrap_or(known.expires_at);
    store::save(&mut tx, role, id, &texts, end, change.audience.as_ref()).await?;
    tx.audit_done("news.updated", "news", id.0).await?;
    let changed = find(cx, &mut tx, id).await?;
    tx.commit().await?;
    Ok(changed)
}

pub async fn take_back(cx: &Context, id: NewsId, if_match: Option<&str>) -> Result<()> {
    let mut tx = cx.begin(Permission::WriteNews).await?;
    lock(cx, &mut tx, id, if_match).await?;
    store::delete(&mut tx, cx.caller().role, id).await?;
    tx.audit_done("news.deleted", "news", id.0).await?;
    tx.commit().await
}

/// What the caller may change, of the version that they know.
async fn lock(cx: &Context, tx: &mut Tx, id: NewsId, if_match: Option<&str>) -> Result<News> {
    if !store::lock(tx, cx.caller().role, id).await? {
        return Err(Refusal::NotFound.into());
    }
    let known = find(cx, tx, id).await?;
    Etag::of(known.updated_at).require(if_match)?;
    Ok(known)
}

fn check(
    cx: &Context,
    texts: Option<&Texts>,
    expires_at: Option<DateTime<Utc>>,
    audience: Option<&Audience>,
) -> Result<()> {
    let mut faults = FieldErrors::new();
    faults.check(texts.is_none_or(|it| *it != Texts::default()), "/texts", "news_texts");
    for (language, text) in texts.into_iter().flat_map(Texts::each) {
        let is_flat = markdown::depth(&text.body) <= markdown::DEEPEST;
        faults.check(is_flat, format!("/texts/{}/body", language.as_str()), "markdown_depth");
    }
    faults.check(expires_at.is_none_or(|end| end > cx.now()), "/expiresAt", "in_past");
    // a company's news are for its own people
    let is_staff = cx.caller().role == Role::PlatformAdmin;
    faults.check(is_staff || audience.is_none(), "/companyIds", "not_for_role");
    faults.finish()
}
