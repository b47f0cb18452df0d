//! What the two people do in their calls.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::model::{Call, Here, RINGS_FOR, Sent, SignalKind};
use super::store::{self, Outcome, Waiting};
use crate::domain::consultations::joining::{self, CallRoom, IceServer};
use crate::platform::auth::Permission;
use crate::platform::crypto::seal::{Place, Purpose};
use crate::platform::ids::{CallId, CompanyId, ConsultationId, UserId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Result, Tx};

/// Signals that are read at once.
const TAKEN_AT_ONCE: i64 = 50;
/// How often somebody may be slower than others who ring the same person.
const RUNG_AGAIN: usize = 3;
const SIGNAL: Purpose = Purpose::new("calls.signal");

/// Where a signal is kept.
pub fn place(id: Uuid, addressee: UserId, company: CompanyId) -> Place {
    Place {
        purpose: SIGNAL,
        table: "call_signals",
        column: "sealed",
        row: id,
        person: Some(addressee.0),
        company: Some(company.0),
    }
}

async fn begin(cx: &Context) -> Result<Tx> {
    cx.begin(Permission::JoinConsultation).await
}

/// The caller's rooms, which are open.
async fn room(cx: &Context, tx: &mut Tx, id: ConsultationId) -> Result<CallRoom> {
    let room = joining::call_room(tx, id, cx.now()).await?;
    if tx.actor().company_id != Some(room.company_id) {
        tx.enter_company(room.company_id).await?;
    }
    Ok(room)
}

/// What somebody who is let in is told.
pub struct Entered {
    pub company_id: CompanyId,
    pub closes_at: DateTime<Utc>,
    pub ice_servers: Vec<IceServer>,
    /// When their credentials end.
    pub expires_at: DateTime<Utc>,
    /// The last one, which may be over.
    pub call: Option<Call>,
}

/// Lets a device in; once more gives it fresh servers. `resumes`: it still has the connection that it had.
pub async fn enter(cx: &Context, id: ConsultationId, here: Here, resumes: bool) -> Result<Entered> {
    let mut tx = begin(cx).await?;
    let CallRoom { company_id, closes_at } = room(cx, &mut tx, id).await?;
    // it was cancelled or closed meanwhile
    let is_new = store::enter(&mut tx, id, here, resumes, cx.now()).await?.ok_or(Refusal::Conflict)?;
    if is_new {
        tx.audit_done("consultation.joined", "consultation", id.0).await?;
    }
    let call = store::list(&mut tx, company_id, id, None).await?.pop();
    tx.commit().await?;
    let (ice_servers, expires_at) = joining::ice_servers(cx, id, closes_at);
    Ok(Entered { company_id, closes_at, ice_servers, expires_at, call })
}

/// The calls of a consultation from some number on, and what waits for a seat that takes part in the last one and was not
/// sent to it.
pub async fn read(
    cx: &Context,
    company: CompanyId,
    id: ConsultationId,
    seat: Uuid,
    since: i32,
    so_far: Sent,
) -> Result<(Vec<Call>, Vec<Waiting>)> {
    let mut tx = cx.read(Permission::JoinConsultation).await?;
    let calls = store::list(&mut tx, company, id, (since > 0).then_some(since)).await?;
    let waiting = match calls.last() {
        Some(call) if call.has(seat) => {
            let (of, after) = (cx.caller().user_id, so_far.in_call(call));
            store::list_signals(&mut tx, company, call.id, of, after, TAKEN_AT_ONCE).await?
        }
        _ => Vec::new(),
    };
    Ok((calls, waiting))
}

/// The last call after a step of the caller's.
async fn after(tx: &mut Tx, company: CompanyId, id: ConsultationId) -> Result<Call> {
    store::list(tx, company, id, None).await?.pop().ok_or_else(|| Refusal::Conflict.into())
}

/// Rings the other one. Whoever talks to somebody else is told afterwards that they missed it.
pub async fn ring(cx: &Context, id: ConsultationId, here: Here) -> Result<Call> {
    let now = cx.now();
    for _ in 0..RUNG_AGAIN {
        let mut tx = begin(cx).await?;
        let room = room(cx, &mut tx, id).await?;
        let until = (now + RINGS_FOR).min(room.closes_at.max(now + chrono::TimeDelta::seconds(1)));
        let call: CallId = cx.new_id();
        match store::ring(&mut tx, id, call, here, now, until).await? {
            // whoever was slower finds them busy
            None => {}
            Some(Outcome::PeerBusy) => {
                tx.commit().await?;
                break;
            }
            Some(outcome) => return done(tx, room.company_id, id, outcome).await,
        }
    }
    Err(Error::PeerBusy.into())
}

