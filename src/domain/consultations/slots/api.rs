//! `/practitioners/{id}/slots/explain`.

use chrono::{DateTime, FixedOffset, Utc};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::explain::{self, Explanation, Question};
use super::why::Why;
use crate::domain::consultations::api::Tag;
use crate::domain::practitioners::Mode;
use crate::domain::practitioners::calendars::CalendarHealthAnswer;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::ids::PractitionerId;
use crate::platform::locale::Locale;

/// A rule that removes a time.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct SlotReasonAnswer {
    code: Why,
    /// Since when it holds, where it does not always.
    from: Option<DateTime<FixedOffset>>,
    /// Until when it holds.
    until: Option<DateTime<FixedOffset>>,
    /// In the reader’s language.
    detail: String,
}

impl Example for SlotReasonAnswer {
    fn example() -> Self {
        Self {
            code: Why::TimeOff,
            from: Some(example_time("2026-12-24T12:00:00+01:00")),
            until: Some(example_time("2027-01-04T00:00:00+01:00")),
            detail: "Congé.".into(),
        }
    }
}

/// Why a time is, or is not, offered.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct SlotExplanationAnswer {
    /// With the offset of the practitioner’s zone; absent where the clock skips the time.
    starts_at: Option<DateTime<FixedOffset>>,
    ends_at: Option<DateTime<FixedOffset>>,
    /// The IANA name of the practitioner’s zone.
    time_zone: String,
    duration_minutes: i64,
    /// Whether it is among the slots now.
    free: bool,
    /// Every rule that removes it; none where it is free.
    reasons: Vec<SlotReasonAnswer>,
    /// How the reading of the calendars goes that the practitioner keeps elsewhere: one that fails is as of its last
    /// reading, so that a time may be taken or free that is not so any more.
    calendars: Vec<CalendarHealthAnswer>,
}

fn example_time(text: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(text).unwrap_or_default()
}

impl Example for SlotExplanationAnswer {
    fn example() -> Self {
        Self {
            starts_at: Some(example_time("2026-12-28T10:00:00+01:00")),
            ends_at: Some(example_time("2026-12-28T10:45:00+01:00")),
            time_zone: "Europe/Paris".into(),
            duration_minutes: 45,
            free: false,
            reasons: vec![SlotReasonAnswer::example()],
            calendars: vec![CalendarHealthAnswer::example()],
        }
    }
}

impl SlotExplanationAnswer {
    fn new(it: &Explanation, locale: Locale) -> Self {
        let local = |at: DateTime<Utc>| at.with_timezone(&it.zone).fixed_offset();
        let reasons = it.reasons.iter().map(|reason| SlotReasonAnswer {
            code: reason.why,
            from: reason.from.map(local),
            until: reason.until.map(local),
            detail: rust_i18n::t!(format!("slot_reason.{}", reason.why.as_str()), locale = locale.as_str())
                .into_owned(),
        });
        Self {
            starts_at: it.slot.map(|slot| local(slot.starts_at)),
            ends_at: it.slot.map(|slot| local(slot.ends_at)),
            time_zone: it.zone.name().to_owned(),
            duration_minutes: it.length.num_minutes(),
            free: it.reasons.is_empty(),
            reasons: reasons.collect(),
            calendars: it.calendars.iter().map(|it| CalendarHealthAnswer::of(it, locale)).collect(),
        }
    }
}

pub struct SlotsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Consultations")]
impl SlotsApi {
    /// Why a time is not offered
    ///
    /// For the practitioner and the platform’s staff: every rule that removes the time, by the function that lists slots
    /// and books them, and the time for which the rule holds. What limits a single employee (their company’s contract and
    /// horizon, their other sessions) is not looked at, and nobody who booked is named.
    #[oai(path = "/practitioners/:id/slots/explain", method = "get", operation_id = "explainSlot")]
    async fn explain(
        &self,
        cx: Authorized<perm::ReadAvailability>,
        id: Path<PractitionerId>,
        /// An instant (RFC 3339), or a time on the practitioner’s wall clock, such as `2026-12-28T10:00`.
        #[oai(validator(max_length = 40))]
        at: Query<String>,
        /// The session’s length in minutes. The practitioner’s shortest, unless said.
        #[oai(validator(minimum(value = "5"), maximum(value = "480")))]
        duration: Query<Option<i32>>,
        /// How people would meet. Any way, unless said.
        mode: Query<Option<Mode>>,
    ) -> Result<Json<SlotExplanationAnswer>> {
        let question = Question { at: at.0, duration_minutes: duration.0, mode: mode.0 };
        let explained = explain::explain(&cx, id.0, &question).await?;
        Ok(Json(SlotExplanationAnswer::new(&explained, cx.locale())))
    }
}
