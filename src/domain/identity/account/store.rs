//! SQL of one's own account.

use chrono::{DateTime, Utc};

use super::model::Profile;
use crate::platform::ids::UserId;
use crate::platform::{Result, Tx};

const PROFILE: &str = "SELECT id, email, role, display_name, locale, time_zone, company_id, updated_at FROM app.users";

/// The caller's own account.
pub async fn find_profile(tx: &mut Tx, id: UserId) -> Result<Option<Profile>> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!("{PROFILE} WHERE id = $1")))
        .bind(id)
        .fetch_optional(tx.conn())
        .await?)
}

pub async fn lock_profile(tx: &mut Tx, id: UserId) -> Result<Option<Profile>> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!("{PROFILE} WHERE id = $1 FOR NO KEY UPDATE")))
        .bind(id)
        .fetch_optional(tx.conn())
        .await?)
}

pub async fn save_profile(tx: &mut Tx, it: &Profile) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar(
        "UPDATE app.users SET display_name = $2, locale = $3, time_zone = $4 WHERE id = $1 RETURNING updated_at",
    )
    .bind(it.id)
    .bind(&it.display_name)
    .bind(it.locale.as_str())
    .bind(&it.time_zone)
    .fetch_one(tx.conn())
    .await?)
}
