//! The end of an account: asked for, taken back, carried out.

mod api;
mod jobs;
pub(super) mod ledger;
mod model;
mod service;
mod store;

pub use api::ErasureApi;
pub(super) use jobs::{MailErasure, Told};
pub use jobs::{SweepErasures, register as jobs};
pub(super) use model::WAIT_FOR_UNUSED;
pub(super) use store::{find_published_until, list_ledger, note_replay, replay};
