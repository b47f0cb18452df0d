//! SQL of invitations.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, EmployeeId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

pub async fn invitation_is_open(tx: &mut Tx, hash: &[u8], at: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT auth.invitation_is_open($1, $2)").bind(hash).bind(at).fetch_one(tx.conn()).await?)
}

pub struct Acceptance<'a> {
    pub token_hash: &'a [u8],
    pub new_user_id: UserId,
    pub password_hash: &'a str,
    pub display_name: Option<&'a str>,
    pub locale: Option<Locale>,
    pub time_zone: Option<&'a str>,
    pub terms_version: &'a str,
    pub at: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AcceptanceOutcome {
    Accepted,
    AddressTaken,
    Invalid,
}

/// What became of an invitation; the person's data only where it was accepted.
#[derive(sqlx::FromRow)]
pub struct Accepted {
    pub outcome: AcceptanceOutcome,
    pub user_id: Option<UserId>,
    pub role: Option<Role>,
    pub company_id: Option<CompanyId>,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub locale: Option<Locale>,
}

pub async fn accept_invitation(tx: &mut Tx, it: &Acceptance<'_>) -> Result<Accepted> {
    Ok(sqlx::query_as("SELECT * FROM auth.accept_invitation($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(it.token_hash)
        .bind(it.new_user_id)
        .bind(it.password_hash)
        .bind(it.display_name)
        .bind(it.locale.map(Locale::as_str))
        .bind(it.time_zone)
        .bind(it.terms_version)
        .bind(it.at)
        .fetch_one(tx.conn())
        .await?)
}

/// Whom an invitation goes to.
#[derive(sqlx::FromRow)]
pub struct Invitee {
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
    pub company_name: Option<String>,
}

/// A person who has not accepted yet; `None` once they have.
pub async fn find_invited_user(tx: &mut Tx, id: UserId) -> Result<Option<Invitee>> {
    Ok(sqlx::query_as(
        "SELECT u.email, u.display_name, u.locale, u.time_zone, c.name AS company_name
         FROM app.users u LEFT JOIN app.companies c ON c.id = u.company_id
         WHERE u.id = $1 AND u.status = 'invited'",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// A person of the directory who has no account yet; `None` for those who have, or who left.
pub async fn find_invited_employee(tx: &mut Tx, id: EmployeeId) -> Result<Option<Invitee>> {
    Ok(sqlx::query_as(
        "SELECT e.email, e.first_name || ' ' || e.last_name AS display_name, e.locale, c.time_zone,
                c.name AS company_name
         FROM app.employees e JOIN app.companies c ON c.id = e.company_id
         WHERE e.id = $1 AND e.status = 'active' AND c.status = 'active'
           AND NOT EXISTS (SELECT FROM app.users u WHERE u.company_id = e.company_id AND u.employee_id = e.id)",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// Keeps an invitation's hash; earlier ones of the same person end. Doing it twice changes nothing.
pub async fn save_invitation(
    tx: &mut Tx,
    id: Uuid,
    hash: &[u8],
    user: Option<UserId>,
    employee: Option<EmployeeId>,
    at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "DELETE FROM app.one_time_tokens
         WHERE purpose = 'invitation' AND used_at IS NULL AND id <> $1 AND (user_id = $2 OR employee_id = $3)",
    )
    .bind(id)
    .bind(user)
    .bind(employee)
    .execute(tx.conn())
    .await?;
    let company = tx.actor().company_id;
    sqlx::query(
        "INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, company_id, employee_id, created_at, expires_at)
         VALUES ($1, 'invitation', $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(hash)
    .bind(user)
    .bind(company)
    .bind(employee)
    .bind(at)
    .bind(expires_at)
    .execute(tx.conn())
    .await?;
    Ok(())
}
