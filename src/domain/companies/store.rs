//! SQL of companies, their settings, networks and members.

use chrono::{DateTime, Utc};

use super::error::Error;
use super::model::{Company, Member, NetworkMode, Settings, Status};
use crate::platform::db::{OrConstraint, broken_constraint, broken_detail};
use crate::platform::ids::{CompanyId, PractitionerId, UserId};
use crate::platform::{Problem, Result, Tx};

macro_rules! select_company {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, siren, locale, time_zone, status, contract_starts_on, contract_ends_on, \
             sessions_per_employee, seats, network, logo_id, created_at, updated_at FROM app.companies ",
            $rest
        )
    };
}

pub async fn find(tx: &mut Tx, id: CompanyId) -> Result<Option<Company>> {
    Ok(sqlx::query_as(select_company!("WHERE id = $1")).bind(id).fetch_optional(tx.conn()).await?)
}

pub async fn lock(tx: &mut Tx, id: CompanyId) -> Result<Option<Company>> {
    Ok(sqlx::query_as(select_company!("WHERE id = $1 FOR UPDATE")).bind(id).fetch_optional(tx.conn()).await?)
}

/// What a list is narrowed to, and the key after which it goes on.
pub struct Listing<'a> {
    /// Part of a name, or the beginning of a SIREN.
    pub words: Option<&'a str>,
    pub status: Option<Status>,
    pub after: Option<&'a (String, CompanyId)>,
    pub fetch: i64,
}

