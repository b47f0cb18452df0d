//! The keys that sign and verify access tokens, and how they are replaced while nodes run.
//!
//! Those of `JWT_KEYS` verify as long as they are configured, and the first of them signs until there is one of the
//! database. `huntzen keys publish` publishes a key there, sealed under the master keys. It signs only after
//! [`PUBLISHED_BEFORE`], when every node and every reader of the JWKS has it; from then on its predecessor verifies
//! until its last token has expired, and is gone. All of this follows from one time for each key, so that nodes agree
//! without talking to each other. `huntzen keys withdraw` takes a key that leaked out of use at once, wherever it is
//! configured: the one before it signs again, or a new one that is made with it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};
use secrecy::ExposeSecret;
use sqlx::PgExecutor;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::tokens::LEEWAY;
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::rewrap::Sealed;
use crate::platform::crypto::seal::{Keyring, Place, Purpose};
use crate::platform::problem::{Problem, Result};

/// How long a key is published before it signs: longer than readers may keep the JWKS, and than a node that missed
/// the notification takes to read again.
pub const PUBLISHED_BEFORE: TimeDelta = TimeDelta::minutes(10);
/// The longest that `ACCESS_TOKEN_TTL` can be: tokens of a key live so much longer than it signs.
const LONGEST_TOKEN: TimeDelta = TimeDelta::minutes(15);

/// A key pair (Ed25519).
pub struct Key {
    pub kid: String,
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
    /// The public half, 32 bytes.
    public: Vec<u8>,
}

impl Key {
    /// The public half is computed, not read: what the database says of it need not be believed.
    fn from_pkcs8(kid: String, der: &[u8]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|e| Problem::internal(e.to_string()))?;
        let public = pair.public_key().as_ref().to_vec();
        Ok(Self { kid, encoding: EncodingKey::from_ed_der(der), decoding: DecodingKey::from_ed_der(&public), public })
    }
}

/// A key of the JWKS (RFC 7517, RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    /// The public half, base64url.
    pub x: String,
}

/// A key of the database.
struct Stored {
    key: Arc<Key>,
    signs_from: DateTime<Utc>,
    /// When its successor takes over.
    signs_until: Option<DateTime<Utc>>,
}

impl Stored {
    fn signs(&self, now: DateTime<Utc>) -> bool {
        self.signs_from <= now && self.signs_until.is_none_or(|until| now < until)
    }

    /// Whether a token of it may be alive: also before it signs, for the clocks of nodes differ.
    fn verifies(&self, now: DateTime<Utc>) -> bool {
        self.signs_until.is_none_or(|until| now < until + LONGEST_TOKEN + LEEWAY * 2)
    }
}

pub struct SigningKeys {
    configured: Vec<Arc<Key>>,
    /// In the order in which they sign.
    stored: RwLock<Vec<Stored>>,
    /// Names of keys that sign and verify nothing any more.
    withdrawn: RwLock<HashSet<String>>,
}

impl SigningKeys {
    pub fn new(config: &Config) -> Result<Self> {
        let configured = config.jwt_keys.iter().map(|key| {
            let der = Zeroizing::new(STANDARD.decode(key.pkcs8.expose_secret()).map_err(Problem::internal)?);
            Key::from_pkcs8(key.kid.clone(), &der).map(Arc::new)
        });
        let configured: Vec<_> = configured.collect::<Result<_>>()?;
        if configured.is_empty() {
            return Err(Problem::internal("JWT_KEYS names no key"));
        }
        Ok(Self { configured, stored: RwLock::default(), withdrawn: RwLock::default() })
    }

