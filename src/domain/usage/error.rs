//! Why counters are refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Modes by departments, or all three.
        NotCrossed => (UNPROCESSABLE_ENTITY, "not_crossed"),
    }
}
