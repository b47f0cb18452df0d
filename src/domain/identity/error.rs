//! Why a log-in, a token or an invitation is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Wrong address or wrong password: nobody learns which.
        InvalidCredentials => (UNAUTHORIZED, "invalid_credentials"),
        InvalidRefreshToken => (UNAUTHORIZED, "invalid_refresh_token"),
        /// A refresh token came twice: the session was ended, for it may have been stolen.
        RefreshTokenReused => (UNAUTHORIZED, "refresh_token_reused"),
        /// Failures came before: there is a pause, whether the account exists or not.
        TooManyAttempts => (TOO_MANY_REQUESTS, "too_many_attempts"),
        AccountSuspended => (FORBIDDEN, "account_suspended"),
        /// The company is archived: nobody runs it any more.
        CompanyArchived => (FORBIDDEN, "company_archived"),
        /// Unknown, used or out of date.
        InvalidInvitation => (GONE, "invalid_invitation"),
        /// The invited address has an account already, elsewhere.
        AccountExists => (CONFLICT, "account_exists"),
        /// The link that sets a password is unknown, used or out of date.
        InvalidResetToken => (GONE, "invalid_reset_token"),
        /// The link that proves a new address, or stops it, is unknown, used or out of date.
        InvalidEmailToken => (GONE, "invalid_email_token"),
        /// A signed-in person did not give their present password.
        WrongPassword => (FORBIDDEN, "wrong_password"),
    }
}