    /// The key that signs now.
    pub fn signing(&self, now: DateTime<Utc>) -> Result<Arc<Key>> {
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        let withdrawn = self.withdrawn.read().unwrap_or_else(PoisonError::into_inner);
        let in_use = |key: &&Arc<Key>| !withdrawn.contains(&key.kid);
        let of_database =
            |signs: &dyn Fn(&Stored) -> bool| stored.iter().filter(|it| signs(it)).map(|it| &it.key).find(in_use);
        let key = of_database(&|it| it.signs(now))
            .or_else(|| self.configured.iter().find(in_use))
            // the one that was made when the last one was withdrawn, on a node whose clock is behind
            .or_else(|| of_database(&|_| true));
        key.cloned().ok_or_else(|| Problem::internal("no key signs"))
    }

    /// The key of this name, if tokens of it may be alive.
    pub fn verifying(&self, kid: &str, now: DateTime<Utc>) -> Option<Arc<Key>> {
        if self.withdrawn.read().unwrap_or_else(PoisonError::into_inner).contains(kid) {
            return None;
        }
        let configured = self.configured.iter().find(|key| key.kid == kid).cloned();
        configured.or_else(|| {
            let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
            stored.iter().find(|it| it.key.kid == kid && it.verifies(now)).map(|it| it.key.clone())
        })
    }

    /// The public halves of all that verify, or will.
    pub fn public(&self, now: DateTime<Utc>) -> Vec<PublicKey> {
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        let stored = stored.iter().filter(|it| it.verifies(now)).map(|it| &it.key);
        let withdrawn = self.withdrawn.read().unwrap_or_else(PoisonError::into_inner);
        let all = self.configured.iter().chain(stored).filter(|key| !withdrawn.contains(&key.kid));
        all.map(|key| PublicKey { kid: key.kid.clone(), x: URL_SAFE_NO_PAD.encode(&key.public) }).collect()
    }

    /// Reads which keys were withdrawn; whether there are more of them. What was withdrawn stays so.
    pub async fn read_withdrawn(&self, conn: impl PgExecutor<'_>) -> Result<bool> {
        let kids: Vec<String> =
            sqlx::query_scalar("SELECT * FROM auth.withdrawn_signing_keys()").fetch_all(conn).await?;
        if self.withdrawn.read().unwrap_or_else(PoisonError::into_inner).len() >= kids.len() {
            return Ok(false);
        }
        for key in self.configured.iter().filter(|key| kids.contains(&key.kid)) {
            tracing::warn!(kid = key.kid, "JWT_KEYS names a key that was withdrawn; it is not used");
        }
        self.withdrawn.write().unwrap_or_else(PoisonError::into_inner).extend(kids);
        Ok(true)
    }

    /// Reads the database's keys again; whether they changed. A key that does not open leaves everything as it was.
    pub async fn read(&self, conn: impl PgExecutor<'_>, keyring: &Keyring) -> Result<bool> {
        let rows: Vec<(Uuid, Vec<u8>, DateTime<Utc>)> =
            sqlx::query_as("SELECT id, secret, signs_from FROM auth.signing_keys()").fetch_all(conn).await?;
        let known: HashMap<String, Arc<Key>> = {
            let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
            stored.iter().map(|it| (it.key.kid.clone(), it.key.clone())).collect()
        };
        let mut stored: Vec<Stored> = Vec::with_capacity(rows.len());
        for (id, secret, signs_from) in rows {
            let kid = id.to_string();
            let key = match known.get(&kid) {
                Some(key) => key.clone(),
                None => Arc::new(Key::from_pkcs8(kid, &keyring.open(&place(id), &secret)?)?),
            };
            if let Some(before) = stored.last_mut() {
                before.signs_until = Some(signs_from);
            }
            stored.push(Stored { key, signs_from, signs_until: None });
        }
        let changed = stored.len() != known.len() || stored.iter().any(|it| !known.contains_key(&it.key.kid));
        *self.stored.write().unwrap_or_else(PoisonError::into_inner) = stored;
        Ok(changed)
    }
}

/// Where the keys of the database are kept.
pub const SEALED: Sealed =
    Sealed { purpose: Purpose::new("auth.signing_key"), table: "signing_keys", column: "secret" };

