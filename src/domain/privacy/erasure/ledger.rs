//! The ledger of erasures as it is kept outside of the backups: a line for each, in their order, and a seal at the end.
//!
//! Each line says by a digest which ones were before it, as the database does (`app.chain_erasure`): one that is changed,
//! taken out, moved or slipped in does not fit. The seal says where it ends, under the newest master key: nobody who cannot
//! read those makes another ledger, or cuts lines off its end. An older ledger is whole as well; the newest is the one to keep.
//! It also says which months of usage had been published by then: they are told a second time by no restored database. That
//! none had been it says as well: a seal that says nothing is of an earlier release, and vouches for nothing.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::seal::{Keyring, Place, Purpose, SealError};

/// An erasure as the database keeps it.
#[derive(Debug, sqlx::FromRow)]
pub struct Entry {
    pub place: i64,
    pub user_id: Uuid,
    pub key_ids: Vec<Uuid>,
    pub erased_at: DateTime<Utc>,
    pub digest: Vec<u8>,
}

/// The same as it is kept outside: ids and a time, nothing of anybody. Ledgers of earlier releases say no place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<i64>,
    pub user_id: Uuid,
    pub key_ids: Vec<Uuid>,
    pub erased_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl From<&Entry> for Line {
    fn from(it: &Entry) -> Self {
        Self {
            place: Some(it.place),
            user_id: it.user_id,
            key_ids: it.key_ids.clone(),
            erased_at: it.erased_at,
            digest: Some(hex::encode(&it.digest)),
        }
    }
}

/// In the place of a month.
const NO_MONTH: &str = "none";

/// Where a ledger ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_field_names)]
struct Seal {
    entries: i64,
    /// The first day of a month, or [`NO_MONTH`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published_until: Option<String>,
    seal: String,
}

/// What is wrong with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("line {0} is none")]
    Malformed(usize),
    #[error("entry {0} is not what it was, or one before it is missing")]
    Broken(i64),
    /// So was one of an earlier release that had erased nobody; a file that was cut off is far more likely.
    #[error("it is empty: nobody would be erased again. Look for another copy of it")]
    Empty,
    /// The way around is told of no ledger that has a trace of chain or seal.
    #[error("it has neither digests nor a seal: if an earlier release wrote it, --unsealed takes it as it is")]
    Unsealed,
    #[error("it does not end with its seal: lines were cut off")]
    Cut,
    #[error("its seal is not of these lines")]
    Forged,
    #[error("its seal is of a master key that MASTER_KEYS does not hold")]
    UnknownKey,
}

/// The way along a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    entries: i64,
    digest: Vec<u8>,
}

impl Chain {
    /// Takes the next entry, if it is that.
    pub fn take(&mut self, it: &Line) -> Result<(), Fault> {
        let place = self.entries + 1;
        let keys: Vec<_> = it.key_ids.iter().map(Uuid::to_string).collect();
        let (keys, before) = (keys.join(","), hex::encode(&self.digest));
        let said = format!("{place}|{}|{keys}|{}|{before}", it.user_id, it.erased_at.timestamp_micros());
        let found = digest(&SHA256, said.as_bytes());
        if it.place != Some(place) || it.digest.as_deref() != Some(hex::encode(found).as_str()) {
            return Err(Fault::Broken(it.place.unwrap_or(place)));
        }
        *self = Self { entries: place, digest: found.as_ref().to_vec() };
        Ok(())
    }

    pub fn entries(&self) -> i64 {
        self.entries
    }

    fn head(&self, published_until: &str) -> Vec<u8> {
        [&self.entries.to_be_bytes()[..], &self.digest, published_until.as_bytes()].concat()
    }

    /// The last line.
    pub fn seal(
        &self,
        published_until: Option<NaiveDate>,
        keyring: &Keyring,
        entropy: &Entropy,
    ) -> Result<String, SealError> {
        let published_until = published_until.map_or_else(|| NO_MONTH.to_owned(), |month| month.to_string());
        let seal = STANDARD.encode(keyring.seal(&place(), &self.head(&published_until), entropy)?);
        let seal = Seal { entries: self.entries, published_until: Some(published_until), seal };
        serde_json::to_string(&seal).map_err(|_| SealError::Unsealable)
    }

    fn check(&self, seal: &Seal, keyring: &Keyring) -> Result<(), Fault> {
        let sealed = STANDARD.decode(&seal.seal).map_err(|_| Fault::Forged)?;
        match keyring.open(&place(), &sealed) {
            Ok(head)
                if *head == self.head(seal.published_until.as_deref().unwrap_or_default())
                    && seal.entries == self.entries =>
            {
                Ok(())
            }
            Err(SealError::UnknownKey) => Err(Fault::UnknownKey),
            _ => Err(Fault::Forged),
        }
    }
}

