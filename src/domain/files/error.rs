//! Why a file is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// It is larger than files of its purpose may be; the answer says how large that is.
        FileTooLarge => (PAYLOAD_TOO_LARGE, "file_too_large"),
        /// Nothing that is taken for its purpose.
        FileTypeRefused => (UNSUPPORTED_MEDIA_TYPE, "file_type_refused"),
        /// It is not what its name says.
        FileTypeMismatch => (UNSUPPORTED_MEDIA_TYPE, "file_type_mismatch"),
        /// A picture that does not decode, a PDF that is cut off or is something else as well.
        FileUnreadable => (UNPROCESSABLE_ENTITY, "file_unreadable"),
        /// More points than are decoded.
        PictureTooLarge => (UNPROCESSABLE_ENTITY, "picture_too_large"),
        /// The person's files leave no room for it.
        FileQuotaExceeded => (CONFLICT, "file_quota_exceeded"),
        /// The person has sent as much in this conversation as they may.
        ConversationFilesExceeded => (CONFLICT, "conversation_files_exceeded"),
        /// The person sends as many as they may.
        TooManyUploads => (TOO_MANY_REQUESTS, "too_many_uploads"),
        /// It goes with its message.
        AttachmentSent => (CONFLICT, "attachment_sent"),
        /// What is stored does not open; the operator is told.
        FileDamaged => (GONE, "file_damaged"),
        /// Its key was destroyed, or the account of whoever brings it.
        FileErased => (GONE, "file_erased"),
    }
}
