//! The events of a socket.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poem_openapi::types::ToJSON;
use serde_json::{Map, Value};
use socketioxide::AckError;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::delivery::{Parcel, Told};
use super::hub::{Change, Hub, Live, Place};
use super::payloads::{
    About, Closed, DeleteEvent, EditEvent, NotedAnswer, PresenceNews, ReadEvent, SendEvent, SentAnswer, SyncEvent,
    TypingNews, namespace,
};
use crate::domain::chat::api::MessagesAnswer;
use crate::domain::chat::error::Error;
use crate::domain::chat::model::{Message, Which};
use crate::domain::chat::service::{self, Draft, Opened};
use crate::platform::http::body;
use crate::platform::http::page::DEFAULT_LIMIT;
use crate::platform::ids::ConsultationId;
use crate::platform::problem::Error as Refusal;
use crate::platform::realtime::{Connection, Full, Namespace, Visitor, answer};
use crate::platform::{Context, Problem, Result};

/// Conversations that one socket looks at.
const MOST_JOINED: usize = 50;
/// Changes that are read at once.
const READ_AT_ONCE: u32 = 50;
/// Messages whose arrival is waited for …
const UNACKNOWLEDGED: usize = 256;
/// … of which so many are kept for the last ones of what is sent at once: who has that has all before it.
const FOR_THE_LAST: usize = 192;
/// What has arrived is noted at once, and in a talk that goes back and forth so often: each note is a change like a message.
const NOTED_EVERY: Duration = Duration::from_secs(1);
/// How long what was handed over waits for what comes before it, and how much of it; then all of it is read.
const GAP: Duration = Duration::from_millis(20);
const MOST_EARLY: usize = 32;
/// That somebody writes is told so often.
const TYPING_EVERY: Duration = Duration::from_secs(1);

/// Messages that the client says it has.
type Arrived = Arc<Mutex<HashMap<ConsultationId, i64>>>;

/// One socket in the namespace.
pub struct Seat {
    hub: Arc<Hub>,
    place: Arc<Place>,
    joined: HashMap<ConsultationId, Told>,
    /// Where this socket has written.
    opened: HashMap<ConsultationId, Opened>,
    /// What it was shown, as far as that is noted.
    noted: HashSet<ConsultationId>,
    arrived: Arrived,
    noted_at: Option<Instant>,
    unacknowledged: Arc<Semaphore>,
    typed: Option<(ConsultationId, Instant)>,
    gaps: HashMap<ConsultationId, Gap>,
}

/// What was handed over before what comes before it.
struct Gap {
    since: Instant,
    early: BTreeMap<i64, Change>,
    /// The socket is woken when it is over.
    is_timed: bool,
}

impl Gap {
    fn new(now: Instant) -> Self {
        Self { since: now, early: BTreeMap::new(), is_timed: false }
    }

    /// What follows a revision, or is known with it. What is missing after that, is so since now.
    fn next(&mut self, rev: i64, now: Instant) -> Option<Change> {
        let first = self.early.first_entry().filter(|first| *first.key() <= rev + 1)?.remove();
        (self.since, self.is_timed) = (now, false);
        Some(first)
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= GAP || self.early.len() > MOST_EARLY
    }
}

impl Seat {
    pub fn new(hub: Arc<Hub>, at: &Connection) -> Self {
        Self {
            hub,
            place: Arc::new(Place::new(at.caller().user_id, at.waker())),
            joined: HashMap::new(),
            opened: HashMap::new(),
            noted: HashSet::new(),
            arrived: Arrived::default(),
            noted_at: None,
            unacknowledged: Arc::new(Semaphore::new(UNACKNOWLEDGED)),
            typed: None,
            gaps: HashMap::new(),
        }
    }

    /// From now on the socket is told what changes. Once more starts from the present again.
    async fn join(&mut self, at: &Connection, id: ConsultationId) -> Result<MessagesAnswer> {
        let is_new = !self.joined.contains_key(&id);
        if is_new && self.joined.len() >= MOST_JOINED {
            return Err(Error::TooManyJoined.into());
        }
        // whether it is theirs, before anybody hears that they are there
        let people = service::check(&at.context(), id).await?;
        self.note_reading(at, id).await?;
        if is_new {
            self.hub.join(id, people, &self.place);
        }
        // after that: what changes meanwhile wakes the socket
        let read = service::read(&at.context(), id, Which::ChangedAfter(i64::MAX), 1).await;
        let excerpt = match read {
            Ok(excerpt) => excerpt,
            Err(problem) => {
                if is_new {
                    self.hub.leave(id, &self.place);
                }
                return Err(problem);
            }
        };
        self.joined.insert(id, Told::new(&excerpt, at.platform().clock.now()));
        Ok(excerpt.into())
    }

