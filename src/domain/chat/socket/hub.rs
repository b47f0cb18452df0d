//! Who sits here, and who is known to sit elsewhere.
//!
//! The sockets of this node are kept by conversation, to be woken. Who is present is told by each node when the first
//! socket of a person joins a conversation and when the last one leaves; nodes answer newcomers with whom they have. A
//! node that has not been heard for half a minute is gone, and those who were there alone with it. Whoever may have missed
//! something asks anew, and whom nobody confirms then has left. All of it carries ids, is shown to those who have joined the
//! conversation, is believed of its two people alone, and may be wrong for a moment.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::LIVE;
use crate::domain::chat::model::{Message, Receipt};
use crate::platform::Platform;
use crate::platform::ids::{ConsultationId, UserId};
use crate::platform::realtime;

/// News of one socket that are not kept anywhere; the oldest go first.
const LATEST: usize = 64;
/// A node that is silent for so long is gone.
const SILENT: Duration = Duration::from_secs(30);
/// Whoever does not say again that they write, writes no more.
const WRITES_FOR: Duration = Duration::from_secs(15);
/// Whom another node had is confirmed within this time after it was asked, or is gone.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(10);
/// Nodes that are known of; anybody who reaches the database can forge some.
const MOST_NODES: usize = 256;
/// Changes that are handed to one socket; whoever takes longer reads them.
const HANDED: usize = 32;
/// How far below the latest revision one is still missed.
const MOST_MISSING: i64 = 32;

/// What is told between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Somebody came; who else is here says so.
    Came,
    /// Somebody is here, in answer to that.
    Here,
    Left,
    Writes,
    Stopped,
    /// The node lives.
    Alive,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Word {
    node: Uuid,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    conversation: Option<ConsultationId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    user: Option<UserId>,
}

/// What somebody is shown of the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    Presence { conversation: ConsultationId, user: UserId, is_online: bool },
    Typing { conversation: ConsultationId, user: UserId, is_typing: bool },
}

/// A change that was committed on this node, as its own socket knows it. The others that look at the conversation, whose
/// two people alone these are, need not read it again.
#[derive(Clone, Debug)]
pub enum Change {
    Message(Arc<Message>),
    Receipt(Receipt),
}

impl Change {
    pub fn rev(&self) -> i64 {
        match self {
            Self::Message(it) => it.rev,
            Self::Receipt(it) => it.rev,
        }
    }
}

/// The reasons of one socket to look.
pub struct Place {
    user: UserId,
    waker: Arc<Notify>,
    /// Up to which revision there is something to read.
    changed: Mutex<HashMap<ConsultationId, i64>>,
    handed: Mutex<VecDeque<(ConsultationId, Change)>>,
    live: Mutex<VecDeque<Live>>,
}

impl Place {
    pub fn new(user: UserId, waker: Arc<Notify>) -> Self {
        Self { user, waker, changed: Mutex::default(), handed: Mutex::default(), live: Mutex::default() }
    }

    pub fn user(&self) -> UserId {
        self.user
    }

    /// Notes that a conversation is to be read up to a revision.
    fn change(&self, conversation: ConsultationId, rev: i64) {
        self.keep(conversation, rev);
        self.waker.notify_one();
    }

    /// The same, for the next look.
    pub fn keep(&self, conversation: ConsultationId, rev: i64) {
        let mut changed = lock(&self.changed);
        let known = changed.entry(conversation).or_default();
        *known = rev.max(*known);
    }

    pub fn take_changed(&self) -> HashMap<ConsultationId, i64> {
        std::mem::take(&mut lock(&self.changed))
    }

    fn hand(&self, conversation: ConsultationId, change: Change) {
        let mut handed = lock(&self.handed);
        if handed.len() < HANDED {
            handed.push_back((conversation, change));
        } else {
            self.keep(conversation, change.rev());
        }
        drop(handed);
        self.waker.notify_one();
    }

    pub fn take_handed(&self) -> Option<(ConsultationId, Change)> {
        lock(&self.handed).pop_front()
    }

    pub fn take_live(&self) -> Option<Live> {
        lock(&self.live).pop_front()
    }

    fn show(&self, live: Live) {
        let mut waiting = lock(&self.live);
        if waiting.len() == LATEST {
            waiting.pop_front();
        }
        waiting.push_back(live);
        drop(waiting);
        self.waker.notify_one();
    }
}

struct Room {
    people: [UserId; 2],
    places: Vec<Arc<Place>>,
    /// Up to here the places were told that something changed: what the database said, never what was heard.
    rev: i64,
    /// Of the revisions below, those that were not handed over: they are news when they are heard of.
    missing: BTreeSet<i64>,
    /// On which nodes each of the two is, and since when that is asked anew.
    present: HashMap<UserId, BTreeMap<Uuid, Option<Instant>>>,
    /// Who of them writes, and when that was said last.
    writing: BTreeMap<UserId, Instant>,
}

