//! Contents at rest: what people write, sealed so that it can be destroyed.
//!
//! ```text
//! master key ──wraps──→ key of a subject and purpose ──wraps──→ key of one version of a document ──seals──→ text
//! MASTER_KEYS           app.encryption_keys                     beside the text
//! ```
//!
//! A [`SubjectKey`] is for one subject (a conversation, a person's journal) and one purpose; where it is destroyed,
//! everything under it is gone, in every copy. The database keeps it wrapped under a master key, in a table of its own.
//! Each version of a document has a fresh key.
//!
//! A sealed document is `version, algorithm, id of the subject's key (16), nonce (12), wrapped key and tag (48), nonce
//! (12), ciphertext and tag`: AES-256-GCM (NIST SP 800-38D), nonces of the operating system. Its associated data say
//! where it belongs, so that it opens as no other document, version, column, row, table, company or subject. The key is
//! the one that it names, or it does not open.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use secrecy::{ExposeSecret, SecretBox};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::entropy::Entropy;
use super::health_text::HealthText;
use super::rewrap::Sealed;
use super::seal::{Keyring, NONCE_BYTES, Place, Purpose, SealError, length_prefixed};
use crate::platform::ids::{CompanyId, UserId};

const VERSION: u8 = 1;
const AES_256_GCM: u8 = 1;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;
/// What a sealed document is longer than its text.
pub const OVERHEAD_BYTES: usize = 2 + 16 + WRAPPED_BYTES + NONCE_BYTES + TAG_BYTES;

type Result<T> = std::result::Result<T, SealError>;

/// What a subject's key is for. Each purpose wraps under a key of its own, derived from the master key.
#[derive(Clone, Copy, Debug)]
pub struct KeyPurpose(Sealed);

impl KeyPurpose {
    pub const CHAT: Self =
        Self(Sealed { purpose: Purpose::new("keys.chat"), table: "encryption_keys", column: "chat" });
    /// A note of a practitioner's. Its person is the author, whom no erasure of the employee concerns.
    pub const NOTE: Self =
        Self(Sealed { purpose: Purpose::new("keys.note"), table: "encryption_keys", column: "note" });
    /// The journal of a person.
    pub const JOURNAL: Self =
        Self(Sealed { purpose: Purpose::new("keys.journal"), table: "encryption_keys", column: "journal" });

    /// A person's own documents.
    pub const FILE: Self =
        Self(Sealed { purpose: Purpose::new("keys.file"), table: "encryption_keys", column: "file" });

    /// A person's copy of their own data, for the few days that it lives.
    pub const COPY: Self =
        Self(Sealed { purpose: Purpose::new("keys.privacy_copy"), table: "encryption_keys", column: "copy" });

    /// What is written about a session: why somebody comes, why they cannot.
    pub const REASON: Self =
        Self(Sealed { purpose: Purpose::new("keys.reason"), table: "encryption_keys", column: "reason" });

    /// The words of a review.
    pub const REVIEW: Self =
        Self(Sealed { purpose: Purpose::new("keys.review"), table: "encryption_keys", column: "review" });

    /// The wrapped keys of each purpose, which move when a master key is replaced.
    pub const SEALED: [Sealed; 7] =
        [Self::CHAT.0, Self::NOTE.0, Self::JOURNAL.0, Self::FILE.0, Self::COPY.0, Self::REASON.0, Self::REVIEW.0];

    fn name(self) -> &'static str {
        self.0.column
    }
}

/// What contents are about.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub purpose: KeyPurpose,
    pub id: Uuid,
    /// Whose erasure destroys them.
    pub person: UserId,
    pub company: CompanyId,
}

/// Where one version of a text is kept.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    pub domain: &'static str,
    pub table: &'static str,
    pub column: &'static str,
    pub row: Uuid,
    /// From 1 on; each has a key of its own.
    pub version: i32,
}

/// 32 bytes that are in one place, wiped and never shown.
pub(super) struct Key(SecretBox<[u8; KEY_BYTES]>);

impl Key {
    fn new(entropy: &Entropy) -> Self {
        Self(SecretBox::init_with_mut(|bytes: &mut [u8; KEY_BYTES]| entropy.fill(bytes)))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().map_err(|_| SealError::Malformed)?;
        Ok(Self(SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| key.copy_from_slice(bytes))))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        self.0.expose_secret()
    }

    /// Nonce, ciphertext and tag.
    fn seal(&self, message: &[u8], aad: &[u8], entropy: &Entropy) -> Result<Vec<u8>> {
        let nonce = Nonce::from(entropy.bytes::<NONCE_BYTES>());
        let cipher = Aes256Gcm::new(self.bytes().into());
        let sealed = cipher.encrypt(&nonce, Payload { msg: message, aad }).map_err(|_| SealError::Unsealable)?;
        Ok([&nonce[..], &sealed[..]].concat())
    }

    fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        let cipher = Aes256Gcm::new(self.bytes().into());
        let opened = cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad });
        opened.map(Zeroizing::new).map_err(|_| SealError::Forged)
    }
}

