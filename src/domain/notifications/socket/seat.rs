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
use crate::platform::auth::{Permission, Role};
use crate::platform::http::body;
use crate::platform::ids::{ConsultationId, PractitionerId};
use crate::platform::problem::Error as Refusal;
use crate::platform::realtime::{Connection, Full, Namespace, Visitor};
use crate::platform::{Context, Result};

/// Notifications, and sessions, that are read at once.
const READ_AT_ONCE: u32 = 50;
/// Practitioners whose free times one socket watches.
const MOST_WATCHED: usize = 20;
/// That a practitioner's free times have changed is told so often.
const SLOTS_EVERY: Duration = Duration::from_secs(1);
/// How conversations stand is told so often: not with each word of a talk.
const CONVERSATIONS_EVERY: Duration = Duration::from_secs(1);
/// Conversations of which it is kept how they were told.
const MOST_TOLD: usize = 64;
/// Whether the caller may list somebody's free times is asked so often: `slots:changed` says no more than that.
const ASKED_EVERY: TimeDelta = TimeDelta::seconds(15);
/// What was told in the last moments before a break may not have been heard either.
const BREAK: TimeDelta = TimeDelta::minutes(1);
/// What changed between a client's first look and the moment from which it is told.
const JUST_NOW: TimeDelta = TimeDelta::seconds(2);
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

impl Heard {
    fn before(self, some: TimeDelta) -> Self {
        Self { database: self.database - some, here: self.here - some }
    }
}

/// The end of somebody's list before they came.
pub struct End {
    place: i64,
    unread: i64,
    heard: Heard,
}

pub struct Seat {
    hub: Arc<Hub>,
    place: Arc<Place>,
    watched: HashMap<PractitionerId, Watched>,
    /// The last notification that it was told, or that was there before it came.
    told: i64,
    /// How many were unread then.
    unread_at_first: Option<i64>,
    /// How many are unread, as it was told.
    unread: Option<i64>,
    /// Since when what changes of its person's sessions and conversations is told.
    heard_until: Heard,
    /// What changed between the entrance and the first look is told by that.
    is_new: bool,
    /// Up to which revision conversations were told lately: each change is heard of by more than one way.
    told_conversations: HashMap<ConsultationId, i64>,
    told_conversations_at: Option<Instant>,
    /// What it was told to ring for.
    rings: Option<Ringing>,
}

impl Seat {
    pub fn new(hub: Arc<Hub>, at: &Connection, end: &End) -> Self {
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
            told: end.place,
            unread_at_first: Some(end.unread),
            unread: None,
            heard_until: end.heard,
            is_new: true,
            told_conversations: HashMap::new(),
            told_conversations_at: None,
            rings: None,
        }
    }

    /// Tells what is new, and how many are unread if that has changed.
    async fn tell_list(&mut self, at: &Connection) -> Result<Result<(), Full>> {
        let cx = at.context();
        // first of all
        if let Some(unread_count) = self.unread_at_first {
            if tell(at, "unread:count", &UnreadNews { unread_count }).is_err() {
                return Ok(Err(Full));
            }
            (self.unread_at_first, self.unread) = (None, Some(unread_count));
        }
        loop {
            let news = service::list_after(&cx, self.told, i64::from(READ_AT_ONCE)).await?;
            let is_last = news.items.len() < READ_AT_ONCE as usize;
            for it in news.items {
                let place = it.line.place;
                if tell(at, "notification:new", &NotificationAnswer::from(it)).is_err() {
                    return Ok(Err(Full));
                }
                self.told = place;
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
        let since = self.heard_until.before(if self.is_new { JUST_NOW } else { BREAK });
        let most = READ_AT_ONCE.into();
        reasons.consultations.extend(glance::list_changed_since(&mut tx, since.database, most).await?);
        for id in chat::list_changed_since(&mut tx, since.here, most).await? {
            reasons.add_conversation(id, i64::MAX);
        }
        (self.heard_until, self.is_new) = (now, false);
        Ok(())
    }

    /// Tells how conversations of the caller's stand now; those that there was no room for.
    async fn tell_conversations(
        &mut self,
        at: &Connection,
        changed: &HashMap<ConsultationId, i64>,
    ) -> Result<Vec<ConsultationId>> {
        let cx = at.context();
        let (mut left, told) = (Vec::new(), &mut self.told_conversations);
        let is_news = |(id, rev): &(&ConsultationId, &i64)| told.get(*id).is_none_or(|told| told < *rev);
        let ids: Vec<_> = changed.iter().filter(is_news).map(|(id, _)| *id).collect();
        if told.len() > MOST_TOLD {
            told.clear();
        }
        for some in ids.chunks(READ_AT_ONCE as usize) {
            let found = {
                let mut tx = cx.read(Permission::Notifications).await?;
                chat::list_standings(&mut tx, some).await?
            };
            for it in found {
                let (id, rev) = (it.id, it.last_rev);
                if tell(at, "conversation:updated", &ConversationNews::from(it)).is_err() {
                    left.push(id);
                } else {
                    told.insert(id, rev);
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
    type Begun = End;

    /// Whoever reads their list when they are in has all that is not told.
    async fn begin(cx: &Context) -> Result<End> {
        let (place, unread, database) = service::find_end(cx).await?;
        Ok(End { place, unread, heard: Heard { database, here: cx.now() } })
    }

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
        if has_sessions
            && (reasons.has_missed || self.is_new)
            && let Err(problem) = self.add_missed(at, &mut reasons).await
        {
            self.place.keep(|reasons| reasons.has_missed = true);
            failed = Some(problem);
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
            let changed = reasons.conversations;
            let told = if is_early { None } else { Some(self.tell_conversations(at, &changed).await) };
            match told {
                Some(Ok(left)) => {
                    self.told_conversations_at = left.is_empty().then(Instant::now);
                    self.place.keep(|reasons| left.into_iter().for_each(|id| reasons.add_conversation(id, i64::MAX)));
                }
                other => {
                    self.place
                        .keep(|reasons| changed.into_iter().for_each(|(id, rev)| reasons.add_conversation(id, rev)));
                    failed = other.and_then(Result::err).or(failed);
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