impl Room {
    fn of(people: [UserId; 2]) -> Self {
        Self {
            people,
            places: Vec::new(),
            rev: 0,
            missing: BTreeSet::new(),
            present: HashMap::new(),
            writing: BTreeMap::new(),
        }
    }

    fn handed(&mut self, rev: i64) {
        self.missing.remove(&rev);
        self.missing.extend((self.rev + 1).max(rev - MOST_MISSING)..rev);
        while self.missing.len() > HANDED {
            self.missing.pop_first();
        }
        self.rev = rev.max(self.rev);
    }

    fn wake(&self, id: ConsultationId, rev: i64) {
        for place in &self.places {
            place.change(id, rev);
        }
    }

    fn has(&self, user: UserId) -> bool {
        self.places.iter().any(|place| place.user == user)
    }

    fn show(&self, about: UserId, live: Live) {
        for place in self.places.iter().filter(|place| place.user != about) {
            place.show(live);
        }
    }

    /// Keeps of the nodes on which people are those that are said to be so; shows who is gone with the others.
    fn keep_present(&mut self, conversation: ConsultationId, is_so: impl Fn(UserId, Uuid, Option<Instant>) -> bool) {
        let mut gone = Vec::new();
        for (user, nodes) in &mut self.present {
            let was_here = !nodes.is_empty();
            nodes.retain(|node, asked_at| is_so(*user, *node, *asked_at));
            if was_here && nodes.is_empty() {
                gone.push(*user);
            }
        }
        for user in gone {
            self.stop_typing(conversation, user);
            self.show(user, Live::Presence { conversation, user, is_online: false });
        }
    }

    fn start_typing(&mut self, conversation: ConsultationId, user: UserId, now: Instant) {
        self.writing.insert(user, now);
        self.show(user, Live::Typing { conversation, user, is_typing: true });
    }

    /// Whoever stops writing is shown once to have stopped.
    fn stop_typing(&mut self, conversation: ConsultationId, user: UserId) {
        if self.writing.remove(&user).is_some() {
            self.show(user, Live::Typing { conversation, user, is_typing: false });
        }
    }
}

#[derive(Default)]
struct Known {
    rooms: HashMap<ConsultationId, Room>,
    heard_at: HashMap<Uuid, Instant>,
}

pub struct Hub {
    node: Uuid,
    /// Tells all nodes; returns at once.
    tell: Box<dyn Fn(String) + Send + Sync>,
    known: Mutex<Known>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub fn new(platform: &Arc<Platform>) -> Self {
        let wire = platform.clone();
        Self::telling(platform.new_id(), move |about| wire.wire.say(LIVE, about))
    }

    fn telling(node: Uuid, tell: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { node, tell: Box::new(tell), known: Mutex::default() }
    }

    /// A socket looks at a conversation of these people from now on. It is shown who is there already.
    pub fn join(&self, conversation: ConsultationId, people: [UserId; 2], place: &Arc<Place>) {
        let mut known = lock(&self.known);
        let room = known.rooms.entry(conversation).or_insert_with(|| Room::of(people));
        let is_first = !room.has(place.user);
        room.places.push(place.clone());
        for (user, nodes) in &room.present {
            if *user != place.user && !nodes.is_empty() {
                place.show(Live::Presence { conversation, user: *user, is_online: true });
            }
        }
        // before anybody leaves again: the others hear both in this order
        if is_first {
            self.say(Kind::Came, Some(conversation), Some(place.user));
        }
    }

    pub fn leave(&self, conversation: ConsultationId, place: &Arc<Place>) {
        let mut known = lock(&self.known);
        let Some(room) = known.rooms.get_mut(&conversation) else { return };
        room.places.retain(|other| !Arc::ptr_eq(other, place));
        let is_last = !room.has(place.user);
        if room.places.is_empty() {
            known.rooms.remove(&conversation);
        }
        if is_last {
            self.say(Kind::Left, Some(conversation), Some(place.user));
        }
    }

    pub fn say_typing(&self, conversation: ConsultationId, user: UserId, is_typing: bool) {
        self.say(if is_typing { Kind::Writes } else { Kind::Stopped }, Some(conversation), Some(user));
    }

    /// It was heard that a conversation was changed, perhaps on this node: a reason to look, whatever revision is claimed.
    pub fn changed(&self, about: &str) {
        let Some((id, rev)) = realtime::changed(about) else { return };
        let mut known = lock(&self.known);
        if let Some(room) = known.rooms.get_mut(&ConsultationId(id))
            && (room.missing.remove(&rev) || rev > room.rev)
        {
            room.wake(ConsultationId(id), rev);
        }
    }

