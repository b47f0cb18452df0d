//! The functions that remove.

use chrono::{DateTime, Utc};

use crate::platform::{Result, Tx};

/// Removes some records of a kind that are over their time; how many.
pub async fn remove(tx: &mut Tx, record: &'static str, at: DateTime<Utc>, batch: i32, open_days: i32) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT app.remove_expired($1, $2, $3, $4)")
        .bind(record)
        .bind(at)
        .bind(batch)
        .bind(open_days)
        .fetch_one(tx.conn())
        .await?)
}
