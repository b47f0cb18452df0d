//! Reading the durations.

use super::model::Duration;
use super::store;
use crate::platform::db::Actor;
use crate::platform::{Platform, Result};

/// How long everything is kept.
pub async fn durations(platform: &Platform) -> Result<Vec<Duration>> {
    let mut tx = platform.db.anonymous(Actor::job(None, None)).await?;
    store::list_durations(&mut tx).await
}
