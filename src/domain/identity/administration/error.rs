//! Why an account is neither suspended nor activated.

use crate::causes;

causes! {
    pub enum Error {
        OwnAccount => (CONFLICT, "own_account"),
        /// Nobody could run the platform any more.
        LastPlatformAdmin => (CONFLICT, "last_platform_admin"),
        /// The account of somebody whom their company removed: it does not come back.
        AccountRemoved => (CONFLICT, "account_removed"),
    }
}
