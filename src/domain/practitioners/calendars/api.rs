//! `/practitioners/{id}/calendars`.

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::model::{Calendar, External, Failed, Health, Kind, State};
use super::service::{self, NewCalendar};
use crate::domain::practitioners::api::Tag;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, IdempotencyKey};
use crate::platform::ids::{CalendarId, PractitionerId};
use crate::platform::locale::Locale;

const EXAMPLE_ID: CalendarId = CalendarId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0c01));

/// A calendar to add.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct CalendarRequest {
    /// `external`: one that is kept elsewhere and blocks the practitioner's time. `feed`: an address under which the
    /// practitioner's own consultations can be subscribed to.
    kind: Kind,
    /// What the practitioner calls it. Nobody else sees it.
    #[oai(validator(min_length = 1, max_length = 80))]
    label: String,
    /// Of an external calendar: the secret address of its feed (ICS), `https` or `webcal`. It is stored sealed and never
    /// shown again.
    #[oai(validator(min_length = 1, max_length = 2000))]
    url: Option<String>,
}

impl Example for CalendarRequest {
    fn example() -> Self {
        Self {
            kind: Kind::External,
            label: "Cabinet".into(),
            url: Some("https://calendar.example.org/private-3f9c/basic.ics".into()),
        }
    }
}

/// Why an external calendar could not be read.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CalendarFailure {
    /// Stable, such as `not_found`, `private_address`, `not_a_calendar`.
    code: String,
    /// The same in words, in the language of the request.
    detail: String,
    /// When it began to fail. The busy times are as of `readAt`.
    since: DateTime<Utc>,
    /// The last attempt.
    at: DateTime<Utc>,
}

impl CalendarFailure {
    fn of(it: Failed, locale: Locale) -> Self {
        Self {
            detail: rust_i18n::t!(format!("calendar_failure.{}", it.code), locale = locale.as_str()).into_owned(),
            code: it.code,
            since: it.since,
            at: it.at,
        }
    }
}

/// How the reading of a calendar goes that a practitioner keeps elsewhere; nothing of which one it is.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, rename = "CalendarHealth", example)]
pub struct CalendarHealthAnswer {
    state: State,
    /// The last reading that succeeded. What was busy then holds until the next one succeeds.
    read_at: Option<DateTime<Utc>>,
    /// Of one that fails.
    failure: Option<CalendarFailure>,
}

impl CalendarHealthAnswer {
    pub fn of(it: &Health, locale: Locale) -> Self {
        let failure = it.failure.clone().map(|it| CalendarFailure::of(it, locale));
        Self { state: it.state(), read_at: it.read_at, failure }
    }
}

impl Example for CalendarHealthAnswer {
    fn example() -> Self {
        let at = DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default();
        let failure = Failed { code: "not_found".into(), since: at - TimeDelta::hours(2), at };
        Self::of(&Health { read_at: Some(at - TimeDelta::hours(3)), failure: Some(failure) }, Locale::En)
    }
}

/// A calendar of a practitioner.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct CalendarAnswer {
    id: CalendarId,
    kind: Kind,
    label: String,
    created_at: DateTime<Utc>,
    /// Of an external calendar: where it is read, without the secret part of the address.
    host: Option<String>,
    /// Of an external calendar.
    state: Option<State>,
    /// Of an external calendar: the last reading that succeeded. What was busy then holds until the next one succeeds.
    read_at: Option<DateTime<Utc>>,
    /// Of an external calendar.
    next_read_at: Option<DateTime<Utc>>,
    /// Of an external calendar that fails.
    failure: Option<CalendarFailure>,
    /// Of a feed that was made just now: its address. It is shown this once; whoever has it can read the feed.
    url: Option<String>,
}

impl CalendarAnswer {
    fn of(it: Calendar, locale: Locale) -> Self {
        let state = it.external.as_ref().map(External::state);
        let (host, read_at, next_read_at, failure) = match it.external {
            Some(it) => (Some(it.host), it.read_at, Some(it.next_read_at), it.failure),
            None => (None, None, None, None),
        };
        Self {
            id: it.id,
            kind: it.kind,
            label: it.label,
            created_at: it.created_at,
            host,
            state,
            read_at,
            next_read_at,
            failure: failure.map(|it| CalendarFailure::of(it, locale)),
            url: it.url,
        }
    }
}

