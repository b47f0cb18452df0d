//! Counting anew, and publishing what is over.

use serde::{Deserialize, Serialize};

use super::store;
use crate::platform::Result;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};

/// Months of companies that are published in one transaction. Who sets a threshold waits for it.
const MONTHS: i32 = 50;

/// Counts what is not published, and publishes the months that are over. In a queue of its own: it may take long, and nothing
/// else waits for it, nor it for anything else.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshUsage {}

impl Job for RefreshUsage {
    const KIND: &'static str = "usage.refresh";
    const QUEUE: Queue = Queue::Counting;
}

pub fn register(registry: &mut Registry) {
    registry.on(refresh);
    registry.schedule("usage.refresh", "0 5 * * * *", || RefreshUsage {});
}

async fn refresh(cx: JobContext, _: RefreshUsage) -> Result<()> {
    let mut tx = cx.begin().await?;
    store::refresh(&mut tx, cx.now()).await?;
    tx.commit().await?;
    loop {
        let mut tx = cx.begin().await?;
        let published = store::publish(&mut tx, MONTHS).await?;
        tx.commit().await?;
        if published == 0 {
            return Ok(());
        }
    }
}
