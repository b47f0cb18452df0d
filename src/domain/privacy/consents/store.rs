//! Decisions in the database.

use chrono::{DateTime, Utc};

use super::model::{Decided, Decision, Document};
use crate::domain::privacy::error::Error;
use crate::platform::db::OrConstraint;
use crate::platform::{Result, Tx};

/// The caller's last decision about each document.
pub async fn list_latest(tx: &mut Tx) -> Result<Vec<Decided>> {
    Ok(sqlx::query_as(
        "SELECT DISTINCT ON (document) place, document, version, decision, decided_at FROM app.consents
         WHERE user_id = (SELECT app.user_id()) ORDER BY document, place DESC",
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The caller's decisions, the last one first.
pub async fn list(tx: &mut Tx, before: Option<i32>, fetch: i64) -> Result<Vec<Decided>> {
    Ok(sqlx::query_as(
        "SELECT place, document, version, decision, decided_at FROM app.consents
         WHERE user_id = (SELECT app.user_id()) AND place < $1 ORDER BY place DESC LIMIT $2",
    )
    .bind(before.unwrap_or(i32::MAX))
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// False: it was so already.
pub async fn decide(
    tx: &mut Tx,
    document: Document,
    version: &str,
    decision: Decision,
    at: DateTime<Utc>,
) -> Result<bool> {
    sqlx::query_scalar("SELECT app.decide_consent($1, $2, $3, $4)")
        .bind(document)
        .bind(version)
        .bind(decision)
        .bind(at)
        .fetch_one(tx.conn())
        .await
        .or_constraint("consents_place", Error::ConsentsFull)
}

/// How many agreed to a version, as they decided last, and how many took it back.
#[derive(Debug, sqlx::FromRow)]
pub struct Count {
    pub document: Document,
    pub version: String,
    pub accepted: i64,
    pub withdrawn: i64,
}

pub async fn count(tx: &mut Tx) -> Result<Vec<Count>> {
    Ok(sqlx::query_as("SELECT document, version, accepted, withdrawn FROM app.count_consents()")
        .fetch_all(tx.conn())
        .await?)
}