    /// Who is shown a conversation is noted once for each socket.
    async fn note_reading(&mut self, at: &Connection, id: ConsultationId) -> Result<()> {
        if !self.noted.contains(&id) {
            service::note_reading(&at.context(), id).await?;
            if self.noted.len() >= MOST_JOINED {
                self.noted.clear();
            }
            self.noted.insert(id);
        }
        Ok(())
    }

    /// Whoever goes away with this socket writes no more.
    fn stop_typing(&mut self, id: ConsultationId) {
        if self.typed.take_if(|(typed, _)| *typed == id).is_some() {
            self.hub.say_typing(id, self.place.user(), false);
        }
    }

    fn forget(&mut self, id: ConsultationId) {
        self.stop_typing(id);
        self.opened.remove(&id);
        self.gaps.remove(&id);
        if self.joined.remove(&id).is_some() {
            self.hub.leave(id, &self.place);
        }
    }

    async fn write(&mut self, at: &Connection, id: ConsultationId, draft: Draft) -> Result<Message> {
        let cx = at.context();
        if !self.opened.contains_key(&id) {
            let opened = service::open(&cx, id).await?;
            if self.opened.len() >= MOST_JOINED {
                self.opened.clear();
            }
            self.opened.insert(id, opened);
        }
        let Some(opened) = self.opened.get(&id) else { return Err(Refusal::NotFound.into()) };
        let sent = service::send(&cx, opened, draft).await;
        match &sent {
            Ok(message) => self.hub.hand(id, &Change::Message(Arc::new(message.clone()))),
            // what is wrong with it is looked at anew
            Err(_) => drop(self.opened.remove(&id)),
        }
        sent
    }

    fn type_in(&mut self, id: ConsultationId, is_typing: bool) -> Result<()> {
        if !self.joined.contains_key(&id) {
            return Err(Error::ConversationNotJoined.into());
        }
        if !is_typing {
            self.stop_typing(id);
            return Ok(());
        }
        match self.typed {
            Some((typed, since)) if typed == id && since.elapsed() < TYPING_EVERY => return Ok(()),
            // one writes in one conversation
            Some((other, _)) if other != id => self.stop_typing(other),
            _ => {}
        }
        self.typed = Some((id, Instant::now()));
        self.hub.say_typing(id, self.place.user(), true);
        Ok(())
    }

    /// Sends what was handed over, as far as one follows the other and there is room; otherwise it is read. Of two that were
    /// written at the same moment the second one may be handed over first: the other is given a moment.
    fn pass_on(&mut self, at: &Connection) {
        let now = Instant::now();
        while let Some((id, change)) = self.place.take_handed() {
            self.gaps.entry(id).or_insert_with(|| Gap::new(now)).early.insert(change.rev(), change);
        }
        for (id, mut gap) in std::mem::take(&mut self.gaps) {
            while let Some(told) = self.joined.get(&id)
                && let Some(change) = gap.next(told.rev, now)
            {
                if !self.send_change(at, id, &change) {
                    self.place.keep(id, HALF_SENT);
                }
            }
            let last = gap.early.last_key_value().map(|(rev, _)| *rev);
            let Some(last) = last.filter(|_| self.joined.contains_key(&id)) else { continue };
            if gap.is_over(now) {
                self.place.keep(id, last);
                continue;
            }
            if !std::mem::replace(&mut gap.is_timed, true) {
                let waker = at.waker();
                tokio::spawn(async move {
                    tokio::time::sleep(GAP).await;
                    waker.notify_one();
                });
            }
            self.gaps.insert(id, gap);
        }
    }

    fn send_change(&mut self, at: &Connection, id: ConsultationId, change: &Change) -> bool {
        let Some(told) = self.joined.get_mut(&id).filter(|told| told.rev < change.rev()) else { return true };
        for parcel in told.parcels_of(id, at.caller().user_id, change) {
            if send(at, id, &parcel, true, &self.arrived, &self.unacknowledged).is_err() {
                return false;
            }
            told.sent(&parcel);
        }
        told.rev = change.rev();
        true
    }

