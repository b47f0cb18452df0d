//! `Idempotency-Key`: a repeated POST gets the first answer; the key with another body is refused.
//!
//! The key is taken inside the transaction of the change: a second request with the same key waits
//! for the first one's commit and then finds its answer; a rollback frees the key.
//!
//! Answers tell of people: an import's report names the rejected ones. They are kept for 24 hours, sealed under a key
//! that is made of the client's key and the request itself, and neither of the two is stored: whoever can repeat the
//! request can open its answer, and nobody else can.
//!
//! Words about health go into the hash themselves ([`Fingerprint`]); nothing else is made of them.

use std::io::{self, Write};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::platform::crypto::derive;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::seal::{Keyring, Place, Purpose};
use crate::platform::db::Tx;
use crate::platform::problem::{Error, Problem, Result};

/// The statements that take a key, and keep its answer. Benchmarks send them as well.
pub const TAKE: &str = "SELECT fresh, fingerprint, answer FROM app.take_idempotency_key($1, $2)";
pub const KEEP: &str = "SELECT app.keep_idempotent_answer($1, $2)";

const ANSWER: Purpose = Purpose::new("platform.idempotent_answer");

/// A request whose repetition is known, though it carries what cannot be written.
pub trait Fingerprint {
    fn print(&self, into: &mut Print) -> Result<()>;
}

/// What a fingerprint is made of: parts that end where they say, in the order of their type.
pub struct Print(digest::Context);

impl Print {
    /// What can be written.
    pub fn plain(&mut self, it: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut *self, it).map_err(Problem::internal)?;
        // JSON holds no NUL
        self.0.update(&[0]);
        Ok(())
    }

    pub fn words(&mut self, it: &HealthText) {
        self.0.update(&(it.expose().len() as u64).to_be_bytes());
        self.0.update(it.expose().as_bytes());
    }

    /// Several, or none, or one that may be absent.
    pub fn all_words<'a>(&mut self, all: impl IntoIterator<Item = &'a HealthText>) {
        for words in all {
            self.0.update(&[1]);
            self.words(words);
        }
        self.0.update(&[0]);
    }
}

impl Write for Print {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A checked `Idempotency-Key`: 1–255 visible ASCII characters.
#[derive(Clone)]
pub struct IdempotencyKey {
    /// What the database knows the key by: a hash of it.
    name: String,
    /// A hash that a repetition must match.
    fingerprint: Vec<u8>,
    /// What the answer is sealed under, as base64.
    sealing: SecretString,
}

impl IdempotencyKey {
    /// `operation` and `body` make the fingerprint that a repetition must match.
    pub fn new(header: Option<String>, operation: &str, body: &impl Serialize) -> Result<Option<Self>> {
        Self::made(header, operation, |print| serde_json::to_writer(print, body).map_err(Problem::internal))
    }

    /// The same of a body with words about health, which is about `id`.
    pub fn of(
        header: Option<String>,
        operation: &str,
        id: &impl Serialize,
        body: &impl Fingerprint,
    ) -> Result<Option<Self>> {
        Self::made(header, operation, |print| {
            print.plain(id)?;
            body.print(print)
        })
    }

    fn made(
        header: Option<String>,
        operation: &str,
        body: impl FnOnce(&mut Print) -> Result<()>,
    ) -> Result<Option<Self>> {
        let Some(key) = header else { return Ok(None) };
        if !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(
                Problem::from(Error::InvalidIdempotencyKey).at("header:Idempotency-Key", "invalid_idempotency_key")
            );
        }
        let name = digest::digest(&digest::SHA256, key.as_bytes());
        let mut print = Print(digest::Context::new(&digest::SHA256));
        // visible characters end where NUL begins
        for part in [key.as_bytes(), operation.as_bytes()] {
            print.0.update(part);
            print.0.update(&[0]);
        }
        body(&mut print)?;
        let request = print.0.finish();
        let derived = |purpose| derive::from_bytes(request.as_ref(), purpose);
        Ok(Some(Self {
            name: STANDARD.encode(name),
            fingerprint: derived("idempotency fingerprint").to_vec(),
            sealing: STANDARD.encode(&derived("idempotency answer")[..]).into(),
        }))
    }

    fn keyring(&self) -> Result<Keyring> {
        Keyring::new(&[("request".to_owned(), self.sealing.clone())])
    }
}

fn place(person: Option<Uuid>) -> Place {
    Place {
        purpose: ANSWER,
        table: "idempotency_keys",
        column: "answer",
        row: person.unwrap_or_default(),
        person,
        company: None,
    }
}

