//! SQL of invitations.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, EmployeeId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// Address and name of who may accept; `None` where the token opens nothing (any more).
pub async fn find_invitee(tx: &mut Tx, hash: &[u8], at: DateTime<Utc>) -> Result<Option<(String, String)>> {
    Ok(sqlx::query_as("SELECT email, display_name FROM auth.find_invitee($1, $2)")
        .bind(hash)
        .bind(at)
        .fetch_optional(tx.conn())
        .await?)
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

/// What became of an invitation; the person's data only where it was accepted, and where the address is taken whose
/// account has it, for the audit log.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ChoiceOutcome {
    Sent,
    TooMany,
    Invalid,
}

/// Keeps the hash of a link to a chosen address; with the company whose invitation it accepts.
pub async fn choose_address(
    tx: &mut Tx,
    presented: &[u8],
    token: Uuid,
    hash: &[u8],
    address: &str,
    at: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(ChoiceOutcome, Option<CompanyId>)> {
    Ok(sqlx::query_as("SELECT outcome, company_id FROM auth.choose_invitation_address($1, $2, $3, $4, $5, $6)")
        .bind(presented)
        .bind(token)
        .bind(hash)
        .bind(address)
        .bind(at)
        .bind(until)
        .fetch_one(tx.conn())
        .await?)
}

/// The letter with a link to a chosen address.
#[derive(sqlx::FromRow)]
pub struct ChosenAddress {
    pub address: String,
    pub hash: Vec<u8>,
    pub expires_at: DateTime<Utc>,
    pub employee_id: Option<EmployeeId>,
    pub member_invitation_id: Option<Uuid>,
    pub locale: Locale,
    pub time_zone: String,
}

/// `None` once it opens nothing any more.
pub async fn find_chosen_address(tx: &mut Tx, token: Uuid, at: DateTime<Utc>) -> Result<Option<ChosenAddress>> {
    Ok(sqlx::query_as("SELECT * FROM app.letter_of_chosen_address($1, $2)")
        .bind(token)
        .bind(at)
        .fetch_optional(tx.conn())
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

/// An invitation that is one too many, and when it would not be.
#[derive(sqlx::FromRow)]
pub struct TooMany {
    /// `None`: all of them are, for the company.
    pub subject: Option<Uuid>,
    pub free_at: DateTime<Utc>,
}

/// Notes invitations that are about to be sent, but for those that are too many.
pub async fn note_invitations(
    tx: &mut Tx,
    subjects: &[Uuid],
    addresses: &[&str],
    now: DateTime<Utc>,
    most: i32,
    most_addresses: u32,
) -> Result<Vec<TooMany>> {
    Ok(sqlx::query_as("SELECT subject, free_at FROM app.note_invitations($1, $2, $3, $4, $5)")
        .bind(subjects)
        .bind(addresses)
        .bind(now)
        .bind(most)
        .bind(i32::try_from(most_addresses).unwrap_or(i32::MAX))
        .fetch_all(tx.conn())
        .await?)
}

/// A person whose account waits; `None` once they have accepted.
pub async fn find_user(tx: &mut Tx, id: UserId) -> Result<Option<Invitee>> {
    Ok(sqlx::query_as(
        "SELECT u.email, u.display_name, u.locale, u.time_zone, c.name AS company_name
         FROM app.users u LEFT JOIN app.companies c ON c.id = u.company_id
         WHERE u.id = $1 AND u.status = 'invited'",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// A person of the directory, account or not; `None` for who left.
pub async fn find_employee(tx: &mut Tx, id: EmployeeId) -> Result<Option<Invitee>> {
    Ok(sqlx::query_as(
        "SELECT e.email, e.first_name || ' ' || e.last_name AS display_name, e.locale, c.time_zone,
                c.name AS company_name
         FROM app.employees e JOIN app.companies c ON c.id = e.company_id
         WHERE e.id = $1 AND e.status = 'active' AND c.status <> 'archived'",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// A member who has neither accepted nor been taken away.
pub async fn find_member(tx: &mut Tx, id: Uuid) -> Result<Option<Invitee>> {
    Ok(sqlx::query_as(
        "SELECT m.email, m.display_name, m.locale, c.time_zone, c.name AS company_name
         FROM app.member_invitations m JOIN app.companies c ON c.id = m.company_id
         WHERE m.id = $1 AND c.status <> 'archived'",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// The account of an entry of the directory.
#[derive(sqlx::FromRow)]
pub struct Holder {
    pub id: UserId,
    /// The account's own address.
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub company_name: String,
}

pub async fn find_holder(tx: &mut Tx, entry: EmployeeId) -> Result<Option<Holder>> {
    Ok(sqlx::query_as(
        "SELECT u.id, u.email, u.display_name, u.locale, c.name AS company_name
         FROM app.users u JOIN app.companies c ON c.id = u.company_id
         WHERE u.company_id = (SELECT app.company_id()) AND u.employee_id = $1 AND app.may_be_mailed(u.id)",
    )
    .bind(entry)
    .fetch_optional(tx.conn())
    .await?)
}

/// Whom a token is for; exactly one is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject {
    pub user: Option<UserId>,
    pub employee: Option<EmployeeId>,
    pub member: Option<Uuid>,
}

/// Holds whom an invitation is for until the transaction ends: before anything else that is done with invitations.
pub async fn lock(tx: &mut Tx, of: Subject) -> Result<()> {
    let company = tx.actor().company_id;
    sqlx::query("SELECT app.lock_invitee($1, $2, $3, $4)")
        .bind(of.user)
        .bind(company)
        .bind(of.employee)
        .bind(of.member)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Keeps an invitation's hash. Doing it twice changes nothing.
pub async fn save(
    tx: &mut Tx,
    id: Uuid,
    hash: &[u8],
    of: Subject,
    at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let company = tx.actor().company_id;
    sqlx::query(
        "INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, company_id, employee_id, member_invitation_id,
                                          created_at, expires_at)
         VALUES ($1, 'invitation', $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(hash)
    .bind(of.user)
    .bind(company)
    .bind(of.employee)
    .bind(of.member)
    .bind(at)
    .bind(expires_at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether an invitation is to be mailed: it was neither ended nor used, and is the latest of its person. No other one of
/// theirs is mailed until the transaction ends.
pub async fn is_to_send(tx: &mut Tx, id: Uuid) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT app.is_invitation_to_send($1)").bind(id).fetch_one(tx.conn()).await?)
}

/// Ends the unused invitations of the same person that were made before this one.
pub async fn end_older(tx: &mut Tx, id: Uuid, of: Subject) -> Result<()> {
    sqlx::query(
        "DELETE FROM app.one_time_tokens t USING app.one_time_tokens sent
         WHERE sent.id = $1 AND (t.created_at, t.id) < (sent.created_at, sent.id)
           AND t.purpose = 'invitation' AND t.used_at IS NULL
           AND (t.user_id = $2 OR t.employee_id = $3 OR t.member_invitation_id = $4)",
    )
    .bind(id)
    .bind(of.user)
    .bind(of.employee)
    .bind(of.member)
    .execute(tx.conn())
    .await?;
    Ok(())
}
