//! Tokens of mailed links. Each is computed from its id and a key that no database, queue or log holds, so that a job
//! that runs twice sends one link; the table holds its hash.

use uuid::Uuid;

use super::store::{Owner, find_owner_of_token};
use crate::platform::auth::tokens::OpaqueToken;
use crate::platform::config::Config;
use crate::platform::crypto::derive;
use crate::platform::db::Actor;
use crate::platform::{Platform, Problem, RequestInfo, Result};

/// What a link is for; as in `one_time_tokens.purpose`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    PasswordReset,
    EmailVerification,
    EmailChange,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
            Self::EmailChange => "email_change",
        }
    }
}

/// The token of an id, as it is made today.
pub(super) fn token(platform: &Platform, purpose: Purpose, id: Uuid) -> Result<OpaqueToken> {
    candidates(&platform.config, purpose, id).next().ok_or_else(|| Problem::internal("MASTER_KEYS names no key"))
}

/// The token of an id whose hash was kept; the master key may have changed since.
pub(super) fn find_token(platform: &Platform, purpose: Purpose, id: Uuid, hash: &[u8]) -> Option<OpaqueToken> {
    candidates(&platform.config, purpose, id).find(|token| token.hash == hash)
}

fn candidates(config: &Config, purpose: Purpose, id: Uuid) -> impl Iterator<Item = OpaqueToken> {
    config
        .master_keys
        .iter()
        .map(move |(_, master)| OpaqueToken::from_bytes(&derive::key(master, &format!("{} {id}", purpose.as_str()))))
}

/// Behind the number sign: browsers do not send it, so that no log keeps it.
pub(super) fn link(platform: &Platform, page: &str, token: &OpaqueToken) -> String {
    format!("{}{page}#token={}", platform.config.public_url, token.plain)
}

/// Whose account a token is about; `None` where it opens nothing (any more).
pub(super) async fn find_owner(
    platform: &Platform,
    request: &RequestInfo,
    purpose: Purpose,
    hash: &[u8],
) -> Result<Option<Owner>> {
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    find_owner_of_token(&mut tx, purpose, hash, platform.clock.now()).await
}
