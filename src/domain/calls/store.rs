//! Calls in the database. Every step goes through a function of `policies/calls.sql`, which looks at who calls.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::error::Error;
use super::model::{Call, Here, Other, SignalKind};
use crate::platform::db::broken_constraint;
use crate::platform::ids::{CallId, CompanyId, ConsultationId, UserId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Result, Tx};

impl FromRow<'_, PgRow> for Call {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            number: row.try_get("number")?,
            status: row.try_get("status")?,
            is_caller: row.try_get("is_caller")?,
            rings_until: row.try_get("rings_until")?,
            closes_at: row.try_get("closes_at")?,
            accepted_at: row.try_get("accepted_at")?,
            reason: row.try_get("end_reason")?,
            is_ended_by_me: row.try_get("is_ended_by_me")?,
            seat: row.try_get("seat")?,
            lost_at: row.try_get("lost_at")?,
            is_muted: row.try_get("is_muted")?,
            other: Other {
                id: row.try_get("other_id")?,
                is_muted: row.try_get("other_muted")?,
                lost_at: row.try_get("other_lost_at")?,
                returns: row.try_get("other_returns")?,
                resumes: row.try_get("other_resumes")?,
                rings: row.try_get("other_rings")?,
            },
        })
    }
}

/// The calls of a consultation from some number on, or the last one.
pub async fn list(tx: &mut Tx, company: CompanyId, of: ConsultationId, since: Option<i32>) -> Result<Vec<Call>> {
    Ok(sqlx::query_as(
        "SELECT c.id, c.number, c.status, c.caller = m.side AS is_caller, c.rings_until, c.closes_at, c.accepted_at,
                c.end_reason, coalesce(c.ended_by = m.side, false) AS is_ended_by_me, m.seat, m.lost_at, m.is_muted,
                o.person_id AS other_id, o.is_muted AS other_muted, o.lost_at AS other_lost_at, o.returns AS other_returns,
                o.resumes AS other_resumes, o.rung_at IS NOT NULL AS other_rings
         FROM app.call_sessions c
         JOIN app.call_parties m ON m.company_id = c.company_id AND m.call_id = c.id AND m.person_id = (SELECT app.user_id())
         JOIN app.call_parties o ON o.company_id = c.company_id AND o.call_id = c.id AND o.side <> m.side
         WHERE c.company_id = $1 AND c.consultation_id = $2
           AND c.number >= coalesce($3, (SELECT max(l.number) FROM app.call_sessions l
                                         WHERE l.company_id = $1 AND l.consultation_id = $2))
         ORDER BY c.number",
    )
    .bind(company)
    .bind(of)
    .bind(since)
    .fetch_all(tx.conn())
    .await?)
}

/// Whether the server sees the person for the first time. `None`: the rooms are not open.
pub async fn enter(
    tx: &mut Tx,
    of: ConsultationId,
    here: Here,
    resumes: bool,
    now: DateTime<Utc>,
) -> Result<Option<bool>> {
    Ok(sqlx::query_scalar("SELECT app.enter_call($1, $2, $3, $4, $5)")
        .bind(of)
        .bind(here.device)
        .bind(here.seat)
        .bind(resumes)
        .bind(now)
        .fetch_one(tx.conn())
        .await?)
}

/// What became of a wish of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    Rung,
    Accepted,
    /// Another device took the place of one that was lost.
    Moved,
    /// It was so before.
    Again,
    Elsewhere,
    InAnotherCall,
    PeerBusy,
    TooMany,
    NotRinging,
    NotInCall,
    NoCall,
    Cancelled,
    Declined,
    HungUp,
    Sent,
}

/// The outcome, unless it is a refusal. `None`: the rooms are closed, or not the caller's.
fn allowed(outcome: Option<Outcome>, too_many: Error, no_call: Error) -> Result<Outcome> {
    let refusal = match outcome.ok_or(Refusal::NotFound)? {
        Outcome::Elsewhere => Error::Elsewhere,
        Outcome::InAnotherCall => Error::InAnotherCall,
        Outcome::PeerBusy => Error::PeerBusy,
        Outcome::TooMany => too_many,
        Outcome::NotRinging => Error::NotRinging,
        Outcome::NotInCall => Error::NotInCall,
        Outcome::NoCall => no_call,
        done => return Ok(done),
    };
    Err(refusal.into())
}

