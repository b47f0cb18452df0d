//! Calls as sockets know them: [`call`] what one of the two people sees, [`told`] what they have not been told of it.

mod call;
mod told;

pub use call::{Call, HEARD_EVERY, Here, Other, Phase, RINGS_FOR, Sent, SignalKind};
pub use told::{EndReason, News, Told};
