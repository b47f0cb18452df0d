//! Reads the calendars that practitioners keep elsewhere.

use std::collections::HashSet;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::model::{AHEAD, EVERY, TOLD_AFTER, WHOLE_EVERY, next_reading, unreadable_code};
use super::service::place;
use super::store::{self, ToRead};
use crate::platform::ical::{self, Reading};
use crate::platform::ids::{CalendarId, UserId};
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::outgoing::{Fetched, Validators};
use crate::platform::{Problem, Result};

/// Bytes of a calendar; many years of a busy person's are less.
pub const LARGEST: usize = 5 << 20;
/// Calendars for which one run of the schedule makes jobs.
const MOST_AT_ONCE: i64 = 1_000;

/// Looks which calendars are to be read.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadCalendars {}

impl Job for ReadCalendars {
    const KIND: &'static str = "practitioners.read_calendars";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Reads one calendar.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadCalendar {
    pub calendar_id: CalendarId,
}

impl Job for ReadCalendar {
    const KIND: &'static str = "practitioners.read_calendar";
    const QUEUE: Queue = Queue::Feeds;
    // the schedule asks again
    const MAX_ATTEMPTS: i32 = 3;
}

/// Tells a practitioner that a calendar of theirs has not been read for a day.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellCalendarFails {
    pub calendar_id: CalendarId,
}

impl Job for TellCalendarFails {
    const KIND: &'static str = "practitioners.tell_calendar_fails";
    const QUEUE: Queue = Queue::Mail;
}

pub fn register(registry: &mut Registry) {
    registry.on(read_calendars);
    registry.schedule("practitioners.read_calendars", "0 * * * * *", || ReadCalendars {});
    registry.on(read_calendar);
    registry.on(tell_calendar_fails);
}

async fn read_calendars(cx: JobContext, _: ReadCalendars) -> Result<()> {
    let mut tx = cx.begin().await?;
    // what comes of the job moves the time again
    let due = store::claim_due(&mut tx, cx.now(), cx.now() + EVERY, MOST_AT_ONCE).await?;
    let jobs: Vec<_> = due.into_iter().map(|calendar_id| ReadCalendar { calendar_id }).collect();
    tx.enqueue_all(jobs.iter().map(|job| (job, None)), None).await?;
    tx.commit().await
}

/// What a reading came to.
enum Outcome {
    Unchanged,
    Read(Reading, Validators),
    Failed(&'static str),
}

/// The feed is asked outside of any transaction: it may take its time.
async fn read_calendar(cx: JobContext, job: ReadCalendar) -> Result<()> {
    let mut tx = cx.begin().await?;
    let Some(it) = store::find_to_read(&mut tx, job.calendar_id).await? else { return Ok(()) };
    let sessions = store::list_sessions(&mut tx, it.practitioner_id, cx.now() - AHEAD).await?;
    drop(tx);
    let platform = &cx.platform;
    let here = place(it.id, it.practitioner_id);
    let address = platform.keyring.open(&here, &it.url)?;
    let outcome = read(&cx, &it, &address, sessions).await?;

    let mut tx = cx.begin().await?;
    let Some(it) = store::lock(&mut tx, it.id).await? else { return Ok(()) };
    let now = cx.now();
    let dice = u16::from_be_bytes(platform.entropy.bytes());
    match outcome {
        Outcome::Unchanged => store::save_unchanged(&mut tx, it.id, now, next_reading(now, 0, dice)).await?,
        Outcome::Read(reading, validators) => {
            store::save_read(&mut tx, &it, &reading.busy, &validators, now, next_reading(now, 0, dice)).await?;
        }
        Outcome::Failed(code) => {
            store::save_failed(&mut tx, it.id, code, now, next_reading(now, it.failures + 1, dice)).await?;
            let since = it.failing_since.unwrap_or(now);
            if it.told_at.is_none() && now - since >= TOLD_AFTER {
                tx.enqueue(&TellCalendarFails { calendar_id: it.id }, None, None).await?;
                store::save_told(&mut tx, it.id, now).await?;
            }
        }
    }
    if !platform.keyring.is_newest(&it.url) {
        store::save_url(&mut tx, it.id, &platform.keyring.seal(&here, &address, &platform.entropy)?).await?;
    }
    tx.commit().await
}

async fn read(cx: &JobContext, it: &ToRead, address: &[u8], sessions: HashSet<Uuid>) -> Result<Outcome> {
    let address = std::str::from_utf8(address).map_err(|_| Problem::internal("an address that is no text"))?;
    let address = Url::parse(address).map_err(|_| Problem::internal("an address that is none"))?;
    let zone: Tz = it.time_zone.parse().map_err(|_| Problem::internal("a practitioner is in an unknown time zone"))?;
    let now = cx.now();
    // what was read in another zone, or long ago, is read anew
    let is_fresh =
        it.read_zone.as_deref() == Some(&*it.time_zone) && it.whole_read_at.is_some_and(|at| now - at < WHOLE_EVERY);
    let known = if is_fresh {
        Validators { etag: it.etag.clone(), last_modified: it.last_modified.clone() }
    } else {
        Validators::default()
    };
    let (bytes, validators) = match cx.platform.outgoing.get(&address, &known, LARGEST).await {
        Ok(Fetched::Body(bytes, validators)) => (bytes, validators),
        Ok(Fetched::NotModified) if is_fresh => return Ok(Outcome::Unchanged),
        // nobody had asked whether it changed
        Ok(Fetched::NotModified) => return Ok(Outcome::Failed("server_error")),
        Err(failure) => return Ok(Outcome::Failed(failure.code())),
    };
    let window = (now - TimeDelta::days(1), now + AHEAD);
    // five megabytes keep a core busy for a while
    let reading = tokio::task::spawn_blocking(move || ical::read(&bytes, zone, window, |uid| is_ours(uid, &sessions)));
    Ok(match reading.await.map_err(Problem::internal)? {
        Ok(reading) => Outcome::Read(reading, validators),
        Err(why) => Outcome::Failed(unreadable_code(why)),
    })
}

/// Whether an event is a consultation of ours, that came back with the practitioner's calendar: its time is known from
/// where it was booked, also when it was cancelled or moved a minute ago. What follows the id, as it did in earlier
/// invitations, does not matter: the id is of one of their sessions.
fn is_ours(uid: &str, sessions: &HashSet<Uuid>) -> bool {
    let id = uid.split_once('@').map_or(uid, |(id, _)| id);
    id.parse().is_ok_and(|id| sessions.contains(&id))
}

/// Looks again: one that works meanwhile is no news.
async fn tell_calendar_fails(cx: JobContext, job: TellCalendarFails) -> Result<()> {
    mail::deliver(&cx, &format!("calendar_failing:{}", cx.job_id), async |tx| {
        let Some(it) = store::find_owner_of_failing(tx, job.calendar_id).await? else { return Ok(None) };
        if !store::wants_mail(tx, UserId(it.user_id)).await? {
            return Ok(None);
        }
        let reason = format!("calendar_failure.{}", it.failure_code);
        let base = cx.platform.config.public_url.as_str().trim_end_matches('/');
        Ok(Some(Letter::new(
            mail::mailbox(Some(&it.display_name), &it.email)?,
            Recipient::User(UserId(it.user_id)),
            it.locale,
            "calendar_failing",
            json!({
                "name": it.display_name,
                "label": it.label,
                "since": it.failing_since,
                "reason": rust_i18n::t!(&reason, locale = it.locale.as_str()),
                "link": format!("{base}/practice/calendars"),
                "time_zone": it.time_zone,
            }),
        )))
    })
    .await
}
