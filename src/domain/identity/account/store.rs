//! SQL of one's own account.

use chrono::{DateTime, Utc};

use super::links::Purpose;
use super::model::Profile;
use crate::platform::auth::Role;
use crate::platform::db::Actor;
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::{RequestInfo, Result, Tx};

macro_rules! select_profile {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, own.email, u.role, u.display_name, u.locale, u.time_zone, u.company_id, u.avatar_id,
                    greatest(u.updated_at, second.changed_at) AS updated_at,
                    own.pending_email, own.pending_email_until, own.private_address, own.mail_stopped,
                    own.is_employed,
                    second.secret IS NOT NULL AS totp_enabled, second.activated_at,
                    wishes.agreed, wishes.erasure_due_at
             FROM app.users u CROSS JOIN app.own_address() own CROSS JOIN app.own_two_factor() second
                  CROSS JOIN app.own_privacy() wishes
             WHERE u.id = $1 ",
            $rest
        )
    };
}

/// The caller's own account.
pub async fn find_profile(tx: &mut Tx, id: UserId) -> Result<Option<Profile>> {
    Ok(sqlx::query_as(select_profile!("")).bind(id).fetch_optional(tx.conn()).await?)
}

pub async fn lock_profile(tx: &mut Tx, id: UserId) -> Result<Option<Profile>> {
    Ok(sqlx::query_as(select_profile!("FOR NO KEY UPDATE OF u")).bind(id).fetch_optional(tx.conn()).await?)
}

pub async fn save_profile(tx: &mut Tx, it: &Profile) -> Result<()> {
    sqlx::query("UPDATE app.users SET display_name = $2, locale = $3, time_zone = $4 WHERE id = $1")
        .bind(it.id)
        .bind(&it.display_name)
        .bind(it.locale.as_str())
        .bind(&it.time_zone)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Whose account a mailed link is about.
#[derive(sqlx::FromRow)]
pub struct Owner {
    pub user_id: UserId,
    pub role: Role,
    pub company_id: Option<CompanyId>,
    pub email: String,
    pub display_name: String,
}

impl Owner {
    /// Who holds the link acts for the person: the log says so, and jobs are the person's.
    pub fn actor(&self, request: &RequestInfo) -> Actor {
        Actor {
            user_id: Some(self.user_id),
            role: Some(self.role),
            company_id: self.company_id,
            ..Actor::nobody(request)
        }
    }
}

/// Whose account the token of this hash is about; `None` where it opens nothing (any more).
pub(super) async fn find_owner_of_token(
    tx: &mut Tx,
    purpose: Purpose,
    hash: &[u8],
    at: DateTime<Utc>,
) -> Result<Option<Owner>> {
    Ok(sqlx::query_as("SELECT * FROM auth.owner_of_token($1, $2, $3)")
        .bind(hash)
        .bind(purpose.as_str())
        .bind(at)
        .fetch_optional(tx.conn())
        .await?)
}
