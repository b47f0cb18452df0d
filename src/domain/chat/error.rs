//! Why a message is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Its time is over; the answer says since when.
        ConversationClosed => (GONE, "conversation_closed"),
        /// Its key was destroyed, by an erasure.
        ConversationErased => (GONE, "conversation_erased"),
        /// The other one wrote it.
        NotYourMessage => (FORBIDDEN, "not_your_message"),
        /// Messages are changed for fifteen minutes.
        TooLateToChange => (CONFLICT, "too_late_to_change"),
        MessageDeleted => (CONFLICT, "message_deleted"),
        /// One of them is not the caller's own, belongs to another conversation, was sent before, or was not sent in time.
        AttachmentNotYours => (UNPROCESSABLE_ENTITY, "attachment_not_yours"),
        /// Who writes is shown to those who look at the conversation, of those who do.
        ConversationNotJoined => (CONFLICT, "conversation_not_joined"),
        /// One socket looks at so many conversations.
        TooManyJoined => (CONFLICT, "too_many_joined"),
    }
}
