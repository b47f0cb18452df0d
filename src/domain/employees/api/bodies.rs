//! What `/employees` takes and answers.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::types::{Example, MaybeUndefined};
use serde::Serialize;
use uuid::Uuid;

use super::super::import::{Outcome, Report, RowError};
use super::super::model::{Employee, Field, Status};
use super::super::service::{EmployeeChange, NewEmployee};
use super::super::store::Department;
use crate::platform::ids::{CompanyId, EmployeeId};
use crate::platform::locale::Locale;

const EMPLOYEE: EmployeeId = EmployeeId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0b11));
const COMPANY: CompanyId = CompanyId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a11));
const DEPARTMENT: Uuid = Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0b21);

/// An entry of the directory. It says nothing of an account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct EmployeeAnswer {
    id: EmployeeId,
    company_id: CompanyId,
    /// The work address.
    email: String,
    first_name: String,
    last_name: String,
    /// The company's own number for the person.
    staff_number: Option<String>,
    /// The department's name.
    department: Option<String>,
    site: Option<String>,
    /// The language of invitations.
    locale: Locale,
    status: Status,
    /// When the person left.
    left_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<Employee> for EmployeeAnswer {
    fn from(it: Employee) -> Self {
        Self {
            id: it.id,
            company_id: it.company_id,
            email: it.email,
            first_name: it.first_name,
            last_name: it.last_name,
            staff_number: it.staff_number,
            department: it.department,
            site: it.site,
            locale: it.locale,
            status: it.status,
            left_at: it.left_at,
            created_at: it.created_at,
        }
    }
}

impl Example for EmployeeAnswer {
    fn example() -> Self {
        let new = NewEmployeeBody::example();
        Self {
            id: EMPLOYEE,
            company_id: COMPANY,
            email: new.email,
            first_name: new.first_name,
            last_name: new.last_name,
            staff_number: new.staff_number,
            department: new.department,
            site: new.site,
            locale: Locale::Fr,
            status: Status::Active,
            left_at: None,
            created_at: DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_410),
        }
    }
}

#[derive(Debug, Serialize, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct NewEmployeeBody {
    /// The work address, to which the invitation goes.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    #[oai(validator(min_length = 1, max_length = 100))]
    first_name: String,
    #[oai(validator(min_length = 1, max_length = 100))]
    last_name: String,
    /// The company's own number for the person; nobody else may have it.
    #[oai(validator(min_length = 1, max_length = 60))]
    staff_number: Option<String>,
    /// The department's name; one that is new is made.
    #[oai(validator(min_length = 1, max_length = 120))]
    department: Option<String>,
    #[oai(validator(min_length = 1, max_length = 120))]
    site: Option<String>,
    /// The company's language unless said.
    locale: Option<Locale>,
}

impl From<NewEmployeeBody> for NewEmployee {
    fn from(it: NewEmployeeBody) -> Self {
        Self {
            email: it.email,
            first_name: it.first_name,
            last_name: it.last_name,
            staff_number: it.staff_number,
            department: it.department,
            site: it.site,
            locale: it.locale,
        }
    }
}

impl Example for NewEmployeeBody {
    fn example() -> Self {
        Self {
            email: "alice@acme.test".into(),
            first_name: "Alice".into(),
            last_name: "Martin".into(),
            staff_number: Some("A-1024".into()),
            department: Some("Legal".into()),
            site: Some("Lyon".into()),
            locale: Some(Locale::Fr),
        }
    }
}

/// A change of an entry; what is absent stays, null empties.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct EmployeePatch {
    #[oai(validator(min_length = 3, max_length = 254))]
    email: Option<String>,
    #[oai(validator(min_length = 1, max_length = 100))]
    first_name: Option<String>,
    #[oai(validator(min_length = 1, max_length = 100))]
    last_name: Option<String>,
    #[oai(validator(min_length = 1, max_length = 60))]
    staff_number: MaybeUndefined<String>,
    #[oai(validator(min_length = 1, max_length = 120))]
    department: MaybeUndefined<String>,
    #[oai(validator(min_length = 1, max_length = 120))]
    site: MaybeUndefined<String>,
    locale: Option<Locale>,
}

/// Undefined stays, null empties.
#[allow(clippy::option_option)] // absent, null and a value are three things
fn optional(value: MaybeUndefined<String>) -> Option<Option<String>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(text) => Some(Some(text)),
    }
}

impl From<EmployeePatch> for EmployeeChange {
    fn from(patch: EmployeePatch) -> Self {
        Self {
            email: patch.email,
            first_name: patch.first_name,
            last_name: patch.last_name,
            staff_number: optional(patch.staff_number),
            department: optional(patch.department),
            site: optional(patch.site),
            locale: patch.locale,
        }
    }
}

