//! Why an entry is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// A journal has so many entries.
        JournalFull => (CONFLICT, "journal_full"),
        /// Its key was destroyed, by an erasure.
        JournalErased => (GONE, "journal_erased"),
        /// There are no keys for private entries yet, or others than the entry names; or entries name the ones that
        /// were to be exchanged.
        JournalKeyDiffers => (CONFLICT, "journal_key_differs"),
        /// What the browser sealed is of another entry, or no later text than the one that is there.
        JournalEntryDiffers => (CONFLICT, "journal_entry_differs"),
    }
}
