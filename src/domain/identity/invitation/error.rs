//! Why an invitation is not sent.

use crate::causes;

causes! {
    pub enum Error {
        /// The person got as many as one may get in a day.
        TooManyInvitations => (TOO_MANY_REQUESTS, "too_many_invitations"),
        /// The company wrote to as many addresses as one may in a day.
        CompanyInvitationsExhausted => (TOO_MANY_REQUESTS, "company_invitations_exhausted"),
    }
}