pub async fn list(tx: &mut Tx, by: Listing<'_>) -> Result<Vec<Company>> {
    let words = by.words.map(escape_like);
    Ok(sqlx::query_as(select_company!(
        "WHERE ($1::text IS NULL OR name ILIKE '%' || $1 || '%' OR siren LIKE $1 || '%')
           AND ($2::text IS NULL OR status = $2)
           AND ($3::text IS NULL OR (name, id) > ($3, $4))
         ORDER BY name, id LIMIT $5"
    ))
    .bind(words)
    .bind(by.status)
    .bind(by.after.map(|key| key.0.as_str()))
    .bind(by.after.map(|key| key.1))
    .bind(by.fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// A text whose `%`, `_` and `\` stand for themselves in LIKE.
pub fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Adds a company with the settings that everybody begins with.
pub async fn insert(tx: &mut Tx, it: &Company) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.companies (id, name, siren, locale, time_zone, contract_starts_on, contract_ends_on,
                                    sessions_per_employee, seats, network)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(it.id)
    .bind(&it.name)
    .bind(&it.siren)
    .bind(it.locale)
    .bind(&it.time_zone)
    .bind(it.contract_starts_on)
    .bind(it.contract_ends_on)
    .bind(it.sessions_per_employee)
    .bind(it.seats)
    .bind(it.network)
    .execute(tx.conn())
    .await
    .or_constraint("companies_siren_key", Error::SirenTaken)?;
    sqlx::query("INSERT INTO app.company_settings (company_id) VALUES ($1)").bind(it.id).execute(tx.conn()).await?;
    Ok(())
}

/// Saves everything that the platform decides.
pub async fn save(tx: &mut Tx, it: &Company) -> Result<()> {
    sqlx::query(
        "UPDATE app.companies SET name = $2, siren = $3, locale = $4, time_zone = $5, status = $6,
                contract_starts_on = $7, contract_ends_on = $8, sessions_per_employee = $9, seats = $10
         WHERE id = $1",
    )
    .bind(it.id)
    .bind(&it.name)
    .bind(&it.siren)
    .bind(it.locale)
    .bind(&it.time_zone)
    .bind(it.status)
    .bind(it.contract_starts_on)
    .bind(it.contract_ends_on)
    .bind(it.sessions_per_employee)
    .bind(it.seats)
    .execute(tx.conn())
    .await
    .map_err(|error| match broken_constraint(&error) {
        Some("companies_siren_key") => Error::SirenTaken.into(),
        Some("companies_seats_in_use") => {
            let taken = broken_detail(&error).unwrap_or_default().to_owned();
            Problem::from(Error::SeatsInUse).at("/contract/seats", "seats_in_use").with_arg("taken", taken)
        }
        _ => error.into(),
    })?;
    Ok(())
}

/// Saves what a company decides itself.
pub async fn save_own(tx: &mut Tx, it: &Company) -> Result<()> {
    sqlx::query("UPDATE app.companies SET name = $2, locale = $3 WHERE id = $1")
        .bind(it.id)
        .bind(&it.name)
        .bind(it.locale)
        .execute(tx.conn())
        .await?;
    Ok(())
}

macro_rules! select_settings {
    ($rest:literal) => {
        concat!(
            "SELECT cancellation_window_hours, booking_horizon_days, reporting_threshold, late_cancellation_counts, \
             no_show_counts, updated_at FROM app.company_settings WHERE company_id = $1",
            $rest
        )
    };
}

pub async fn find_settings(tx: &mut Tx, id: CompanyId) -> Result<Option<Settings>> {
    Ok(sqlx::query_as(select_settings!("")).bind(id).fetch_optional(tx.conn()).await?)
}

pub async fn lock_settings(tx: &mut Tx, id: CompanyId) -> Result<Option<Settings>> {
    Ok(sqlx::query_as(select_settings!(" FOR UPDATE")).bind(id).fetch_optional(tx.conn()).await?)
}

pub async fn save_settings(tx: &mut Tx, id: CompanyId, it: &Settings) -> Result<Settings> {
    Ok(sqlx::query_as(
        "UPDATE app.company_settings
         SET cancellation_window_hours = $2, booking_horizon_days = $3, reporting_threshold = $4,
             late_cancellation_counts = $5, no_show_counts = $6
         WHERE company_id = $1
         RETURNING cancellation_window_hours, booking_horizon_days, reporting_threshold, late_cancellation_counts,
                   no_show_counts, updated_at",
    )
    .bind(id)
    .bind(it.cancellation_window_hours)
    .bind(it.booking_horizon_days)
    .bind(it.reporting_threshold)
    .bind(it.late_cancellation_counts)
    .bind(it.no_show_counts)
    .fetch_one(tx.conn())
    .await?)
}

/// Ends the sessions of the HR users and admins of the transaction's company.
pub async fn end_sessions_of_members(tx: &mut Tx, at: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT app.end_sessions_of_members($1)").bind(at).execute(tx.conn()).await?;
    Ok(())
}

pub async fn list_network(tx: &mut Tx, id: CompanyId) -> Result<Vec<PractitionerId>> {
    Ok(sqlx::query_scalar(
        "SELECT practitioner_id FROM app.company_networks WHERE company_id = $1 ORDER BY practitioner_id",
    )
    .bind(id)
    .fetch_all(tx.conn())
    .await?)
}

/// The places in `practitioners` (the first is 0) of those who are unknown, or inactive and not on the list yet.
pub async fn list_unknown(tx: &mut Tx, id: CompanyId, practitioners: &[PractitionerId]) -> Result<Vec<i64>> {
    let practitioners: Vec<_> = practitioners.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar(
        "SELECT wanted.place - 1 FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (id, place)
         WHERE NOT EXISTS (SELECT FROM app.practitioners p WHERE p.id = wanted.id AND p.status = 'active')
           AND NOT EXISTS (SELECT FROM app.company_networks n WHERE n.company_id = $1 AND n.practitioner_id = wanted.id)
         ORDER BY wanted.place",
    )
    .bind(id)
    .bind(practitioners)
    .fetch_all(tx.conn())
    .await?)
}

/// Since when the company is archived; `None` where it is not.
pub async fn find_archiving(tx: &mut Tx, id: CompanyId) -> Result<Option<DateTime<Utc>>> {
    let found: Option<Option<DateTime<Utc>>> =
        sqlx::query_scalar("SELECT archived_at FROM app.companies WHERE id = $1")
            .bind(id)
            .fetch_optional(tx.conn())
            .await?;
    Ok(found.flatten())
}

/// Since when the company is archived, by the program's clock.
pub async fn note_archiving(tx: &mut Tx, id: CompanyId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query("UPDATE app.companies SET archived_at = $2 WHERE id = $1").bind(id).bind(at).execute(tx.conn()).await?;
    Ok(())
}

/// Replaces the mode and the list.
pub async fn save_network(
    tx: &mut Tx,
    id: CompanyId,
    mode: NetworkMode,
    practitioners: &[PractitionerId],
) -> Result<()> {
    sqlx::query("UPDATE app.companies SET network = $2 WHERE id = $1").bind(id).bind(mode).execute(tx.conn()).await?;
    let practitioners: Vec<_> = practitioners.iter().map(|id| id.0).collect();
    sqlx::query("DELETE FROM app.company_networks WHERE company_id = $1 AND practitioner_id <> ALL ($2)")
        .bind(id)
        .bind(&practitioners)
        .execute(tx.conn())
        .await?;
    sqlx::query(
        "INSERT INTO app.company_networks (company_id, practitioner_id) SELECT $1, unnest($2::uuid[])
         ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(&practitioners)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Members with an account and pending invitations, the oldest first; by the address that the company invited.
/// Which one they log in with is their own: it would tell who had an account before.
pub async fn list_members(tx: &mut Tx, company: CompanyId, after: Option<UserId>, fetch: i64) -> Result<Vec<Member>> {
    Ok(sqlx::query_as(
        "SELECT id, email, display_name, role, locale, status, created_at FROM (
             SELECT id, company_address AS email, display_name, role, locale, status, created_at FROM app.users
             WHERE company_id = $1 AND role IN ('hr', 'company_admin') AND removed_at IS NULL
             UNION ALL
             SELECT id, email, display_name, role, locale, 'invited', created_at FROM app.member_invitations
             WHERE company_id = $1
         ) AS member
         WHERE $2::uuid IS NULL OR id > $2 ORDER BY id LIMIT $3",
    )
    .bind(company)
    .bind(after)
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

pub async fn is_member(tx: &mut Tx, company: CompanyId, email: &str) -> Result<bool> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM app.users
                        WHERE company_id = $1 AND company_address = $2 AND role IN ('hr', 'company_admin'))",
    )
    .bind(company)
    .bind(email)
    .fetch_one(tx.conn())
    .await?)
}

