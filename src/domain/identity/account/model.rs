//! What a person's own account says.

use chrono::{DateTime, Utc};

use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::locale::Locale;

/// What may be said of the person who is signed in.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Profile {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
    pub company_id: Option<CompanyId>,
    pub updated_at: DateTime<Utc>,
}