/// That the other one is busy is no error here, for it is kept. `None`: somebody else rang one of them at this very moment.
pub async fn ring(
    tx: &mut Tx,
    of: ConsultationId,
    id: CallId,
    here: Here,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<Outcome>> {
    let outcome: sqlx::Result<Option<Outcome>> = sqlx::query_scalar("SELECT app.ring_call($1, $2, $3, $4, $5, $6)")
        .bind(of)
        .bind(id)
        .bind(here.device)
        .bind(here.seat)
        .bind(now)
        .bind(until)
        .fetch_one(tx.conn())
        .await;
    match outcome {
        Ok(Some(Outcome::PeerBusy)) => Ok(Some(Outcome::PeerBusy)),
        Ok(outcome) => allowed(outcome, Error::TooManyCalls, Error::NotInCall).map(Some),
        Err(error) if broken_constraint(&error) == Some("call_parties_free") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub async fn accept(tx: &mut Tx, of: ConsultationId, here: Here, now: DateTime<Utc>) -> Result<Outcome> {
    let outcome = sqlx::query_scalar("SELECT app.accept_call($1, $2, $3, $4)")
        .bind(of)
        .bind(here.device)
        .bind(here.seat)
        .bind(now)
        .fetch_one(tx.conn())
        .await?;
    allowed(outcome, Error::TooManyCalls, Error::NotInCall)
}

/// Ends it; with `only_ringing` as somebody for whom it rings.
pub async fn hang_up(
    tx: &mut Tx,
    of: ConsultationId,
    seat: Uuid,
    only_ringing: bool,
    now: DateTime<Utc>,
) -> Result<Outcome> {
    let outcome = sqlx::query_scalar("SELECT app.hang_up_call($1, $2, $3, $4)")
        .bind(of)
        .bind(seat)
        .bind(only_ringing)
        .bind(now)
        .fetch_one(tx.conn())
        .await?;
    allowed(outcome, Error::TooManyCalls, if only_ringing { Error::NotRinging } else { Error::NotInCall })
}

/// `false`: the seat is in no call.
pub async fn mute(tx: &mut Tx, of: ConsultationId, seat: Uuid, muted: bool, now: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.mute_call($1, $2, $3, $4)")
        .bind(of)
        .bind(seat)
        .bind(muted)
        .bind(now)
        .fetch_one(tx.conn())
        .await?)
}

pub async fn send_signal(
    tx: &mut Tx,
    of: ConsultationId,
    seat: Uuid,
    id: Uuid,
    kind: SignalKind,
    sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<()> {
    let outcome = sqlx::query_scalar("SELECT app.send_call_signal($1, $2, $3, $4, $5, $6)")
        .bind(of)
        .bind(seat)
        .bind(id)
        .bind(kind)
        .bind(sealed)
        .bind(now)
        .fetch_one(tx.conn())
        .await?;
    allowed(outcome, Error::TooManySignals, Error::NotInCall).map(|_| ())
}

/// What waits for somebody.
#[derive(Clone, Debug, FromRow)]
pub struct Waiting {
    pub id: Uuid,
    pub number: i32,
    pub kind: SignalKind,
    pub sealed: Vec<u8>,
}

/// What waits for somebody and was said after some number, in the order in which it was said.
pub async fn list_signals(
    tx: &mut Tx,
    company: CompanyId,
    call: CallId,
    of: UserId,
    after: i32,
    most: i64,
) -> Result<Vec<Waiting>> {
    Ok(sqlx::query_as(
        "SELECT id, number, kind, sealed FROM app.call_signals
         WHERE company_id = $1 AND call_id = $2 AND addressee_id = $3 AND number > $4 ORDER BY number LIMIT $5",
    )
    .bind(company)
    .bind(call)
    .bind(of)
    .bind(after)
    .bind(most)
    .fetch_all(tx.conn())
    .await?)
}

pub async fn forget_signals(tx: &mut Tx, taken: &[Uuid]) -> Result<()> {
    sqlx::query("SELECT app.forget_call_signals($1)").bind(taken).execute(tx.conn()).await?;
    Ok(())
}

/// The seat is there; what is over by the clock ends.
pub async fn keep(tx: &mut Tx, of: ConsultationId, seat: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.keep_call($1, $2, $3)").bind(of).bind(seat).bind(now).execute(tx.conn()).await?;
    Ok(())
}

/// A device of the caller's rings.
pub async fn note_rung(tx: &mut Tx, of: ConsultationId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.note_rung_call($1, $2)").bind(of).bind(now).execute(tx.conn()).await?;
    Ok(())
}

pub async fn leave(tx: &mut Tx, of: ConsultationId, seat: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.leave_call($1, $2, $3)").bind(of).bind(seat).bind(now).execute(tx.conn()).await?;
    Ok(())
}

/// How many calls it ended.
pub async fn keep_calls(tx: &mut Tx, now: DateTime<Utc>, most: i32) -> Result<i32> {
    Ok(sqlx::query_scalar("SELECT app.keep_calls($1, $2)").bind(now).bind(most).fetch_one(tx.conn()).await?)
}
