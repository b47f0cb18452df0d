//! Use cases of practitioners: add, read, change, verify, deactivate, and their weekly hours.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::events::PractitionerDeactivated;
use super::hours::{self, Hours, Rule};
use super::model::{Change, Check, Practitioner, Status, check_verification};
use super::{overrides, store};
use crate::domain::companies::model::normalise_address;
use crate::domain::identity::invitation;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Etag, IdempotencyKey};
use crate::platform::ids::{PractitionerId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, FieldErrors, Problem, Result, Tx};

/// Somebody who joins the platform.
pub struct NewPractitioner {
    /// Its id and version are not looked at.
    pub profile: Practitioner,
    /// The language of their invitation.
    pub locale: Locale,
}

pub async fn create(cx: &Context, key: Option<&IdempotencyKey>, new: NewPractitioner) -> Result<Practitioner> {
    let NewPractitioner { mut profile, locale } = new;
    let mut faults = FieldErrors::new();
    profile.check(&mut faults);
    let mut private = profile.private.clone().ok_or_else(|| Problem::internal("a practitioner without an address"))?;
    match normalise_address(&private.email) {
        Some(address) => private.email = address,
        None => faults.add("/email", "email"),
    }
    faults.finish()?;

    let mut tx = cx.begin(Permission::CreatePractitioner).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    // asked again for somebody who has not come yet: another link
    if let Some(waiting) = store::find_waiting(&mut tx, &private.email).await? {
        invitation::invite_user(cx, &mut tx, waiting.0.into(), &private.email).await?;
        tx.audit(Entry::done("practitioner.invited", "practitioner", waiting.0).about(waiting)).await?;
        let waiting = find_whole(cx, &mut tx, waiting).await?;
        tx.remember(key, &waiting).await?;
        tx.commit().await?;
        return Ok(waiting);
    }
    let user_id: UserId = cx.new_id();
    profile.id = user_id.into();
    store::insert_account(&mut tx, user_id, &private.email, &profile, locale).await?;
    store::insert(&mut tx, &profile, &private).await?;
    invitation::invite_user(cx, &mut tx, user_id, &private.email).await?;
    tx.audit(Entry::done("practitioner.created", "practitioner", user_id.0).about(user_id)).await?;
    let made = find_whole(cx, &mut tx, profile.id).await?;
    tx.remember(key, &made).await?;
    tx.commit().await?;
    Ok(made)
}

pub async fn get(cx: &Context, id: PractitionerId) -> Result<Practitioner> {
    let mut tx = begin_reading(cx, Permission::ReadPractitioner).await?;
    let it = find_whole(cx, &mut tx, id).await?;
    end_reading(cx, tx, id).await?;
    Ok(it)
}

/// Not read-only for the platform's staff, whose reading is audited.
pub async fn begin_reading(cx: &Context, permission: Permission) -> Result<Tx> {
    if cx.caller().is(Role::PlatformAdmin) { cx.begin(permission).await } else { cx.read(permission).await }
}

/// Staff read what is private as well: the practitioner sees in their access log that they did.
pub async fn end_reading(cx: &Context, mut tx: Tx, id: PractitionerId) -> Result<()> {
    if !cx.caller().is(Role::PlatformAdmin) {
        return Ok(());
    }
    tx.audit(Entry::done("practitioner.read_by_platform", "practitioner", id.0).about(id)).await?;
    tx.commit().await
}

