//! Why an account is not suspended.

use crate::causes;

causes! {
    pub enum Error {
        OwnAccount => (CONFLICT, "own_account"),
        /// Nobody could run the platform any more.
        LastPlatformAdmin => (CONFLICT, "last_platform_admin"),
    }
}