    /// Sends what changed in a conversation, as far as there is room.
    async fn deliver(&mut self, at: &Connection, id: ConsultationId) -> Result<Result<(), Full>> {
        let now = at.platform().clock.now();
        loop {
            let Some(told) = self.joined.get_mut(&id) else { return Ok(Ok(())) };
            let excerpt = service::read(&at.context(), id, Which::ChangedAfter(told.rev), READ_AT_ONCE).await?;
            let (rev, has_more, closes_at, last_seq) =
                (excerpt.rev, excerpt.has_more, excerpt.closes_at, excerpt.last_seq);
            let parcels = told.parcels(id, at.caller().user_id, excerpt);
            let last = parcels.iter().filter_map(|it| it.arrives).max();
            for parcel in parcels {
                let is_last = parcel.arrives == last;
                if send(at, id, &parcel, is_last, &self.arrived, &self.unacknowledged).is_err() {
                    return Ok(Err(Full));
                }
                told.sent(&parcel);
            }
            told.rev = told.rev.max(rev);
            told.closes_at = closes_at;
            if !has_more {
                told.caught_up(last_seq);
                let is_over = now >= closes_at;
                if is_over && !told.is_closed {
                    let data = Closed { conversation_id: id, closed_at: closes_at };
                    if at.emit("conversation:closed", &data.to_json().unwrap_or_default()).is_err() {
                        return Ok(Err(Full));
                    }
                }
                told.is_closed = is_over;
                return Ok(Ok(()));
            }
        }
    }

