//! A query parameter whose text a use case reads itself, so that it can tell of every fault at once. The document says
//! what the text has to look like.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Deref;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseFromParameter, ParseResult, Type};

/// What a text looks like that can be read.
pub trait Form: Send + Sync {
    /// A regular expression for the whole text.
    const PATTERN: &'static str;
    const EXAMPLE: &'static str;
}

/// A text that is meant to have a form, and may not.
pub struct Formed<F> {
    text: String,
    form: PhantomData<F>,
}

impl<F> Deref for Formed<F> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<F: Form> Type for Formed<F> {
    const IS_REQUIRED: bool = true;

    type RawValueType = String;
    type RawElementValueType = String;

    fn name() -> Cow<'static, str> {
        "string".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            pattern: Some(F::PATTERN.to_owned()),
            example: Some(F::EXAMPLE.into()),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&String> {
        Some(&self.text)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a String> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl<F: Form> ParseFromParameter for Formed<F> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self { text: value.to_owned(), form: PhantomData })
    }
}
