//! Who sits here, and why they are to look.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::platform::ids::{ConsultationId, PractitionerId, UserId};
use crate::platform::realtime;

/// The reasons of one socket to look.
#[derive(Debug, Default)]
pub struct Reasons {
    pub has_list: bool,
    /// Something rings for its person, or does no more.
    pub has_calls: bool,
    pub consultations: HashSet<ConsultationId>,
    /// Conversations that stand otherwise in the person's list, and since which revision.
    pub conversations: HashMap<ConsultationId, i64>,
    /// To which the other one has come.
    pub joined: HashSet<ConsultationId>,
    /// Whose free times have changed, of those whom the socket watches.
    pub slots: HashSet<PractitionerId>,
    /// Some of what was told may not have been heard.
    pub has_missed: bool,
}

impl Reasons {
    pub fn add(&mut self, others: Self) {
        self.has_list |= others.has_list;
        self.has_calls |= others.has_calls;
        for (id, rev) in others.conversations {
            self.add_conversation(id, rev);
        }
        self.joined.extend(others.joined);
        self.has_missed |= others.has_missed;
        self.consultations.extend(others.consultations);
        self.slots.extend(others.slots);
    }

    pub fn add_conversation(&mut self, id: ConsultationId, rev: i64) {
        let known = self.conversations.entry(id).or_default();
        *known = rev.max(*known);
    }
}

/// Where one socket hears that there is something.
pub struct Place {
    pub user: UserId,
    waker: Arc<Notify>,
    reasons: Mutex<Reasons>,
}

impl Place {
    pub fn new(user: UserId, waker: Arc<Notify>) -> Self {
        Self { user, waker, reasons: Mutex::default() }
    }

    pub fn take(&self) -> Reasons {
        std::mem::take(&mut lock(&self.reasons))
    }

    /// Notes a reason for the next look.
    pub fn keep(&self, note: impl FnOnce(&mut Reasons)) {
        note(&mut lock(&self.reasons));
    }

    fn wake(&self, note: impl FnOnce(&mut Reasons)) {
        self.keep(note);
        self.waker.notify_one();
    }
}

/// The sockets of this node, by what they are told of.
#[derive(Default)]
pub struct Hub {
    people: Mutex<HashMap<UserId, Vec<Arc<Place>>>>,
    watched: Mutex<HashMap<PractitionerId, Vec<Arc<Place>>>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove<K: Eq + Hash>(from: &mut HashMap<K, Vec<Arc<Place>>>, key: &K, place: &Arc<Place>) {
    if let Some(places) = from.get_mut(key) {
        places.retain(|other| !Arc::ptr_eq(other, place));
        if places.is_empty() {
            from.remove(key);
        }
    }
}

impl Hub {
    pub fn enter(&self, place: &Arc<Place>) {
        lock(&self.people).entry(place.user).or_default().push(place.clone());
    }

    pub fn leave(&self, place: &Arc<Place>) {
        remove(&mut lock(&self.people), &place.user, place);
    }

    /// The socket is told of a practitioner's free times from now on.
    pub fn watch(&self, practitioner: PractitionerId, place: &Arc<Place>) {
        lock(&self.watched).entry(practitioner).or_default().push(place.clone());
    }

    pub fn unwatch(&self, practitioner: PractitionerId, place: &Arc<Place>) {
        remove(&mut lock(&self.watched), &practitioner, place);
    }

    /// Somebody's list has changed.
    pub fn list_changed(&self, about: &str) {
        let Ok(user) = about.parse::<Uuid>() else { return };
        for place in lock(&self.people).get(&UserId(user)).into_iter().flatten() {
            place.wake(|reasons| reasons.has_list = true);
        }
    }

    /// It rings for somebody, or does no more.
    pub fn call_rings(&self, about: &str) {
        let Ok(user) = about.parse::<Uuid>() else { return };
        for place in lock(&self.people).get(&UserId(user)).into_iter().flatten() {
            place.wake(|reasons| reasons.has_calls = true);
        }
    }

    /// A session of somebody's has changed.
    pub fn consultation_changed(&self, about: &str) {
        self.wake_for_session(about, |reasons| &mut reasons.consultations);
    }

    /// A conversation was changed, perhaps in lists of somebody's.
    pub fn conversation_changed(&self, about: &str) {
        let mut people = realtime::people_of(about).peekable();
        if people.peek().is_none() {
            return;
        }
        let Some((id, rev)) = realtime::changed(about) else { return };
        let seated = lock(&self.people);
        for place in people.filter_map(|it| seated.get(&UserId(it))).flatten() {
            place.wake(|reasons| reasons.add_conversation(ConsultationId(id), rev));
        }
    }

    /// The other one has come to a session of somebody's.
    pub fn peer_joined(&self, about: &str) {
        self.wake_for_session(about, |reasons| &mut reasons.joined);
    }

    /// Somebody's id, and the session's.
    fn wake_for_session(&self, about: &str, list: impl Fn(&mut Reasons) -> &mut HashSet<ConsultationId>) {
        let Some((user, id)) = about.split_once(' ') else { return };
        let (Ok(user), Ok(id)) = (user.parse::<Uuid>(), id.parse::<Uuid>()) else { return };
        for place in lock(&self.people).get(&UserId(user)).into_iter().flatten() {
            place.wake(|reasons| {
                list(reasons).insert(ConsultationId(id));
            });
        }
    }

    /// A practitioner's free times have changed.
    pub fn slots_changed(&self, about: &str) {
        let Ok(id) = about.parse::<Uuid>() else { return };
        for place in lock(&self.watched).get(&PractitionerId(id)).into_iter().flatten() {
            place.wake(|reasons| {
                reasons.slots.insert(PractitionerId(id));
            });
        }
    }

    /// Everything may have changed.
    pub fn missed(&self) {
        for place in lock(&self.people).values().flatten() {
            place.wake(|reasons| {
                reasons.has_list = true;
                reasons.has_calls = true;
                reasons.has_missed = true;
            });
        }
    }
}
