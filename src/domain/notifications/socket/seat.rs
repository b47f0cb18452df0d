//! One socket in the namespace: what it was told, and what it is told next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::types::ToJSON;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::hub::{Hub, Place, Reasons};
use super::payloads::{
    CallRings, CallStopped, ConsultationNews, ConversationNews, PeerJoined, SlotsNews, UnreadNews, WatchEvent,
    namespace,
};
use crate::domain::calls::glance::Ringing;
use crate::domain::consultations::{glance, slots};
use crate::domain::notifications::api::NotificationAnswer;
use crate::domain::notifications::error::Error;
use crate::domain::notifications::service;
use crate::domain::{calls, chat};
use crate::platform::Result;
use crate::platform::auth::{Permission, Role};
use crate::platform::http::body;
use crate::platform::ids::{ConsultationId, PractitionerId};
use crate::platform::problem::Error as Refusal;
use crate::platform::realtime::{Connection, Full, Namespace, Visitor};

/// Notifications, and sessions, that are read at once.
const READ_AT_ONCE: u32 = 50;
/// Practitioners whose free times one socket watches.
const MOST_WATCHED: usize = 20;
/// That a practitioner's free times have changed is told so often.
const SLOTS_EVERY: Duration = Duration::from_secs(1);
/// How conversations stand is told so often: not with each word of a talk.
const CONVERSATIONS_EVERY: Duration = Duration::from_secs(1);
/// Whether the caller may list somebody's free times is asked so often: `slots:changed` says no more than that.
const ASKED_EVERY: TimeDelta = TimeDelta::seconds(15);
/// What was told in the last moments before a break may not have been heard either.
const BREAK: TimeDelta = TimeDelta::minutes(1);
/// Sockets of this node that look for what they may have missed, at one moment.
static CATCHING_UP: Semaphore = Semaphore::const_new(8);

/// A practitioner whose free times are watched.
struct Watched {
    told_at: Option<Instant>,
    /// When the caller could list them.
    seen_at: DateTime<Utc>,
}

/// The end of what was heard without a gap, by the clocks that sessions and messages are dated by.
#[derive(Clone, Copy)]
struct Heard {
    database: DateTime<Utc>,
    here: DateTime<Utc>,
}

pub struct Seat {
    hub: Arc<Hub>,
    place: Arc<Place>,
    watched: HashMap<PractitionerId, Watched>,
    /// The last notification that it was told, or that was there when it came. Nothing yet: it has just come.
    told: Option<i64>,
    /// How many are unread, as it was told.
    unread: Option<i64>,
    /// Since when what changes of its person's sessions and conversations is told.
    heard_until: Option<Heard>,
    told_conversations_at: Option<Instant>,
    /// What it was told to ring for.
    rings: Option<Ringing>,
}

impl Seat {
    pub fn new(hub: Arc<Hub>, at: &Connection) -> Self {
        let place = Arc::new(Place::new(at.caller().user_id, at.waker()));
        // before anything is read: what changes meanwhile wakes it
        hub.enter(&place);
        place.keep(|reasons| {
            reasons.has_list = true;
            reasons.has_calls = true;
        });
        Self {
            hub,
            place,
            watched: HashMap::new(),
            told: None,
            unread: None,
            heard_until: None,
            told_conversations_at: None,
            rings: None,
        }
    }

    /// Tells what is new, and how many are unread if that has changed.
    async fn tell_list(&mut self, at: &Connection) -> Result<Result<(), Full>> {
        let cx = at.context();
        let Some(mut told) = self.told else {
            let (end, unread) = service::find_end(&cx).await?;
            if tell(at, "unread:count", &UnreadNews { unread_count: unread }).is_err() {
                return Ok(Err(Full));
            }
            (self.told, self.unread) = (Some(end), Some(unread));
            return Ok(Ok(()));
        };
        loop {
            let news = service::list_after(&cx, told, i64::from(READ_AT_ONCE)).await?;
            let is_last = news.items.len() < READ_AT_ONCE as usize;
            for it in news.items {
                let place = it.line.place;
                if tell(at, "notification:new", &NotificationAnswer::from(it)).is_err() {
                    return Ok(Err(Full));
                }
                told = place;
                self.told = Some(place);
            }
            if is_last {
                if self.unread != Some(news.unread) {
                    if tell(at, "unread:count", &UnreadNews { unread_count: news.unread }).is_err() {
                        return Ok(Err(Full));
                    }
                    self.unread = Some(news.unread);
                }
                return Ok(Ok(()));
            }
        }
    }

    /// Notes the caller's sessions and conversations that have changed since what is told was last heard without a gap.
    async fn add_missed(&mut self, at: &Connection, reasons: &mut Reasons) -> Result<()> {
        let mut tx = at.context().read(Permission::Notifications).await?;
        let now = Heard { database: glance::clock(&mut tx).await?, here: at.platform().clock.now() };
        if let Some(since) = self.heard_until {
            let most = READ_AT_ONCE.into();
            reasons.consultations.extend(glance::list_changed_since(&mut tx, since.database - BREAK, most).await?);
            reasons.conversations.extend(chat::list_changed_since(&mut tx, since.here - BREAK, most).await?);
        }
        self.heard_until = Some(now);
        Ok(())
    }

