//! SQL of the directory.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Error;
use super::import::Entry;
use super::model::{Employee, Status};
use crate::domain::companies::store::escape_like;
use crate::platform::db::{broken_constraint, broken_detail};
use crate::platform::ids::{CompanyId, EmployeeId};
use crate::platform::{Problem, Result, Tx};

macro_rules! select_employee {
    ($rest:literal) => {
        concat!(
            "SELECT e.id, e.company_id, e.email, e.first_name, e.last_name, e.staff_number, d.name AS department, \
             e.site, e.locale, e.status, e.left_at, e.created_at, e.updated_at FROM app.employees e \
             LEFT JOIN app.departments d ON d.company_id = e.company_id AND d.id = e.department_id ",
            $rest
        )
    };
}

pub async fn find(tx: &mut Tx, id: EmployeeId) -> Result<Option<Employee>> {
    Ok(sqlx::query_as(select_employee!("WHERE e.id = $1")).bind(id).fetch_optional(tx.conn()).await?)
}

pub async fn lock(tx: &mut Tx, id: EmployeeId) -> Result<Option<Employee>> {
    Ok(sqlx::query_as(select_employee!("WHERE e.id = $1 FOR UPDATE OF e")).bind(id).fetch_optional(tx.conn()).await?)
}

/// The order of a list, and where it goes on.
pub type Key = (String, String, EmployeeId);

/// What a list is narrowed to.
pub struct Listing<'a> {
    pub company_id: CompanyId,
    /// Part of a name, an address or a staff number.
    pub words: Option<&'a str>,
    pub department: Option<&'a str>,
    pub site: Option<&'a str>,
    pub status: Option<Status>,
    pub after: Option<&'a Key>,
    pub fetch: i64,
}

pub async fn list(tx: &mut Tx, by: Listing<'_>) -> Result<Vec<Employee>> {
    let pattern = by.words.map(|words| format!("%{}%", escape_like(words)));
    Ok(sqlx::query_as(select_employee!(
        "WHERE e.company_id = $1
           AND ($2::text IS NULL OR e.email ILIKE $2 OR e.first_name || ' ' || e.last_name ILIKE $2
                OR e.last_name || ' ' || e.first_name ILIKE $2 OR e.staff_number ILIKE $2)
           AND ($3::text IS NULL OR lower(d.name) = lower($3))
           AND ($4::text IS NULL OR e.status = $4)
           AND ($9::text IS NULL OR lower(e.site) = lower($9))
           AND ($5::text IS NULL OR (e.last_name, e.first_name, e.id) > ($5, $6, $7))
         ORDER BY e.last_name, e.first_name, e.id LIMIT $8"
    ))
    .bind(by.company_id)
    .bind(pattern)
    .bind(by.department)
    .bind(by.status)
    .bind(by.after.map(|key| key.0.as_str()))
    .bind(by.after.map(|key| key.1.as_str()))
    .bind(by.after.map(|key| key.2))
    .bind(by.fetch)
    .bind(by.site)
    .fetch_all(tx.conn())
    .await?)
}

/// A department.
#[derive(Debug, sqlx::FromRow)]
pub struct Department {
    pub id: Uuid,
    pub name: String,
}

/// The departments in which somebody works, by name.
pub async fn list_departments(
    tx: &mut Tx,
    company: CompanyId,
    after: Option<&(String, Uuid)>,
    fetch: i64,
) -> Result<Vec<Department>> {
    Ok(sqlx::query_as(
        "SELECT d.id, d.name FROM app.departments d
         WHERE d.company_id = $1 AND ($2::text IS NULL OR (d.name, d.id) > ($2, $3))
           AND EXISTS (SELECT FROM app.employees e
                       WHERE e.company_id = d.company_id AND e.department_id = d.id AND e.status = 'active')
         ORDER BY d.name, d.id LIMIT $4",
    )
    .bind(company)
    .bind(after.map(|key| key.0.as_str()))
    .bind(after.map(|key| key.1))
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// The sites at which somebody works, by name.
pub async fn list_sites(tx: &mut Tx, company: CompanyId, after: Option<&str>, fetch: i64) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "SELECT DISTINCT e.site FROM app.employees e
         WHERE e.company_id = $1 AND e.site > coalesce($2, '') AND e.status = 'active' ORDER BY e.site LIMIT $3",
    )
    .bind(company)
    .bind(after)
    .bind(fetch)
    .fetch_all(tx.conn())
    .await?)
}

