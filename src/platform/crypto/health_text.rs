//! Words about somebody's health, or that may be.
//!
//! They go from a request into the database, sealed, and from there into an answer: [`HealthText`] can be put into an
//! answer of the API and be sealed, and that is all. It has neither `Display` nor `Serialize`, and its `Debug` shows
//! nothing, so that it comes into no log, no job, no kept answer and no error by mistake. Its memory is wiped.

use std::borrow::Cow;
use std::fmt;

use poem_openapi::registry::MetaSchemaRef;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

#[derive(Clone)]
pub struct HealthText(SecretString);

impl HealthText {
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The words themselves: for sealing them, and for the API's answer.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for HealthText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HealthText(…)")
    }
}

/// In an answer of the API it is a text.
impl Type for HealthText {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        String::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        String::schema_ref()
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
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
}
