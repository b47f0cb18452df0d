//! Keys and passwords derived from one secret (HKDF-SHA256, RFC 5869), so that configuration stays short.

use aws_lc_rs::hkdf;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// 32 bytes for one purpose.
pub fn key(secret: &SecretString, purpose: &str) -> Zeroizing<[u8; 32]> {
    from_bytes(secret.expose_secret().as_bytes(), purpose)
}

/// The same, of a secret that is bytes.
pub fn from_bytes(secret: &[u8], purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"huntzen").extract(secret);
    let info = [purpose.as_bytes()];
    // 32 bytes are within HKDF's limit, so neither step can fail
    if let Ok(okm) = prk.expand(&info, hkdf::HKDF_SHA256) {
        let _ = okm.fill(&mut out[..]);
    }
    out
}

/// The password of a log-in role of the database.
pub fn database_password(secret: &SecretString, role: &str) -> SecretString {
    SecretString::from(URL_SAFE_NO_PAD.encode(&key(secret, &format!("database role {role}"))[..]))
}
