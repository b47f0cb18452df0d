//! What the floors above show of a caller's calls.

mod store;

pub use store::{Ringing, find_ringing};
