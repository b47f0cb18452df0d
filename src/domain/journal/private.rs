//! The forms that a browser seals private entries in, as far as the server can look at them: docs/private-journal.md.
//!
//! An entry is `version (1), id of the key (16), id of the entry (16), counter (4), nonce (12), ciphertext, tag (16)`; what it
//! holds is filled up to a multiple of 256 bytes. Those of version 1 have neither id nor counter: they are given back as they
//! came, and taken no more. A wrap is `version (1), kind (1), parameters of Argon2id (9, by passphrase only), salt (16), id of
//! the key (16), nonce (12), wrapped key and tag (48)`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

const VERSION: u8 = 1;
const ENTRY_VERSION: u8 = 2;
const BY_PASSPHRASE: u8 = 1;
const BY_RECOVERY_CODE: u8 = 2;
const STEP: usize = 256;
/// Bytes of an entry beside what it holds.
const AROUND: usize = 1 + 16 + 16 + 4 + 12 + 16;
/// As long as an entry that is not private can be.
const LONGEST: usize = AROUND + 320 * STEP;
/// Argon2id: KiB of memory and passes. Less is too easy to try, more hangs a telephone.
const MEMORY: std::ops::RangeInclusive<u32> = 65_536..=1_048_576;
const PASSES: std::ops::RangeInclusive<u32> = 3..=16;
const LANES: std::ops::RangeInclusive<u8> = 1..=4;

/// Which entry a text is of, and which of its texts: the browser's own, under its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub entry: Uuid,
    pub counter: u32,
}

impl Place {
    /// Whether a text with this place may stand where one with the other stood: a later one of the same entry.
    pub fn follows(self, before: Self) -> bool {
        self.entry == before.entry && self.counter > before.counter
    }
}

/// The id of the key that an entry is sealed under, and its place, if it has the form of one.
pub fn read_entry(text: &str) -> Option<(Uuid, Place)> {
    let bytes = STANDARD.decode(text).ok()?;
    let is_filled = bytes.len() >= AROUND + STEP && (bytes.len() - AROUND).is_multiple_of(STEP);
    let (version, rest) = bytes.split_first()?;
    if *version != ENTRY_VERSION || !is_filled || bytes.len() > LONGEST {
        return None;
    }
    let (key, rest) = rest.split_first_chunk::<16>()?;
    let (entry, rest) = rest.split_first_chunk::<16>()?;
    let counter = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    let place = Place { entry: Uuid::from_bytes(*entry), counter };
    (counter > 0).then_some((Uuid::from_bytes(*key), place))
}

/// What a key is wrapped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    Passphrase,
    RecoveryCode,
}

/// The id of the key in a wrap, if it has the form of one.
pub fn key_of_wrap(wrap: Wrap, text: &str) -> Option<Uuid> {
    let bytes = STANDARD.decode(text).ok()?;
    let ([version, kind], rest) = bytes.split_first_chunk::<2>()?;
    let (expected, rest) = match wrap {
        Wrap::Passphrase => {
            let (memory, after) = rest.split_first_chunk::<4>()?;
            let (passes, after) = after.split_first_chunk::<4>()?;
            let ([lanes], after) = after.split_first_chunk::<1>()?;
            let is_hard = MEMORY.contains(&u32::from_be_bytes(*memory))
                && PASSES.contains(&u32::from_be_bytes(*passes))
                && LANES.contains(lanes);
            is_hard.then_some((BY_PASSPHRASE, after))?
        }
        Wrap::RecoveryCode => (BY_RECOVERY_CODE, rest),
    };
    if (*version, *kind) != (VERSION, expected) || rest.len() != 16 + 16 + 12 + 48 {
        return None;
    }
    let (_salt, rest) = rest.split_first_chunk::<16>()?;
    rest.first_chunk::<16>().map(|id| Uuid::from_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: u8, length: usize) -> String {
        let mut bytes = vec![7; length];
        bytes[0] = version;
        STANDARD.encode(bytes)
    }

    fn wrap(memory: u32, passes: u32, lanes: u8) -> Vec<u8> {
        let mut bytes = vec![1, 1];
        bytes.extend(memory.to_be_bytes());
        bytes.extend(passes.to_be_bytes());
        bytes.push(lanes);
        bytes.extend([9; 16]);
        bytes.extend([7; 16]);
        bytes.extend([0; 60]);
        bytes
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_looked_at_and_no_more(bytes: Vec<u8>, text: String) {
            for text in [STANDARD.encode(bytes), text] {
                let _ = (read_entry(&text), key_of_wrap(Wrap::Passphrase, &text), key_of_wrap(Wrap::RecoveryCode, &text));
            }
        }
    }

    #[test]
    fn an_entry_has_its_version_and_a_filled_length() {
        let id = Uuid::from_bytes([7; 16]);
        let read = Some((id, Place { entry: id, counter: 0x0707_0707 }));
        assert_eq!(read_entry(&entry(2, AROUND + STEP)), read);
        assert_eq!(read_entry(&entry(2, LONGEST)), read);
        let mut nothing = STANDARD.decode(entry(2, AROUND + STEP)).unwrap();
        nothing[33..37].fill(0);
        for bad in [
            // as they were once
            entry(1, 45 + STEP),
            entry(1, AROUND + STEP),
            entry(3, AROUND + STEP),
            entry(2, AROUND),
            entry(2, AROUND + STEP + 1),
            entry(2, LONGEST + STEP),
            entry(2, 1),
            STANDARD.encode(nothing),
            String::new(),
            "not base64!".to_owned(),
        ] {
            assert_eq!(read_entry(&bad), None, "{bad:.20}");
        }
    }

    #[test]
    fn a_text_follows_earlier_ones_of_its_own_entry() {
        let at = |entry: u128, counter| Place { entry: Uuid::from_u128(entry), counter };
        assert!(at(1, 2).follows(at(1, 1)) && at(1, 9).follows(at(1, 2)));
        assert!(!at(1, 1).follows(at(1, 1)) && !at(1, 1).follows(at(1, 2)) && !at(2, 2).follows(at(1, 1)));
    }

    #[test]
    fn a_wrap_by_passphrase_is_hard_enough_and_names_its_key() {
        let of = |bytes: Vec<u8>| key_of_wrap(Wrap::Passphrase, &STANDARD.encode(bytes));
        assert_eq!(of(wrap(65_536, 3, 1)), Some(Uuid::from_bytes([7; 16])));
        for easy in [wrap(65_535, 3, 1), wrap(65_536, 2, 1), wrap(65_536, 3, 0), wrap(u32::MAX, 3, 1)] {
            assert_eq!(of(easy), None);
        }
        assert_eq!(of([wrap(65_536, 3, 1), vec![0]].concat()), None);
        assert_eq!(key_of_wrap(Wrap::RecoveryCode, &STANDARD.encode(wrap(65_536, 3, 1))), None);
        let recovery = [vec![1, 2], vec![9; 16], vec![7; 16], vec![0; 60]].concat();
        assert_eq!(key_of_wrap(Wrap::RecoveryCode, &STANDARD.encode(recovery)), Some(Uuid::from_bytes([7; 16])));
    }
}