/// The key of a subject and purpose, opened.
pub struct SubjectKey {
    id: Uuid,
    subject: Subject,
    key: Key,
}

impl SubjectKey {
    /// A new one, under an id of its own.
    pub fn new(id: Uuid, subject: Subject, entropy: &Entropy) -> Self {
        Self { id, subject, key: Key::new(entropy) }
    }

    /// The form that the database keeps.
    pub fn wrap(&self, keyring: &Keyring, entropy: &Entropy) -> Result<Vec<u8>> {
        keyring.seal(&place(self.id, &self.subject), self.key.bytes(), entropy)
    }

    /// The key of a form that the database kept.
    pub fn unwrap(id: Uuid, subject: Subject, wrapped: &[u8], keyring: &Keyring) -> Result<Self> {
        let opened = keyring.open(&place(id, &subject), wrapped)?;
        Ok(Self { id, subject, key: Key::from_bytes(&opened)? })
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The form to store of one version of a document.
    pub fn seal(&self, document: &Document, text: &HealthText, entropy: &Entropy) -> Result<Vec<u8>> {
        let (key, mut stored) = self.fresh_key(document, entropy)?;
        stored.extend(key.seal(text.expose().as_bytes(), &self.associated_data("text", document), entropy)?);
        Ok(stored)
    }

    /// The text of a stored form.
    pub fn open(&self, document: &Document, stored: &[u8]) -> Result<HealthText> {
        let (key, sealed) = self.key_of(document, stored)?;
        let text = key.open(sealed, &self.associated_data("text", document))?;
        std::str::from_utf8(&text).map(|text| HealthText::new(text.to_owned())).map_err(|_| SealError::Malformed)
    }

    /// A key for one version of a document, and what a stored form begins with.
    fn fresh_key(&self, document: &Document, entropy: &Entropy) -> Result<(Key, Vec<u8>)> {
        let key = Key::new(entropy);
        let wrapped = self.key.seal(key.bytes(), &self.associated_data("key", document), entropy)?;
        Ok((key, [&[VERSION, AES_256_GCM][..], self.id.as_bytes(), &wrapped].concat()))
    }

    /// The key of one version of a document, and what follows it in the stored form.
    fn key_of<'a>(&self, document: &Document, stored: &'a [u8]) -> Result<(Key, &'a [u8])> {
        let ([version, algorithm], rest) = stored.split_first_chunk::<2>().ok_or(SealError::Malformed)?;
        if (*version, *algorithm) != (VERSION, AES_256_GCM) {
            return Err(SealError::Malformed);
        }
        let (id, rest) = rest.split_first_chunk::<16>().ok_or(SealError::Malformed)?;
        if id != self.id.as_bytes() {
            return Err(SealError::UnknownKey);
        }
        let (wrapped, sealed) = rest.split_at_checked(WRAPPED_BYTES).ok_or(SealError::Malformed)?;
        Ok((Key::from_bytes(&self.key.open(wrapped, &self.associated_data("key", document))?)?, sealed))
    }

    /// A key for what is sealed elsewhere than beside it, and the form of it to store.
    pub(super) fn new_document_key(&self, document: &Document, entropy: &Entropy) -> Result<(Key, Vec<u8>)> {
        self.fresh_key(document, entropy)
    }

    /// That key, from the form that was stored.
    pub(super) fn document_key(&self, document: &Document, stored: &[u8]) -> Result<Key> {
        let (key, rest) = self.key_of(document, stored)?;
        if rest.is_empty() { Ok(key) } else { Err(SealError::Malformed) }
    }

    /// `of` tells the wrapped key of a document from its text.
    pub(super) fn associated_data(&self, of: &str, document: &Document) -> Vec<u8> {
        length_prefixed(&[
            &[VERSION, AES_256_GCM],
            of.as_bytes(),
            document.domain.as_bytes(),
            self.subject.company.0.as_bytes(),
            document.table.as_bytes(),
            document.row.as_bytes(),
            document.column.as_bytes(),
            self.subject.purpose.name().as_bytes(),
            self.subject.id.as_bytes(),
            &document.version.to_be_bytes(),
            self.id.as_bytes(),
        ])
    }
}

