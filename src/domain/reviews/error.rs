//! Why a review is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Only sessions that were held are reviewed.
        SessionNotHeld => (CONFLICT, "session_not_held"),
        /// A session has one review; it can be changed.
        ReviewExists => (CONFLICT, "review_exists"),
    }
}
