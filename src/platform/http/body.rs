//! A JSON body, checked against its own schema so that every fault is reported with a pointer.

use std::ops::Deref;

use poem::{FromRequest, Request, RequestBody};
use poem_openapi::payload::{Json, ParsePayload, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use serde_json::Value;

use crate::platform::problem::{Error, Problem};

/// The body of a request, as JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = Vec::<u8>::from_request(request, body).await?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|e| Problem::from(Error::MalformedJson).with_source(e))?;
        let parsed = T::parse_from_json(Some(value))
            .map_err(|e| Problem::from(Error::Invalid).at("", "invalid").with_source(e.into_message()))?;
        Ok(Self(parsed))
    }
}
poem_openapi::impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);
