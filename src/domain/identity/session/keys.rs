//! `/.well-known/jwks.json`: the keys that verify access tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem_openapi::param::Header;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::super::Tag;
use crate::platform::auth::Anonymous;
use crate::platform::auth::signing_keys::PublicKey;
use crate::platform::auth::tokens::hash_opaque;

/// Shorter than a new key waits before it signs.
const CACHE: &str = "public, max-age=300";

/// A public key (RFC 7517, RFC 8037).
#[derive(Object)]
#[oai(example)]
struct Jwk {
    /// Always `OKP`.
    kty: String,
    /// Always `Ed25519`.
    crv: String,
    /// Always `EdDSA`.
    alg: String,
    /// Always `sig`.
    #[oai(rename = "use")]
    purpose: String,
    /// The `kid` of the tokens that it verifies.
    kid: String,
    /// The key, base64url.
    x: String,
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            alg: "EdDSA".into(),
            purpose: "sig".into(),
            kid: key.kid,
            x: key.x,
        }
    }
}

impl Example for Jwk {
    fn example() -> Self {
        PublicKey {
            kid: "01938f2e-7a10-7c3e-9b1d-2f4a6c8e0a14".into(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
        }
        .into()
    }
}

/// The keys that verify access tokens.
#[derive(Object)]
#[oai(example)]
struct Jwks {
    keys: Vec<Jwk>,
}

impl Example for Jwks {
    fn example() -> Self {
        Self { keys: vec![Jwk::example()] }
    }
}

#[derive(ApiResponse)]
enum JwksResponse {
    /// The keys as they are now.
    #[oai(status = 200)]
    Fresh(
        Json<Jwks>,
        /// Changes when a key comes or goes.
        #[oai(header = "ETag")]
        String,
        /// Readers may keep it for five minutes; a new key signs only after ten.
        #[oai(header = "Cache-Control")]
        String,
    ),
    /// The reader's copy is current.
    #[oai(status = 304)]
    NotModified(
        /// As with the keys.
        #[oai(header = "ETag")]
        String,
        /// As with the keys.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

pub struct KeysApi;

#[OpenApi]
impl KeysApi {
    /// Read the public keys
    ///
    /// A JSON Web Key Set: whoever is given an access token (`EdDSA`, `typ: at+jwt`) verifies it with the key of its
    /// `kid`. A key is published before it signs, and stays until its last token has expired.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "getPublicKeys", tag = "Tag::Auth")]
    async fn jwks(
        &self,
        it: Anonymous,
        /// The version that the reader has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> JwksResponse {
        let keys = it.platform.tokens.public_keys(it.platform.clock.now());
        let names: Vec<_> = keys.iter().map(|key| format!("{} {}", key.kid, key.x)).collect();
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash_opaque(&names.join("\n"))));
        let known = |header: &String| {
            header.split(',').any(|it| matches!(it.trim().trim_start_matches("W/"), it if it == etag || it == "*"))
        };
        if if_none_match.0.as_ref().is_some_and(known) {
            return JwksResponse::NotModified(etag, CACHE.into());
        }
        JwksResponse::Fresh(Json(Jwks { keys: keys.into_iter().map(Jwk::from).collect() }), etag, CACHE.into())
    }
}
