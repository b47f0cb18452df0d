//! What people do with their notifications.

use std::collections::HashSet;
use std::fmt::Write;

use chrono::{DateTime, Utc};

use super::error::Error;
use super::model::{Notification, Preference, Refused};
use super::{store, words};
use crate::domain::consultations::glance;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::http::Etag;
use crate::platform::ids::NotificationId;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result};

/// A part of the caller's list, and how many of all are not read.
pub struct Excerpt {
    pub items: Vec<Notification>,
    pub unread: i64,
}

pub async fn list(cx: &Context, before: Option<i64>, unread: bool, fetch: i64) -> Result<Excerpt> {
    let mut tx = cx.read(Permission::Notifications).await?;
    let lines = store::list(&mut tx, before, unread, fetch).await?;
    let unread = store::count_unread(&mut tx).await?;
    let items = words::tell(&mut tx, cx.caller().role, cx.locale(), lines).await?;
    Ok(Excerpt { items, unread })
}

/// What came after a place, the oldest first.
pub async fn list_after(cx: &Context, place: i64, most: i64) -> Result<Excerpt> {
    let mut tx = cx.read(Permission::Notifications).await?;
    let lines = store::list_after(&mut tx, place, most).await?;
    let unread = store::count_unread(&mut tx).await?;
    let items = words::tell(&mut tx, cx.caller().role, cx.locale(), lines).await?;
    Ok(Excerpt { items, unread })
}

/// The last place of the caller's list (0: it is empty), and how many are not read; when, by the database's clock.
pub async fn find_end(cx: &Context) -> Result<(i64, i64, DateTime<Utc>)> {
    let mut tx = cx.read(Permission::Notifications).await?;
    let at = glance::clock(&mut tx).await?;
    // first of all: what comes after it is new
    let place = store::last_place(&mut tx).await?.unwrap_or(0);
    Ok((place, store::count_unread(&mut tx).await?, at))
}

/// Notes that one was read; how many are not. Once more changes nothing.
pub async fn read(cx: &Context, id: NotificationId) -> Result<i64> {
    let mut tx = cx.begin(Permission::Notifications).await?;
    store::forget_noticed(&mut tx, Some(id)).await?;
    let is_news = store::save_read(&mut tx, id, cx.now()).await?;
    if !is_news && !store::exists(&mut tx, id).await? {
        return Err(Refusal::NotFound.into());
    }
    let unread = store::count_unread(&mut tx).await?;
    tx.commit().await?;
    Ok(unread)
}

/// Notes that all were read; how many are not.
pub async fn read_all(cx: &Context) -> Result<i64> {
    let mut tx = cx.begin(Permission::Notifications).await?;
    store::forget_noticed(&mut tx, None).await?;
    store::save_all_read(&mut tx, cx.now()).await?;
    let unread = store::count_unread(&mut tx).await?;
    tx.commit().await?;
    Ok(unread)
}

/// How the caller is told of each kind that concerns them.
pub struct Preferences {
    pub items: Vec<Preference>,
    pub etag: Etag,
}

impl Preferences {
    fn of(cx: &Context, refused: &[Refused]) -> Self {
        let items = Preference::all(cx.caller().role, refused);
        let mut text = String::new();
        for it in &items {
            let _ = writeln!(text, "{} {} {}", it.kind.as_str(), it.in_app, it.email);
        }
        Self { items, etag: Etag::of_content(text.as_bytes()) }
    }
}

pub async fn find_preferences(cx: &Context) -> Result<Preferences> {
    let mut tx = cx.read(Permission::Notifications).await?;
    Ok(Preferences::of(cx, &store::list_refused(&mut tx).await?))
}

/// Puts others in their place, made from the version that `if_match` names. Kinds that are left out are told again.
pub async fn replace_preferences(cx: &Context, wanted: &[Preference], if_match: Option<&str>) -> Result<Preferences> {
    let mut faults = FieldErrors::new();
    let mut named = HashSet::new();
    for (n, it) in wanted.iter().enumerate() {
        faults.check(it.kind.concerns(cx.caller().role), format!("/items/{n}/kind"), "kind_of_others");
        faults.check(named.insert(it.kind), format!("/items/{n}/kind"), "named_twice");
    }
    faults.finish()?;
    // the database refuses it as well; here it is told where
    let mut locked = FieldErrors::new();
    for (n, it) in wanted.iter().enumerate().filter(|(_, it)| it.kind.is_service()) {
        locked.check(it.in_app, format!("/items/{n}/inApp"), "service_message");
        locked.check(it.email, format!("/items/{n}/email"), "service_message");
    }
    let locked = locked.into_vec();
    if !locked.is_empty() {
        return Err(Problem::from(Error::ServiceMessage).with_errors(locked));
    }
    let mut tx = cx.begin(Permission::Notifications).await?;
    // two tabs: the second one sees what the first one has kept
    store::lock_preferences(&mut tx).await?;
    let before = store::list_refused(&mut tx).await?;
    Preferences::of(cx, &before).etag.require(if_match)?;
    let refused: Vec<_> = wanted.iter().flat_map(|it| it.refused()).collect();
    store::save_refused(&mut tx, &refused).await?;
    let after = Preferences::of(cx, &refused);
    if !after.etag.is_known(if_match) {
        let entry = Entry::done("notification_preferences.changed", "user", cx.caller().user_id.0);
        tx.audit(entry.with(Detail::Count, refused.len())).await?;
    }
    tx.commit().await?;
    Ok(after)
}
