//! Why a practitioner, or something of theirs, cannot be added.

use crate::causes;

causes! {
    pub enum Error {
        RppsTaken => (CONFLICT, "rpps_taken"),
        AdeliTaken => (CONFLICT, "adeli_taken"),
        /// There is one of the same kind at that time.
        OverrideOverlaps => (CONFLICT, "override_overlaps"),
        /// As many as there may be are not over yet.
        TooManyOverrides => (CONFLICT, "too_many_overrides"),
        TooManyCalendars => (CONFLICT, "too_many_calendars"),
    }
}
