//! Why files are refused.

use crate::causes;

causes! {
    pub enum Error {
        /// The file is still being made, or could not be.
        NotReady => (CONFLICT, "not_ready"),
        /// Twenty wait to be made.
        TooManyWaiting => (CONFLICT, "too_many_exports"),
        Expired => (GONE, "expired"),
        /// Not a kind for people of this role.
        NotYourKind => (FORBIDDEN, "export_kind"),
    }
}
