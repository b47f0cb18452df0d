//! The end of an account: asked for, taken back, carried out.

mod api;
mod jobs;
mod model;
mod service;
mod store;

pub use api::ErasureApi;
pub use jobs::{SweepErasures, register as jobs};
pub(super) use store::{Entry as LedgerEntry, list_ledger, replay};
