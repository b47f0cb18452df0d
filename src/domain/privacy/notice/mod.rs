//! What is done with people's data, in words that they can read.

mod api;
mod model;
mod service;
mod store;

pub use api::NoticeApi;
pub use model::{Duration, duration_of};
pub use service::durations;
