//! List, add and take away overrides.

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::domain::consultations::slots::store::{self, Session};
use crate::domain::practitioners;
use crate::domain::practitioners::overrides::model::Kept;
use crate::domain::practitioners::overrides::{Kind, Override};
use crate::platform::auth::Permission;
use crate::platform::http::{IdempotencyKey, PageQuery};
use crate::platform::ids::{OverrideId, PractitionerId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, FieldErrors, Problem, Result, Tx};

/// So many of the sessions are named; all are counted.
const MOST_NAMED: usize = 100;

/// What is booked in time that is closed now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Booked {
    pub count: usize,
    /// The first ones.
    pub sessions: Vec<Session>,
}

impl Booked {
    pub fn of(mut sessions: Vec<Session>) -> Self {
        let count = sessions.len();
        sessions.truncate(MOST_NAMED);
        Self { count, sessions }
    }
}

/// One that was added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Made {
    pub kept: Kept,
    /// The zone of its clock.
    pub zone: String,
    pub booked: Booked,
}

/// A page of overrides, and the zone of their clock.
pub async fn list(
    cx: &Context,
    id: PractitionerId,
    page: &PageQuery<(NaiveDateTime, OverrideId)>,
) -> Result<(Tz, Vec<Kept>)> {
    let mut tx = practitioners::begin_reading(cx, Permission::ReadAvailability).await?;
    let zone = find_zone(&mut tx, id).await?;
    let now = cx.now().with_timezone(&zone).naive_local();
    let found = practitioners::overrides::store::list(&mut tx, id, now, page.after.as_ref(), page.fetch()).await?;
    practitioners::end_reading(cx, tx, id).await?;
    Ok((zone, found))
}

pub async fn add(
    cx: &Context,
    id: PractitionerId,
    key: Option<&IdempotencyKey>,
    (kind, from, to): (Kind, &str, &str),
) -> Result<Made> {
    let mut tx = cx.begin(Permission::SetAvailability).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    practitioners::lock_hours(&mut tx, id).await?;
    let zone = find_zone(&mut tx, id).await?;
    let mut faults = FieldErrors::new();
    let it = Override::read(kind, from, to, zone, cx.now(), &mut faults);
    faults.finish()?;
    let it = it.ok_or_else(|| Problem::internal("an override that is neither read nor refused"))?;
    let kept = Kept { id: cx.new_id(), it };
    practitioners::overrides::store::insert(&mut tx, id, &kept, cx.now()).await?;
    practitioners::touch(&mut tx, id).await?;
    let booked = match kind {
        Kind::Open => Booked::default(),
        Kind::Closed | Kind::TimeOff => list_outside(&mut tx, id, zone, it).await?,
    };
    tx.audit_done("availability.override_added", "availability_override", kept.id.0).await?;
    let made = Made { kept, zone: zone.name().to_owned(), booked };
    tx.remember(key, &made).await?;
    tx.commit().await?;
    Ok(made)
}

/// Takes an override away, and says what is booked in extra hours that are gone with it.
pub async fn remove(cx: &Context, id: PractitionerId, override_id: OverrideId) -> Result<(Tz, Booked)> {
    let mut tx = cx.begin(Permission::SetAvailability).await?;
    practitioners::lock_hours(&mut tx, id).await?;
    let zone = find_zone(&mut tx, id).await?;
    let it = practitioners::overrides::store::delete(&mut tx, id, override_id).await?.ok_or(Refusal::NotFound)?;
    practitioners::touch(&mut tx, id).await?;
    let booked = match it.kind {
        Kind::Open => list_outside(&mut tx, id, zone, it).await?,
        Kind::Closed | Kind::TimeOff => Booked::default(),
    };
    tx.audit_done("availability.override_removed", "availability_override", override_id.0).await?;
    tx.commit().await?;
    Ok((zone, booked))
}

/// What is booked in the time of an override and does not lie within the hours any more.
async fn list_outside(tx: &mut Tx, id: PractitionerId, zone: Tz, it: Override) -> Result<Booked> {
    let Some(window) = it.window(zone) else { return Ok(Booked::default()) };
    let (from, to) = (window.start - TimeDelta::hours(8), window.end + TimeDelta::hours(8));
    let hours = practitioners::hours(tx, &[id], from, to).await?.remove(&id).unwrap_or_default();
    let open = hours.windows(zone, from, to);
    let mut sessions = store::list_booked(tx, id, window).await?;
    sessions.retain(|it| !open.iter().any(|window| window.contains(it.starts_at, it.ends_at)));
    Ok(Booked::of(sessions))
}

async fn find_zone(tx: &mut Tx, id: PractitionerId) -> Result<Tz> {
    let (zone, _) = practitioners::zone(tx, id).await?.ok_or(Refusal::NotFound)?;
    zone.parse().map_err(|_| Problem::internal("a practitioner is in an unknown time zone"))
}
