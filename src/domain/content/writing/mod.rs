//! Writing articles, and what the clock does with them.

mod api;
mod model;
mod service;
mod store;

pub use api::WritingApi;

use serde::{Deserialize, Serialize};

use crate::platform::Result;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};

/// What one turn publishes at most; the rest is for the next one.
const AT_ONCE: i32 = 100;

/// The schedule's turn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PublishDue {}

impl Job for PublishDue {
    const KIND: &'static str = "content.publish_due";
    const QUEUE: Queue = Queue::Maintenance;
    /// The next turn does what this one could not.
    const MAX_ATTEMPTS: i32 = 3;
}

pub fn jobs(registry: &mut Registry) {
    registry.on(publish_due);
    registry.schedule("content.publish_due", "20 * * * * *", || PublishDue {});
}

/// Scheduled articles whose time has come.
async fn publish_due(cx: JobContext, _: PublishDue) -> Result<()> {
    let mut tx = cx.begin().await?;
    for id in store::publish_due(&mut tx, cx.now(), AT_ONCE).await? {
        tx.audit_done("article.published", "article", id.0).await?;
    }
    tx.commit().await
}