impl Tx {
    /// The answer that this key got before, or `None`: then the key is taken by this transaction,
    /// which must call [`Tx::remember`] before it commits.
    pub async fn recall<T: DeserializeOwned>(&mut self, key: Option<&IdempotencyKey>) -> Result<Option<T>> {
        let Some(key) = key else { return Ok(None) };
        let (fresh, fingerprint, answer): (bool, Vec<u8>, Option<Value>) =
            sqlx::query_as(TAKE).bind(&key.name).bind(&key.fingerprint).fetch_one(self.conn()).await?;
        if fresh {
            return Ok(None);
        }
        if fingerprint != key.fingerprint {
            return Err(Error::IdempotencyMismatch.into());
        }
        let Some(Value::String(sealed)) = answer else {
            return Err(Problem::internal("an idempotency key was kept without its answer"));
        };
        let sealed = STANDARD.decode(sealed).map_err(Problem::internal)?;
        let place = place(self.actor().user_id.map(|id| id.0));
        let answer = key.keyring()?.open(&place, &sealed)?;
        serde_json::from_slice(&answer).map(Some).map_err(Problem::internal)
    }

    /// Keeps the answer for 24 hours, for repetitions.
    pub async fn remember(&mut self, key: Option<&IdempotencyKey>, answer: &impl Serialize) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        let place = place(self.actor().user_id.map(|id| id.0));
        let answer = serde_json::to_vec(answer).map_err(Problem::internal)?;
        let sealed = key.keyring()?.seal(&place, &answer, &Entropy::system())?;
        sqlx::query(KEEP).bind(&key.name).bind(Value::String(STANDARD.encode(sealed))).execute(self.conn()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(header: &str, operation: &str, body: &str) -> IdempotencyKey {
        IdempotencyKey::new(Some(header.to_owned()), operation, &body).unwrap().unwrap()
    }

    #[test]
    fn an_answer_opens_for_the_request_that_it_answers_and_for_no_other() {
        let (me, somebody) = (place(Some(Uuid::from_u128(1))), place(Some(Uuid::from_u128(2))));
        let sealed = key("one", "op", "body").keyring().unwrap().seal(&me, b"Ana Silva", &Entropy::system()).unwrap();
        let open = |it: IdempotencyKey, place| it.keyring().unwrap().open(&place, &sealed).ok().map(|it| it.to_vec());
        assert_eq!(open(key("one", "op", "body"), me).as_deref(), Some(&b"Ana Silva"[..]));
        assert_eq!(open(key("one", "op", "body"), somebody), None);
        for other in [key("two", "op", "body"), key("one", "other", "body"), key("one", "op", "bodies")] {
            assert_eq!(open(other, me), None);
        }
    }

    #[test]
    fn words_are_told_apart_wherever_they_are() {
        struct Said(Vec<&'static str>, Option<&'static str>, i16);
        impl Fingerprint for Said {
            fn print(&self, into: &mut Print) -> Result<()> {
                let text = |words: &&str| HealthText::new((*words).to_owned());
                into.all_words(&self.0.iter().map(text).collect::<Vec<_>>());
                into.all_words(&self.1.as_ref().map(text));
                into.plain(&self.2)
            }
        }
        let of =
            |id: u8, said: Said| IdempotencyKey::of(Some("key".into()), "op", &id, &said).unwrap().unwrap().fingerprint;
        let first = of(1, Said(vec!["a", "b"], None, 3));
        assert_eq!(of(1, Said(vec!["a", "b"], None, 3)), first);
        for (id, other) in [
            (1, Said(vec!["ab"], None, 3)),
            (1, Said(vec!["a"], Some("b"), 3)),
            (1, Said(vec!["a", "b", ""], None, 3)),
            (1, Said(vec!["a", "b"], Some(""), 3)),
            (1, Said(vec!["a", "b"], None, 4)),
            (2, Said(vec!["a", "b"], None, 3)),
        ] {
            assert_ne!(of(id, other), first);
        }
    }

    #[test]
    fn what_is_stored_of_a_key_tells_neither_the_key_nor_the_request() {
        let (one, two) = (key("same-key", "op", "body"), key("same-key", "op", "other"));
        assert_eq!(one.name, two.name);
        assert!(!one.name.contains("same-key") && one.fingerprint != two.fingerprint);
        // the same request under another key leaves no trace that says so
        assert_ne!(key("other-key", "op", "body").fingerprint, one.fingerprint);
    }

    #[test]
    fn a_key_is_of_visible_characters() {
        for bad in ["", "a b", "é", "a\n", &"x".repeat(256)] {
            assert!(IdempotencyKey::new(Some(bad.to_owned()), "op", &()).is_err(), "{bad}");
        }
        assert!(IdempotencyKey::new(None, "op", &()).unwrap().is_none());
    }
}
