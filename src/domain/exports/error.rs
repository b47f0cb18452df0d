//! Why files are refused.

use crate::causes;

causes! {
    pub enum Error {
        /// The file is still being made, or could not be.
        NotReady => (CONFLICT, "not_ready"),
        Expired => (GONE, "expired"),
        /// So many are still to be made for the same person.
        TooManyExports => (CONFLICT, "too_many_exports"),
        /// Not a kind for people of this role.
        NotYourKind => (FORBIDDEN, "export_kind"),
    }
}
