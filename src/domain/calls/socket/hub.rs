//! Which sockets of this node are in the rooms of which consultation, to be woken.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::platform::ids::ConsultationId;

/// The reasons of one socket to look.
pub struct Place {
    waker: Arc<Notify>,
    changed: Mutex<HashSet<ConsultationId>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    pub fn new(waker: Arc<Notify>) -> Self {
        Self { waker, changed: Mutex::default() }
    }

    fn change(&self, consultation: ConsultationId) {
        self.keep(consultation);
        self.waker.notify_one();
    }

    /// Notes that a consultation is to be looked at, next time.
    pub fn keep(&self, consultation: ConsultationId) {
        lock(&self.changed).insert(consultation);
    }

    pub fn take_changed(&self) -> HashSet<ConsultationId> {
        std::mem::take(&mut lock(&self.changed))
    }
}

#[derive(Default)]
pub struct Hub {
    rooms: Mutex<HashMap<ConsultationId, Vec<Arc<Place>>>>,
}

impl Hub {
    pub fn join(&self, consultation: ConsultationId, place: &Arc<Place>) {
        lock(&self.rooms).entry(consultation).or_default().push(place.clone());
    }

    pub fn leave(&self, consultation: ConsultationId, place: &Arc<Place>) {
        let mut rooms = lock(&self.rooms);
        let Some(places) = rooms.get_mut(&consultation) else { return };
        places.retain(|other| !Arc::ptr_eq(other, place));
        if places.is_empty() {
            rooms.remove(&consultation);
        }
    }

    /// Something happened to the calls of a consultation.
    pub fn changed(&self, about: &str) {
        let Ok(id) = about.parse::<Uuid>().map(ConsultationId) else { return };
        for place in lock(&self.rooms).get(&id).into_iter().flatten() {
            place.change(id);
        }
    }

    /// Anything may have happened.
    pub fn missed(&self) {
        for (consultation, places) in &*lock(&self.rooms) {
            for place in places {
                place.change(*consultation);
            }
        }
    }
}
