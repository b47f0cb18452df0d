//! Why a note is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Its session has not begun, or was cancelled.
        SessionNotBegun => (CONFLICT, "session_not_begun"),
        /// It is read only now.
        NoteFinalized => (CONFLICT, "note_finalized"),
        /// Only what is final is amended; a draft is saved.
        NoteNotFinalized => (CONFLICT, "note_not_finalized"),
        /// A session has twenty notes at most.
        TooManyNotes => (CONFLICT, "too_many_notes"),
        /// A note has a thousand versions and fifty addenda at most.
        NoteFull => (CONFLICT, "note_full"),
        /// Its author works here no more: they read what they wrote.
        AuthorLeft => (CONFLICT, "note_author_left"),
        /// Its key was destroyed.
        NoteErased => (GONE, "note_erased"),
    }
}
