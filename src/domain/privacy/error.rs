//! Why a wish about one's own data is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// The document has another version by now.
        ConsentOutdated => (CONFLICT, "consent_outdated"),
        /// An account rests on it.
        ConsentNeeded => (CONFLICT, "consent_needed"),
        ConsentsFull => (CONFLICT, "consents_full"),
        TooManyCopies => (TOO_MANY_REQUESTS, "too_many_copies"),
        CopyNotReady => (CONFLICT, "copy_not_ready"),
        CopyExpired => (GONE, "copy_expired"),
        CopyDamaged => (INTERNAL_SERVER_ERROR, "copy_damaged"),
        /// A practitioner has sessions ahead.
        ErasureSessionsAhead => (CONFLICT, "erasure_sessions_ahead"),
        /// A practitioner keeps records that the law has them keep.
        ErasureRecordsKept => (CONFLICT, "erasure_records_kept"),
        ErasureLastAdmin => (CONFLICT, "erasure_last_admin"),
        /// It is too late to take it back.
        ErasureBegun => (CONFLICT, "erasure_begun"),
    }
}
