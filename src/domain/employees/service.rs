//! Use cases of the directory.

use std::slice;

use uuid::Uuid;

use super::error::Error;
use super::events::EmployeeLeft;
use super::model::{Employee, Status};
use super::store::{self, Department, Listing};
use crate::domain::companies;
use crate::domain::companies::model::Company;
use crate::domain::identity::account::address::{TellLeaver, TellLeaverPrivately, TellReturner};
use crate::domain::identity::invitation;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Etag, IdempotencyKey, PageQuery};
use crate::platform::ids::{CompanyId, EmployeeId};
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result, Tx};

/// A transaction that reads the directory of a company: the caller's own, or for the platform's staff the one that
/// they name. Not read-only, because the reading is audited.
async fn read_directory(cx: &Context, wanted: Option<CompanyId>) -> Result<(Tx, CompanyId)> {
    if let Some(own) = cx.caller().company_id {
        if wanted.is_some_and(|wanted| wanted != own) {
            return Err(Refusal::NotFound.into());
        }
        return Ok((cx.begin(Permission::ReadEmployees).await?, own));
    }
    let wanted = wanted.ok_or_else(|| Problem::from(Refusal::InvalidParameter).at("query:companyId", "required"))?;
    let mut tx = cx.begin(Permission::ReadEmployees).await?;
    companies::find_in(&mut tx, wanted).await?.ok_or(Refusal::NotFound)?;
    tx.enter_company(wanted).await?;
    Ok((tx, wanted))
}

/// Ends a reading: whose entry was opened, and who was or may have been in a list, finds it in their access log.
async fn end_reading(mut tx: Tx, entry: Entry<'_>) -> Result<()> {
    tx.audit(entry).await?;
    tx.commit().await
}

/// What a list is narrowed to.
#[derive(Debug, Default)]
pub struct Filter {
    pub company_id: Option<CompanyId>,
    pub words: Option<String>,
    pub department: Option<String>,
    pub site: Option<String>,
    pub status: Option<Status>,
}

pub async fn list(cx: &Context, filter: &Filter, page: &PageQuery<store::Key>) -> Result<Vec<Employee>> {
    fn given(text: Option<&String>) -> Option<&str> {
        text.map(|text| text.trim()).filter(|text| !text.is_empty())
    }
    let (mut tx, company_id) = read_directory(cx, filter.company_id).await?;
    let listing = Listing {
        company_id,
        words: given(filter.words.as_ref()),
        department: given(filter.department.as_ref()),
        site: given(filter.site.as_ref()),
        status: filter.status,
        after: page.after.as_ref(),
        fetch: page.fetch(),
    };
    let employees = store::list(&mut tx, listing).await?;
    let entry = Entry::done("employee.listed", "employee", None);
    end_reading(tx, entry.with(Detail::Count, employees.len().min(page.limit as usize))).await?;
    Ok(employees)
}

pub async fn departments(
    cx: &Context,
    company: Option<CompanyId>,
    page: &PageQuery<(String, Uuid)>,
) -> Result<Vec<Department>> {
    let (mut tx, company) = read_directory(cx, company).await?;
    let departments = store::list_departments(&mut tx, company, page.after.as_ref(), page.fetch()).await?;
    if cx.caller().is(Role::PlatformAdmin) {
        end_reading(tx, Entry::done("department.listed", "department", None)).await?;
    }
    Ok(departments)
}

pub async fn sites(cx: &Context, company: Option<CompanyId>, page: &PageQuery<String>) -> Result<Vec<String>> {
    let (mut tx, company) = read_directory(cx, company).await?;
    let sites = store::list_sites(&mut tx, company, page.after.as_deref(), page.fetch()).await?;
    if cx.caller().is(Role::PlatformAdmin) {
        end_reading(tx, Entry::done("department.listed", "department", None)).await?;
    }
    Ok(sites)
}

pub async fn find(cx: &Context, id: EmployeeId) -> Result<Employee> {
    let mut tx = cx.begin(Permission::ReadEmployees).await?;
    let employee = reload(&mut tx, id).await?;
    if cx.caller().is(Role::PlatformAdmin) {
        tx.enter_company(employee.company_id).await?;
    }
    end_reading(tx, Entry::done("employee.read", "employee", id.0).about(id)).await?;
    Ok(employee)
}