/// Where a wrapped key is kept.
fn place(id: Uuid, subject: &Subject) -> Place {
    let Sealed { purpose, table, column } = subject.purpose.0;
    Place { purpose, table, column, row: id, person: Some(subject.person.0), company: Some(subject.company.0) }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn subject() -> Subject {
        Subject { purpose: KeyPurpose::CHAT, id: id(1), person: UserId(id(2)), company: CompanyId(id(3)) }
    }

    fn document() -> Document {
        Document { domain: "chat", table: "messages", column: "sealed", row: id(4), version: 1 }
    }

    fn key(of: Subject, key: u128) -> SubjectKey {
        SubjectKey { id: id(key), subject: of, key: Key::from_bytes(&[7; 32]).unwrap() }
    }

    fn sealed(key: &SubjectKey, document: &Document) -> Vec<u8> {
        key.seal(document, &HealthText::new("a quiet word".into()), &Entropy::system()).unwrap()
    }

    fn fault<T>(of: Result<T>) -> SealError {
        of.err().expect("it does not open")
    }

    #[test]
    fn what_was_sealed_opens_again_and_never_looks_the_same() {
        let key = key(subject(), 9);
        let stored = sealed(&key, &document());
        assert_eq!(key.open(&document(), &stored).unwrap().expose(), "a quiet word");
        assert_eq!(stored.len(), OVERHEAD_BYTES + "a quiet word".len());
        assert_eq!(stored[..18], [&[1, 1][..], id(9).as_bytes()].concat());
        assert!(!stored.windows(5).any(|window| window == b"quiet"));
        // neither key nor nonces are used twice
        let again = sealed(&key, &document());
        for (from, to) in [(18, 30), (30, 78), (78, 90), (90, stored.len())] {
            assert_ne!(stored[from..to], again[from..to], "{from}");
        }
        let empty = key.seal(&document(), &HealthText::new(String::new()), &Entropy::system()).unwrap();
        assert_eq!(key.open(&document(), &empty).unwrap().expose(), "");
    }

    #[test]
    fn it_opens_as_its_own_document_only() {
        let key = key(subject(), 9);
        let stored = sealed(&key, &document());
        for other in [
            Document { row: id(5), ..document() },
            Document { version: 2, ..document() },
            Document { column: "other", ..document() },
            Document { table: "others", ..document() },
            Document { domain: "notes", ..document() },
            // the same bytes, cut elsewhere
            Document { domain: "chatm", table: "essages", ..document() },
        ] {
            assert_eq!(fault(key.open(&other, &stored)), SealError::Forged, "{other:?}");
        }
    }

    #[test]
    fn the_very_key_opens_nothing_under_another_id_subject_or_company() {
        let stored = sealed(&key(subject(), 9), &document());
        for other in [
            Subject { id: id(8), ..subject() },
            Subject { company: CompanyId(id(8)), ..subject() },
            Subject { purpose: KeyPurpose(Sealed { column: "note", ..KeyPurpose::CHAT.0 }), ..subject() },
        ] {
            assert_eq!(fault(key(other, 9).open(&document(), &stored)), SealError::Forged, "{other:?}");
        }
        assert_eq!(fault(key(subject(), 10).open(&document(), &stored)), SealError::UnknownKey);
        let mut renamed = stored.clone();
        renamed[2..18].copy_from_slice(id(10).as_bytes());
        assert_eq!(fault(key(subject(), 10).open(&document(), &renamed)), SealError::Forged);
    }

    #[test]
    fn a_changed_cut_or_mixed_form_does_not_open() {
        let key = key(subject(), 9);
        let (one, two) = (sealed(&key, &document()), sealed(&key, &document()));
        for at in 0..one.len() {
            let mut changed = one.clone();
            changed[at] ^= 1;
            assert!(key.open(&document(), &changed).is_err(), "byte {at}");
            assert!(key.open(&document(), &one[..at]).is_err(), "cut at {at}");
        }
        assert!(key.open(&document(), &[&one[..], &[0]].concat()).is_err());
        // the key of one beside the text of the other
        assert_eq!(fault(key.open(&document(), &[&one[..78], &two[78..]].concat())), SealError::Forged);
    }

    #[test]
    fn a_wrapped_key_opens_for_its_own_subject_only() {
        let ring = |byte: u8| Keyring::new(&[("k1".to_owned(), STANDARD.encode([byte; 32]).into())]).unwrap();
        let made = SubjectKey::new(id(9), subject(), &Entropy::system());
        let stored = sealed(&made, &document());
        let wrapped = made.wrap(&ring(1), &Entropy::system()).unwrap();
        let opened = SubjectKey::unwrap(id(9), subject(), &wrapped, &ring(1)).unwrap();
        assert_eq!(opened.open(&document(), &stored).unwrap().expose(), "a quiet word");
        let person = Subject { person: UserId(id(8)), ..subject() };
        let company = Subject { company: CompanyId(id(8)), ..subject() };
        for (key, of) in [(10, subject()), (9, person), (9, company)] {
            assert_eq!(fault(SubjectKey::unwrap(id(key), of, &wrapped, &ring(1))), SealError::Forged);
        }
        assert_eq!(fault(SubjectKey::unwrap(id(9), subject(), &wrapped, &ring(2))), SealError::Forged);
        assert_eq!(fault(SubjectKey::unwrap(id(9), subject(), &wrapped[..20], &ring(1))), SealError::Forged);
    }
}
