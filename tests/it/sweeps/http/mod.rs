//! Every route of the OpenAPI document: who gets which answer, what bad input is answered, and that the document says
//! so. The routes come from the document, so that none can be forgotten.

mod bad_input;
pub mod contract;
mod markers;
mod matrix;
mod plans;
pub mod world;