impl Example for CalendarAnswer {
    fn example() -> Self {
        let at = DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default();
        let failure = Failed { code: "not_found".into(), since: at - TimeDelta::hours(2), at };
        let external = External {
            host: "calendar.example.org".into(),
            read_at: Some(at - TimeDelta::hours(3)),
            next_read_at: at + TimeDelta::hours(1),
            failure: Some(failure),
        };
        let calendar = Calendar {
            id: EXAMPLE_ID,
            kind: Kind::External,
            label: "Cabinet".into(),
            created_at: at - TimeDelta::days(9),
            external: Some(external),
            url: None,
        };
        Self::of(calendar, Locale::En)
    }
}

/// A practitioner's calendars: at most five of each kind.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct CalendarsAnswer {
    items: Vec<CalendarAnswer>,
}

impl Example for CalendarsAnswer {
    fn example() -> Self {
        Self { items: vec![CalendarAnswer::example()] }
    }
}

#[derive(ApiResponse)]
pub enum CalendarAdded {
    /// The calendar was added. An external one is read within moments.
    #[oai(status = 201)]
    Added(Json<CalendarAnswer>),
}

#[derive(ApiResponse)]
pub enum CalendarRemoved {
    /// The calendar is gone: the time that it blocked is free, an address of a feed answers no longer.
    #[oai(status = 204)]
    Removed,
}

pub struct CalendarsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Practitioners")]
impl CalendarsApi {
    /// List one's calendars
    ///
    /// Those that are kept elsewhere, with how their reading goes, and the feeds of one's own consultations.
    #[oai(path = "/practitioners/:id/calendars", method = "get", operation_id = "listCalendars")]
    async fn list(
        &self,
        cx: Authorized<perm::ManageCalendars>,
        id: Path<PractitionerId>,
    ) -> Result<Json<CalendarsAnswer>> {
        let items = service::list(&cx, id.0).await?;
        Ok(Json(CalendarsAnswer { items: items.into_iter().map(|it| CalendarAnswer::of(it, cx.locale())).collect() }))
    }

    /// Add a calendar
    ///
    /// An `external` calendar is read about every quarter of an hour; its events block the practitioner's time, and
    /// nothing but the times is kept of them. Events that are marked as free or cancelled block nothing; those of whole
    /// days block the days in the practitioner's zone. A `feed` gets an address that shows the practitioner's own
    /// consultations with a neutral title to whoever has it, until it is deleted. Five of each kind at most.
    #[oai(path = "/practitioners/:id/calendars", method = "post", operation_id = "addCalendar")]
    async fn add(
        &self,
        cx: Authorized<perm::ManageCalendars>,
        id: Path<PractitionerId>,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<CalendarRequest>,
    ) -> Result<CalendarAdded> {
        let key = IdempotencyKey::new(idempotency_key.0, "addCalendar", &body.0)?;
        let CalendarRequest { kind, label, url } = body.0;
        let made = service::add(&cx, id.0, key.as_ref(), NewCalendar { kind, label, url }).await?;
        Ok(CalendarAdded::Added(Json(CalendarAnswer::of(made, cx.locale()))))
    }

    /// Take a calendar away
    ///
    /// An external calendar blocks no time any more; the address of a feed is answered with 404 from now on.
    #[oai(path = "/practitioners/:id/calendars/:calendarId", method = "delete", operation_id = "deleteCalendar")]
    async fn delete(
        &self,
        cx: Authorized<perm::ManageCalendars>,
        id: Path<PractitionerId>,
        #[oai(name = "calendarId")] calendar_id: Path<CalendarId>,
    ) -> Result<CalendarRemoved> {
        service::remove(&cx, id.0, calendar_id.0).await?;
        Ok(CalendarRemoved::Removed)
    }
}
