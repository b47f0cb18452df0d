//! Statements on the waiting list. Whom a time is passed on to is decided in `policies/waitlist_offers.sql`.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgRow, types::PgRange};
use sqlx::{FromRow, Row};

use super::model::{Entry, Offered, Wishes};
use crate::domain::consultations::error::Error;
use crate::domain::consultations::slots::{Slot, Span};
use crate::domain::consultations::store::{Person, word};
use crate::platform::db::broken_constraint;
use crate::platform::ids::{CompanyId, HoldId, PractitionerId, WaitlistEntryId, WaitlistOfferId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Problem, Result, Tx};

impl FromRow<'_, PgRow> for Entry {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let modes: Option<Vec<String>> = row.try_get("modes")?;
        let offered: Option<DateTime<Utc>> = row.try_get("offered_at")?;
        Ok(Self {
            id: row.try_get("id")?,
            practitioner_id: row.try_get("practitioner_id")?,
            practitioner_name: row.try_get("practitioner_name")?,
            joined_at: row.try_get("joined_at")?,
            wishes: Wishes {
                modes: modes.map(|all| all.iter().map(|it| word(it)).collect()).transpose()?,
                duration_minutes: row.try_get("duration_minutes")?,
                weekdays: row.try_get("weekdays")?,
                until: row.try_get("until")?,
            },
            offer: match offered {
                None => None,
                Some(offered_at) => Some(Offered {
                    starts_at: row.try_get("starts_at")?,
                    ends_at: row.try_get("ends_at")?,
                    offered_at,
                    expires_at: row.try_get("expires_at")?,
                }),
            },
        })
    }
}

/// Where the caller waits, in the order of joining; with one practitioner, or with all.
pub async fn list_own(tx: &mut Tx, practitioner: Option<PractitionerId>) -> Result<Vec<Entry>> {
    Ok(sqlx::query_as(
        "SELECT e.id, e.practitioner_id, p.display_name AS practitioner_name, e.joined_at, e.modes, e.duration_minutes,
                e.weekdays, e.until, o.starts_at, o.ends_at, o.offered_at, o.expires_at
         FROM app.waitlist_entries e
         LEFT JOIN app.practitioners p ON p.id = e.practitioner_id
         LEFT JOIN app.waitlist_offers o ON o.entry_id = e.id AND o.status = 'open'
         WHERE e.user_id = (SELECT app.user_id()) AND e.status = 'waiting' AND ($1 IS NULL OR e.practitioner_id = $1)
         ORDER BY e.joined_at, e.id",
    )
    .bind(practitioner)
    .fetch_all(tx.conn())
    .await?)
}

/// `false`: the caller waits already, since this moment.
pub async fn insert(
    tx: &mut Tx,
    id: WaitlistEntryId,
    practitioner: PractitionerId,
    wishes: &Wishes,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO app.waitlist_entries (id, company_id, user_id, practitioner_id, modes, duration_minutes, weekdays,
                                           until, joined_at)
         VALUES ($1, app.company_id(), app.user_id(), $2, $3, $4, $5, $6, $7)
         ON CONFLICT (user_id, practitioner_id) WHERE status = 'waiting' DO NOTHING",
    )
    .bind(id)
    .bind(practitioner)
    .bind(modes(wishes))
    .bind(wishes.duration_minutes)
    .bind(&wishes.weekdays)
    .bind(wishes.until)
    .bind(now)
    .execute(tx.conn())
    .await
    .map_err(|error| match broken_constraint(&error) {
        Some("waitlist_entries_bounded") => Error::TooManyLists.into(),
        // changed since the caller looked
        Some("waitlist_entries_covered") => Error::NotCovered.into(),
        Some("waitlist_entries_network") => Refusal::NotFound.into(),
        _ => Problem::from(error),
    })?;
    Ok(done.rows_affected() == 1)
}

/// `false` where the caller does not wait any more.
pub async fn save_wishes(tx: &mut Tx, id: WaitlistEntryId, wishes: &Wishes) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE app.waitlist_entries SET modes = $2, duration_minutes = $3, weekdays = $4, until = $5
         WHERE id = $1 AND status = 'waiting'",
    )
    .bind(id)
    .bind(modes(wishes))
    .bind(wishes.duration_minutes)
    .bind(&wishes.weekdays)
    .bind(wishes.until)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

fn modes(wishes: &Wishes) -> Option<Vec<&'static str>> {
    wishes.modes.as_ref().map(|all| all.iter().map(|mode| mode.as_str()).collect())
}