/// Adds a pending invitation, or renews that of the address, which keeps its id and its age.
pub async fn save_invitation(tx: &mut Tx, company: CompanyId, it: Member) -> Result<Member> {
    Ok(sqlx::query_as(
        "INSERT INTO app.member_invitations AS pending (id, company_id, email, role, display_name, locale, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (company_id, email) DO UPDATE
             SET role = excluded.role, display_name = excluded.display_name, locale = excluded.locale
         RETURNING id, email, display_name, role, locale, 'invited' AS status, created_at",
    )
    .bind(it.id)
    .bind(company)
    .bind(it.email)
    .bind(it.role)
    .bind(it.display_name)
    .bind(it.locale)
    .bind(it.created_at)
    .fetch_one(tx.conn())
    .await?)
}

/// Withdraws a pending invitation, and with it its link; whether there was one.
pub async fn delete_invitation(tx: &mut Tx, company: CompanyId, id: UserId) -> Result<bool> {
    let done = sqlx::query("DELETE FROM app.member_invitations WHERE company_id = $1 AND id = $2")
        .bind(company)
        .bind(id)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RemovalOutcome {
    Removed,
    NotFound,
    LastAdmin,
}

/// Takes a member of the transaction's company away, with their sessions.
pub async fn delete_member(tx: &mut Tx, id: UserId, at: DateTime<Utc>) -> Result<RemovalOutcome> {
    Ok(sqlx::query_scalar("SELECT app.remove_member($1, $2)").bind(id).bind(at).fetch_one(tx.conn()).await?)
}