impl Example for EmployeePatch {
    fn example() -> Self {
        Self {
            email: None,
            first_name: None,
            last_name: Some("Martin-Roux".into()),
            staff_number: MaybeUndefined::Undefined,
            department: MaybeUndefined::Value("Sales".into()),
            site: MaybeUndefined::Null,
            locale: None,
        }
    }
}

/// A department in which somebody works.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct DepartmentAnswer {
    id: Uuid,
    name: String,
}

impl From<Department> for DepartmentAnswer {
    fn from(it: Department) -> Self {
        Self { id: it.id, name: it.name }
    }
}

impl Example for DepartmentAnswer {
    fn example() -> Self {
        Self { id: DEPARTMENT, name: "Legal".into() }
    }
}

/// A site at which somebody works.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct SiteAnswer {
    pub(super) name: String,
}

impl Example for SiteAnswer {
    fn example() -> Self {
        Self { name: "Lyon".into() }
    }
}

/// Something wrong in a row.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ImportRowError {
    /// The field of the column; absent where the whole row is meant.
    column: Option<Field>,
    /// Stable, for programs.
    code: String,
    /// In words, in the language of the request.
    detail: String,
}

/// What becomes of a row.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ImportRow {
    /// Where the row begins in the file; the first line is 1.
    line: u64,
    /// Absent where none could be read.
    email: Option<String>,
    outcome: Outcome,
    errors: Vec<ImportRowError>,
}

/// Something in the file that was passed over.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ImportWarning {
    /// Stable, for programs.
    code: String,
    /// The header as it is written in the file.
    column: String,
    /// In words, in the language of the request.
    detail: String,
}

/// Rows by outcome.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ImportCounts {
    rows: usize,
    created: usize,
    updated: usize,
    unchanged: usize,
    reactivated: usize,
    rejected: usize,
}

/// What a file does to the directory, or would do.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct ImportReport {
    dry_run: bool,
    /// Whether anything was written.
    applied: bool,
    /// How the file was read: `UTF-8`, `UTF-16LE`, `UTF-16BE` or `windows-1252`.
    encoding: String,
    delimiter: String,
    counts: ImportCounts,
    warnings: Vec<ImportWarning>,
    rows: Vec<ImportRow>,
}

fn words(locale: Locale, code: &str, args: &[(String, String)]) -> String {
    let text = rust_i18n::t!(format!("field.{code}"), locale = locale.as_str()).into_owned();
    args.iter().fold(text, |text, (name, value)| text.replace(&format!("%{{{name}}}"), value))
}

impl ImportReport {
    pub(super) fn new(it: Report, locale: Locale) -> Self {
        let error = |it: RowError| ImportRowError {
            column: it.column,
            detail: words(locale, &it.code, &it.args),
            code: it.code,
        };
        let warning = |column: String| ImportWarning {
            code: "column_unknown".into(),
            detail: words(locale, "column_unknown", &[]),
            column,
        };
        Self {
            dry_run: it.dry_run,
            applied: it.applied,
            encoding: it.encoding,
            delimiter: it.delimiter,
            counts: ImportCounts {
                rows: it.counts.rows,
                created: it.counts.created,
                updated: it.counts.updated,
                unchanged: it.counts.unchanged,
                reactivated: it.counts.reactivated,
                rejected: it.counts.rejected,
            },
            warnings: it.unknown_columns.into_iter().map(warning).collect(),
            rows: it
                .rows
                .into_iter()
                .map(|row| ImportRow {
                    line: row.line,
                    email: Some(row.email).filter(|email| !email.is_empty()),
                    outcome: row.outcome,
                    errors: row.errors.into_iter().map(error).collect(),
                })
                .collect(),
        }
    }
}

impl Example for ImportReport {
    fn example() -> Self {
        let row = |line, email: &str, outcome, errors| ImportRow { line, email: Some(email.into()), outcome, errors };
        let error = ImportRowError {
            column: Some(Field::Email),
            code: "address_repeated".into(),
            detail: "This address stands on line 2 already.".into(),
        };
        Self {
            dry_run: true,
            applied: false,
            encoding: "windows-1252".into(),
            delimiter: ";".into(),
            counts: ImportCounts { rows: 2, created: 1, updated: 0, unchanged: 0, reactivated: 0, rejected: 1 },
            warnings: Vec::new(),
            rows: vec![
                row(2, "alice@acme.test", Outcome::Created, Vec::new()),
                row(3, "alice@acme.test", Outcome::Rejected, vec![error]),
            ],
        }
    }
}