/// Lets one change of a directory run at a time: seats are counted, and two imports may name the same people.
pub async fn lock_directory(tx: &mut Tx, company: CompanyId) -> Result<()> {
    sqlx::query("SELECT set_config('lock_timeout', '8s', true)").execute(tx.conn()).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('directory ' || $1::text, 0))")
        .bind(company)
        .execute(tx.conn())
        .await
        .map_err(|error| {
            // lock_not_available
            let is_busy = error
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code)
                .is_some_and(|code| code == "55P03");
            if is_busy { Error::DirectoryBusy.into() } else { Problem::from(error) }
        })?;
    Ok(())
}

/// Thousands of rows in one statement may take longer than a request's usual statements.
pub async fn allow_long_statements(tx: &mut Tx) -> Result<()> {
    sqlx::query("SELECT set_config('statement_timeout', '60s', true)").execute(tx.conn()).await?;
    Ok(())
}

pub async fn count_active(tx: &mut Tx, company: CompanyId) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM app.employees WHERE company_id = $1 AND status = 'active'")
        .bind(company)
        .fetch_one(tx.conn())
        .await?)
}

/// Departments by name.
#[derive(Debug, Default)]
pub struct Departments(HashMap<String, Uuid>);

impl Departments {
    pub fn id_of(&self, name: Option<&String>) -> Option<Uuid> {
        self.0.get(name?).copied()
    }
}

/// The departments of these names, made where they are missing. Each spelling is found again.
pub async fn ensure_departments(
    tx: &mut Tx,
    company: CompanyId,
    names: &[String],
    mut new_id: impl FnMut() -> Uuid,
) -> Result<Departments> {
    if names.is_empty() {
        return Ok(Departments::default());
    }
    let ids: Vec<Uuid> = names.iter().map(|_| new_id()).collect();
    sqlx::query(
        "INSERT INTO app.departments (id, company_id, name)
         SELECT new.id, $1, new.name FROM unnest($2::uuid[], $3::text[]) AS new (id, name)
         ON CONFLICT DO NOTHING",
    )
    .bind(company)
    .bind(&ids)
    .bind(names)
    .execute(tx.conn())
    .await?;
    let found: Vec<(String, Uuid)> = sqlx::query_as(
        "SELECT wanted.name, d.id FROM unnest($2::text[]) AS wanted (name)
         JOIN app.departments d ON d.company_id = $1 AND lower(d.name) = lower(wanted.name)",
    )
    .bind(company)
    .bind(names)
    .fetch_all(tx.conn())
    .await?;
    Ok(Departments(found.into_iter().collect()))
}

/// What a broken constraint of the directory means.
fn explain(error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("employees_email_key") => Problem::from(Error::EmployeeExists).at("/email", "taken"),
        Some("employees_staff_number_key") => Problem::from(Error::StaffNumberTaken).at("/staffNumber", "taken"),
        // the contract has fewer than when this transaction looked; the detail says how many
        Some("employees_seats") => {
            Problem::from(Error::SeatsExceeded).with_arg("seats", broken_detail(&error).unwrap_or_default())
        }
        _ => error.into(),
    }
}

pub async fn insert(tx: &mut Tx, it: &Employee, department_id: Option<Uuid>) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.employees (id, company_id, email, first_name, last_name, staff_number, department_id, site,
                                    locale)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(it.id)
    .bind(it.company_id)
    .bind(&it.email)
    .bind(&it.first_name)
    .bind(&it.last_name)
    .bind(&it.staff_number)
    .bind(department_id)
    .bind(&it.site)
    .bind(it.locale)
    .execute(tx.conn())
    .await
    .map_err(explain)?;
    Ok(())
}

pub async fn save(tx: &mut Tx, it: &Employee, department_id: Option<Uuid>) -> Result<()> {
    sqlx::query(
        "UPDATE app.employees SET email = $2, first_name = $3, last_name = $4, staff_number = $5, department_id = $6,
                site = $7, locale = $8
         WHERE id = $1",
    )
    .bind(it.id)
    .bind(&it.email)
    .bind(&it.first_name)
    .bind(&it.last_name)
    .bind(&it.staff_number)
    .bind(department_id)
    .bind(&it.site)
    .bind(it.locale)
    .execute(tx.conn())
    .await
    .map_err(explain)?;
    Ok(())
}

