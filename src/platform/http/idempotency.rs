//! `Idempotency-Key`: a repeated POST gets the first answer; the key with another body is refused.
//!
//! The key is taken inside the transaction of the change: a second request with the same key waits
//! for the first one's commit and then finds its answer; a rollback frees the key.

use aws_lc_rs::digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::platform::db::Tx;
use crate::platform::problem::{Error, Problem, Result};

/// A checked `Idempotency-Key`: 1–255 visible ASCII characters.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    key: String,
    fingerprint: Vec<u8>,
}

impl IdempotencyKey {
    /// `operation` and `body` make the fingerprint that a repetition must match.
    pub fn new(header: Option<String>, operation: &str, body: &impl Serialize) -> Result<Option<Self>> {
        let Some(key) = header else { return Ok(None) };
        if !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(
                Problem::from(Error::InvalidIdempotencyKey).at("header:Idempotency-Key", "invalid_idempotency_key")
            );
        }
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(operation.as_bytes());
        context.update(&[0]);
        context.update(&serde_json::to_vec(body).map_err(Problem::internal)?);
        Ok(Some(Self { key, fingerprint: context.finish().as_ref().to_vec() }))
    }
}

impl Tx {
    /// The answer that this key got before, or `None`: then the key is taken by this transaction,
    /// which must call [`Tx::remember`] before it commits.
    pub async fn recall<T: DeserializeOwned>(&mut self, key: Option<&IdempotencyKey>) -> Result<Option<T>> {
        let Some(key) = key else { return Ok(None) };
        let (fresh, fingerprint, answer): (bool, Vec<u8>, Option<serde_json::Value>) =
            sqlx::query_as("SELECT fresh, fingerprint, answer FROM app.take_idempotency_key($1, $2)")
                .bind(&key.key)
                .bind(&key.fingerprint)
                .fetch_one(self.conn())
                .await?;
        if fresh {
            return Ok(None);
        }
        if fingerprint != key.fingerprint {
            return Err(Error::IdempotencyMismatch.into());
        }
        let answer = answer.ok_or_else(|| Problem::internal("an idempotency key was kept without its answer"))?;
        serde_json::from_value(answer).map(Some).map_err(Problem::internal)
    }

    /// Keeps the answer for 24 hours, for repetitions.
    pub async fn remember(&mut self, key: Option<&IdempotencyKey>, answer: &impl Serialize) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        sqlx::query("SELECT app.keep_idempotent_answer($1, $2)")
            .bind(&key.key)
            .bind(serde_json::to_value(answer).map_err(Problem::internal)?)
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