    /// Notes what the client says has arrived; what cannot be noted now is kept.
    async fn note_arrivals(&mut self, at: &Connection) -> Result<()> {
        let arrived = std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        if !arrived.is_empty() {
            self.noted_at = Some(Instant::now());
        }
        let mut failed = None;
        for (id, seq) in arrived {
            match service::note_receipt(&at.context(), id, seq, false).await {
                Ok(receipt) => self.hub.hand(id, &Change::Receipt(receipt)),
                Err(problem) if problem.code() == "not_found" => {}
                Err(problem) => {
                    note(&self.arrived, id, seq);
                    failed = Some(problem);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn note(arrived: &Arrived, id: ConsultationId, seq: i64) {
    let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    let latest = arrived.entry(id).or_default();
    *latest = seq.max(*latest);
}

/// Sends a parcel; where it brings a message, the client may say that it has it, of the last one in any case.
fn send(
    at: &Connection,
    id: ConsultationId,
    parcel: &Parcel,
    is_last: bool,
    arrived: &Arrived,
    unacknowledged: &Arc<Semaphore>,
) -> Result<(), Full> {
    let has_room = is_last || unacknowledged.available_permits() > FOR_THE_LAST;
    let asks = parcel.arrives.filter(|_| has_room);
    let Some((seq, permit)) = asks.zip(unacknowledged.clone().try_acquire_owned().ok()) else {
        return at.emit(parcel.event, &parcel.data);
    };
    let Some(ack) = at.emit_with_ack(parcel.event, &parcel.data)? else { return Ok(()) };
    let (arrived, waker) = (arrived.clone(), at.waker());
    tokio::spawn(async move {
        // whatever it says with it
        if matches!(ack.await, Ok(_) | Err(AckError::Decode(_))) {
            note(&arrived, id, seq);
            waker.notify_one();
        }
        drop(permit);
    });
    Ok(())
}

/// What one revision brings may have found room in part alone: it is looked at once more, whatever else is sent meanwhile.
const HALF_SENT: i64 = i64::MAX;

impl Visitor for Seat {
    type Begun = ();

    async fn begin(_cx: &Context) -> Result<()> {
        Ok(())
    }

    fn namespace() -> Option<Namespace> {
        Some(namespace())
    }

    async fn event(&mut self, at: &Connection, name: &str, data: Value) -> Result<Map<String, Value>> {
        let cx = at.context();
        Ok(match name {
            "conversation:join" => {
                let About { conversation_id } = body::check(data)?;
                answer(&self.join(at, conversation_id).await?)
            }
            "conversation:leave" => {
                let About { conversation_id } = body::check(data)?;
                self.forget(conversation_id);
                Map::new()
            }
            "message:send" => {
                let SendEvent { conversation_id, client_id, body, attachment_ids } = body::check(data)?;
                let draft = Draft::new(client_id, body, attachment_ids)?;
                let sent = self.write(at, conversation_id, draft).await?;
                answer(&SentAnswer { message: sent.into() })
            }
            "message:edit" => {
                let EditEvent { id, body } = body::check(data)?;
                answer(&SentAnswer { message: service::edit(&cx, id, body).await?.into() })
            }
            "message:delete" => {
                let DeleteEvent { id } = body::check(data)?;
                answer(&SentAnswer { message: service::delete(&cx, id).await?.into() })
            }
            "message:read" => {
                let it: ReadEvent = body::check(data)?;
                let (conversation_id, is_read) = (it.conversation_id, it.is_read());
                // that something has arrived is noted whenever it does
                if is_read {
                    at.check_maintenance().await?;
                }
                let it = service::note_receipt(&cx, conversation_id, it.seq, is_read).await?;
                self.hub.hand(conversation_id, &Change::Receipt(it));
                answer(&NotedAnswer { delivered_seq: it.delivered_seq, read_seq: it.read_seq, rev: it.rev })
            }
            "typing:start" | "typing:stop" => {
                let About { conversation_id } = body::check(data)?;
                self.type_in(conversation_id, name == "typing:start")?;
                Map::new()
            }
            "sync" => {
                let SyncEvent { conversation_id, after_rev, limit } = body::check(data)?;
                let limit = limit.unwrap_or(DEFAULT_LIMIT);
                self.note_reading(at, conversation_id).await?;
                let excerpt = service::read(&cx, conversation_id, Which::ChangedAfter(after_rev), limit).await?;
                answer(&MessagesAnswer::from(excerpt))
            }
            _ => return Err(Refusal::UnknownEvent.into()),
        })
    }

    async fn look(&mut self, at: &Connection) -> Result<()> {
        while let Some(live) = self.place.take_live() {
            let (event, data) = match live {
                Live::Presence { conversation, user, is_online } => {
                    let it = PresenceNews { conversation_id: conversation, user_id: user, online: is_online };
                    ("presence", it.to_json())
                }
                Live::Typing { conversation, user, is_typing } => {
                    let it = TypingNews { conversation_id: conversation, user_id: user, typing: is_typing };
                    ("typing", it.to_json())
                }
            };
            // what is of the moment is not kept for later
            let _ = at.emit(event, &data.unwrap_or_default());
        }
        let now = at.platform().clock.now();
        self.pass_on(at);
        let mut changed = self.place.take_changed();
        let closed = self.joined.iter().filter(|(_, told)| !told.is_closed && now >= told.closes_at);
        changed.extend(closed.map(|(id, _)| (*id, i64::MAX)));
        let mut failed: Option<Problem> = None;
        for (id, rev) in changed {
            if self.joined.get(&id).is_none_or(|told| told.rev >= rev) {
                continue;
            }
            // it was announced as well as handed over
            if self.gaps.get(&id).is_some_and(|gap| gap.early.contains_key(&rev)) {
                self.place.keep(id, rev);
                continue;
            }
            match self.deliver(at, id).await {
                Ok(Ok(())) => {}
                Ok(Err(Full)) => {
                    self.place.keep(id, HALF_SENT);
                }
                Err(problem) if problem.code() == "not_found" => self.forget(id),
                Err(problem) => {
                    self.place.keep(id, rev);
                    failed = Some(problem);
                }
            }
        }
        // the next look is a second away at most
        if self.noted_at.is_none_or(|at| at.elapsed() >= NOTED_EVERY) {
            self.note_arrivals(at).await?;
        }
        failed.map_or(Ok(()), Err)
    }

    async fn leave(&mut self, at: &Connection) {
        let has_arrivals = !self.arrived.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if has_arrivals
            && at.check().await.is_ok()
            && let Err(problem) = self.note_arrivals(at).await
        {
            tracing::debug!(code = problem.code(), "what arrived last is noted when it is read");
        }
        let joined: Vec<_> = self.joined.keys().copied().collect();
        for id in joined {
            self.forget(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chat::model::Receipt;
    use crate::platform::ids::UserId;
    use crate::platform::realtime::weight;

    #[test]
    fn a_socket_that_does_nothing_holds_no_room_for_what_it_might() {
        assert!(weight::<Seat>() < 4_000, "{}", weight::<Seat>());
    }

    #[test]
    fn what_was_handed_over_early_waits_for_what_comes_before_it_a_moment_long() {
        let begun = Instant::now();
        let mut gap = Gap::new(begun);
        let add = |gap: &mut Gap, rev| {
            let receipt = Receipt { reader_id: UserId(uuid::Uuid::nil()), delivered_seq: 1, read_seq: 1, rev };
            gap.early.insert(rev, Change::Receipt(receipt));
        };
        let next = |gap: &mut Gap, rev, now| gap.next(rev, now).map(|it| it.rev());
        add(&mut gap, 7);
        assert_eq!((next(&mut gap, 5, begun), gap.is_over(begun)), (None, false));
        add(&mut gap, 6);
        let now = begun + GAP / 2;
        assert_eq!((next(&mut gap, 5, now), next(&mut gap, 6, now), next(&mut gap, 7, now)), (Some(6), Some(7), None));
        // the next gap has a moment of its own
        add(&mut gap, 9);
        assert_eq!((next(&mut gap, 7, now), gap.is_over(begun + GAP), gap.is_over(now + GAP)), (None, false, true));
        // what was read meanwhile is not waited for
        assert_eq!(next(&mut gap, 12, now), Some(9));
        (20..=20 + i64::try_from(MOST_EARLY).unwrap()).for_each(|rev| add(&mut gap, rev));
        assert!(gap.is_over(now), "there is no more room");
    }
}