/// Accepts the other one's call.
pub async fn accept(cx: &Context, id: ConsultationId, here: Here) -> Result<Call> {
    let mut tx = begin(cx).await?;
    let room = room(cx, &mut tx, id).await?;
    let outcome = store::accept(&mut tx, id, here, cx.now()).await?;
    done(tx, room.company_id, id, outcome).await
}

async fn done(mut tx: Tx, company: CompanyId, id: ConsultationId, outcome: Outcome) -> Result<Call> {
    if outcome == Outcome::Accepted {
        tx.audit_done("call.started", "consultation", id.0).await?;
    }
    let call = after(&mut tx, company, id).await?;
    tx.commit().await?;
    Ok(call)
}

/// Ends the call, or one that rings; with `only_ringing` as somebody for whom it rings.
pub async fn hang_up(
    cx: &Context,
    company: CompanyId,
    id: ConsultationId,
    seat: Uuid,
    only_ringing: bool,
) -> Result<Call> {
    let mut tx = begin(cx).await?;
    if tx.actor().company_id != Some(company) {
        tx.enter_company(company).await?;
    }
    if store::hang_up(&mut tx, id, seat, only_ringing, cx.now()).await? == Outcome::HungUp {
        tx.audit_done("call.ended", "consultation", id.0).await?;
    }
    let call = after(&mut tx, company, id).await?;
    tx.commit().await?;
    Ok(call)
}

/// Says that the caller's microphone is off, or on again.
pub async fn mute(cx: &Context, id: ConsultationId, seat: Uuid, muted: bool) -> Result<()> {
    let mut tx = begin(cx).await?;
    if !store::mute(&mut tx, id, seat, muted, cx.now()).await? {
        return Err(Error::NotInCall.into());
    }
    tx.commit().await
}

/// Leaves something for the other one's device.
pub async fn signal(
    cx: &Context,
    company: CompanyId,
    id: ConsultationId,
    seat: Uuid,
    kind: SignalKind,
    contents: &[u8],
) -> Result<()> {
    let mut tx = begin(cx).await?;
    let call = store::list(&mut tx, company, id, None).await?.pop();
    let call = call.filter(|call| call.has(seat)).ok_or(Error::NotInCall)?;
    let (signal, platform): (Uuid, _) = (cx.new_id(), cx.platform());
    let sealed = platform.keyring.seal(&place(signal, call.other.id, company), contents, &platform.entropy)?;
    store::send_signal(&mut tx, id, seat, signal, kind, &sealed, cx.now()).await?;
    tx.commit().await
}

/// What was said. `None`: it does not open, which is noted; the browsers try again by themselves.
pub fn open(cx: &Context, company: CompanyId, waiting: &Waiting) -> Option<String> {
    let place = place(waiting.id, cx.caller().user_id, company);
    match cx.platform().keyring.open(&place, &waiting.sealed) {
        Ok(text) => String::from_utf8(text.to_vec()).ok(),
        Err(error) => {
            tracing::warn!(%error, "a signal does not open");
            None
        }
    }
}

/// Forgets what the caller's device has acknowledged.
pub async fn forget(cx: &Context, taken: &[Uuid]) -> Result<()> {
    let mut tx = begin(cx).await?;
    store::forget_signals(&mut tx, taken).await?;
    tx.commit().await
}

/// The seat is there; what is over by the clock ends.
pub async fn keep(cx: &Context, id: ConsultationId, seat: Uuid) -> Result<()> {
    let mut tx = begin(cx).await?;
    store::keep(&mut tx, id, seat, cx.now()).await?;
    tx.commit().await
}

/// A device of the caller's rings: whoever rang it is told so.
pub async fn note_rung(cx: &Context, id: ConsultationId) -> Result<()> {
    let mut tx = begin(cx).await?;
    store::note_rung(&mut tx, id, cx.now()).await?;
    tx.commit().await
}

/// The seat is gone.
pub async fn leave(cx: &Context, id: ConsultationId, seat: Uuid) -> Result<()> {
    let mut tx = begin(cx).await?;
    store::leave(&mut tx, id, seat, cx.now()).await?;
    tx.commit().await
}
