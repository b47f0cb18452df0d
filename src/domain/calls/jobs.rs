//! What nobody is there to end.

use serde::{Deserialize, Serialize};

use super::store;
use crate::platform::Result;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};

/// What one turn ends at most; the rest is for the next one.
const AT_ONCE: i32 = 500;

/// The schedule's turn: calls that both sides left with their nodes, and signals that nobody took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KeepCalls {}

impl Job for KeepCalls {
    const KIND: &'static str = "calls.keep";
    const QUEUE: Queue = Queue::Maintenance;
    /// The next turn does what this one could not.
    const MAX_ATTEMPTS: i32 = 3;
}

pub fn jobs(registry: &mut Registry) {
    registry.on(keep_calls);
    registry.schedule("calls.keep", "30 * * * * *", || KeepCalls {});
}

async fn keep_calls(cx: JobContext, _: KeepCalls) -> Result<()> {
    let mut tx = cx.begin().await?;
    let ended = store::keep_calls(&mut tx, cx.now(), AT_ONCE).await?;
    tx.commit().await?;
    if ended > 0 {
        tracing::info!(ended, "calls that nobody ended");
    }
    Ok(())
}
