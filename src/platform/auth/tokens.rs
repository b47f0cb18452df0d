//! Access tokens (JWT, `EdDSA`, RFC 9068) and opaque tokens.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use super::signing_keys::{PublicKey, SigningKeys};
use super::{Caller, Role};
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::seal::Keyring;
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::problem::{Error, Problem, Result};

/// Clocks of two machines may differ by so much.
pub(super) const LEEWAY: TimeDelta = TimeDelta::seconds(5);
const TOKEN_TYPE: &str = "at+jwt";

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    cid: Option<CompanyId>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    totp_setup_required: bool,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Ours have a few hundred bytes; longer ones are not worth reading.
const LONGEST: usize = 4096;

/// Verified tokens that are remembered: checking a signature costs an eighth of a busy request.
const REMEMBERED: usize = 20_000;

/// What a token says, once its signature was verified. Its times are compared at each use.
#[derive(Clone, Copy)]
struct Verified {
    caller: Caller,
    not_before: i64,
    expires: i64,
}

/// Signs and verifies access tokens.
pub struct Tokens {
    verified: quick_cache::sync::Cache<Box<str>, Verified>,
    /// Counts how often what was verified had to be forgotten.
    forgotten: AtomicU64,
    keys: SigningKeys,
    issuer: String,
    pub access_ttl: TimeDelta,
}

impl Tokens {
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            keys: SigningKeys::new(config)?,
            verified: quick_cache::sync::Cache::new(REMEMBERED),
            forgotten: AtomicU64::new(0),
            issuer: config.public_url.as_str().trim_end_matches('/').to_owned(),
            access_ttl: config.access_token_ttl,
        })
    }

    pub fn sign_access(&self, caller: &Caller, now: DateTime<Utc>) -> Result<String> {
        self.sign_access_for(caller, now, self.access_ttl)
    }

    /// For a session that ends before the usual time is over.
    pub fn sign_access_for(&self, caller: &Caller, now: DateTime<Utc>, lifetime: TimeDelta) -> Result<String> {
        let key = self.keys.signing(now)?;
        let kid = Some(key.kid.clone());
        let header = Header { typ: Some(TOKEN_TYPE.into()), kid, ..Header::new(Algorithm::EdDSA) };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: caller.user_id,
            sid: caller.session_id,
            role: caller.role,
            cid: caller.company_id,
            totp_setup_required: caller.totp_setup_required,
            iat: now.timestamp(),
            nbf: now.timestamp(),
            exp: (now + lifetime).timestamp(),
        };
        jsonwebtoken::encode(&header, &claims, &key.encoding).map_err(Problem::internal)
    }

    /// The caller that a token names. Any fault is `401`; only age is told apart.
    pub fn verify_access(&self, token: &str, now: DateTime<Utc>) -> Result<Caller> {
        Ok(self.verify(token, now)?.caller)
    }

    /// The same, with the end of the token's time, for whoever keeps a connection.
    pub fn verify_access_until(&self, token: &str, now: DateTime<Utc>) -> Result<(Caller, DateTime<Utc>)> {
        let it = self.verify(token, now)?;
        let until = DateTime::from_timestamp(it.expires, 0).ok_or(Error::Unauthenticated)?;
        Ok((it.caller, until))
    }

    fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Verified> {
        let it = if let Some(it) = self.verified.get(token) {
            it
        } else {
            if token.len() > LONGEST {
                return Err(Error::Unauthenticated.into());
            }
            let forgotten = self.forgotten.load(Ordering::SeqCst);
            let it = self.verify_signature(token, now)?;
            self.verified.insert(token.into(), it);
            if self.forgotten.load(Ordering::SeqCst) != forgotten {
                // keys changed while it was verified
                self.verified.remove(token);
            }
            it
        };
        let (now, leeway) = (now.timestamp(), LEEWAY.num_seconds());
        if it.not_before > now + leeway {
            return Err(Error::Unauthenticated.into());
        }
        if it.expires <= now - leeway {
            return Err(Error::TokenExpired.into());
        }
        Ok(it)
    }

    fn verify_signature(&self, token: &str, now: DateTime<Utc>) -> Result<Verified> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Error::Unauthenticated)?;
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(Error::Unauthenticated.into());
        }
        let kid = header.kid.as_deref().ok_or(Error::Unauthenticated)?;
        let key = self.keys.verifying(kid, now).ok_or(Error::Unauthenticated)?;
        let mut validation = jsonwebtoken::Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        // times are compared at each use, with a clock that tests can move
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
            .map_err(|_| Error::Unauthenticated)?
            .claims;
        if claims.role.is_company_bound() != claims.cid.is_some() {
            return Err(Error::Unauthenticated.into());
        }
        Ok(Verified {
            caller: Caller {
                user_id: claims.sub,
                role: claims.role,
                company_id: claims.cid,
                session_id: claims.sid,
                totp_setup_required: claims.totp_setup_required,
            },
            not_before: claims.nbf.max(claims.iat),
            expires: claims.exp,
        })
    }

    /// The public keys, also of those that will sign soon or did until lately.
    pub fn public_keys(&self, now: DateTime<Utc>) -> Vec<PublicKey> {
        self.keys.public(now)
    }

    /// Reads the keys of the database again.
    pub async fn read_keys(&self, conn: impl PgExecutor<'_>, keyring: &Keyring) -> Result<()> {
        if self.keys.read(conn, keyring).await? {
            self.forget();
        }
        Ok(())
    }

    /// Reads which keys were withdrawn; whether there are more of them.
    pub async fn read_withdrawn(&self, conn: impl PgExecutor<'_>) -> Result<bool> {
        let changed = self.keys.read_withdrawn(conn).await?;
        if changed {
            self.forget();
        }
        Ok(changed)
    }

    /// What a key that is gone has signed is to be verified again.
    fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.verified.clear();
    }
}

/// A token that is kept only as its hash: 256 random bits.
pub struct OpaqueToken {
    /// What the person holds.
    pub plain: String,
    /// What the database holds: SHA-256.
    pub hash: Vec<u8>,
}

impl OpaqueToken {
    pub fn generate(entropy: &Entropy) -> Self {
        Self::from_bytes(&entropy.bytes::<32>())
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let plain = URL_SAFE_NO_PAD.encode(bytes);
        Self { hash: hash_opaque(&plain), plain }
    }
}

/// The hash under which an opaque token is looked up.
pub fn hash_opaque(plain: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, plain.as_bytes()).as_ref().to_vec()
}
