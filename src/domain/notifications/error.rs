//! Why a wish about notifications is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Safety, and sessions that are taken away: everybody is told.
        ServiceMessage => (UNPROCESSABLE_ENTITY, "service_message"),
        /// One socket looks at the slots of so many practitioners.
        TooManyWatched => (CONFLICT, "too_many_watched"),
    }
}
