//! Why counters or files are refused.

use crate::causes;

causes! {
    pub enum Error {
        /// One dimension at a time.
        OneDimension => (UNPROCESSABLE_ENTITY, "one_dimension"),
        /// The file is still being made, or could not be.
        NotReady => (CONFLICT, "not_ready"),
        Expired => (GONE, "expired"),
    }
}
