//! What the client of a socket says that it has heard.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use socketioxide::AckError;
use socketioxide::ack::AckStream;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::platform::ids::ConsultationId;

/// What has arrived, and is not yet noted in the database.
#[derive(Default)]
pub struct Arrived {
    /// They are still kept.
    pub signals: Vec<Uuid>,
    /// Where it rings.
    pub rings: Vec<ConsultationId>,
}

#[derive(Clone, Copy)]
pub enum What {
    Signal(Uuid),
    Ringing(ConsultationId),
}

impl Arrived {
    fn add(&mut self, what: What) {
        match what {
            What::Signal(id) => self.signals.push(id),
            What::Ringing(id) => self.rings.push(id),
        }
    }
}

pub struct Arrivals {
    arrived: Arc<Mutex<Arrived>>,
    waker: Arc<Notify>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Arrivals {
    pub fn new(waker: Arc<Notify>) -> Self {
        Self { arrived: Arc::default(), waker }
    }

    /// Notes that something has arrived as soon as the client says so. Whoever does not is sent a signal again on their next
    /// connection. They are as many as the database lets wait for one person.
    pub fn expect(&self, what: What, ack: AckStream<Value>) {
        let (arrived, waker) = (self.arrived.clone(), self.waker.clone());
        tokio::spawn(async move {
            // whatever it says with it
            if matches!(ack.await, Ok(_) | Err(AckError::Decode(_))) {
                lock(&arrived).add(what);
                waker.notify_one();
            }
        });
    }

    /// The next look notes it.
    pub fn note(&self, what: What) {
        lock(&self.arrived).add(what);
        self.waker.notify_one();
    }

    pub fn take(&self) -> Arrived {
        std::mem::take(&mut lock(&self.arrived))
    }

    /// For the next time.
    pub fn keep(&self, what: Arrived) {
        let mut arrived = lock(&self.arrived);
        arrived.signals.extend(what.signals);
        arrived.rings.extend(what.rings);
    }
}
