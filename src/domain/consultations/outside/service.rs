//! Change the weekly hours, and find what is booked outside of what is offered.

use chrono_tz::Tz;

use super::store;
use crate::domain::consultations::slots::store::Session;
use crate::domain::consultations::slots::{self, Span, Why};
use crate::domain::practitioners::service::Availability;
use crate::domain::practitioners::{self, Rule};
use crate::platform::auth::Permission;
use crate::platform::ids::PractitionerId;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

/// A session to come that nobody could book now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    pub session: Session,
    /// At least one.
    pub reasons: Vec<Why>,
}

/// Of the reasons why a time is not on offer, those that a session can come to have after it was booked.
fn concerns(why: Why) -> bool {
    matches!(why, Why::Mode | Why::Length | Why::TimeOff | Why::Closed | Why::OutsideHours | Why::ExternalCalendar)
}

/// Replaces the weekly hours; what is booked outside of them now, as well.
pub async fn set_hours(
    cx: &Context,
    id: PractitionerId,
    rules: &[Rule],
    if_match: Option<&str>,
) -> Result<(Availability, Tz, Vec<Session>)> {
    let mut tx = cx.begin(Permission::SetAvailability).await?;
    let it = practitioners::replace_hours(cx, &mut tx, id, rules, if_match).await?;
    let (zone, mut outside) = find(cx, &mut tx, id).await?;
    tx.commit().await?;
    outside.retain(|it| it.reasons.iter().any(|why| matches!(why, Why::TimeOff | Why::Closed | Why::OutsideHours)));
    Ok((it, zone, outside.into_iter().map(|it| it.session).collect()))
}

/// The caller's own sessions to come that are not on offer any more, in order, and their zone.
pub async fn list(cx: &Context, id: PractitionerId) -> Result<(Tz, Vec<Outside>)> {
    let mut tx = cx.read(Permission::SetAvailability).await?;
    find(cx, &mut tx, id).await
}

async fn find(cx: &Context, tx: &mut Tx, id: PractitionerId) -> Result<(Tz, Vec<Outside>)> {
    let (zone, _) = practitioners::zone(tx, id).await?.ok_or(Refusal::NotFound)?;
    let zone = zone.parse().map_err(|_| Problem::internal("a practitioner is in an unknown time zone"))?;
    let ahead = store::list_ahead(tx, id, cx.now()).await?;
    let Some(last) = ahead.last() else { return Ok((zone, Vec::new())) };
    let starts = Span { from: cx.now(), until: last.session.starts_at };
    let offer = slots::find_offer(cx, tx, None, id, starts, None).await?;
    let outside = ahead.into_iter().filter_map(|it| {
        let session = it.session;
        let all = offer.reasons(session.starts_at, session.ends_at - session.starts_at, Some(it.mode));
        let mut reasons: Vec<_> = all.into_iter().map(|reason| reason.why).filter(|why| concerns(*why)).collect();
        // several overrides may close one session
        reasons.dedup();
        (!reasons.is_empty()).then_some(Outside { session, reasons })
    });
    Ok((zone, outside.collect()))
}
