//! A file that is sealed piece by piece, so that one of any size passes through at constant memory.
//!
//! Each file has a fresh key, wrapped under the key of its subject as that of a document is (`envelope`): `version,
//! algorithm, id of the subject's key (16), nonce (12), wrapped key and tag (48)`. The sealed file is its pieces one after
//! the other, of [`PIECE_BYTES`] each but for the last, each as `nonce (12), ciphertext and tag`: AES-256-GCM. Associated
//! data of a piece are those of the file with the piece's number and whether it is the last: pieces that were left out,
//! added, exchanged, repeated or taken from elsewhere do not open.

use std::ops::Range;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::entropy::Entropy;
use super::envelope::{Document, SubjectKey};
use super::seal::SealError;

/// What a piece holds.
pub const PIECE_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;
/// What a sealed piece is longer than what it holds.
pub const PIECE_OVERHEAD: usize = NONCE_LEN + TAG_BYTES;

type Result<T> = std::result::Result<T, SealError>;

/// The key of one file.
pub struct FileKey {
    key: LessSafeKey,
    associated_data: Vec<u8>,
}

impl SubjectKey {
    /// A fresh key for a file, and the form of it to store.
    pub fn new_file_key(&self, file: &Document, entropy: &Entropy) -> Result<(FileKey, Vec<u8>)> {
        let (key, wrapped) = self.new_document_key(file, entropy)?;
        Ok((FileKey::new(key.bytes(), self.associated_data("piece", file))?, wrapped))
    }

    /// The key of a file, from its stored form.
    pub fn file_key(&self, file: &Document, wrapped: &[u8]) -> Result<FileKey> {
        FileKey::new(self.document_key(file, wrapped)?.bytes(), self.associated_data("piece", file))
    }
}

impl FileKey {
    fn new(bytes: &[u8; 32], associated_data: Vec<u8>) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::Malformed)?;
        Ok(Self { key: LessSafeKey::new(key), associated_data })
    }

    fn associated_data(&self, number: u64, is_last: bool) -> Aad<Vec<u8>> {
        let mut all = self.associated_data.clone();
        all.extend_from_slice(&number.to_be_bytes());
        all.push(is_last.into());
        Aad::from(all)
    }

    /// The form to store of the piece with this number, from 0 on.
    pub fn seal(&self, number: u64, is_last: bool, piece: &[u8], entropy: &Entropy) -> Result<Vec<u8>> {
        let nonce = entropy.bytes::<NONCE_LEN>();
        let mut sealed = Vec::with_capacity(piece.len() + PIECE_OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(piece);
        let (_, content) = sealed.split_at_mut(NONCE_LEN);
        let aad = self.associated_data(number, is_last);
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, content);
        sealed.extend_from_slice(tag.map_err(|_| SealError::Unsealable)?.as_ref());
        Ok(sealed)
    }

    /// Opens a sealed piece in its place; where it is there.
    pub fn open(&self, number: u64, is_last: bool, sealed: &mut [u8]) -> Result<Range<usize>> {
        let (nonce, content) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or(SealError::Malformed)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, self.associated_data(number, is_last), content);
        let length = opened.map_err(|_| SealError::Forged)?.len();
        Ok(NONCE_LEN..NONCE_LEN + length)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::envelope::{KeyPurpose, Subject};
    use super::*;
    use crate::platform::ids::{CompanyId, UserId};

    fn subject_key(subject: u128) -> SubjectKey {
        let id = Uuid::from_u128(subject);
        let subject = Subject { purpose: KeyPurpose::CHAT, id, person: UserId(id), company: CompanyId(id) };
        SubjectKey::new(Uuid::from_u128(7), subject, &Entropy::seeded(3))
    }

    fn file(row: u128) -> Document {
        Document { domain: "files", table: "files", column: "object", row: Uuid::from_u128(row), version: 1 }
    }

    fn open(key: &FileKey, number: u64, is_last: bool, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = sealed.to_vec();
        let range = key.open(number, is_last, &mut sealed).ok()?;
        Some(sealed[range].to_vec())
    }

    #[test]
    fn a_piece_opens_in_its_place_and_nowhere_else() {
        let (subject, entropy) = (subject_key(1), Entropy::system());
        let (key, wrapped) = subject.new_file_key(&file(1), &entropy).unwrap();
        assert_eq!(wrapped.len(), 78);
        let first = key.seal(0, false, b"first", &entropy).unwrap();
        let last = key.seal(1, true, b"last", &entropy).unwrap();
        let again = subject.file_key(&file(1), &wrapped).unwrap();
        assert_eq!(open(&again, 0, false, &first).unwrap(), b"first");
        assert_eq!(open(&again, 1, true, &last).unwrap(), b"last");
        // exchanged; cut off after the first; something follows the last
        for (number, is_last, sealed) in [(1, true, &first), (0, true, &first), (0, false, &last), (1, false, &last)] {
            assert!(open(&again, number, is_last, sealed).is_none(), "{number} {is_last}");
        }
        for at in 0..first.len() {
            let mut changed = first.clone();
            changed[at] ^= 1;
            assert!(open(&again, 0, false, &changed).is_none(), "byte {at}");
            assert!(open(&again, 0, false, &first[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn a_key_opens_for_its_own_file_and_subject_only() {
        let (subject, entropy) = (subject_key(1), Entropy::system());
        let (_, wrapped) = subject.new_file_key(&file(1), &entropy).unwrap();
        assert!(subject.file_key(&file(2), &wrapped).is_err());
        assert!(subject_key(2).file_key(&file(1), &wrapped).is_err());
        assert!(subject.file_key(&file(1), &wrapped[..77]).is_err());
        assert!(subject.file_key(&file(1), &[&wrapped[..], &[0]].concat()).is_err());
        let (other, _) = subject.new_file_key(&file(1), &entropy).unwrap();
        let sealed = other.seal(0, true, b"x", &entropy).unwrap();
        assert!(open(&subject.file_key(&file(1), &wrapped).unwrap(), 0, true, &sealed).is_none());
    }
}
