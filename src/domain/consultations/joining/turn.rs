//! Credentials of a TURN server for a limited time, as coturn's REST scheme has them: `expiry:opaque` for a name, and its
//! HMAC-SHA1 under the shared secret for a password.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use crate::platform::config::Turn;
use crate::platform::crypto::derive;

/// What a browser's `RTCPeerConnection` takes.
#[derive(Debug)]
pub struct IceServer {
    pub urls: Vec<String>,
    /// Of relays.
    pub username: Option<String>,
    pub credential: Option<String>,
}

/// None where the operator has none: calls then work between people who reach each other directly. `whose`: the session and
/// the person, who are one user to the relay as long as they come with it, so that its quota binds them.
pub fn ice_servers(turn: Option<&Turn>, whose: &str, expires_at: DateTime<Utc>) -> Vec<IceServer> {
    let Some(turn) = turn else { return Vec::new() };
    let (stun, relays): (Vec<_>, Vec<_>) = turn.urls.iter().cloned().partition(|url| url.starts_with("stun"));
    let mut servers = Vec::new();
    if !stun.is_empty() {
        servers.push(IceServer { urls: stun, username: None, credential: None });
    }
    if let (false, Some(secret)) = (relays.is_empty(), turn.secrets.first()) {
        // tells the relay's log nothing of who it is
        let opaque = derive::key(secret, &format!("turn user {whose}"));
        let opaque = hex::encode(opaque.iter().copied().take(8).collect::<Vec<_>>());
        let username = format!("{}:{opaque}", expires_at.timestamp());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose_secret().as_bytes());
        let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        servers.push(IceServer { urls: relays, username: Some(username), credential: Some(credential) });
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_what_coturn_computes() {
        // printf 1433895918:0011223344556677 | openssl dgst -sha1 -hmac north -binary | base64
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"north");
        let known = STANDARD.encode(hmac::sign(&key, b"1433895918:0011223344556677"));
        assert_eq!(known, "+gcl3UuD7Bbd5AAkuVlx3sUvoWc=");
        let turn = Turn {
            urls: vec!["stun:turn.test:3478".into(), "turns:turn.test:5349?transport=tcp".into()],
            secrets: vec!["north".into(), "older".into()],
        };
        let at = DateTime::from_timestamp(1_433_895_918, 0).unwrap();
        let servers = ice_servers(Some(&turn), "somebody", at);
        assert_eq!(servers[0].urls, ["stun:turn.test:3478"]);
        assert!(servers[0].credential.is_none());
        let username = servers[1].username.as_deref().unwrap();
        assert!(username.starts_with("1433895918:"), "{username}");
        let expected = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        assert_eq!(servers[1].credential.as_deref(), Some(expected.as_str()));
        // the relay counts by what comes after the time
        let user = |whose, at| {
            let username = ice_servers(Some(&turn), whose, at)[1].username.clone().unwrap();
            username.split_once(':').unwrap().1.to_owned()
        };
        assert_eq!(user("somebody", at), user("somebody", at + chrono::TimeDelta::hours(1)));
        assert_ne!(user("somebody", at), user("another", at));
        assert!(ice_servers(None, "somebody", at).is_empty());
    }
}