/// A transaction that changes the directory of the caller's company, alone.
async fn change_directory(cx: &Context, key: Option<&IdempotencyKey>) -> Result<(Tx, Change)> {
    let (mut tx, company_id) = begin_change(cx).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok((tx, Change::Done(Box::new(first))));
    }
    let company = companies::require_active(&mut tx, company_id).await?;
    store::lock_directory(&mut tx, company_id).await?;
    Ok((tx, Change::Open(Box::new(company))))
}

async fn begin_change(cx: &Context) -> Result<(Tx, CompanyId)> {
    let tx = cx.begin(Permission::ManageEmployees).await?;
    Ok((tx, cx.caller().company_id.ok_or(Refusal::Forbidden)?))
}

/// Whether a change is yet to be made.
enum Change {
    Open(Box<Company>),
    /// The request came before: this is what it was answered.
    Done(Box<Employee>),
}

async fn require_seat(tx: &mut Tx, company: &Company) -> Result<()> {
    if store::count_active(tx, company.id).await? < i64::from(company.seats) {
        Ok(())
    } else {
        Err(Problem::from(Error::SeatsExceeded).with_arg("seats", company.seats.to_string()))
    }
}

async fn department_id(cx: &Context, tx: &mut Tx, it: &Employee) -> Result<Option<Uuid>> {
    let Some(name) = &it.department else { return Ok(None) };
    let found = store::ensure_departments(tx, it.company_id, slice::from_ref(name), || cx.new_id()).await?;
    Ok(found.id_of(Some(name)))
}

async fn reload(tx: &mut Tx, id: EmployeeId) -> Result<Employee> {
    store::find(tx, id).await?.ok_or_else(|| Refusal::NotFound.into())
}

/// A person to add.
#[derive(Debug)]
pub struct NewEmployee {
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub staff_number: Option<String>,
    pub department: Option<String>,
    pub site: Option<String>,
    /// The company's unless said.
    pub locale: Option<Locale>,
}

/// Adds a person, who gets an invitation.
pub async fn create(cx: &Context, key: Option<&IdempotencyKey>, new: NewEmployee) -> Result<Employee> {
    let now = cx.now();
    let mut it = Employee {
        id: cx.new_id(),
        company_id: cx.caller().company_id.ok_or(Refusal::Forbidden)?,
        email: new.email,
        first_name: new.first_name,
        last_name: new.last_name,
        staff_number: new.staff_number,
        department: new.department,
        site: new.site,
        locale: new.locale.unwrap_or_default(),
        status: Status::Active,
        left_at: None,
        created_at: now,
        updated_at: now,
    };
    let mut faults = FieldErrors::new();
    it.check(&mut faults);
    faults.finish()?;
    let (mut tx, change) = change_directory(cx, key).await?;
    let company = match change {
        Change::Done(first) => return Ok(*first),
        Change::Open(company) => company,
    };
    it.locale = new.locale.unwrap_or(company.locale);
    require_seat(&mut tx, &company).await?;
    let department = department_id(cx, &mut tx, &it).await?;
    store::insert(&mut tx, &it, department).await?;
    let it = reload(&mut tx, it.id).await?;
    invitation::invite_employee(cx, &mut tx, it.id, &it.email).await?;
    tx.audit(Entry::done("employee.created", "employee", it.id.0).about(it.id)).await?;
    tx.remember(key, &it).await?;
    tx.commit().await?;
    Ok(it)
}

/// What to change; `None` stays, `Some(None)` empties.
#[derive(Debug, Default)]
pub struct EmployeeChange {
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub staff_number: Option<Option<String>>,
    pub department: Option<Option<String>>,
    pub site: Option<Option<String>>,
    pub locale: Option<Locale>,
}