    /// Tells how conversations of the caller's stand now; those that there was no room for.
    async fn tell_conversations(&self, at: &Connection, ids: &[ConsultationId]) -> Result<Vec<ConsultationId>> {
        let cx = at.context();
        let mut left = Vec::new();
        for some in ids.chunks(READ_AT_ONCE as usize) {
            let found = {
                let mut tx = cx.read(Permission::Notifications).await?;
                chat::list_standings(&mut tx, some).await?
            };
            for it in found {
                let id = it.id;
                if tell(at, "conversation:updated", &ConversationNews::from(it)).is_err() {
                    left.push(id);
                }
            }
        }
        Ok(left)
    }

    /// Tells how sessions of the caller's stand now; those that there was no room for.
    async fn tell_consultations(&self, at: &Connection, ids: &[ConsultationId]) -> Result<Vec<ConsultationId>> {
        let cx = at.context();
        let mut left = Vec::new();
        for some in ids.chunks(READ_AT_ONCE as usize) {
            let found = {
                let mut tx = cx.read(Permission::Notifications).await?;
                glance::find(&mut tx, some).await?
            };
            for it in found {
                let id = it.id;
                if tell(at, "consultation:updated", &ConsultationNews::from(it)).is_err() {
                    left.push(id);
                }
            }
        }
        Ok(left)
    }

    /// Tells that it rings for the caller, or does no more.
    async fn tell_calls(&mut self, at: &Connection) -> Result<Result<(), Full>> {
        let rings = {
            let mut tx = at.context().read(Permission::Notifications).await?;
            calls::glance::find_ringing(&mut tx, at.platform().clock.now()).await?
        };
        let id = |it: &Option<Ringing>| it.map(|it| it.call_id);
        if id(&rings) == id(&self.rings) {
            return Ok(Ok(()));
        }
        if let Some(Ringing { call_id, consultation_id, .. }) = self.rings {
            if tell(at, "call:stopped", &CallStopped { consultation_id, call_id }).is_err() {
                return Ok(Err(Full));
            }
            self.rings = None;
        }
        if let Some(it) = rings {
            if tell(at, "call:ringing", &CallRings::from(it)).is_err() {
                return Ok(Err(Full));
            }
            self.rings = rings;
        }
        Ok(Ok(()))
    }

    /// Tells to which sessions of the caller's the other one has come. That is of the moment, and not kept for later.
    async fn tell_joined(&self, at: &Connection, ids: &[ConsultationId]) -> Result<()> {
        let found = {
            let mut tx = at.context().read(Permission::Notifications).await?;
            glance::find_joined(&mut tx, ids).await?
        };
        for consultation_id in found {
            let _ = tell(at, "consultation:peer-joined", &PeerJoined { consultation_id });
        }
        Ok(())
    }

    /// From now on the socket is told that a practitioner's free times change: as far as the caller could list them.
    async fn watch(&mut self, at: &Connection, id: PractitionerId) -> Result<()> {
        if self.watched.contains_key(&id) {
            return Ok(());
        }
        slots::check_listable(&at.context(), id).await?;
        if self.watched.len() >= MOST_WATCHED {
            return Err(Error::TooManyWatched.into());
        }
        self.watched.insert(id, Watched { told_at: None, seen_at: at.platform().clock.now() });
        self.hub.watch(id, &self.place);
        Ok(())
    }

    fn unwatch(&mut self, id: PractitionerId) {
        if self.watched.remove(&id).is_some() {
            self.hub.unwatch(id, &self.place);
        }
    }

    /// Tells whose free times have changed, each once a second at most; whether there was room for all.
    async fn tell_slots(&mut self, at: &Connection, changed: Vec<PractitionerId>) -> Result<Result<(), Full>> {
        let is_due = |id: &PractitionerId| {
            self.watched.get(id).is_some_and(|it| it.told_at.is_none_or(|at| at.elapsed() >= SLOTS_EVERY))
        };
        let (due, early): (Vec<_>, Vec<_>) =
            changed.into_iter().filter(|id| self.watched.contains_key(id)).partition(is_due);
        // the next look is a second away at most
        self.place.keep(|reasons| reasons.slots.extend(early));
        if due.is_empty() {
            return Ok(Ok(()));
        }
        let mut gone = Vec::new();
        let now = at.platform().clock.now();
        let is_asked = |id: &&PractitionerId| self.watched.get(*id).is_none_or(|it| now - it.seen_at >= ASKED_EVERY);
        let asked: Vec<_> = due.iter().filter(is_asked).copied().collect();
        if !asked.is_empty() {
            match slots::find_listable(&at.context(), &asked).await {
                Ok(seen) => {
                    for id in asked {
                        match self.watched.get_mut(&id) {
                            Some(it) if seen.contains(&id) => it.seen_at = now,
                            _ => gone.push(id),
                        }
                    }
                }
                Err(problem) => {
                    self.place.keep(|reasons| reasons.slots.extend(due));
                    return Err(problem);
                }
            }
        }
        for (n, id) in due.iter().enumerate() {
            if tell(at, "slots:changed", &SlotsNews { practitioner_id: *id }).is_err() {
                self.place.keep(|reasons| reasons.slots.extend(due.iter().skip(n)));
                return Ok(Err(Full));
            }
            if gone.contains(id) {
                // there is nothing to list any more: that was the last word
                self.unwatch(*id);
            } else if let Some(it) = self.watched.get_mut(id) {
                it.told_at = Some(Instant::now());
            }
        }
        Ok(Ok(()))
    }
}

