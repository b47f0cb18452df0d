//! `/employees`.

mod bodies;
mod file;

use aws_lc_rs::digest;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::types::ToJSON;
use poem_openapi::{ApiResponse, OpenApi, Tags};

use self::bodies::{DepartmentAnswer, EmployeeAnswer, EmployeePatch, ImportReport, NewEmployeeBody, SiteAnswer};
use self::file::{ImportFile, template};
use super::error::Error;
use super::import::{self, Failure, Mode};
use super::model::{Employee, Status};
use super::service::{self, Filter};
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Etag, IdempotencyKey, Page, PageQuery, Tagged};
use crate::platform::ids::{CompanyId, EmployeeId};
use crate::platform::{Problem, Result};

#[derive(Tags)]
enum Tag {
    /// A company's directory, kept by HR. Nothing in it tells whether a person has an account.
    Employees,
}

#[derive(ApiResponse)]
pub enum EmployeeCreated {
    /// The entry; the invitation is on its way.
    #[oai(status = 201)]
    Created(
        Json<EmployeeAnswer>,
        /// The version of the entry.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum EmployeeDeactivated {
    /// The person is noted as having left.
    #[oai(status = 204)]
    Deactivated,
}

#[derive(ApiResponse)]
pub enum InvitationAccepted {
    /// The invitation is on its way.
    #[oai(status = 202)]
    Accepted,
}

#[derive(ApiResponse)]
pub enum TemplateResponse {
    /// A file to fill in.
    #[oai(status = 200, content_type = "text/csv; charset=utf-8")]
    File(
        Binary<Vec<u8>>,
        /// What to save it as.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

fn tagged(it: Employee, if_none_match: Option<&str>) -> Tagged<EmployeeAnswer> {
    let etag = Etag::of(it.updated_at);
    Tagged::new(it.into(), &etag, if_none_match)
}

pub struct EmployeesApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Employees")]
impl EmployeesApi {
    /// List the directory
    ///
    /// By last name, first name. The platform's staff name the company; what they read is written to its audit log.
    #[oai(path = "/employees", method = "get", operation_id = "listEmployees")]
    #[allow(clippy::too_many_arguments)] // one for each parameter of the query
    async fn list(
        &self,
        cx: Authorized<perm::ReadEmployees>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
        /// Part of a name, an address or a staff number.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// Only people of this department, by its name.
        #[oai(validator(max_length = 120))]
        department: Query<Option<String>>,
        /// Only people of this site, by its name.
        #[oai(validator(max_length = 120))]
        site: Query<Option<String>>,
        /// Only people of this status.
        status: Query<Option<Status>>,
        /// Whose directory; needed by platform admins only.
        #[oai(name = "companyId")]
        company_id: Query<Option<CompanyId>>,
    ) -> Result<Json<Page<EmployeeAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let filter =
            Filter { company_id: company_id.0, words: q.0, department: department.0, site: site.0, status: status.0 };
        let employees = service::list(&cx, &filter, &page).await?;
        let key = |it: &Employee| (it.last_name.clone(), it.first_name.clone(), it.id);
        Ok(Json(Page::new(&page, employees, key, EmployeeAnswer::from)))
    }

    /// Add a person
    ///
    /// They get an invitation in their language. A department that is new is made.
    #[oai(path = "/employees", method = "post", operation_id = "createEmployee")]
    async fn create(
        &self,
        cx: Authorized<perm::ManageEmployees>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewEmployeeBody>,
    ) -> Result<EmployeeCreated> {
        let key = IdempotencyKey::new(idempotency_key.0, "createEmployee", &body.0)?;
        let it = service::create(&cx, key.as_ref(), body.0.into()).await?;
        let etag = Etag::of(it.updated_at).as_str().to_owned();
        Ok(EmployeeCreated::Created(Json(it.into()), etag))
    }

    /// List departments
    ///
    /// Those in which somebody works, by name. One that everybody has left or moved out of is not listed; usage of the
    /// past stays counted under it.
    #[oai(path = "/employees/departments", method = "get", operation_id = "listDepartments")]
    async fn departments(
        &self,
        cx: Authorized<perm::ReadEmployees>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
        /// Whose directory; needed by platform admins only.
        #[oai(name = "companyId")]
        company_id: Query<Option<CompanyId>>,
    ) -> Result<Json<Page<DepartmentAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let departments = service::departments(&cx, company_id.0, &page).await?;
        Ok(Json(Page::new(&page, departments, |it| (it.name.clone(), it.id), DepartmentAnswer::from)))
    }

    /// List sites
    ///
    /// Those at which somebody works, by name.
    #[oai(path = "/employees/sites", method = "get", operation_id = "listSites")]
    async fn sites(
        &self,
        cx: Authorized<perm::ReadEmployees>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
        /// Whose directory; needed by platform admins only.
        #[oai(name = "companyId")]
        company_id: Query<Option<CompanyId>>,
    ) -> Result<Json<Page<SiteAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let sites = service::sites(&cx, company_id.0, &page).await?;
        Ok(Json(Page::new(&page, sites, Clone::clone, |name| SiteAnswer { name })))
    }