/// The names of the fields in which two entries differ, for the audit log.
fn differences(before: &Employee, after: &Employee) -> Vec<&'static str> {
    [
        ("email", before.email != after.email),
        ("first_name", before.first_name != after.first_name),
        ("last_name", before.last_name != after.last_name),
        ("staff_number", before.staff_number != after.staff_number),
        ("department", before.department != after.department),
        ("site", before.site != after.site),
        ("locale", before.locale != after.locale),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

impl EmployeeChange {
    fn apply(self, it: &mut Employee) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut it.email, self.email);
        set(&mut it.first_name, self.first_name);
        set(&mut it.last_name, self.last_name);
        set(&mut it.staff_number, self.staff_number);
        set(&mut it.department, self.department);
        set(&mut it.site, self.site);
        set(&mut it.locale, self.locale);
    }
}

/// Changes an entry. A corrected address gets an invitation of its own; the earlier one opens nothing any more.
pub async fn change(cx: &Context, id: EmployeeId, change: EmployeeChange, if_match: Option<&str>) -> Result<Employee> {
    let (mut tx, _) = change_directory(cx, None).await?;
    let mut it = store::lock(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    Etag::of(it.updated_at).require(if_match)?;
    let before = it.clone();
    change.apply(&mut it);
    let mut faults = FieldErrors::new();
    it.check(&mut faults);
    faults.finish()?;
    let department = department_id(cx, &mut tx, &it).await?;
    store::save(&mut tx, &it, department).await?;
    if it.email != before.email {
        invitation::tell_of_correction(&mut tx, id).await?;
        if it.status == Status::Active {
            invitation::invite_employee(cx, &mut tx, id, &it.email).await?;
        }
    }
    let entry = Entry::done("employee.updated", "employee", id.0).about(id);
    tx.audit(entry.with(Detail::Fields, differences(&before, &it))).await?;
    let it = reload(&mut tx, id).await?;
    tx.commit().await?;
    Ok(it)
}

/// Notes that a person left. Whose entry says so already is left alone. Also while the company is suspended: it grants
/// nothing, and people leave all the same.
pub async fn deactivate(cx: &Context, id: EmployeeId, if_match: Option<&str>) -> Result<()> {
    let (mut tx, company_id) = begin_change(cx).await?;
    store::lock_directory(&mut tx, company_id).await?;
    let it = store::lock(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    Etag::of(it.updated_at).require(if_match)?;
    if it.status == Status::Active {
        store::save_status(&mut tx, id, Status::Left, Some(cx.now())).await?;
        tx.enqueue(&EmployeeLeft { employee_id: id }, None, None).await?;
        // the person's own affair: nothing of it comes back to the directory
        tx.enqueue(&TellLeaver { employee_id: id }, None, None).await?;
        tx.enqueue(&TellLeaverPrivately { employee_id: id }, None, None).await?;
        tx.audit(Entry::done("employee.deactivated", "employee", id.0).about(id)).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Takes a person back who had left.
pub async fn reactivate(cx: &Context, key: Option<&IdempotencyKey>, id: EmployeeId) -> Result<Employee> {
    let (mut tx, change) = change_directory(cx, key).await?;
    let company = match change {
        Change::Done(first) => return Ok(*first),
        Change::Open(company) => company,
    };
    let it = store::lock(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    if it.status == Status::Left {
        require_seat(&mut tx, &company).await?;
        store::save_status(&mut tx, id, Status::Active, None).await?;
        tx.enqueue(&TellReturner { employee_id: id }, None, None).await?;
        tx.audit(Entry::done("employee.reactivated", "employee", id.0).about(id)).await?;
    }
    let it = reload(&mut tx, id).await?;
    tx.remember(key, &it).await?;
    tx.commit().await?;
    Ok(it)
}

/// Sends the invitation again. Everything is the same for somebody who has an account: the answer, the mail, the count.
pub async fn invite(cx: &Context, key: Option<&IdempotencyKey>, id: EmployeeId) -> Result<()> {
    let (mut tx, change) = change_directory(cx, key).await?;
    if matches!(change, Change::Done(_)) {
        return Ok(());
    }
    let it = store::lock(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    if it.status == Status::Left {
        return Err(Error::EmployeeLeft.into());
    }
    invitation::invite_employee(cx, &mut tx, id, &it.email).await?;
    tx.audit(Entry::done("employee.invited", "employee", id.0).about(id)).await?;
    tx.remember(key, &it).await?;
    tx.commit().await
}
