//! What happened to a review, for higher floors: enqueued with the change itself, by ids alone.

use serde::{Deserialize, Serialize};

use crate::platform::ids::ReviewId;
use crate::platform::jobs::{Job, Queue};

/// A moderator decided. The job is the moderator's doing and names no author.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReviewModerated {
    pub review_id: ReviewId,
    /// Of the review, with the verdict: tells one from another.
    pub version: i32,
}

impl Job for ReviewModerated {
    const KIND: &'static str = "reviews.moderated";
    const QUEUE: Queue = Queue::Events;
}
