//! SQL of attempts.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Subject;
use crate::platform::{Result, Tx};

/// What an attempt is measured against: keyed hashes, and how much each bears.
#[derive(Default)]
pub struct Brakes {
    pub delayed: Vec<u8>,
    pub delays: Vec<f64>,
    pub budgets: Vec<Vec<u8>>,
    /// What each budget may owe, in seconds.
    pub allowed: Vec<f64>,
    /// What a failure costs each budget, in seconds.
    pub steps: Vec<f64>,
}

pub async fn known_device(
    tx: &mut Tx,
    token_hash: &[u8],
    subject: Subject<'_>,
    at: DateTime<Utc>,
) -> Result<Option<Uuid>> {
    let (address, user) = match subject {
        Subject::Address(address) => (Some(address), None),
        Subject::Person(id) => (None, Some(id)),
    };
    Ok(sqlx::query_scalar("SELECT auth.known_device($1, $2, $3, $4)")
        .bind(token_hash)
        .bind(address)
        .bind(user)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}

/// Seconds to wait; 0 for none.
pub async fn wait(tx: &mut Tx, it: &Brakes, at: DateTime<Utc>) -> Result<i32> {
    measure(tx, "SELECT auth.attempt_wait($1, $2, $3, $4)", it, at).await
}

/// Clears the delay, unless it has to wait.
pub async fn succeeded(tx: &mut Tx, it: &Brakes, at: DateTime<Utc>) -> Result<i32> {
    measure(tx, "SELECT auth.attempt_succeeded($1, $2, $3, $4)", it, at).await
}

async fn measure(tx: &mut Tx, statement: &'static str, it: &Brakes, at: DateTime<Utc>) -> Result<i32> {
    Ok(sqlx::query_scalar(statement)
        .bind(&it.delayed)
        .bind(&it.budgets)
        .bind(&it.allowed)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}

/// Counts a failure, unless it has to wait.
pub async fn failed(tx: &mut Tx, it: &Brakes, at: DateTime<Utc>) -> Result<i32> {
    Ok(sqlx::query_scalar("SELECT auth.attempt_failed($1, $2, $3, $4, $5, $6)")
        .bind(&it.delayed)
        .bind(&it.delays)
        .bind(&it.budgets)
        .bind(&it.allowed)
        .bind(&it.steps)
        .bind(at)
        .fetch_one(tx.conn())
        .await?)
}
