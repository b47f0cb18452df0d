//! Why a practitioner, or something of theirs, cannot be added.

use crate::causes;

causes! {
    pub enum Error {
        RppsTaken => (CONFLICT, "rpps_taken"),
        AdeliTaken => (CONFLICT, "adeli_taken"),
        TooManyCalendars => (CONFLICT, "too_many_calendars"),
    }
}