fn place(id: Uuid) -> Place {
    Place { purpose: SEALED.purpose, table: SEALED.table, column: SEALED.column, row: id, person: None, company: None }
}

/// A key that was published, and when it begins to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub kid: String,
    pub signs_from: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("the last new key does not sign yet: it was published less than {} minutes ago", PUBLISHED_BEFORE.num_minutes())]
    TooSoon,
    #[error("the database refused: {0}; has it been migrated by this version?")]
    Database(#[from] sqlx::Error),
    #[error("cannot make a key: {0}")]
    Key(String),
}

/// A new key, sealed.
fn make(config: &Config, entropy: &Entropy, now: DateTime<Utc>) -> Result<(Uuid, Vec<u8>), RotateError> {
    let fault = |error: &dyn std::fmt::Display| RotateError::Key(error.to_string());
    let pair = Ed25519KeyPair::generate().map_err(|e| fault(&e))?;
    let pkcs8 = AsDer::<Pkcs8V1Der>::as_der(&pair).map_err(|e| fault(&e))?;
    let id = crate::platform::ids::uuid_v7(now, entropy.bytes());
    let keyring = Keyring::new(&config.master_keys).map_err(|e| fault(&e))?;
    let sealed = keyring.seal(&place(id), pkcs8.as_ref(), entropy).map_err(|e| fault(&e))?;
    Ok((id, sealed))
}

/// Makes a key and publishes it. `conn` is the owner's.
pub async fn rotate(
    conn: impl PgExecutor<'_>,
    config: &Config,
    entropy: &Entropy,
    now: DateTime<Utc>,
) -> Result<Published, RotateError> {
    let (id, sealed) = make(config, entropy, now)?;
    let signs_from = now + PUBLISHED_BEFORE;
    let published: bool = sqlx::query_scalar("SELECT app.publish_signing_key($1, $2, $3, $4)")
        .bind(id)
        .bind(sealed)
        .bind(now)
        .bind(signs_from)
        .fetch_one(conn)
        .await?;
    if published { Ok(Published { kid: id.to_string(), signs_from }) } else { Err(RotateError::TooSoon) }
}

/// What became of a key that leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// It signs and verifies nothing any more; the key that was made in its place, where none was left to sign.
    Now { replaced_by: Option<String> },
    /// It was withdrawn before.
    Before,
}

#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    #[error("neither JWT_KEYS nor the database has a key of this name: {0}")]
    Unknown(String),
    #[error(transparent)]
    Failed(#[from] RotateError),
}

/// Takes a key out of use at once, on every node. `conn` is the owner's.
pub async fn withdraw(
    conn: impl PgExecutor<'_>,
    config: &Config,
    entropy: &Entropy,
    now: DateTime<Utc>,
    kid: &str,
) -> Result<Withdrawn, WithdrawError> {
    let (id, sealed) = make(config, entropy, now)?;
    let configured: Vec<&str> = config.jwt_keys.iter().map(|key| key.kid.as_str()).collect();
    let (outcome, replaced): (String, bool) =
        sqlx::query_as("SELECT outcome, replaced FROM app.withdraw_signing_key($1, $2, $3, $4, $5)")
            .bind(kid)
            .bind(configured)
            .bind(now)
            .bind(id)
            .bind(sealed)
            .fetch_one(conn)
            .await
            .map_err(RotateError::from)?;
    match outcome.as_str() {
        "withdrawn" => Ok(Withdrawn::Now { replaced_by: replaced.then(|| id.to_string()) }),
        "before" => Ok(Withdrawn::Before),
        _ => Err(WithdrawError::Unknown(kid.to_owned())),
    }
}

/// Removes the keys that verify nothing any more.
pub async fn purge(conn: impl PgExecutor<'_>, now: DateTime<Utc>) -> Result<i64> {
    let retired_before = now - LONGEST_TOKEN - TimeDelta::days(1);
    Ok(sqlx::query_scalar("SELECT app.purge_signing_keys($1)").bind(retired_before).fetch_one(conn).await?)
}