fn tell(at: &Connection, event: &str, it: &impl ToJSON) -> Result<(), Full> {
    at.emit(event, &it.to_json().unwrap_or_default())
}

impl Visitor for Seat {
    fn namespace() -> Option<Namespace> {
        Some(namespace())
    }

    async fn event(&mut self, at: &Connection, name: &str, data: Value) -> Result<Map<String, Value>> {
        match name {
            "slots:watch" => {
                let WatchEvent { practitioner_id } = body::check(data)?;
                self.watch(at, practitioner_id).await?;
            }
            "slots:unwatch" => {
                let WatchEvent { practitioner_id } = body::check(data)?;
                self.unwatch(practitioner_id);
            }
            _ => return Err(Refusal::UnknownEvent.into()),
        }
        Ok(Map::new())
    }

    async fn look(&mut self, at: &Connection) -> Result<()> {
        let mut reasons = self.place.take();
        // after a break every socket looks at once: a few at a time, the others a moment later
        let _turn = if reasons.has_missed {
            let Ok(turn) = CATCHING_UP.try_acquire() else {
                self.place.keep(|kept| kept.add(reasons));
                return Ok(());
            };
            Some(turn)
        } else {
            None
        };
        let mut failed = None;
        let has_sessions = matches!(at.caller().role, Role::Employee | Role::Practitioner);
        if reasons.has_missed {
            reasons.slots.extend(self.watched.keys());
        }
        if has_sessions && (reasons.has_missed || self.heard_until.is_none()) {
            if let Err(problem) = self.add_missed(at, &mut reasons).await {
                self.place.keep(|reasons| reasons.has_missed = true);
                failed = Some(problem);
            }
        }
        if reasons.has_list {
            match self.tell_list(at).await {
                Ok(Ok(())) => {}
                Ok(Err(Full)) => {
                    self.place.keep(|reasons| reasons.has_list = true);
                }
                Err(problem) => {
                    self.place.keep(|reasons| reasons.has_list = true);
                    failed = Some(problem);
                }
            }
        }
        if has_sessions && reasons.has_calls {
            match self.tell_calls(at).await {
                Ok(Ok(())) => {}
                Ok(Err(Full)) => {
                    self.place.keep(|reasons| reasons.has_calls = true);
                }
                Err(problem) => {
                    self.place.keep(|reasons| reasons.has_calls = true);
                    failed = Some(problem);
                }
            }
        }
        if has_sessions && !reasons.joined.is_empty() {
            let ids: Vec<_> = reasons.joined.into_iter().collect();
            if let Err(problem) = self.tell_joined(at, &ids).await {
                self.place.keep(|reasons| reasons.joined.extend(ids));
                failed = Some(problem);
            }
        }
        if has_sessions && !reasons.consultations.is_empty() {
            let ids: Vec<_> = reasons.consultations.into_iter().collect();
            match self.tell_consultations(at, &ids).await {
                Ok(left) if left.is_empty() => {}
                Ok(left) => {
                    self.place.keep(|reasons| reasons.consultations.extend(left));
                }
                Err(problem) => {
                    self.place.keep(|reasons| reasons.consultations.extend(ids));
                    failed = Some(problem);
                }
            }
        }
        if has_sessions && !reasons.conversations.is_empty() {
            // the next look is a second away at most
            let is_early = self.told_conversations_at.is_some_and(|at| at.elapsed() < CONVERSATIONS_EVERY);
            let ids: Vec<_> = reasons.conversations.into_iter().collect();
            let told = if is_early { Ok(ids.clone()) } else { self.tell_conversations(at, &ids).await };
            match told {
                Ok(left) if left.is_empty() => self.told_conversations_at = Some(Instant::now()),
                Ok(left) => self.place.keep(|reasons| reasons.conversations.extend(left)),
                Err(problem) => {
                    self.place.keep(|reasons| reasons.conversations.extend(ids));
                    failed = Some(problem);
                }
            }
        }
        if !reasons.slots.is_empty() {
            match self.tell_slots(at, reasons.slots.into_iter().collect()).await {
                Ok(Ok(()) | Err(Full)) => {}
                Err(problem) => failed = Some(problem),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn leave(&mut self, _at: &Connection) {
        let watched: Vec<_> = self.watched.keys().copied().collect();
        for id in watched {
            self.unwatch(id);
        }
        self.hub.leave(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::Seat;
    use crate::platform::realtime::weight;

    #[test]
    fn a_socket_that_does_nothing_holds_no_room_for_what_it_might() {
        assert!(weight::<Seat>() < 4_000, "{}", weight::<Seat>());
    }
}
