//! Joining a list, leaving it, and what becomes of an offer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::events::TimeReturned;
use super::model::{Entry, Wishes};
use super::store;
use crate::domain::consultations::error::Error;
use crate::domain::consultations::slots::{self, Span};
use crate::domain::consultations::{quota, store as consultations};
use crate::domain::practitioners::{self, Whose};
use crate::platform::auth::Permission;
use crate::platform::http::IdempotencyKey;
use crate::platform::ids::PractitionerId;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Result, Tx};

/// A place in the line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Joined {
    pub entry: Entry,
    /// The caller did not wait before.
    pub is_new: bool,
}

/// Joins the practitioner's line. Who waits already keeps their place, with these wishes.
pub async fn join(
    cx: &Context,
    practitioner: PractitionerId,
    wishes: &Wishes,
    key: Option<&IdempotencyKey>,
) -> Result<Joined> {
    let now = cx.now();
    let mut tx = cx.begin(Permission::UseWaitlist).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    let coverage = slots::find_coverage(cx, &mut tx).await?.ok_or(Refusal::Forbidden)?;
    let terms = practitioners::booking_terms(&mut tx, Whose::These(&[practitioner]), true).await?;
    terms.first().ok_or(Refusal::NotFound)?;
    for terms in &terms {
        wishes.check(terms, now)?;
    }
    if !quota::has_session_left(&mut tx, &coverage, now).await? {
        return Err(Error::QuotaExhausted.into());
    }
    consultations::lock_person(&mut tx, cx.caller().user_id).await?;
    let mut waiting = store::list_own(&mut tx, Some(practitioner)).await?.pop();
    let mut is_new = false;
    if waiting.is_none() {
        let id = cx.new_id();
        is_new = store::insert(&mut tx, id, practitioner, wishes, now).await?;
        if is_new {
            tx.audit_done("waitlist.joined", "waitlist_entry", id.0).await?;
        } else {
            // a request of theirs was refused at this moment, which gave their place back
            waiting = store::list_own(&mut tx, Some(practitioner)).await?.pop();
        }
    }
    if let Some(it) = waiting.filter(|it| it.wishes != *wishes) {
        if !store::save_wishes(&mut tx, it.id, wishes).await? {
            return Err(Refusal::Conflict.into());
        }
        tx.audit_done("waitlist.wishes_changed", "waitlist_entry", it.id.0).await?;
    }
    let entry = store::list_own(&mut tx, Some(practitioner)).await?.pop();
    let entry = entry.ok_or(Refusal::Conflict)?; // they left at this moment, elsewhere
    let joined = Joined { entry, is_new };
    tx.remember(key, &joined).await?;
    tx.commit().await?;
    Ok(joined)
}

/// The caller's own place.
pub async fn find(cx: &Context, practitioner: PractitionerId) -> Result<Entry> {
    let mut tx = cx.read(Permission::UseWaitlist).await?;
    store::list_own(&mut tx, Some(practitioner)).await?.pop().ok_or_else(|| Refusal::NotFound.into())
}

/// Every line in which the caller stands: ten at most.
pub async fn list(cx: &Context) -> Result<Vec<Entry>> {
    let mut tx = cx.read(Permission::UseWaitlist).await?;
    store::list_own(&mut tx, None).await
}

/// Leaves the line. What is kept for the caller goes to the next.
pub async fn leave(cx: &Context, practitioner: PractitionerId) -> Result<()> {
    let mut tx = cx.begin(Permission::UseWaitlist).await?;
    let entry = store::leave(&mut tx, practitioner, cx.now()).await?.ok_or(Refusal::NotFound)?;
    if let Some(offer_id) = store::find_withdrawn(&mut tx, entry).await? {
        tx.enqueue(&TimeReturned { offer_id }, None, None).await?;
    }
    tx.audit_done("waitlist.left", "waitlist_entry", entry.0).await?;
    tx.commit().await
}

/// Gives back what is kept for the caller, who keeps their place.
pub async fn decline(cx: &Context, practitioner: PractitionerId) -> Result<()> {
    let mut tx = cx.begin(Permission::UseWaitlist).await?;
    let offer_id = store::decline(&mut tx, practitioner, cx.now()).await?.ok_or(Refusal::NotFound)?;
    tx.enqueue(&TimeReturned { offer_id }, None, None).await?;
    tx.audit_done("waitlist.declined", "waitlist_offer", offer_id.0).await?;
    tx.commit().await
}

/// Of an employee's booking, or of their moving one: what is kept for them of that time gives way to it. The
/// practitioner's time must be locked.
pub async fn take(tx: &mut Tx, practitioner: PractitionerId, busy: Span, now: DateTime<Utc>) -> Result<()> {
    store::take(tx, practitioner, busy, now).await
}
