//! Words about somebody's health, or that may be.
//!
//! They go from a request into the database, sealed, and from there into an answer: [`HealthText`] can be put into an
//! answer of the API and be sealed, and that is all. It has neither `Display` nor `Serialize`, and its `Debug` shows
//! nothing, so that it comes into no log, no job, no kept answer and no error by mistake. Its memory is wiped.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use poem_openapi::registry::MetaSchemaRef;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use crate::platform::problem::{Problem, Result};

#[derive(Clone)]
pub struct HealthText(Words);

/// What the API's checks of length and pattern look at.
#[derive(Clone)]
pub struct Words(SecretString);

impl AsRef<str> for Words {
    fn as_ref(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Refuses to compile where something that carries words can be shown or written: by `Debug`, `Display` or `Serialize`.
/// It stands beside each type of a request that holds [`HealthText`].
macro_rules! never_shown {
    ($($type:ty),+ $(,)?) => { $(
        const _: fn() = || {
            // two answers to which one is meant, where the type has the trait
            trait Shown<A> {
                fn it() {}
            }
            impl<T: ?Sized> Shown<()> for T {}
            impl<T: ?Sized + std::fmt::Debug> Shown<u8> for T {}
            impl<T: ?Sized + std::fmt::Display> Shown<u16> for T {}
            impl<T: ?Sized + serde::Serialize> Shown<u32> for T {}
            <$type as Shown<_>>::it();
        };
    )+ };
}
pub(crate) use never_shown;

impl HealthText {
    pub fn new(mut text: String) -> Self {
        if text.capacity() == text.len() {
            return Self(Words(text.into()));
        }
        // to give the rest back would leave the words where they were
        let exact = SecretString::from(text.as_str());
        text.zeroize();
        Self(Words(exact))
    }

    /// Words among others as JSON, to be sealed, filled up with blanks, which JSON may end in, to a multiple of `step` bytes.
    pub fn of_json(it: &impl Serialize, step: usize) -> Result<Self> {
        let mut out = Wiping::default();
        serde_json::to_writer(&mut out, it).map_err(Problem::internal)?;
        let length = out.0.len().next_multiple_of(step.max(1));
        out.make_room(length - out.0.len());
        out.0.resize(length, b' ');
        let text = std::str::from_utf8(&out.0).map_err(Problem::internal)?;
        Ok(Self(Words(SecretString::from(text))))
    }

    /// The words themselves: for sealing them, and for the API's answer.
    pub fn expose(&self) -> &str {
        self.0.as_ref()
    }
}

/// Bytes that are wiped where they were when they move to where there is more room.
#[derive(Default)]
struct Wiping(Zeroizing<Vec<u8>>);

impl Wiping {
    fn make_room(&mut self, more: usize) {
        let wanted = self.0.len().saturating_add(more);
        if wanted > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(wanted.next_power_of_two()));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }
}

impl Write for Wiping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.make_room(bytes.len());
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for HealthText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HealthText(…)")
    }
}

/// Out of what was sealed.
impl<'de> Deserialize<'de> for HealthText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = HealthText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<HealthText, E> {
                Ok(HealthText(Words(text.into())))
            }

            fn visit_string<E>(self, text: String) -> std::result::Result<HealthText, E> {
                Ok(HealthText::new(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// In a request and in an answer of the API it is a text, with the limits that the field says.
impl Type for HealthText {
    const IS_REQUIRED: bool = true;

    type RawValueType = Words;
    type RawElementValueType = Words;

    fn name() -> Cow<'static, str> {
        String::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        String::schema_ref()
    }

    fn as_raw_value(&self) -> Option<&Words> {
        Some(&self.0)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Words> + 'a> {
        Box::new(std::iter::once(&self.0))
    }
}

impl ToJSON for HealthText {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.expose().to_owned()))
    }
}

impl ParseFromJSON for HealthText {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        String::parse_from_json(value).map(Self::new).map_err(ParseError::propagate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two answers where the type has the trait, which does not compile.
    macro_rules! is_not {
        ($type:ty, $trait:path) => {{
            trait Ambiguous<A> {
                fn it() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<u8> for T {}
            <$type as Ambiguous<_>>::it();
        }};
    }

    #[test]
    fn it_is_shown_by_nothing_but_an_answer() {
        is_not!(HealthText, fmt::Display);
        is_not!(HealthText, serde::Serialize);
        is_not!(HealthText, AsRef<str>);
        let text = HealthText::new("I cannot sleep".into());
        assert_eq!(format!("{text:?} {:?}", Some(&text)), "HealthText(…) Some(HealthText(…))");
        assert_eq!(text.to_json(), Some(Value::from("I cannot sleep")));
    }

    #[test]
    fn words_with_room_to_spare_are_the_same_words() {
        let mut roomy = String::with_capacity(500);
        roomy.push_str("I cannot sleep");
        assert_eq!(HealthText::new(roomy).expose(), "I cannot sleep");
    }

    #[test]
    fn json_to_be_sealed_is_filled_up_and_read_again() {
        let words = "é\"\n".repeat(3_000);
        let sealed = HealthText::of_json(&serde_json::json!({ "text": words }), 256).unwrap();
        assert_eq!(sealed.expose().len() % 256, 0);
        let read: std::collections::HashMap<String, HealthText> = serde_json::from_str(sealed.expose()).unwrap();
        assert_eq!(read["text"].expose(), words);
        assert_eq!(HealthText::of_json(&["a"], 1).unwrap().expose(), r#"["a"]"#);
    }

    #[test]
    fn bytes_that_grow_are_all_there() {
        let mut out = Wiping::default();
        for byte in 0..=255_u8 {
            out.write_all(&[byte; 7]).unwrap();
        }
        assert_eq!(out.0.len(), 7 * 256);
        assert!(out.0.chunks(7).zip(0..=255_u8).all(|(seven, byte)| seven == [byte; 7]));
    }
}
