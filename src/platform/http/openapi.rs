//! The OpenAPI document, completed with what the framework does not know.
