//! What a person's own account says.

use chrono::{DateTime, Utc};

use crate::domain::identity::model::{PRIVACY_NOTICE_VERSION, TERMS_VERSION};
use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, FileId, UserId};
use crate::platform::locale::Locale;

/// What may be said of the person who is signed in.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Profile {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
    pub company_id: Option<CompanyId>,
    pub avatar_id: Option<FileId>,
    /// An address that waits for its proof, and until when.
    pub pending_email: Option<String>,
    pub pending_email_until: Option<DateTime<Utc>>,
    /// Whether an employee's address is their own; false while it is the one of the company's directory.
    pub private_address: bool,
    /// The address was the employer's and the person left: nothing is sent there.
    pub mail_stopped: bool,
    /// The directory has them, and their company is not archived.
    pub is_employed: bool,
    pub totp_enabled: bool,
    /// When the account was first used.
    pub activated_at: Option<DateTime<Utc>>,
    /// The documents that the person agreed to last, each with its version.
    pub agreed: Vec<String>,
    /// When the account is to be erased, where the person asked for it.
    pub erasure_due_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
}

impl Profile {
    /// The documents that everybody is asked about, of which the person has not agreed to the version in force.
    pub fn consents_due(&self) -> Vec<&'static str> {
        let required = [("terms", TERMS_VERSION), ("privacy_notice", PRIVACY_NOTICE_VERSION)];
        let is_due = |(document, version): &(&str, &str)| !self.agreed.contains(&format!("{document} {version}"));
        required.into_iter().filter(is_due).map(|(document, _)| document).collect()
    }

    /// Whether asking for the present address again proves it anew, instead of withdrawing a change that waits: of
    /// somebody who is back at the company whose mailbox it is.
    pub fn can_prove_present_address(&self) -> bool {
        self.mail_stopped && self.is_employed
    }

    /// The address that still can be proved.
    pub fn pending_email(&self, now: DateTime<Utc>) -> Option<&str> {
        self.pending_email.as_deref().filter(|_| self.pending_email_until.is_some_and(|until| until > now))
    }
}
