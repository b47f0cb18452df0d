//! Access tokens (JWT, `EdDSA`, RFC 9068) and opaque tokens.

use std::collections::HashMap;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{Caller, Role};
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
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
    iat: i64,
    nbf: i64,
    exp: i64,
}

struct Key {
    decoding: DecodingKey,
    /// The public half, 32 bytes.
    public: Vec<u8>,
}

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
    signing: (String, EncodingKey),
    verifying: HashMap<String, Key>,
    issuer: String,
    pub access_ttl: TimeDelta,
}

impl Tokens {
    pub fn new(config: &Config) -> Result<Self> {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

        let mut signing = None;
        let mut verifying = HashMap::new();
        for key in &config.jwt_keys {
            let der = STANDARD.decode(key.pkcs8.expose_secret()).map_err(Problem::internal)?;
            let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|e| Problem::internal(e.to_string()))?;
            let public = pair.public_key().as_ref().to_vec();
            signing.get_or_insert((key.kid.clone(), EncodingKey::from_ed_der(&der)));
            verifying.insert(key.kid.clone(), Key { decoding: DecodingKey::from_ed_der(&public), public });
        }
        Ok(Self {
            signing: signing.ok_or_else(|| Problem::internal("JWT_KEYS names no key"))?,
            verified: quick_cache::sync::Cache::new(REMEMBERED),
            verifying,
            issuer: config.public_url.as_str().trim_end_matches('/').to_owned(),
            access_ttl: config.access_token_ttl,
        })
    }

    pub fn sign_access(&self, caller: &Caller, now: DateTime<Utc>) -> Result<String> {
        self.sign_access_for(caller, now, self.access_ttl)
    }

    /// For a session that ends before the usual time is over.
    pub fn sign_access_for(&self, caller: &Caller, now: DateTime<Utc>, lifetime: TimeDelta) -> Result<String> {
        let (kid, key) = &self.signing;
        let header = Header { typ: Some(TOKEN_TYPE.into()), kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: caller.user_id,
            sid: caller.session_id,
            role: caller.role,
            cid: caller.company_id,
            iat: now.timestamp(),
            nbf: now.timestamp(),
            exp: (now + lifetime).timestamp(),
        };
        jsonwebtoken::encode(&header, &claims, key).map_err(Problem::internal)
    }

    /// The caller that a token names. Any fault is `401`; only age is told apart.
    pub fn verify_access(&self, token: &str, now: DateTime<Utc>) -> Result<Caller> {
        let it = if let Some(it) = self.verified.get(token) {
            it
        } else {
            let it = self.verify_signature(token)?;
            self.verified.insert(token.into(), it);
            it
        };
        let (now, leeway) = (now.timestamp(), LEEWAY.num_seconds());
        if it.not_before > now + leeway {
            return Err(Error::Unauthenticated.into());
        }
        if it.expires <= now - leeway {
            return Err(Error::TokenExpired.into());
        }
        Ok(it.caller)
    }

    fn verify_signature(&self, token: &str) -> Result<Verified> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Error::Unauthenticated)?;
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(Error::Unauthenticated.into());
        }
        let key = header.kid.as_deref().and_then(|kid| self.verifying.get(kid)).ok_or(Error::Unauthenticated)?;
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
            caller: Caller { user_id: claims.sub, role: claims.role, company_id: claims.cid, session_id: claims.sid },
            not_before: claims.nbf.max(claims.iat),
            expires: claims.exp,
        })
    }

    /// The public keys (RFC 7517, RFC 8037).
    pub fn jwks(&self) -> serde_json::Value {
        let mut keys: Vec<_> = self
            .verifying
            .iter()
            .map(|(kid, key)| {
                serde_json::json!({
                    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                    "kid": kid, "x": URL_SAFE_NO_PAD.encode(&key.public),
                })
            })
            .collect();
        keys.sort_by_key(ToString::to_string);
        serde_json::json!({ "keys": keys })
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
