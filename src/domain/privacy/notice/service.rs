//! Reading the durations.

use super::model::Duration;
use super::store;
use crate::platform::db::Actor;
use crate::platform::{Platform, Result};

/// How long everything is kept. The audit log's duration is the operator's setting.
pub async fn durations(platform: &Platform) -> Result<Vec<Duration>> {
    let mut tx = platform.db.anonymous(Actor::job(None, None)).await?;
    let mut all = store::list_durations(&mut tx).await?;
    for it in all.iter_mut().filter(|it| it.record == "audit_entry") {
        (it.years, it.days) = (None, Some(platform.config.audit_retention_days.into()));
    }
    Ok(all)
}
