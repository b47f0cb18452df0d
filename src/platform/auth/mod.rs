//! Who calls, and what they may do.

mod authorized;
pub mod permission;
pub mod revocation;
pub mod signing_keys;
pub mod tokens;

pub use authorized::{Anonymous, Authorized};
pub use permission::{Permission, perm};

use crate::platform::ids::{CompanyId, SessionId, UserId};

/// What an account is for. Each has its own log-in role in the database.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, sqlx::Type, poem_openapi::Enum,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Role {
    Employee,
    Practitioner,
    Hr,
    CompanyAdmin,
    PlatformAdmin,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Employee, Self::Practitioner, Self::Hr, Self::CompanyAdmin, Self::PlatformAdmin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Practitioner => "practitioner",
            Self::Hr => "hr",
            Self::CompanyAdmin => "company_admin",
            Self::PlatformAdmin => "platform_admin",
        }
    }

    /// Employees, HR and company admins belong to one company; the others to none.
    pub fn is_company_bound(self) -> bool {
        matches!(self, Self::Employee | Self::Hr | Self::CompanyAdmin)
    }
}

/// A person who has proven who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user_id: UserId,
    pub role: Role,
    /// Set for company-bound roles, and only for them.
    pub company_id: Option<CompanyId>,
    pub session_id: SessionId,
    /// They must set up a second factor before they do anything but manage their own account.
    pub totp_setup_required: bool,
}
