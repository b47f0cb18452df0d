//! What the client of a socket says that it has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use socketioxide::AckError;
use socketioxide::ack::AckStream;
use tokio::sync::Notify;
use uuid::Uuid;

/// Signals that have arrived and are still kept.
pub struct Arrivals {
    arrived: Arc<Mutex<Vec<Uuid>>>,
    waker: Arc<Notify>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Arrivals {
    pub fn new(waker: Arc<Notify>) -> Self {
        Self { arrived: Arc::default(), waker }
    }

    /// Notes that a signal has arrived as soon as the client says so. Whoever does not is sent it again on their next
    /// connection. They are as many as the database lets wait for one person.
    pub fn expect(&self, signal: Uuid, ack: AckStream<Value>) {
        let (arrived, waker) = (self.arrived.clone(), self.waker.clone());
        tokio::spawn(async move {
            // whatever it says with it
            if matches!(ack.await, Ok(_) | Err(AckError::Decode(_))) {
                lock(&arrived).push(signal);
                waker.notify_one();
            }
        });
    }

    /// The next look forgets it.
    pub fn note(&self, signal: Uuid) {
        lock(&self.arrived).push(signal);
        self.waker.notify_one();
    }

    pub fn take(&self) -> Vec<Uuid> {
        std::mem::take(&mut lock(&self.arrived))
    }

    /// For the next time.
    pub fn keep(&self, signals: Vec<Uuid>) {
        lock(&self.arrived).extend(signals);
    }
}
