//! Reads a feed, for whoever has its address.

use chrono::TimeDelta;

use super::store;
use crate::domain::consultations::calendar;
use crate::domain::consultations::model::Status;
use crate::platform::auth::tokens::hash_opaque;
use crate::platform::db::Actor;
use crate::platform::http::Etag;
use crate::platform::mail::ics;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Platform, RequestInfo, Result};

const BEHIND: TimeDelta = TimeDelta::days(30);
const AHEAD: TimeDelta = TimeDelta::days(365);

/// A calendar as a file, with its version.
pub struct Feed {
    pub ics: String,
    pub etag: Etag,
}

pub async fn read(platform: &Platform, request: &RequestInfo, file: &str) -> Result<Feed> {
    let token = file.strip_suffix(".ics").ok_or(Refusal::NotFound)?;
    let now = platform.clock.now();
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let window = (now - BEHIND, now + AHEAD);
    let (locale, entries) = store::read(&mut tx, &hash_opaque(token), window).await?.ok_or(Refusal::NotFound)?;
    let locale = locale.as_str();
    let title = rust_i18n::t!("calendar.title", locale = locale);
    let events: Vec<_> = entries
        .iter()
        .map(|it| ics::Published {
            uid: calendar::uid(it.id),
            sequence: it.ics_sequence.unsigned_abs(),
            starts_at: it.starts_at,
            ends_at: it.ends_at,
            is_firm: it.status != Status::Pending,
            changed_at: it.updated_at,
        })
        .collect();
    let ics = ics::published(&rust_i18n::t!("calendar.feed_name", locale = locale), &title, &events);
    // what is shown, and nothing else, makes the version
    let etag = Etag::of_content(ics.as_bytes());
    Ok(Feed { ics, etag })
}
