//! Secrets at rest, sealed under the master keys: AES-256-GCM (NIST SP 800-38D).
//!
//! A sealed secret is `version, algorithm, length of the key's id, the id, nonce (12), ciphertext and tag`. Its
//! associated data say where it belongs, so that it opens in no other row, column, table or purpose, and for no
//! other person. The newest master key seals; each one that is configured opens what carries its id.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::derive;
use super::entropy::Entropy;
use crate::platform::problem::Problem;

const VERSION: u8 = 1;
const AES_256_GCM: u8 = 1;
pub(super) const NONCE_BYTES: usize = 12;

/// What a secret is for. Each purpose has keys of its own, derived from the master keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose(&'static str);

impl Purpose {
    /// `name` is `domain.purpose`, and never changes: what was sealed under another name does not open.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }
}

/// Where a secret is kept. It opens there and nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub purpose: Purpose,
    pub table: &'static str,
    pub column: &'static str,
    pub row: Uuid,
    /// Whose it is, where it is somebody's.
    pub person: Option<Uuid>,
    /// The tenant, where the row belongs to one.
    pub company: Option<Uuid>,
}

/// Why a secret does not open. Never says what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the stored form is not one that this program writes")]
    Malformed,
    #[error("MASTER_KEYS does not hold the key that the secret names")]
    UnknownKey,
    #[error("the secret was changed, or belongs elsewhere")]
    Forged,
    #[error("the secret cannot be sealed")]
    Unsealable,
}

impl From<SealError> for Problem {
    fn from(error: SealError) -> Self {
        Self::internal(error)
    }
}

struct MasterKey {
    id: String,
    bytes: Zeroizing<Vec<u8>>,
}

/// The master keys, newest first.
pub struct Keyring {
    newest: MasterKey,
    older: Vec<MasterKey>,
}

impl Keyring {
    /// From the pairs of `MASTER_KEYS`, which the configuration has checked.
    pub fn new(keys: &[(String, SecretString)]) -> Result<Self, Problem> {
        let mut keys = keys.iter().map(|(id, key)| {
            let bytes = Zeroizing::new(STANDARD.decode(key.expose_secret()).map_err(|_| SealError::Malformed)?);
            // the id's length is one byte of the stored form
            u8::try_from(id.len()).map_err(|_| SealError::Malformed)?;
            Ok(MasterKey { id: id.clone(), bytes })
        });
        let newest = keys.next().ok_or_else(|| Problem::internal("MASTER_KEYS names no key"))?;
        Ok(Self { newest: newest?, older: keys.collect::<Result<_, SealError>>()? })
    }

    /// The form to store.
    pub fn seal(&self, place: &Place, secret: &[u8], entropy: &Entropy) -> Result<Vec<u8>, SealError> {
        let key = &self.newest;
        let header = header(&key.id)?;
        let nonce = Nonce::from(entropy.bytes::<NONCE_BYTES>());
        let payload = Payload { msg: secret, aad: &place.associated_data(&header) };
        let sealed = key.cipher(place.purpose).encrypt(&nonce, payload).map_err(|_| SealError::Unsealable)?;
        Ok([&header[..], &nonce[..], &sealed[..]].concat())
    }

    /// The secret of a stored form.
    pub fn open(&self, place: &Place, stored: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (id, rest) = split(stored)?;
        let key = self.keys().find(|key| key.id.as_bytes() == id).ok_or(SealError::UnknownKey)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        let payload = Payload { msg: sealed, aad: &place.associated_data(&header(&key.id)?) };
        let opened = key.cipher(place.purpose).decrypt(&Nonce::from(*nonce), payload);
        opened.map(Zeroizing::new).map_err(|_| SealError::Forged)
    }

    /// The id of the key that seals.
    pub fn newest(&self) -> &str {
        &self.newest.id
    }

    /// The name of each key, and what tells it from another one of that name without telling anything of it.
    pub fn check_values(&self) -> Vec<(String, Vec<u8>)> {
        self.keys().map(|key| (key.id.clone(), derive::from_bytes(&key.bytes, "check value").to_vec())).collect()
    }

    /// Whether a stored form is sealed under the newest key; others are sealed anew when they are next written.
    pub fn is_newest(&self, stored: &[u8]) -> bool {
        split(stored).is_ok_and(|(id, _)| id == self.newest.id.as_bytes())
    }

    fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl MasterKey {
    fn cipher(&self, purpose: Purpose) -> Aes256Gcm {
        let key = derive::from_bytes(&self.bytes, &format!("seal {}", purpose.0));
        Aes256Gcm::new((&*key).into())
    }
}

/// What comes before the nonce.
fn header(key_id: &str) -> Result<Vec<u8>, SealError> {
    let length = u8::try_from(key_id.len()).map_err(|_| SealError::Malformed)?;
    Ok([&[VERSION, AES_256_GCM, length][..], key_id.as_bytes()].concat())
}

/// The key's id, and what follows the header.
fn split(stored: &[u8]) -> Result<(&[u8], &[u8]), SealError> {
    let ([version, algorithm, length], rest) = stored.split_first_chunk::<3>().ok_or(SealError::Malformed)?;
    if (*version, *algorithm) != (VERSION, AES_256_GCM) {
        return Err(SealError::Malformed);
    }
    rest.split_at_checked(usize::from(*length)).ok_or(SealError::Malformed)
}

impl Place {
    fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let optional = |id: &Option<Uuid>| id.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        let (person, company) = (optional(&self.person), optional(&self.company));
        let parts = [
            header,
            self.purpose.0.as_bytes(),
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row.as_bytes(),
            &person,
            &company,
        ];
        length_prefixed(&parts)
    }
}

/// Each part after its length: no other parts give the same bytes.
pub(super) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[(&str, u8)]) -> Keyring {
        let keys: Vec<_> =
            keys.iter().map(|(id, byte)| ((*id).to_owned(), STANDARD.encode([*byte; 32]).into())).collect();
        Keyring::new(&keys).unwrap()
    }

    fn place() -> Place {
        Place {
            purpose: Purpose::new("test.secret"),
            table: "things",
            column: "secret",
            row: Uuid::from_u128(1),
            person: Some(Uuid::from_u128(2)),
            company: None,
        }
    }

    fn sealed(ring: &Keyring) -> Vec<u8> {
        ring.seal(&place(), b"a quiet secret", &Entropy::system()).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_again_and_never_looks_the_same() {
        let ring = ring(&[("k1", 7)]);
        let stored = sealed(&ring);
        assert_eq!(ring.open(&place(), &stored).unwrap().as_slice(), b"a quiet secret");
        assert_ne!(stored, sealed(&ring));
        assert!(!stored.windows(5).any(|window| window == b"quiet"));
        assert_eq!(stored[..5], [1, 1, 2, b'k', b'1']);
        assert_eq!(stored.len(), 5 + NONCE_BYTES + 14 + 16);
    }

    #[test]
    fn it_opens_in_its_own_place_only() {
        let ring = ring(&[("k1", 7)]);
        let stored = sealed(&ring);
        let elsewhere = [
            Place { row: Uuid::from_u128(9), ..place() },
            Place { column: "other", ..place() },
            Place { table: "others", ..place() },
            Place { purpose: Purpose::new("test.other"), ..place() },
            Place { person: Some(Uuid::from_u128(9)), ..place() },
            Place { person: None, ..place() },
            // the same bytes as another part
            Place { person: None, company: Some(Uuid::from_u128(2)), ..place() },
            // the same bytes, cut elsewhere
            Place { table: "thingss", column: "ecret", ..place() },
        ];
        for place in elsewhere {
            assert_eq!(ring.open(&place, &stored).unwrap_err(), SealError::Forged, "{place:?}");
        }
    }

    #[test]
    fn a_changed_or_cut_form_does_not_open() {
        let ring = ring(&[("k1", 7)]);
        let stored = sealed(&ring);
        for at in 0..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            assert!(ring.open(&place(), &changed).is_err(), "byte {at}");
            assert!(ring.open(&place(), &stored[..at]).is_err(), "cut at {at}");
        }
        assert!(ring.open(&place(), &[&stored[..], &[0]].concat()).is_err());
    }

    #[test]
    fn an_older_key_still_opens_and_the_newest_seals() {
        let old = sealed(&ring(&[("k1", 7)]));
        let rotated = ring(&[("k2", 8), ("k1", 7)]);
        assert_eq!(rotated.open(&place(), &old).unwrap().as_slice(), b"a quiet secret");
        assert!(!rotated.is_newest(&old));
        assert!(rotated.is_newest(&sealed(&rotated)));
    }

    #[test]
    fn a_key_is_chosen_by_its_id_never_by_trial() {
        let stored = sealed(&ring(&[("k1", 7)]));
        // the very key, under another name
        assert_eq!(ring(&[("k2", 7)]).open(&place(), &stored).unwrap_err(), SealError::UnknownKey);
        // the right name, another key, with the right one beside it
        assert_eq!(ring(&[("k1", 8), ("k2", 7)]).open(&place(), &stored).unwrap_err(), SealError::Forged);
    }

    #[test]
    fn a_ring_needs_keys() {
        assert!(Keyring::new(&[]).is_err());
        assert!(Keyring::new(&[("k".into(), "?".into())]).is_err());
        assert!(Keyring::new(&[("k".repeat(256), STANDARD.encode([1; 32]).into())]).is_err());
    }
}
