//! Tokens and rooms of Jitsi, as Prosody's token module checks them.
//!
//! Prosody does not mind when `exp`, `nbf` or `room` are absent, so they never are. What it hands on of `context.user`
//! are strings.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::platform::config::Jitsi;
use crate::platform::crypto::derive;
use crate::platform::ids::{ConsultationId, UserId};
use crate::platform::{Problem, Result};

/// The clock of the other machine may be behind.
const LEEWAY: TimeDelta = TimeDelta::seconds(10);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    room: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    context: About<'a>,
}

#[derive(Serialize)]
struct About<'a> {
    user: User<'a>,
    features: Features,
}

/// What the interface offers to do: nothing that keeps what is said, or carries it elsewhere. What a token does not name is
/// offered.
#[derive(Serialize)]
struct Features {
    recording: &'static str,
    livestreaming: &'static str,
    transcription: &'static str,
}

const NOTHING_IS_KEPT: Features = Features { recording: "false", livestreaming: "false", transcription: "false" };

#[derive(Serialize)]
struct User<'a> {
    id: String,
    name: &'a str,
    moderator: &'a str,
    affiliation: &'a str,
}

/// Who comes.
pub struct Guest<'a> {
    pub user_id: UserId,
    pub name: &'a str,
    pub is_moderator: bool,
}

/// The room of a consultation: always the same one, and nobody finds it without the secret.
pub fn room(jitsi: &Jitsi, id: ConsultationId) -> String {
    derived(jitsi, &format!("jitsi room {id}"))
}

/// Opens one room for one person, until it closes.
pub fn token(
    jitsi: &Jitsi,
    room: &str,
    id: ConsultationId,
    guest: &Guest<'_>,
    now: DateTime<Utc>,
    closes_at: DateTime<Utc>,
) -> Result<String> {
    let (moderator, affiliation) = if guest.is_moderator { ("true", "owner") } else { ("false", "member") };
    let claims = Claims {
        iss: &jitsi.app_id,
        aud: &jitsi.app_id,
        sub: &jitsi.domain,
        room,
        iat: now.timestamp(),
        nbf: (now - LEEWAY).timestamp(),
        exp: closes_at.timestamp(),
        context: About {
            user: User {
                // another one in each session, so that a deployment cannot tell who comes back
                id: derived(jitsi, &format!("jitsi guest {id} {}", guest.user_id)),
                name: guest.name,
                moderator,
                affiliation,
            },
            features: NOTHING_IS_KEPT,
        },
    };
    let header = Header { typ: Some("JWT".into()), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_secret(jitsi.app_secret.expose_secret().as_bytes());
    jsonwebtoken::encode(&header, &claims, &key).map_err(Problem::internal)
}

/// 128 bits in lower case.
fn derived(jitsi: &Jitsi, purpose: &str) -> String {
    let key = derive::key(&jitsi.app_secret, purpose);
    hex::encode(key.iter().copied().take(16).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_the_consultations_own_and_the_same_each_time() {
        let jitsi =
            |secret: &str| Jitsi { domain: "meet.test".into(), app_id: "huntzen".into(), app_secret: secret.into() };
        let (one, two) = (ConsultationId(uuid::Uuid::from_u128(1)), ConsultationId(uuid::Uuid::from_u128(2)));
        let it = room(&jitsi("a"), one);
        assert_eq!(it, room(&jitsi("a"), one));
        assert_eq!(it.len(), 32);
        assert!(it.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()));
        assert_ne!(it, room(&jitsi("a"), two));
        assert_ne!(it, room(&jitsi("b"), one));
    }
}
