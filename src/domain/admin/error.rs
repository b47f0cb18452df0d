//! Why something of the administration is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Only what has failed for good, or waits for longer than any failure does, is tried again or discarded by hand.
        JobNotDead => (CONFLICT, "job_not_dead"),
    }
}
