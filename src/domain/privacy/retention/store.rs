//! The functions that remove.

use chrono::{DateTime, Utc};

use crate::platform::ids::{CompanyId, PrivacyRequestId, UserId};
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

/// Whose account nobody has used for as long as one is kept.
#[derive(sqlx::FromRow)]
pub struct Unused {
    pub user_id: UserId,
    pub company_id: Option<CompanyId>,
}

pub async fn list_unused(tx: &mut Tx, at: DateTime<Utc>, most: i32) -> Result<Vec<Unused>> {
    Ok(sqlx::query_as("SELECT user_id, company_id FROM app.unused_accounts($1, $2)")
        .bind(at)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

/// Asks for the erasure of the transaction's person. False: they came back meanwhile, or it was asked for.
pub async fn ask_for_unused(tx: &mut Tx, id: PrivacyRequestId, at: DateTime<Utc>, due: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.ask_for_unused($1, $2, $3)")
        .bind(id)
        .bind(at)
        .bind(due)
        .fetch_one(tx.conn())
        .await?)
}