    /// A conversation has a revision, says the database.
    pub fn reached(&self, id: Uuid, rev: i64) {
        let mut known = lock(&self.known);
        if let Some(room) = known.rooms.get_mut(&ConsultationId(id)).filter(|room| rev > room.rev) {
            room.rev = rev;
            room.wake(ConsultationId(id), rev);
        }
    }

    /// The same, with the change itself.
    pub fn hand(&self, conversation: ConsultationId, change: &Change) {
        let mut known = lock(&self.known);
        if let Some(room) = known.rooms.get_mut(&conversation) {
            room.handed(change.rev());
            for place in &room.places {
                place.hand(conversation, change.clone());
            }
        }
    }

    /// What is looked at, and up to which revision it is known.
    pub fn revisions(&self) -> (Vec<Uuid>, Vec<i64>) {
        lock(&self.known).rooms.iter().map(|(conversation, room)| (conversation.0, room.rev)).unzip()
    }

    /// Everything may have changed; who came or left, and what others answered, may have been missed.
    pub fn missed(&self, now: Instant) {
        let mut known = lock(&self.known);
        for (conversation, room) in &mut known.rooms {
            room.wake(*conversation, i64::MAX);
            let here: BTreeSet<_> = room.places.iter().map(|place| place.user).collect();
            room.keep_present(*conversation, |user, node, _| node != self.node || here.contains(&user));
            for asked_at in room.present.values_mut().flatten().filter(|(node, _)| **node != self.node).map(|it| it.1) {
                *asked_at = Some(now);
            }
            for user in here {
                self.say(Kind::Came, Some(*conversation), Some(user));
            }
        }
    }

    /// A node told something; perhaps this one.
    pub fn heard(&self, about: &str, now: Instant) {
        let Ok(word) = serde_json::from_str::<Word>(about) else { return };
        let mut known = lock(&self.known);
        if known.heard_at.len() >= MOST_NODES && !known.heard_at.contains_key(&word.node) {
            return;
        }
        known.heard_at.insert(word.node, now);
        let (Some(conversation), Some(user)) = (word.conversation, word.user) else { return };
        let room = known.rooms.get_mut(&conversation).filter(|room| room.people.contains(&user));
        let Some(room) = room else { return };
        match word.kind {
            Kind::Came | Kind::Here => {
                let nodes = room.present.entry(user).or_default();
                let was_away = nodes.is_empty();
                nodes.insert(word.node, None);
                if was_away {
                    room.show(user, Live::Presence { conversation, user, is_online: true });
                }
                if word.kind == Kind::Came && word.node != self.node {
                    let others: BTreeSet<_> = room.places.iter().map(|place| place.user).collect();
                    for other in others {
                        self.say(Kind::Here, Some(conversation), Some(other));
                    }
                }
            }
            Kind::Left => room.keep_present(conversation, |who, node, _| (who, node) != (user, word.node)),
            Kind::Writes => room.start_typing(conversation, user, now),
            Kind::Stopped => room.stop_typing(conversation, user),
            Kind::Alive => {}
        }
    }

    /// Says that this node lives, where anybody is here, and forgets nodes that are silent, whom nobody confirmed, and who no
    /// longer says that they write.
    pub fn say_alive(&self, now: Instant) {
        let mut known = lock(&self.known);
        let silent: HashSet<Uuid> = known
            .heard_at
            .iter()
            .filter(|(node, at)| **node != self.node && now.saturating_duration_since(**at) > SILENT)
            .map(|(node, _)| *node)
            .collect();
        known.heard_at.retain(|node, _| !silent.contains(node));
        for (conversation, room) in &mut known.rooms {
            let silent_writers =
                room.writing.iter().filter(|(_, at)| now.saturating_duration_since(**at) >= WRITES_FOR);
            for user in silent_writers.map(|(user, _)| *user).collect::<Vec<_>>() {
                room.stop_typing(*conversation, user);
            }
            room.keep_present(*conversation, |_, node, asked_at| {
                !silent.contains(&node)
                    && asked_at.is_none_or(|at| now.saturating_duration_since(at) < CONFIRMED_WITHIN)
            });
        }
        let is_needed = !known.rooms.is_empty();
        drop(known);
        if is_needed {
            self.say(Kind::Alive, None, None);
        }
    }

    fn say(&self, kind: Kind, conversation: Option<ConsultationId>, user: Option<UserId>) {
        let word = Word { node: self.node, kind, conversation, user };
        if let Ok(about) = serde_json::to_string(&word) {
            (self.tell)(about);
        }
    }
}

#[cfg(test)]
mod tests;
