//! Why counters or files are refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Modes by departments, or all three.
        NotCrossed => (UNPROCESSABLE_ENTITY, "not_crossed"),
        /// The file is still being made, or could not be.
        NotReady => (CONFLICT, "not_ready"),
        Expired => (GONE, "expired"),
    }
}