/// The caller waits for the practitioner no more. `None`: they did not.
pub async fn leave(tx: &mut Tx, practitioner: PractitionerId, now: DateTime<Utc>) -> Result<Option<WaitlistEntryId>> {
    Ok(sqlx::query_scalar(
        "UPDATE app.waitlist_entries SET status = 'left', ended_at = $2
         WHERE user_id = app.user_id() AND practitioner_id = $1 AND status = 'waiting' RETURNING id",
    )
    .bind(practitioner)
    .bind(now)
    .fetch_optional(tx.conn())
    .await?)
}

/// What was offered to somebody when they left.
pub async fn find_withdrawn(tx: &mut Tx, entry: WaitlistEntryId) -> Result<Option<WaitlistOfferId>> {
    Ok(sqlx::query_scalar(
        "SELECT id FROM app.waitlist_offers WHERE entry_id = $1 AND status = 'withdrawn'
         ORDER BY offered_at DESC, id DESC LIMIT 1",
    )
    .bind(entry)
    .fetch_optional(tx.conn())
    .await?)
}

/// The caller does not want what is kept for them. `None`: nothing is.
pub async fn decline(tx: &mut Tx, practitioner: PractitionerId, now: DateTime<Utc>) -> Result<Option<WaitlistOfferId>> {
    Ok(sqlx::query_scalar(
        "UPDATE app.waitlist_offers SET status = 'declined', ended_at = $2
         WHERE user_id = app.user_id() AND practitioner_id = $1 AND status = 'open' RETURNING id",
    )
    .bind(practitioner)
    .bind(now)
    .fetch_optional(tx.conn())
    .await?)
}

/// What is kept of a time for the calling employee gives way to their booking. The practitioner's time must be locked.
pub async fn take(tx: &mut Tx, practitioner: PractitionerId, busy: Span, now: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.take_held_time($1, $2, $3)")
        .bind(practitioner)
        .bind(range(busy))
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

fn range(span: Span) -> PgRange<DateTime<Utc>> {
    PgRange::from(span.from..span.until)
}

/// Kept times that nobody is asked about, of one practitioner or of all, the soonest first, after one of them.
pub async fn list_idle(
    tx: &mut Tx,
    practitioner: Option<PractitionerId>,
    after: Option<(HoldId, DateTime<Utc>)>,
    most: i32,
) -> Result<Vec<(HoldId, DateTime<Utc>)>> {
    let (after, after_from) = after.unzip();
    Ok(sqlx::query_as("SELECT id, busy_from FROM app.idle_holds($1, $2, $3, $4)")
        .bind(practitioner)
        .bind(after_from)
        .bind(after)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

/// A kept time that nobody is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    pub practitioner_id: PractitionerId,
    /// What became free, with its buffers.
    pub freed: Span,
    /// What is kept.
    pub busy: Span,
}

/// Locks the practitioner's time. `None`: it is over, or offered.
pub async fn lock_idle(tx: &mut Tx, id: HoldId) -> Result<Option<Idle>> {
    type Found = (PractitionerId, DateTime<Utc>, DateTime<Utc>, DateTime<Utc>, DateTime<Utc>);
    let found: Option<Found> = sqlx::query_as(
        "SELECT practitioner_id, freed_from, freed_until, busy_from, busy_until FROM app.lock_idle_hold($1)",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.map(|(practitioner_id, freed_from, freed_until, busy_from, busy_until)| Idle {
        practitioner_id,
        freed: Span { from: freed_from, until: freed_until },
        busy: Span { from: busy_from, until: busy_until },
    }))
}

/// Who is asked next, and about which of the sessions.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Next {
    pub entry_id: WaitlistEntryId,
    pub company_id: CompanyId,
    /// From one on.
    pub nth: i64,
    /// They are being asked about another time, and nobody else is left.
    pub is_asked: bool,
}

/// `has_one`: for whom another time is kept already until they have answered.
pub async fn find_next(
    tx: &mut Tx,
    id: HoldId,
    now: DateTime<Utc>,
    slots: &[Slot],
    has_one: &[WaitlistEntryId],
) -> Result<Option<Next>> {
    let (starts, ends): (Vec<_>, Vec<_>) = slots.iter().map(|slot| (slot.starts_at, slot.ends_at)).unzip();
    Ok(sqlx::query_as("SELECT entry_id, company_id, nth, is_asked FROM app.next_in_line($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(now)
        .bind(starts)
        .bind(ends)
        .bind(has_one)
        .fetch_optional(tx.conn())
        .await?)
}

/// What is offered to whom.
#[derive(Clone, Copy, Debug)]
pub struct NewOffer {
    pub id: WaitlistOfferId,
    pub hold_id: HoldId,
    pub entry_id: WaitlistEntryId,
    pub slot: Slot,
    pub busy: Span,
    pub expires_at: DateTime<Utc>,
}

/// `false`: they have left, or could not book it any more. The transaction is in their company.
pub async fn offer(tx: &mut Tx, it: &NewOffer, now: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.offer_hold($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(it.hold_id)
        .bind(it.entry_id)
        .bind(it.id)
        .bind(now)
        .bind(it.slot.starts_at)
        .bind(it.slot.ends_at)
        .bind(range(it.busy))
        .bind(it.expires_at)
        .fetch_one(tx.conn())
        .await?)
}

/// Everybody can have it.
pub async fn release(tx: &mut Tx, id: HoldId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.release_hold($1, $2)").bind(id).bind(now).execute(tx.conn()).await?;
    Ok(())
}

/// Something that is offered, of any company.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Open {
    pub id: WaitlistOfferId,
    pub company_id: CompanyId,
    pub practitioner_id: PractitionerId,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub busy_from: DateTime<Utc>,
    pub busy_until: DateTime<Utc>,
    /// Its time is over, or the person could not book it any more.
    pub is_over: bool,
}

/// The first to expire first.
pub async fn list_open(tx: &mut Tx, now: DateTime<Utc>, most: i32) -> Result<Vec<Open>> {
    Ok(sqlx::query_as(
        "SELECT id, company_id, practitioner_id, starts_at, ends_at, busy_from, busy_until, is_over
         FROM app.open_offers($1, $2)",
    )
    .bind(now)
    .bind(most)
    .fetch_all(tx.conn())
    .await?)
}

/// How an offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Ended {
    Lapsed,
    Withdrawn,
}