pub async fn save_status(tx: &mut Tx, id: EmployeeId, status: Status, left_at: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query("UPDATE app.employees SET status = $2, left_at = $3 WHERE id = $1")
        .bind(id)
        .bind(status)
        .bind(left_at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The entries with one of the addresses or staff numbers.
pub async fn list_known(tx: &mut Tx, company: CompanyId, emails: &[&str], numbers: &[&str]) -> Result<Vec<Entry>> {
    Ok(sqlx::query_as(
        "SELECT e.id, e.email, e.first_name, e.last_name, e.staff_number, d.name AS department, e.site, e.locale,
                e.status
         FROM app.employees e
         LEFT JOIN app.departments d ON d.company_id = e.company_id AND d.id = e.department_id
         WHERE e.company_id = $1 AND (e.email = ANY ($2) OR e.staff_number = ANY ($3))",
    )
    .bind(company)
    .bind(emails)
    .bind(numbers)
    .fetch_all(tx.conn())
    .await?)
}

/// Entries as arrays of columns.
struct Columns<'a> {
    ids: Vec<Uuid>,
    emails: Vec<&'a str>,
    first_names: Vec<&'a str>,
    last_names: Vec<&'a str>,
    staff_numbers: Vec<Option<&'a str>>,
    departments: Vec<Option<Uuid>>,
    sites: Vec<Option<&'a str>>,
    locales: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(entries: &'a [Entry], departments: &Departments) -> Self {
        Self {
            ids: entries.iter().map(|it| it.id.0).collect(),
            emails: entries.iter().map(|it| it.email.as_str()).collect(),
            first_names: entries.iter().map(|it| it.first_name.as_str()).collect(),
            last_names: entries.iter().map(|it| it.last_name.as_str()).collect(),
            staff_numbers: entries.iter().map(|it| it.staff_number.as_deref()).collect(),
            departments: entries.iter().map(|it| departments.id_of(it.department.as_ref())).collect(),
            sites: entries.iter().map(|it| it.site.as_deref()).collect(),
            locales: entries.iter().map(|it| it.locale.as_str()).collect(),
        }
    }
}

/// Adds all the entries in one statement.
pub async fn insert_all(tx: &mut Tx, company: CompanyId, entries: &[Entry], departments: &Departments) -> Result<()> {
    let it = Columns::of(entries, departments);
    sqlx::query(
        "INSERT INTO app.employees (id, company_id, email, first_name, last_name, staff_number, department_id, site,
                                    locale)
         SELECT new.id, $1, new.email, new.first_name, new.last_name, new.staff_number, new.department_id, new.site,
                new.locale
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::text[])
              AS new (id, email, first_name, last_name, staff_number, department_id, site, locale)",
    )
    .bind(company)
    .bind(&it.ids)
    .bind(&it.emails)
    .bind(&it.first_names)
    .bind(&it.last_names)
    .bind(&it.staff_numbers)
    .bind(&it.departments)
    .bind(&it.sites)
    .bind(&it.locales)
    .execute(tx.conn())
    .await
    .map_err(explain)?;
    Ok(())
}

/// Saves all the entries in one statement; who had left is back.
pub async fn save_all(tx: &mut Tx, company: CompanyId, entries: &[Entry], departments: &Departments) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let it = Columns::of(entries, departments);
    sqlx::query(
        "UPDATE app.employees e
         SET first_name = new.first_name, last_name = new.last_name, staff_number = new.staff_number,
             department_id = new.department_id, site = new.site, locale = new.locale, status = 'active',
             left_at = NULL
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[])
              AS new (id, first_name, last_name, staff_number, department_id, site, locale)
         WHERE e.company_id = $1 AND e.id = new.id",
    )
    .bind(company)
    .bind(&it.ids)
    .bind(&it.first_names)
    .bind(&it.last_names)
    .bind(&it.staff_numbers)
    .bind(&it.departments)
    .bind(&it.sites)
    .bind(&it.locales)
    .execute(tx.conn())
    .await
    .map_err(explain)?;
    Ok(())
}
