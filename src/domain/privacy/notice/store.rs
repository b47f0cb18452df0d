//! The one table of durations.

use super::model::Duration;
use crate::platform::{Result, Tx};

/// In a transaction of nobody's: the notice is for everybody to read.
pub async fn list_durations(tx: &mut Tx) -> Result<Vec<Duration>> {
    Ok(sqlx::query_as("SELECT record, profession, years, days, minutes, since, ground FROM auth.durations()")
        .fetch_all(tx.conn())
        .await?)
}
