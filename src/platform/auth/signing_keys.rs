//! The keys that sign and verify access tokens, and how they are replaced while nodes run.
//!
//! Those of `JWT_KEYS` verify as long as they are configured, and the first of them signs until there is one of the
//! database. `huntzen keys rotate` publishes a key there, sealed under the master keys. It signs only after
//! [`PUBLISHED_BEFORE`], when every node and every reader of the JWKS has it; from then on its predecessor verifies
//! until its last token has expired, and is gone. All of this follows from one time for each key, so that nodes agree
//! without talking to each other.

use std::collections::HashMap;
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
        Ok(Self { configured, stored: RwLock::default() })
    }

    /// The key that signs now.
    pub fn signing(&self, now: DateTime<Utc>) -> Result<Arc<Key>> {
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        let key = stored.iter().find(|it| it.signs(now)).map(|it| &it.key).or_else(|| self.configured.first());
        key.cloned().ok_or_else(|| Problem::internal("no key signs"))
    }

    /// The key of this name, if tokens of it may be alive.
    pub fn verifying(&self, kid: &str, now: DateTime<Utc>) -> Option<Arc<Key>> {
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
        let all = self.configured.iter().chain(stored);
        all.map(|key| PublicKey { kid: key.kid.clone(), x: URL_SAFE_NO_PAD.encode(&key.public) }).collect()
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

fn place(id: Uuid) -> Place {
    Place {
        purpose: Purpose::new("auth.signing_key"),
        table: "signing_keys",
        column: "secret",
        row: id,
        person: None,
        company: None,
    }
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

/// Makes a key and publishes it. `conn` is the owner's.
pub async fn rotate(
    conn: impl PgExecutor<'_>,
    config: &Config,
    entropy: &Entropy,
    now: DateTime<Utc>,
) -> Result<Published, RotateError> {
    let fault = |error: &dyn std::fmt::Display| RotateError::Key(error.to_string());
    let pair = Ed25519KeyPair::generate().map_err(|e| fault(&e))?;
    let pkcs8 = AsDer::<Pkcs8V1Der>::as_der(&pair).map_err(|e| fault(&e))?;
    let id = crate::platform::ids::uuid_v7(now, entropy.bytes());
    let keyring = Keyring::new(&config.master_keys).map_err(|e| fault(&e))?;
    let sealed = keyring.seal(&place(id), pkcs8.as_ref(), entropy).map_err(|e| fault(&e))?;
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

/// Removes the keys that verify nothing any more.
pub async fn purge(conn: impl PgExecutor<'_>, now: DateTime<Utc>) -> Result<i64> {
    let retired_before = now - LONGEST_TOKEN - TimeDelta::days(1);
    Ok(sqlx::query_scalar("SELECT app.purge_signing_keys($1)").bind(retired_before).fetch_one(conn).await?)
}
