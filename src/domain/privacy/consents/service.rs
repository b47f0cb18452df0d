//! Reading and deciding.

use super::model::{Decided, Decision, Document};
use super::store::{self, Count};
use crate::domain::privacy::error::Error;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{IdempotencyKey, PageQuery};
use crate::platform::{Context, Problem, Result, Tx};

/// How the caller stands to each document, and how that came to be.
pub struct Overview {
    pub latest: Vec<Decided>,
    pub history: Vec<Decided>,
    /// For staff: how many people decided what.
    pub counts: Option<Vec<Count>>,
}

pub async fn list(cx: &Context, page: &PageQuery<i32>) -> Result<Overview> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    let latest = store::list_latest(&mut tx).await?;
    let history = store::list(&mut tx, page.after, page.fetch()).await?;
    let counts = if cx.caller().is(Role::PlatformAdmin) { Some(store::count(&mut tx).await?) } else { None };
    Ok(Overview { latest, history, counts })
}

async fn latest_of(tx: &mut Tx, document: Document) -> Result<Option<Decided>> {
    Ok(store::list_latest(tx).await?.into_iter().find(|it| it.document == document))
}

/// Notes a decision; how the caller stands to the document then. The same decision again changes nothing.
pub async fn decide(
    cx: &Context,
    document: Document,
    version: &str,
    decision: Decision,
    once: Option<&IdempotencyKey>,
) -> Result<Option<Decided>> {
    if decision == Decision::Withdrawn && document.is_required() {
        return Err(Error::ConsentNeeded.into());
    }
    if decision == Decision::Accepted && version != document.version() {
        return Err(Problem::from(Error::ConsentOutdated).with("currentVersion", document.version().into()));
    }
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    if tx.recall::<()>(once).await?.is_none() {
        let known = latest_of(&mut tx, document).await?;
        let version = match (decision, known) {
            // what is taken back is what was agreed to
            (Decision::Withdrawn, Some(known)) => known.version,
            _ => version.to_owned(),
        };
        if store::decide(&mut tx, document, &version, decision, cx.now()).await? {
            let me = cx.caller().user_id;
            let action = match decision {
                Decision::Accepted => "consent.accepted",
                Decision::Withdrawn => "consent.withdrawn",
            };
            tx.audit(Entry::done(action, "consent", None).about(me).with(Detail::Of, document.as_str())).await?;
        }
        tx.remember(once, &()).await?;
    }
    let now = latest_of(&mut tx, document).await?;
    tx.commit().await?;
    Ok(now)
}
