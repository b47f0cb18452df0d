//! Who sits here, and who is known to sit elsewhere.
//!
//! The sockets of this node are kept by conversation, to be woken. Who is present is told by each node when the first
//! socket of a person joins a conversation and when the last one leaves; nodes answer newcomers with whom they have. A
//! node that has not been heard for half a minute is gone, and those who were there alone with it. All of it carries ids,
//! is shown to those who have joined the conversation, and may be wrong for a moment.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use uuid::Uuid;

use super::LIVE;
use crate::platform::Platform;
use crate::platform::ids::{ConsultationId, UserId};
use crate::platform::realtime::tell;

/// News of one socket that are not kept anywhere; the oldest go first.
const LATEST: usize = 64;
/// A node that is silent for so long is gone.
const SILENT: Duration = Duration::from_secs(30);
/// What waits to be told to other nodes; further news of presence are left out.
const UNTOLD: usize = 1024;

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

/// The reasons of one socket to look.
pub struct Place {
    user: UserId,
    waker: Arc<Notify>,
    changed: Mutex<HashSet<ConsultationId>>,
    live: Mutex<VecDeque<Live>>,
}

impl Place {
    pub fn new(user: UserId, waker: Arc<Notify>) -> Self {
        Self { user, waker, changed: Mutex::default(), live: Mutex::default() }
    }

    /// Notes that a conversation is to be looked at.
    pub fn change(&self, conversation: ConsultationId) {
        lock(&self.changed).insert(conversation);
        self.waker.notify_one();
    }

    /// The same, for the next look.
    pub fn keep(&self, conversation: ConsultationId) {
        lock(&self.changed).insert(conversation);
    }

    pub fn take_changed(&self) -> HashSet<ConsultationId> {
        std::mem::take(&mut lock(&self.changed))
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

#[derive(Default)]
struct Room {
    places: Vec<Arc<Place>>,
    /// On which nodes each of the two is.
    present: HashMap<UserId, BTreeSet<Uuid>>,
}

impl Room {
    fn has(&self, user: UserId) -> bool {
        self.places.iter().any(|place| place.user == user)
    }

    fn show(&self, about: UserId, live: Live) {
        for place in self.places.iter().filter(|place| place.user != about) {
            place.show(live);
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
    known: Mutex<Known>,
    words: mpsc::Sender<Word>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub fn new(platform: &Arc<Platform>) -> Self {
        let (words, untold) = mpsc::channel(UNTOLD);
        tokio::spawn(speak(platform.clone(), untold));
        Self { node: platform.new_id(), known: Mutex::default(), words }
    }

    /// A socket looks at a conversation from now on. It is shown who is there already.
    pub fn join(&self, conversation: ConsultationId, place: &Arc<Place>) {
        let mut known = lock(&self.known);
        let room = known.rooms.entry(conversation).or_default();
        let is_first = !room.has(place.user);
        room.places.push(place.clone());
        for (user, nodes) in &room.present {
            if *user != place.user && !nodes.is_empty() {
                place.show(Live::Presence { conversation, user: *user, is_online: true });
            }
        }
        drop(known);
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
        drop(known);
        if is_last {
            self.say(Kind::Left, Some(conversation), Some(place.user));
        }
    }

    pub fn say_typing(&self, conversation: ConsultationId, user: UserId, is_typing: bool) {
        self.say(if is_typing { Kind::Writes } else { Kind::Stopped }, Some(conversation), Some(user));
    }

    /// A conversation was changed and committed.
    pub fn changed(&self, about: &str) {
        let Ok(id) = about.parse::<Uuid>() else { return };
        let known = lock(&self.known);
        if let Some(room) = known.rooms.get(&ConsultationId(id)) {
            for place in &room.places {
                place.change(ConsultationId(id));
            }
        }
    }

    /// Everything may have changed.
    pub fn missed(&self) {
        let known = lock(&self.known);
        for (conversation, room) in &known.rooms {
            for place in &room.places {
                place.change(*conversation);
            }
        }
    }

    /// A node told something; perhaps this one.
    pub fn heard(&self, about: &str) {
        let Ok(word) = serde_json::from_str::<Word>(about) else { return };
        let mut known = lock(&self.known);
        known.heard_at.insert(word.node, Instant::now());
        let (Some(conversation), Some(user)) = (word.conversation, word.user) else { return };
        let Some(room) = known.rooms.get_mut(&conversation) else { return };
        match word.kind {
            Kind::Came | Kind::Here => {
                let nodes = room.present.entry(user).or_default();
                let was_away = nodes.is_empty();
                nodes.insert(word.node);
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
            Kind::Left => {
                let is_gone =
                    room.present.get_mut(&user).is_some_and(|nodes| nodes.remove(&word.node) && nodes.is_empty());
                if is_gone {
                    room.show(user, Live::Presence { conversation, user, is_online: false });
                }
            }
            Kind::Writes => room.show(user, Live::Typing { conversation, user, is_typing: true }),
            Kind::Stopped => room.show(user, Live::Typing { conversation, user, is_typing: false }),
            Kind::Alive => {}
        }
    }

    /// Says that this node lives, where anybody is here, and forgets nodes that are silent.
    pub fn say_alive(&self) {
        let mut known = lock(&self.known);
        let silent: HashSet<Uuid> = known
            .heard_at
            .iter()
            .filter(|(node, at)| **node != self.node && at.elapsed() > SILENT)
            .map(|(node, _)| *node)
            .collect();
        known.heard_at.retain(|node, _| !silent.contains(node));
        for (conversation, room) in &mut known.rooms {
            let mut gone = Vec::new();
            for (user, nodes) in &mut room.present {
                let was_here = !nodes.is_empty();
                nodes.retain(|node| !silent.contains(node));
                if was_here && nodes.is_empty() {
                    gone.push(*user);
                }
            }
            for user in gone {
                room.show(user, Live::Presence { conversation: *conversation, user, is_online: false });
            }
        }
        let is_needed = !known.rooms.is_empty();
        drop(known);
        if is_needed {
            self.say(Kind::Alive, None, None);
        }
    }

    fn say(&self, kind: Kind, conversation: Option<ConsultationId>, user: Option<UserId>) {
        let word = Word { node: self.node, kind, conversation, user };
        if self.words.try_send(word).is_err() {
            tracing::debug!("too much to tell of who is here");
        }
    }
}

/// Tells the nodes one word after the other, until the hub is gone.
async fn speak(platform: Arc<Platform>, mut untold: mpsc::Receiver<Word>) {
    while let Some(word) = untold.recv().await {
        let Ok(about) = serde_json::to_string(&word) else { continue };
        if let Err(error) = tell(&platform, LIVE, &about).await {
            tracing::debug!(%error, "the other nodes are not told who is here");
        }
    }
}
