//! The words of notifications, made when they are shown: from the kind, and from what the reader may see of the thing now.
//!
//! They are as neutral as mails, and name nobody: a notification pops up on screens that others see.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rust_i18n::t;
use uuid::Uuid;

use super::model::{Line, Notification, ObjectType};
use crate::domain::consultations::glance;
use crate::platform::auth::Role;
use crate::platform::ids::{ConsultationId, WaitlistOfferId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx, mail};

/// When a thing is, and the reader's zone.
type Times = HashMap<Uuid, (DateTime<Utc>, String)>;

/// Puts words to lines of the caller's; two statements at most, however many they are.
pub async fn tell(tx: &mut Tx, role: Role, locale: Locale, lines: Vec<Line>) -> Result<Vec<Notification>> {
    let mut times = Times::new();
    if matches!(role, Role::Employee | Role::Practitioner) {
        let about = |wanted: &[ObjectType]| -> Vec<Uuid> {
            lines.iter().filter(|line| wanted.contains(&line.object_type)).map(|line| line.object_id).collect()
        };
        let sessions = about(&[ObjectType::Consultation, ObjectType::Conversation]);
        if !sessions.is_empty() {
            let ids: Vec<_> = sessions.into_iter().map(ConsultationId).collect();
            let found = glance::find(tx, &ids).await?;
            times.extend(found.into_iter().map(|it| (it.id.0, (it.starts_at, it.time_zone))));
        }
        let offers = about(&[ObjectType::WaitlistOffer]);
        if role == Role::Employee && !offers.is_empty() {
            let ids: Vec<_> = offers.into_iter().map(WaitlistOfferId).collect();
            let found = glance::find_offers(tx, &ids).await?;
            times.extend(found.into_iter().map(|(id, at, time_zone)| (id.0, (at, time_zone))));
        }
    }
    Ok(lines
        .into_iter()
        .map(|line| Notification { text: text(&line, times.get(&line.object_id), locale), line })
        .collect())
}

fn text(line: &Line, time: Option<&(DateTime<Utc>, String)>, locale: Locale) -> String {
    let kind = line.kind.as_str();
    match time {
        Some((at, time_zone)) => {
            let when = mail::moment(*at, time_zone, locale);
            t!(format!("notification.{kind}.at"), locale = locale.as_str(), when = when).into_owned()
        }
        // it is about no time, or what it is about cannot be seen any more
        None => t!(format!("notification.{kind}.plain"), locale = locale.as_str()).into_owned(),
    }
}
