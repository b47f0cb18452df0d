//! The permissions, each with the roles that hold it. The database enforces the rows;
//! this table says which kinds of caller may try at all.

use super::Role::{CompanyAdmin, Employee, Hr, PlatformAdmin, Practitioner};
use super::{Caller, Role};
use crate::platform::problem::{Error, Result};

impl Permission {
    /// Whether the caller holds it: by their role, and with the second factor that the role needs.
    pub fn check(self, caller: &Caller) -> Result<()> {
        if !self.roles().contains(&caller.role) {
            return Err(Error::Forbidden.into());
        }
        if caller.totp_setup_required && self != Self::ManageSelf {
            return Err(Error::TotpSetupRequired.into());
        }
        Ok(())
    }
}

/// A permission as a type, so that a handler's signature names what it needs.
pub trait Grant: Send + Sync + 'static {
    const PERMISSION: Permission;
    /// The name under which the OpenAPI document is told of it; the assembly turns it into `x-permission`.
    const SCHEME: &'static str;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident: [$($role:ident),*]),* $(,)?) => {
        /// What a caller may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Permission { $($(#[$doc])* $name),* }

        impl Permission {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            pub fn roles(self) -> &'static [Role] {
                match self { $(Self::$name => &[$($role),*]),* }
            }
        }

        /// Each permission as a type.
        pub mod perm {
            $(
                #[derive(Clone, Copy, Debug)]
                pub struct $name;

                impl super::Grant for $name {
                    const PERMISSION: super::Permission = super::Permission::$name;
                    const SCHEME: &'static str = concat!("bearer#", stringify!($name));
                }
            )*
        }
    };
}

permissions! {
    /// One's own account and sessions.
    ManageSelf: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    CreateCompany: [PlatformAdmin],
    ListCompanies: [PlatformAdmin],
    ReadCompany: [PlatformAdmin, CompanyAdmin, Hr, Employee],
    UpdateCompany: [PlatformAdmin, CompanyAdmin],
    ChangeCompanyStatus: [PlatformAdmin],
    /// A company's HR and admin accounts.
    ManageMembers: [PlatformAdmin, CompanyAdmin],
    ReadEmployees: [Hr, CompanyAdmin, PlatformAdmin],
    ManageEmployees: [Hr, CompanyAdmin],
    CreatePractitioner: [PlatformAdmin],
    ListPractitioners: [Employee, Hr, CompanyAdmin, PlatformAdmin],
    ReadPractitioner: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    UpdatePractitioner: [Practitioner, PlatformAdmin],
    /// Verify, deactivate, reactivate.
    VerifyPractitioner: [PlatformAdmin],
    ReadAvailability: [Practitioner, PlatformAdmin],
    SetAvailability: [Practitioner],
    /// One's own calendars: those that are read, and those that are shown.
    ManageCalendars: [Practitioner],
    ReadSlots: [Employee, Practitioner, PlatformAdmin],
    BookConsultation: [Employee],
    /// Wait for a practitioner's time.
    UseWaitlist: [Employee],
    /// One's own sessions on the contract.
    ReadOwnQuota: [Employee],
    ReadConsultations: [Employee, Practitioner, PlatformAdmin],
    CancelConsultation: [Employee, Practitioner],
    RescheduleConsultation: [Employee, Practitioner],
    /// Confirm, start and end.
    RunConsultation: [Practitioner],
    JoinConsultation: [Employee, Practitioner],
    /// Say that the other one did not come.
    ReportNoShow: [Employee, Practitioner],
    /// A consultation as a file for one’s own calendar.
    TakeCalendarFile: [Employee, Practitioner],
    /// The conversation of one's own consultation.
    Chat: [Employee, Practitioner],
    /// One's own notifications, and which of them one wants.
    Notifications: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    /// One's own notes about one's own sessions.
    KeepNotes: [Practitioner],
    /// One's own journal.
    KeepJournal: [Employee],
    /// Say what one thought of a session that was held.
    WriteReview: [Employee],
    ReadReviews: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    ModerateReviews: [PlatformAdmin],
    /// Bring files, and delete one's own.
    BringFile: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    ReadFile: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    ReadArticles: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    /// One's own drafts; staff all articles.
    WriteArticles: [Practitioner, PlatformAdmin],
    PublishArticles: [PlatformAdmin],
    /// Practitioners (but for practitioners themselves) and articles.
    Search: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    ReadNews: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    WriteNews: [Hr, CompanyAdmin, PlatformAdmin],
    /// Usage counters, above the reporting threshold.
    ReadUsage: [Hr, CompanyAdmin, PlatformAdmin],
    /// What practitioners did and what it is worth; one's own.
    ReadActivity: [Practitioner, PlatformAdmin],
    /// Ask for exports and fetch one's own.
    Export: [Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    ReadAuditLog: [Employee, Practitioner, Hr, CompanyAdmin, PlatformAdmin],
    /// Whether the audit log is whole.
    ReadAuditVerification: [PlatformAdmin],
    /// Accounts: list, suspend, activate.
    ManageUsers: [PlatformAdmin],
    /// Failed jobs and the log of mails.
    OperatePlatform: [PlatformAdmin],
}