fn place() -> Place {
    Place {
        purpose: Purpose::new("privacy.ledger"),
        table: "erasure_ledger",
        column: "digest",
        row: Uuid::nil(),
        person: None,
        company: None,
    }
}

/// The lines of a ledger, if it is whole. `None` for the keys: it is taken as it is, seal or none.
pub fn read<'a>(text: impl IntoIterator<Item = &'a str>, keyring: Option<&Keyring>) -> Result<Vec<Line>, Fault> {
    let (mut lines, mut seal) = (Vec::<Line>::new(), None);
    for (number, text) in text.into_iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        // nothing follows a seal, not even another one: whoever looks for what a ledger says finds it once
        if let Ok(it) = serde_json::from_str(text) {
            if keyring.is_some() && seal.is_some() {
                return Err(Fault::Forged);
            }
            lines.push(it);
        } else {
            let it = serde_json::from_str::<Seal>(text).map_err(|_| Fault::Malformed(number + 1))?;
            if seal.replace(it).is_some() && keyring.is_some() {
                return Err(Fault::Forged);
            }
        }
    }
    let Some(keyring) = keyring else { return Ok(lines) };
    if seal.is_none() && lines.is_empty() {
        return Err(Fault::Empty);
    }
    if seal.is_none() && lines.iter().all(|it| it.place.is_none() && it.digest.is_none()) {
        return Err(Fault::Unsealed);
    }
    let mut chain = Chain::default();
    lines.iter().try_for_each(|it| chain.take(it))?;
    chain.check(&seal.ok_or(Fault::Cut)?, keyring).map(|()| lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(name: &str, byte: u8) -> Keyring {
        Keyring::new(&[(name.to_owned(), STANDARD.encode([byte; 32]).into())]).unwrap()
    }

    /// Of an earlier release.
    const PLAIN: &str =
        r#"{"userId":"0197a3c0-0000-7000-8000-000000000000","keyIds":[],"erasedAt":"2026-01-01T00:00:00Z"}"#;

    /// Three erasures, and the seal.
    fn ledger() -> Vec<String> {
        let (mut before, mut chain, mut lines) = (String::new(), Chain::default(), Vec::new());
        for place in 1..=3_i64 {
            let user_id = Uuid::from_u128(place.unsigned_abs().into());
            let key_ids = vec![Uuid::from_u128(7), Uuid::from_u128(8)];
            let erased_at = DateTime::from_timestamp(1_795_440_600 + place, 123_456_000).unwrap();
            let keys = format!("{},{}", key_ids[0], key_ids[1]);
            let said = format!("{place}|{user_id}|{keys}|{}|{before}", erased_at.timestamp_micros());
            before = hex::encode(digest(&SHA256, said.as_bytes()));
            let line = Line { place: Some(place), user_id, key_ids, erased_at, digest: Some(before.clone()) };
            chain.take(&line).unwrap();
            lines.push(serde_json::to_string(&line).unwrap());
        }
        lines.push(chain.seal("2026-01-01".parse().ok(), &ring("m1", 7), &Entropy::system()).unwrap());
        lines
    }

    fn fault(lines: &[String]) -> Fault {
        read(lines.iter().map(String::as_str), Some(&ring("m1", 7))).unwrap_err()
    }

    #[test]
    fn a_ledger_is_read_as_it_was_written() {
        let lines = ledger();
        let read_as = |id, byte| read(lines.iter().map(String::as_str), Some(&ring(id, byte)));
        assert_eq!(read_as("m1", 7).unwrap().len(), 3);
        assert_eq!(read_as("m2", 7), Err(Fault::UnknownKey));
        assert_eq!(read_as("m1", 8), Err(Fault::Forged));
        assert_eq!(read(lines.iter().map(String::as_str), None).unwrap().len(), 3);
        assert_eq!(read([], None), Ok(Vec::new()));
    }

    #[test]
    fn no_line_is_changed_taken_out_moved_or_slipped_in_unnoticed() {
        let lines = ledger();
        for (at, place) in (0..3).zip(1..) {
            let without: Vec<_> =
                lines.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, it)| it.clone()).collect();
            assert_eq!(fault(&without), if at == 2 { Fault::Forged } else { Fault::Broken(place + 1) });
            let mut changed = lines.clone();
            changed[at] = changed[at].replace("000000000007", "000000000009");
            assert_eq!(fault(&changed), Fault::Broken(place));
            let mut twice = lines.clone();
            twice.insert(at, lines[at].clone());
            assert!(matches!(fault(&twice), Fault::Broken(_)));
        }
        let mut moved = lines.clone();
        moved.swap(0, 1);
        assert_eq!(fault(&moved), Fault::Broken(2));
        assert_eq!(fault(&lines[..3]), Fault::Cut);
        assert_eq!(fault(&lines[3..]), Fault::Forged);
        let mut more = lines.clone();
        more.push(lines[0].clone());
        assert_eq!(fault(&more), Fault::Forged);
        let mut earlier = lines.clone();
        earlier[3] = earlier[3].replace("2026-01-01", "2025-01-01");
        assert_eq!(fault(&earlier), Fault::Forged);
        earlier[3] = earlier[3].replace(r#""publishedUntil":"2025-01-01","#, "");
        assert_eq!(fault(&earlier), Fault::Forged);
        let mut other = lines;
        other[3] = Chain::default().seal(None, &ring("m1", 7), &Entropy::system()).unwrap();
        assert_eq!(fault(&other), Fault::Forged);
        other[3] = "DROP TABLE".to_owned();
        assert_eq!(fault(&other), Fault::Malformed(4));
    }

    /// Whoever is told of a way around takes it: a line without place and digest makes no earlier release's ledger of another one.
    #[test]
    fn a_line_of_an_earlier_release_in_a_sealed_ledger_is_told_as_slipped_in() {
        let lines = ledger();
        for at in 0..=lines.len() {
            let mut more = lines.clone();
            more.insert(at, PLAIN.to_owned());
            let there = Fault::Broken(i64::try_from(at).unwrap() + 1);
            assert_eq!(fault(&more), if at == lines.len() { Fault::Forged } else { there }, "{at}");
            // nor where the seal was taken away as well
            more.retain(|line| !line.contains(r#""seal""#));
            assert!(matches!(fault(&more), Fault::Broken(_)), "{at}");
        }
        let sealed = [PLAIN.to_owned(), lines[3].clone()];
        assert_eq!(fault(&sealed), Fault::Broken(1));
        for fault in [Fault::Broken(1), Fault::Cut, Fault::Forged] {
            assert!(!fault.to_string().contains("--"), "{fault}");
        }
    }

    #[test]
    fn that_no_month_was_published_is_said_under_the_seal() {
        let (ring, entropy) = (ring("m1", 7), Entropy::system());
        let read = |line: &str| read([line], Some(&ring));
        let said = Chain::default().seal(None, &ring, &entropy).unwrap();
        assert!(said.contains(r#""publishedUntil":"none""#), "{said}");
        assert_eq!(read(&said), Ok(Vec::new()));
        for other in ["", r#""publishedUntil":"2026-01-01","#] {
            assert_eq!(read(&said.replace(r#""publishedUntil":"none","#, other)), Err(Fault::Forged), "{other}");
        }
        // an earlier release said nothing; nobody says it for that one
        let sealed = STANDARD.encode(ring.seal(&place(), &Chain::default().head(""), &entropy).unwrap());
        let earlier = format!(r#"{{"entries":0,"seal":"{sealed}"}}"#);
        assert_eq!(read(&earlier), Ok(Vec::new()));
        let changed = earlier.replace(r#""seal""#, r#""publishedUntil":"none","seal""#);
        assert_eq!(read(&changed), Err(Fault::Forged));
        // nor in a seal of their own beside that one: whoever looks for what is said finds the one that speaks
        let spoken = r#"{"entries":0,"publishedUntil":"none","seal":"x"}"#;
        let (earlier, said) = (earlier.as_str(), said.as_str());
        for both in [[spoken, earlier], [earlier, spoken], [earlier, earlier], [said, said]] {
            assert_eq!(super::read(both, Some(&ring)), Err(Fault::Forged), "{both:?}");
        }
    }

    #[test]
    fn a_ledger_of_an_earlier_release_is_taken_where_that_is_said() {
        assert_eq!(read([PLAIN, PLAIN], None).unwrap().len(), 2);
        assert_eq!(read([PLAIN, PLAIN], Some(&ring("m1", 7))), Err(Fault::Unsealed));
        assert!(Fault::Unsealed.to_string().contains("--unsealed"));
        // of one that says nothing that way would erase nobody: it is not told of
        assert_eq!(read(["", " "], Some(&ring("m1", 7))), Err(Fault::Empty));
        assert!(!Fault::Empty.to_string().contains("--unsealed"));
    }
}
