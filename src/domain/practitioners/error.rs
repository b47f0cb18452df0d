//! Why a practitioner cannot be added.

use crate::causes;

causes! {
    pub enum Error {
        RppsTaken => (CONFLICT, "rpps_taken"),
        AdeliTaken => (CONFLICT, "adeli_taken"),
    }
}