pub async fn change(cx: &Context, id: PractitionerId, change: Change, if_match: Option<&str>) -> Result<Practitioner> {
    let is_platform = cx.caller().is(Role::PlatformAdmin);
    let mut tx = cx.begin(Permission::UpdatePractitioner).await?;
    let (_, version) = store::lock_zone(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    Etag::of(version).require(if_match)?;
    let mut it = find_whole(cx, &mut tx, id).await?;
    let mut faults = FieldErrors::new();
    if !is_platform {
        change.refuse_platform_fields(&mut faults);
    }
    let before = it.clone();
    change.apply(&mut it);
    it.check(&mut faults);
    it.check_verified(&before, is_platform, &mut faults);
    faults.finish()?;
    store::save(&mut tx, &it).await?;
    if it.specialties != before.specialties {
        store::replace_specialties(&mut tx, &it).await?;
    }
    if let Some(private) = it.private.as_ref().filter(|_| is_platform) {
        store::save_private(&mut tx, id, private).await?;
    }
    tx.audit(Entry::done("practitioner.updated", "practitioner", id.0).about(id)).await?;
    let saved = find_whole(cx, &mut tx, id).await?;
    tx.commit().await?;
    Ok(saved)
}

/// With what is private, for those who may read it.
async fn find_whole(cx: &Context, tx: &mut Tx, id: PractitionerId) -> Result<Practitioner> {
    let mut it = store::find(tx, id).await?.ok_or(Refusal::NotFound)?;
    if matches!(cx.caller().role, Role::Practitioner | Role::PlatformAdmin) {
        it.private = store::find_private(tx, id).await?;
    }
    // which of the staff it was is the platform's to know
    if let Some(verification) = it.private.as_mut().and_then(|private| private.verification.as_mut())
        && !cx.caller().is(Role::PlatformAdmin)
    {
        verification.by = None;
    }
    Ok(it)
}

/// The hours of each practitioner around `from..to`, in two statements. Who has none is not in the answer.
pub async fn hours(
    tx: &mut Tx,
    ids: &[PractitionerId],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<HashMap<PractitionerId, Hours>> {
    let mut found: HashMap<_, Hours> = HashMap::with_capacity(ids.len());
    for (id, rules) in store::list_rules_of(tx, ids).await? {
        found.entry(id).or_default().rules = rules;
    }
    for (id, overrides) in overrides::store::list_of(tx, ids, from, to).await? {
        found.entry(id).or_default().overrides = overrides;
    }
    Ok(found)
}

/// Notes what was looked at, and lets the practitioner be found.
pub async fn verify(
    cx: &Context,
    id: PractitionerId,
    checks: &[Check],
    if_match: Option<&str>,
) -> Result<Practitioner> {
    let mut tx = cx.begin(Permission::VerifyPractitioner).await?;
    let (_, version) = store::lock_zone(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    if if_match.is_some() {
        Etag::of(version).require(if_match)?;
    }
    let it = find_whole(cx, &mut tx, id).await?;
    let mut faults = FieldErrors::new();
    if let Some(private) = &it.private {
        check_verification(checks, private, &it.specialties, &mut faults);
    }
    faults.finish()?;
    store::save_verified(&mut tx, id, checks, cx.caller().user_id, cx.now()).await?;
    let looked_at: Vec<_> = checks.iter().map(|check| check.as_str()).collect();
    tx.audit(Entry::done("practitioner.verified", "practitioner", id.0).about(id).with(Detail::Of, looked_at)).await?;
    let saved = find_whole(cx, &mut tx, id).await?;
    tx.commit().await?;
    Ok(saved)
}

/// Takes a practitioner out of every network; how many sessions are booked with them.
pub async fn deactivate(
    cx: &Context,
    key: Option<&IdempotencyKey>,
    id: PractitionerId,
    cancel_sessions: bool,
) -> Result<i64> {
    let mut tx = cx.begin(Permission::VerifyPractitioner).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    store::lock_zone(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let it = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    // a booking that goes on holds the row: it is counted here, or it finds the practitioner inactive
    if it.status != Status::Inactive {
        store::save_status(&mut tx, id, Status::Inactive).await?;
    }
    let ahead = store::count_sessions_ahead(&mut tx, id, cx.now()).await?;
    if cancel_sessions && ahead > 0 {
        tx.enqueue(&PractitionerDeactivated { practitioner_id: id }, None, None).await?;
    }
    if it.status != Status::Inactive || (cancel_sessions && ahead > 0) {
        let entry = Entry::done("practitioner.deactivated", "practitioner", id.0).about(id);
        let mode = if cancel_sessions { "cancel_sessions" } else { "keep_sessions" };
        tx.audit(entry.with(Detail::Sessions, ahead).with(Detail::Mode, mode)).await?;
    }
    tx.remember(key, &ahead).await?;
    tx.commit().await?;
    Ok(ahead)
}

/// The reverse; whoever was never verified waits for that.
pub async fn reactivate(cx: &Context, id: PractitionerId) -> Result<Practitioner> {
    let mut tx = cx.begin(Permission::VerifyPractitioner).await?;
    store::lock_zone(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let it = find_whole(cx, &mut tx, id).await?;
    if it.status == Status::Inactive {
        let is_verified = it.private.as_ref().is_some_and(|private| private.verification.is_some());
        let status = if is_verified { Status::Active } else { Status::Unverified };
        store::save_status(&mut tx, id, status).await?;
        tx.audit(Entry::done("practitioner.reactivated", "practitioner", id.0).about(id)).await?;
    }
    let saved = find_whole(cx, &mut tx, id).await?;
    tx.commit().await?;
    Ok(saved)
}

/// Weekly hours in a zone, with their version.
pub struct Availability {
    pub time_zone: String,
    pub rules: Vec<Rule>,
    pub version: DateTime<Utc>,
}

pub async fn availability(cx: &Context, id: PractitionerId) -> Result<Availability> {
    let mut tx = begin_reading(cx, Permission::ReadAvailability).await?;
    let (time_zone, version) = store::find_zone(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let it = Availability { time_zone, rules: store::list_rules(&mut tx, id).await?, version };
    end_reading(cx, tx, id).await?;
    Ok(it)
}

/// Replaces the weekly hours in the caller's transaction, after the bookings that are under way.
pub async fn replace_hours(
    cx: &Context,
    tx: &mut Tx,
    id: PractitionerId,
    rules: &[Rule],
    if_match: Option<&str>,
) -> Result<Availability> {
    store::lock_hours(tx, id).await?;
    let (time_zone, version) = store::lock_zone(tx, id).await?.ok_or(Refusal::NotFound)?;
    Etag::of(version).require(if_match)?;
    let mut faults = FieldErrors::new();
    hours::check(rules, &mut faults);
    faults.finish()?;
    let ids: Vec<Uuid> = rules.iter().map(|_| cx.new_id()).collect();
    store::replace_rules(tx, id, rules, &ids).await?;
    let version = store::touch(tx, id).await?;
    tx.audit_done("availability.replaced", "practitioner", id.0).await?;
    let rules = store::list_rules(tx, id).await?;
    Ok(Availability { time_zone, rules, version })
}
