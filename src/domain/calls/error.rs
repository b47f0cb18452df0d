//! Why a call, or a step of it, is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// The other one talks to somebody else.
        PeerBusy => (CONFLICT, "peer_busy"),
        /// The caller does.
        InAnotherCall => (CONFLICT, "in_another_call"),
        /// Another device of the caller's is in the call.
        Elsewhere => (CONFLICT, "call_elsewhere"),
        NotRinging => (CONFLICT, "not_ringing"),
        NotInCall => (CONFLICT, "not_in_call"),
        /// The socket has not entered the rooms of the consultation.
        NotJoined => (CONFLICT, "call_not_joined"),
        /// A consultation has fifty calls at most.
        TooManyCalls => (CONFLICT, "too_many_calls"),
        /// A socket is in so many rooms.
        TooManyRooms => (CONFLICT, "too_many_rooms"),
        /// More waits for the other one, or was said, than a call needs.
        TooManySignals => (TOO_MANY_REQUESTS, "too_many_signals"),
    }
}