/// `None`: it stands, or is over already. `is_gone`: the practitioner is not there then.
pub async fn end(tx: &mut Tx, id: WaitlistOfferId, now: DateTime<Utc>, is_gone: bool) -> Result<Option<Ended>> {
    Ok(sqlx::query_scalar("SELECT app.end_offer($1, $2, $3)")
        .bind(id)
        .bind(now)
        .bind(is_gone)
        .fetch_one(tx.conn())
        .await?)
}

/// Ends the wait of those who cannot book any more, and forgets what is over for long.
pub async fn tidy(tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.tidy_waitlist($1)").bind(now).execute(tx.conn()).await?;
    Ok(())
}

pub async fn find_practitioner(tx: &mut Tx, offer: WaitlistOfferId) -> Result<Option<PractitionerId>> {
    Ok(sqlx::query_scalar("SELECT practitioner_id FROM app.waitlist_offers WHERE id = $1")
        .bind(offer)
        .fetch_optional(tx.conn())
        .await?)
}

/// What a mail tells of an offer.
#[derive(Clone, Debug)]
pub struct Notice {
    pub reader: Person,
    pub practitioner_id: PractitionerId,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Notice {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            reader: Person {
                user_id: row.try_get("user_id")?,
                email: row.try_get("email")?,
                display_name: row.try_get("display_name")?,
                locale: row.try_get("locale")?,
                time_zone: row.try_get("time_zone")?,
            },
            practitioner_id: row.try_get("practitioner_id")?,
            starts_at: row.try_get("starts_at")?,
            ends_at: row.try_get("ends_at")?,
            expires_at: row.try_get("expires_at")?,
        })
    }
}

/// `None`: there is nothing to tell any more, or the mailbox is not the person's own.
pub async fn find_notice(tx: &mut Tx, id: WaitlistOfferId, now: DateTime<Utc>) -> Result<Option<Notice>> {
    Ok(sqlx::query_as(
        "SELECT u.id AS user_id, u.email, u.display_name, u.locale, u.time_zone, o.practitioner_id, o.starts_at,
                o.ends_at, o.expires_at
         FROM app.waitlist_offers o JOIN app.users u ON u.id = o.user_id
         WHERE o.id = $1 AND o.status = 'open' AND o.expires_at > $2 AND app.has_own_mailbox(o.user_id)",
    )
    .bind(id)
    .bind(now)
    .fetch_optional(tx.conn())
    .await?)
}
