//! Why a code, a ticket or a change of the second factor is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Unknown, used, out of date, or tried too often: the log-in begins anew.
        InvalidLoginTicket => (UNAUTHORIZED, "invalid_login_ticket"),
        /// The code of a log-in does not fit, or was used.
        InvalidTotpCode => (UNAUTHORIZED, "invalid_totp_code"),
        /// The code that should confirm a change does not fit, or was used.
        WrongTotpCode => (FORBIDDEN, "wrong_totp_code"),
        /// Nothing was offered, or it was too long ago.
        TotpNotSetUp => (CONFLICT, "totp_not_set_up"),
        TotpNotEnabled => (CONFLICT, "totp_not_enabled"),
        /// Of those whose role needs it.
        TotpMandatory => (CONFLICT, "totp_mandatory"),
    }
}
