//! Asking for a copy, looking how far it is, fetching it.

use chrono::{DateTime, Utc};

use super::jobs::MakeCopy;
use super::model::{Copy, Status, document, subject};
use super::store;
use crate::domain::files;
use crate::domain::privacy::error::Error;
use crate::platform::audit::Entry;
use crate::platform::auth::Permission;
use crate::platform::crypto::envelope::SubjectKey;
use crate::platform::http::{IdempotencyKey, PageQuery};
use crate::platform::ids::PrivacyRequestId;
use crate::platform::problem::Error as Refusal;
use crate::platform::storage::Pieces;
use crate::platform::{Context, Problem, Result};

/// Asks for a copy, in the language of the request. Where one is being made, that one is answered.
pub async fn ask(cx: &Context, once: Option<&IdempotencyKey>) -> Result<Copy> {
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    if let Some(id) = tx.recall::<PrivacyRequestId>(once).await? {
        return store::find(&mut tx, id).await?.ok_or_else(|| Refusal::NotFound.into());
    }
    let asked = store::ask(&mut tx, cx.new_id(), cx.locale(), cx.now()).await?;
    let id = asked.asked.ok_or_else(|| Problem::from(Error::TooManyCopies).with_header("Retry-After", "3600"))?;
    if asked.outcome == "new" {
        let me = cx.caller().user_id;
        tx.audit(Entry::done("privacy_copy.asked", "privacy_request", id.0).about(me)).await?;
        tx.enqueue(&MakeCopy { request_id: id }, Some(&id.to_string()), None).await?;
    }
    tx.remember(once, &id).await?;
    let copy = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    tx.commit().await?;
    Ok(copy)
}

pub async fn find(cx: &Context, id: PrivacyRequestId) -> Result<Copy> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    Ok(store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?.at(cx.now()))
}

pub async fn list(cx: &Context, page: &PageQuery<(DateTime<Utc>, PrivacyRequestId)>) -> Result<Vec<Copy>> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    let found = store::list(&mut tx, page.after, page.fetch()).await?;
    Ok(found.into_iter().map(|copy| copy.at(cx.now())).collect())
}

/// A copy on its way to its person. That it was fetched is noted before the first byte is sent.
pub struct Fetched {
    pub name: String,
    pub pieces: Pieces,
}

pub async fn fetch(cx: &Context, id: PrivacyRequestId) -> Result<Fetched> {
    let (platform, me) = (cx.platform(), cx.caller().user_id);
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    let copy = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?.at(cx.now());
    match copy.status {
        Status::Ready => {}
        Status::Expired => return Err(Error::CopyExpired.into()),
        Status::Pending | Status::Running | Status::Failed | Status::Stopped => return Err(Error::CopyNotReady.into()),
    }
    let it = store::find_file(&mut tx, id, cx.now()).await?.ok_or(Error::CopyExpired)?;
    tx.audit(Entry::done("privacy_copy.fetched", "privacy_request", id.0).about(me)).await?;
    tx.commit().await?;
    let damaged = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, request_id = %id, "a copy of somebody's data does not open");
        Problem::from(Error::CopyDamaged)
    };
    let key = SubjectKey::unwrap(id.0, subject(id, me), &it.wrapped_key, &platform.keyring)
        .and_then(|key| key.file_key(&document(id), &it.sealed_key))
        .map_err(|error| damaged(&error))?;
    let found = platform.storage.find(&it.object_key).await?;
    let (_, object) = found.ok_or_else(|| damaged(&"its object is missing"))?;
    let pieces = files::begun(files::opened(object, key)).await?.map_err(|error| damaged(&error))?;
    Ok(Fetched { name: format!("huntzen-{}.zip", it.created_at.format("%Y-%m-%d")), pieces })
}
