//! Passing kept time on, when it becomes free and every minute.
//!
//! Each step is one transaction under the practitioner's lock, and looks again: whoever was faster wins, on whichever
//! node, and a step that is repeated finds nothing to do.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::events::{TimeReturned, WaitlistOffered};
use super::model;
use super::store::{self, Ended, Idle, NewOffer, Open};
use crate::domain::consultations::events::TimeFreed;
use crate::domain::consultations::slots::{self, Offer, Search, Slot, Span};
use crate::domain::practitioners::Whose;
use crate::platform::ids::{HoldId, PractitionerId, WaitlistEntryId};
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::{Result, Tx};

/// What one turn looks at, at most; the rest is for the next one.
const AT_ONCE: i32 = 500;
/// How often somebody may have been faster before the next turn tries.
const ATTEMPTS: u32 = 10;
/// The longest session with its buffers.
const LONGEST: TimeDelta = TimeDelta::hours(8);

/// The schedule's turn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KeepWaitlist {}

impl Job for KeepWaitlist {
    const KIND: &'static str = "waitlist.keep";
    const QUEUE: Queue = Queue::Maintenance;
    /// The next turn does what this one could not.
    const MAX_ATTEMPTS: i32 = 3;
}

pub fn jobs(registry: &mut Registry) {
    registry.on(on_freed);
    registry.on(on_returned);
    registry.on(keep);
    registry.schedule("waitlist.keep", "30 * * * * *", || KeepWaitlist {});
}

async fn on_freed(cx: JobContext, event: TimeFreed) -> Result<()> {
    pass_all_on(&of_nobody(&cx), Some(event.practitioner_id)).await
}

async fn on_returned(cx: JobContext, event: TimeReturned) -> Result<()> {
    match store::find_practitioner(&mut cx.begin().await?, event.offer_id).await? {
        Some(practitioner) => pass_all_on(&of_nobody(&cx), Some(practitioner)).await,
        None => Ok(()),
    }
}

/// Nobody's doing: whoever gave the time back is not told of, and sees nothing as theirs.
fn of_nobody(cx: &JobContext) -> JobContext {
    JobContext { company_id: None, user_id: None, ..cx.clone() }
}

/// Ends what is over, then passes on what nobody is asked about.
async fn keep(cx: JobContext, _: KeepWaitlist) -> Result<()> {
    let open = store::list_open(&mut cx.begin().await?, cx.now(), AT_ONCE).await?;
    let mut failed = None;
    for it in open {
        // one that fails must not hold up the others
        if let Err(problem) = look_again(&cx, &it).await {
            failed = Some(problem);
        }
    }
    // whoever has let a third offer lapse is asked no more
    let mut tx = cx.begin().await?;
    store::tidy(&mut tx, cx.now()).await?;
    tx.commit().await?;
    pass_all_on(&cx, None).await?;
    failed.map_or(Ok(()), Err)
}

/// Ends an offer whose time is over, or that cannot be taken any more.
async fn look_again(cx: &JobContext, it: &Open) -> Result<()> {
    let slot = Slot { starts_at: it.starts_at, ends_at: it.ends_at };
    let busy = Span { from: it.busy_from, until: it.busy_until };
    let now = cx.now();
    let is_gone = !it.is_over
        && !find_offer(now, &mut cx.begin().await?, it.practitioner_id, busy)
            .await?
            .is_some_and(|offer| offer.has(slot));
    if !it.is_over && !is_gone {
        return Ok(());
    }
    let cx = JobContext { company_id: Some(it.company_id), ..of_nobody(cx) };
    let mut tx = cx.begin().await?;
    let action = match store::end(&mut tx, it.id, now, is_gone).await? {
        None => return Ok(()),
        Some(Ended::Lapsed) => "waitlist.lapsed",
        Some(Ended::Withdrawn) => "waitlist.withdrawn",
    };
    tx.audit_done(action, "waitlist_offer", it.id.0).await?;
    tx.commit().await
}

async fn pass_all_on(cx: &JobContext, practitioner: Option<PractitionerId>) -> Result<()> {
    let (mut after, mut failed) = (None, None);
    // the soonest first: who is being asked has one kept beside it
    let mut has_one = Vec::new();
    loop {
        // time that waits for an answer stays: each is looked at once
        let idle = store::list_idle(&mut cx.begin().await?, practitioner, after, AT_ONCE).await?;
        let Some(last) = idle.last() else { return failed.map_or(Ok(()), Err) };
        after = Some(*last);
        for (id, _) in idle {
            match pass_on(cx, id, &has_one).await {
                Ok(kept_for) => has_one.extend(kept_for),
                Err(problem) => failed = Some(problem),
            }
        }
    }
}

/// Offers a kept time to the first who wants it and could book it. Where they are being asked about another one, it stays
/// kept for them: who that is. Where there is nobody, everybody can have it.
async fn pass_on(cx: &JobContext, hold_id: HoldId, has_one: &[WaitlistEntryId]) -> Result<Option<WaitlistEntryId>> {
    for _ in 0..ATTEMPTS {
        let (now, mut tx) = (cx.now(), cx.begin().await?);
        let Some(idle) = store::lock_idle(&mut tx, hold_id).await? else { return Ok(None) };
        let Idle { practitioner_id, freed, busy } = idle;
        let Some(offer) = find_offer(now, &mut tx, practitioner_id, busy).await? else {
            store::release(&mut tx, hold_id, now).await?;
            tx.commit().await?;
            return Ok(None);
        };
        let choices = model::choices(&offer, freed);
        let next = store::find_next(&mut tx, hold_id, now, &choices, has_one).await?;
        let chosen = next.and_then(|next| Some((next, *choices.get(usize::try_from(next.nth - 1).ok()?)?)));
        let Some((next, slot)) = chosen else {
            store::release(&mut tx, hold_id, now).await?;
            tx.commit().await?;
            return Ok(None);
        };
        if next.is_asked {
            return Ok(Some(next.entry_id));
        }
        tx.enter_company(next.company_id).await?;
        let new = NewOffer {
            id: cx.new_id(),
            hold_id,
            entry_id: next.entry_id,
            slot,
            busy: offer.busy(slot),
            expires_at: model::expires_at(now, slot.starts_at, offer.terms.min_notice),
        };
        if store::offer(&mut tx, &new, now).await? {
            tx.enqueue(&WaitlistOffered { offer_id: new.id }, Some(&new.id.to_string()), None).await?;
            tx.audit_done("waitlist.offered", "waitlist_offer", new.id.0).await?;
            tx.commit().await?;
            return Ok(None);
        }
        // they left, or booked something else, a moment ago: somebody else is first now
    }
    Ok(None)
}

/// What the practitioner offers around a kept time, as if it were free. `None`: they take no bookings.
async fn find_offer(now: DateTime<Utc>, tx: &mut Tx, id: PractitionerId, kept: Span) -> Result<Option<Offer>> {
    let search =
        Search { whose: Whose::These(&[id]), from: kept.from - LONGEST, to: kept.until + LONGEST, but_for: None };
    let mut offer = slots::find_offers_at(now, tx, None, &search).await?.pop();
    if let Some(offer) = &mut offer {
        offer.taken.retain(|span| *span != kept);
    }
    Ok(offer.filter(|offer| offer.terms.takes_bookings()))
}
