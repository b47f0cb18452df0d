//! Why an invitation is not sent.

use crate::causes;

causes! {
    pub enum Error {
        /// The person got as many as one may get in a day.
        TooManyInvitations => (TOO_MANY_REQUESTS, "too_many_invitations"),
    }
}
