//! Why a practitioner cannot be added.

use crate::causes;

causes! {
    pub enum Error {
        /// Says nothing of whose the address is.
        AddressUnavailable => (CONFLICT, "address_unavailable"),
        RppsTaken => (CONFLICT, "rpps_taken"),
        AdeliTaken => (CONFLICT, "adeli_taken"),
    }
}