    /// Get a file to fill in
    ///
    /// The header that an import understands and one row as an example, in the language of the request, as
    /// spreadsheets open it.
    #[oai(path = "/employees/import-template.csv", method = "get", operation_id = "getImportTemplate")]
    async fn template(&self, cx: Authorized<perm::ManageEmployees>) -> Result<TemplateResponse> {
        let file = template(cx.locale())?;
        let disposition = "attachment; filename=\"employees.csv\"".to_owned();
        Ok(TemplateResponse::File(Binary(file), disposition))
    }

    /// Import a file of people
    ///
    /// CSV with a header line, at most 10,000 rows: as the body itself, or as `file` of a form. Semicolon, comma and
    /// tab are recognised, and UTF-8, UTF-16 and Windows-1252 (Latin-1). Columns, in any order: e-mail, first name
    /// and last name, which must be there; staff number, department, site and language. They are known by their
    /// English and French names.
    ///
    /// People are matched by address. A column that the file lacks changes nothing; an empty cell empties. Who had
    /// left and is in the file is back. Who is new gets an invitation.
    ///
    /// Every row is reported. With `dryRun` nothing is written. Otherwise all rows are taken or none
    /// (`422 import_rejected`, with the report as `report`), or with `partial` the good ones.
    #[oai(path = "/employees/import", method = "post", operation_id = "importEmployees")]
    async fn import(
        &self,
        cx: Authorized<perm::ManageEmployees>,
        /// Write nothing; say what would be written.
        #[oai(name = "dryRun", default)]
        dry_run: Query<bool>,
        /// Take the good rows though others are rejected.
        #[oai(default)]
        partial: Query<bool>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        file: ImportFile,
    ) -> Result<Json<ImportReport>> {
        let file = file.into_bytes().await?;
        let mode = Mode { dry_run: dry_run.0, partial: partial.0 };
        let print = digest::digest(&digest::SHA256, &file);
        let key = IdempotencyKey::new(idempotency_key.0, "importEmployees", &(mode, print.as_ref()))?;
        match import::import(&cx, key.as_ref(), file, mode).await {
            Ok(report) => Ok(Json(ImportReport::new(report, cx.locale()))),
            Err(Failure::Problem(problem)) => Err(problem),
            Err(Failure::Rejected(report)) => {
                let rejected = report.counts.rejected.to_string();
                let report = ImportReport::new(*report, cx.locale()).to_json().unwrap_or_default();
                Err(Problem::from(Error::ImportRejected).with_arg("rejected", rejected).with("report", report))
            }
        }
    }

    /// Read an entry
    ///
    /// What the platform's staff read is written to the company's audit log.
    #[oai(path = "/employees/:id", method = "get", operation_id = "getEmployee")]
    async fn find(
        &self,
        cx: Authorized<perm::ReadEmployees>,
        id: Path<EmployeeId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<EmployeeAnswer>> {
        Ok(tagged(service::find(&cx, id.0).await?, if_none_match.0.as_deref()))
    }

    /// Change an entry
    ///
    /// When the address is corrected, an invitation goes there, and one to the earlier address opens nothing any more.
    /// An account that the person may have keeps its own address, and its holder is told of the correction there.
    #[oai(path = "/employees/:id", method = "patch", operation_id = "updateEmployee")]
    async fn change(
        &self,
        cx: Authorized<perm::ManageEmployees>,
        id: Path<EmployeeId>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<EmployeePatch>,
    ) -> Result<Tagged<EmployeeAnswer>> {
        let it = service::change(&cx, id.0, body.0.into(), if_match.0.as_deref()).await?;
        Ok(tagged(it, None))
    }

    /// Note that a person left
    ///
    /// They cannot book on the company's contract any more, and their future consultations are cancelled with
    /// notice. Their own account stays theirs. Doing it twice changes nothing.
    #[oai(path = "/employees/:id", method = "delete", operation_id = "deactivateEmployee")]
    async fn deactivate(
        &self,
        cx: Authorized<perm::ManageEmployees>,
        id: Path<EmployeeId>,
        /// The version that the decision was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<EmployeeDeactivated> {
        service::deactivate(&cx, id.0, if_match.0.as_deref()).await?;
        Ok(EmployeeDeactivated::Deactivated)
    }

    /// Take a person back
    ///
    /// Somebody who had left takes a seat of the contract again. What was cancelled stays cancelled.
    #[oai(path = "/employees/:id/reactivate", method = "post", operation_id = "reactivateEmployee")]
    async fn reactivate(
        &self,
        cx: Authorized<perm::ManageEmployees>,
        id: Path<EmployeeId>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Tagged<EmployeeAnswer>> {
        let key = IdempotencyKey::new(idempotency_key.0, "reactivateEmployee", &id.0)?;
        Ok(tagged(service::reactivate(&cx, key.as_ref(), id.0).await?, None))
    }

    /// Send the invitation again
    ///
    /// A new link, which ends the earlier ones. The answer and the mail are the same for somebody who has an account.
    /// A person gets at most 5 invitations within 24 hours.
    #[oai(path = "/employees/:id/invite", method = "post", operation_id = "inviteEmployee")]
    async fn invite(
        &self,
        cx: Authorized<perm::ManageEmployees>,
        id: Path<EmployeeId>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<InvitationAccepted> {
        let key = IdempotencyKey::new(idempotency_key.0, "inviteEmployee", &id.0)?;
        service::invite(&cx, key.as_ref(), id.0).await?;
        Ok(InvitationAccepted::Accepted)
    }
}
