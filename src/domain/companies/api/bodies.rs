//! What `/companies` takes and answers.

use chrono::{DateTime, NaiveDate, Utc};
use poem_openapi::Object;
use poem_openapi::types::{Example, MaybeUndefined};
use serde::Serialize;
use uuid::Uuid;

use super::super::members::NewMember;
use super::super::model::{Company, Member, MemberRole, MemberStatus, NetworkMode, Settings, Status};
use super::super::service::{CompanyChange, Network, SettingsChange};
use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, FileId, PractitionerId, UserId};
use crate::platform::locale::Locale;

const COMPANY: CompanyId = CompanyId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a11));
const MEMBER: UserId = UserId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a21));
const PRACTITIONER: PractitionerId = PractitionerId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a31));

fn day(year: i32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default()
}

/// What was agreed with a company.
#[derive(Debug, Serialize, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct Contract {
    /// The first day.
    starts_on: NaiveDate,
    /// The last day.
    ends_on: NaiveDate,
    /// Sessions for each employee and contract year.
    #[oai(validator(minimum(value = "0"), maximum(value = "1000")))]
    sessions_per_employee: i32,
    /// Active employees that the directory may hold.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    seats: i32,
}

impl Example for Contract {
    fn example() -> Self {
        Self { starts_on: day(2026), ends_on: day(2027), sessions_per_employee: 8, seats: 250 }
    }
}

/// The first admin of a new company, who gets an invitation.
#[derive(Debug, Serialize, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct FirstAdmin {
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: String,
    /// The company's language unless said.
    locale: Option<Locale>,
}

impl Example for FirstAdmin {
    fn example() -> Self {
        Self { email: "admin@acme.test".into(), display_name: "Nadia Leroy".into(), locale: Some(Locale::Fr) }
    }
}

#[derive(Debug, Serialize, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct NewCompany {
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
    /// The nine digits of the French business register; spaces are allowed.
    #[oai(validator(min_length = 9, max_length = 20))]
    siren: Option<String>,
    /// The language of people who have not chosen one.
    #[oai(default)]
    locale: Locale,
    /// An IANA name.
    #[oai(default = "paris", validator(min_length = 1, max_length = 64))]
    time_zone: String,
    contract: Contract,
    /// `open` unless said. The list of a restricted network is set with `PUT /companies/{id}/network`.
    #[oai(default = "open")]
    network: NetworkMode,
    admin: Option<FirstAdmin>,
}

fn paris() -> String {
    "Europe/Paris".into()
}

fn open() -> NetworkMode {
    NetworkMode::Open
}

impl Example for NewCompany {
    fn example() -> Self {
        Self {
            name: "Acme".into(),
            siren: Some("732829320".into()),
            locale: Locale::Fr,
            time_zone: paris(),
            contract: Contract::example(),
            network: NetworkMode::Open,
            admin: Some(FirstAdmin::example()),
        }
    }
}

impl NewCompany {
    pub(super) fn into_parts(self, now: DateTime<Utc>) -> (Company, Option<NewMember>) {
        let company = Company {
            id: CompanyId(Uuid::nil()),
            name: self.name,
            siren: self.siren,
            locale: self.locale,
            time_zone: self.time_zone,
            status: Status::Active,
            contract_starts_on: self.contract.starts_on,
            contract_ends_on: self.contract.ends_on,
            sessions_per_employee: self.contract.sessions_per_employee,
            seats: self.contract.seats,
            network: self.network,
            logo_id: None,
            created_at: now,
            updated_at: now,
        };
        let admin =
            self.admin.map(|it| NewMember { email: it.email, display_name: it.display_name, locale: it.locale });
        (company, admin)
    }
}

/// A change of the contract; what is absent stays.
#[derive(Debug, Default, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ContractPatch {
    starts_on: Option<NaiveDate>,
    ends_on: Option<NaiveDate>,
    #[oai(validator(minimum(value = "0"), maximum(value = "1000")))]
    sessions_per_employee: Option<i32>,
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    seats: Option<i32>,
}

impl Example for ContractPatch {
    fn example() -> Self {
        Self { seats: Some(300), ..Self::default() }
    }
}

/// A change of a company; what is absent stays.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct CompanyPatch {
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    locale: Option<Locale>,
    /// Platform admins only: the contract's days and the months of the counters go by it.
    #[oai(validator(min_length = 1, max_length = 64))]
    time_zone: Option<String>,
    /// Platform admins only; null takes it away.
    #[oai(validator(min_length = 9, max_length = 20))]
    siren: MaybeUndefined<String>,
    /// Platform admins only.
    contract: Option<ContractPatch>,
}

impl Example for CompanyPatch {
    fn example() -> Self {
        Self {
            name: Some("Acme France".into()),
            locale: None,
            time_zone: None,
            siren: MaybeUndefined::Undefined,
            contract: Some(ContractPatch::example()),
        }
    }
}

impl From<CompanyPatch> for CompanyChange {
    fn from(patch: CompanyPatch) -> Self {
        let contract = patch.contract.unwrap_or_default();
        Self {
            name: patch.name,
            locale: patch.locale,
            time_zone: patch.time_zone,
            siren: match patch.siren {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(siren) => Some(Some(siren)),
            },
            contract_starts_on: contract.starts_on,
            contract_ends_on: contract.ends_on,
            sessions_per_employee: contract.sessions_per_employee,
            seats: contract.seats,
        }
    }
}

/// A company's contract, as far as the caller may know it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ContractAnswer {
    starts_on: NaiveDate,
    ends_on: NaiveDate,
    /// For admins only.
    sessions_per_employee: Option<i32>,
    /// For admins only.
    seats: Option<i32>,
}

/// A company. Employees and HR see its name, status, time zone, language and the dates of the contract.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct CompanyAnswer {
    id: CompanyId,
    name: String,
    status: Status,
    locale: Locale,
    /// An IANA name.
    time_zone: String,
    contract: ContractAnswer,
    /// The company’s logo, fetched with an access token. Its admins set it with `POST /files`.
    logo_url: Option<String>,
    /// For admins only.
    siren: Option<String>,
    /// For admins only.
    network: Option<NetworkMode>,
    /// For admins only.
    created_at: Option<DateTime<Utc>>,
}

impl CompanyAnswer {
    pub(super) fn new(it: Company, role: Role) -> Self {
        let is_admin = matches!(role, Role::PlatformAdmin | Role::CompanyAdmin);
        Self {
            id: it.id,
            name: it.name,
            status: it.status,
            locale: it.locale,
            time_zone: it.time_zone,
            contract: ContractAnswer {
                starts_on: it.contract_starts_on,
                ends_on: it.contract_ends_on,
                sessions_per_employee: is_admin.then_some(it.sessions_per_employee),
                seats: is_admin.then_some(it.seats),
            },
            logo_url: it.logo_id.filter(|_| role != Role::PlatformAdmin).map(FileId::url),
            siren: it.siren.filter(|_| is_admin),
            network: is_admin.then_some(it.network),
            created_at: is_admin.then_some(it.created_at),
        }
    }
}

impl Example for CompanyAnswer {
    fn example() -> Self {
        let (company, _) = NewCompany::example().into_parts(DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_410));
        Self::new(Company { id: COMPANY, ..company }, Role::PlatformAdmin)
    }
}

/// The rules that a company sets for itself.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct SettingsAnswer {
    /// Cancelling later than this before the start is late.
    cancellation_window_hours: i32,
    /// How far ahead employees may book.
    booking_horizon_days: i32,
    /// Usage counters that rest on fewer people are withheld.
    reporting_threshold: i32,
    /// Whether a session that was cancelled too late counts as used.
    late_cancellation_counts: bool,
    /// Whether a session to which the employee did not come counts as used.
    no_show_counts: bool,
}

impl From<Settings> for SettingsAnswer {
    fn from(it: Settings) -> Self {
        Self {
            cancellation_window_hours: it.cancellation_window_hours,
            booking_horizon_days: it.booking_horizon_days,
            reporting_threshold: it.reporting_threshold,
            late_cancellation_counts: it.late_cancellation_counts,
            no_show_counts: it.no_show_counts,
        }
    }
}

impl Example for SettingsAnswer {
    fn example() -> Self {
        Self {
            cancellation_window_hours: 24,
            booking_horizon_days: 60,
            reporting_threshold: 11,
            late_cancellation_counts: true,
            no_show_counts: true,
        }
    }
}

/// A change of the settings; what is absent stays.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct SettingsPatch {
    #[oai(validator(minimum(value = "0"), maximum(value = "336")))]
    cancellation_window_hours: Option<i32>,
    #[oai(validator(minimum(value = "1"), maximum(value = "365")))]
    booking_horizon_days: Option<i32>,
    /// Nobody can go below 10.
    #[oai(validator(minimum(value = "10"), maximum(value = "1000")))]
    reporting_threshold: Option<i32>,
    /// Whether a session that was cancelled too late counts as used.
    late_cancellation_counts: Option<bool>,
    /// Whether a session to which the employee did not come counts as used.
    no_show_counts: Option<bool>,
}

impl Example for SettingsPatch {
    fn example() -> Self {
        Self {
            cancellation_window_hours: Some(48),
            booking_horizon_days: None,
            reporting_threshold: Some(15),
            late_cancellation_counts: None,
            no_show_counts: Some(false),
        }
    }
}

impl From<SettingsPatch> for SettingsChange {
    fn from(patch: SettingsPatch) -> Self {
        Self {
            cancellation_window_hours: patch.cancellation_window_hours,
            booking_horizon_days: patch.booking_horizon_days,
            reporting_threshold: patch.reporting_threshold,
            late_cancellation_counts: patch.late_cancellation_counts,
            no_show_counts: patch.no_show_counts,
        }
    }
}

/// Which practitioners a company's employees may choose from.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct NetworkBody {
    pub(super) mode: NetworkMode,
    /// The list of a restricted network. Kept, and without effect, while the network is open.
    #[oai(default, validator(max_items = 5000, unique_items))]
    pub(super) practitioner_ids: Vec<PractitionerId>,
}

impl From<Network> for NetworkBody {
    fn from(it: Network) -> Self {
        Self { mode: it.mode, practitioner_ids: it.practitioner_ids }
    }
}

impl Example for NetworkBody {
    fn example() -> Self {
        Self { mode: NetworkMode::Restricted, practitioner_ids: vec![PRACTITIONER] }
    }
}

#[derive(Debug, Serialize, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct NewMemberBody {
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: String,
    pub(super) role: MemberRole,
    /// The company's language unless said.
    locale: Option<Locale>,
}

impl From<NewMemberBody> for NewMember {
    fn from(it: NewMemberBody) -> Self {
        Self { email: it.email, display_name: it.display_name, locale: it.locale }
    }
}

impl Example for NewMemberBody {
    fn example() -> Self {
        Self {
            email: "hr@acme.test".into(),
            display_name: "Hugo Petit".into(),
            role: MemberRole::Hr,
            locale: Some(Locale::Fr),
        }
    }
}

/// Somebody who works for the company as HR or as its admin.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub struct MemberAnswer {
    id: UserId,
    /// The address that was invited. With which one they log in is their own affair.
    email: String,
    display_name: String,
    role: MemberRole,
    locale: Locale,
    status: MemberStatus,
    created_at: DateTime<Utc>,
}

impl From<Member> for MemberAnswer {
    fn from(it: Member) -> Self {
        Self {
            id: it.id,
            email: it.email,
            display_name: it.display_name,
            role: if it.role == Role::CompanyAdmin { MemberRole::CompanyAdmin } else { MemberRole::Hr },
            locale: it.locale,
            status: it.status,
            created_at: it.created_at,
        }
    }
}

impl Example for MemberAnswer {
    fn example() -> Self {
        Self {
            id: MEMBER,
            email: "hr@acme.test".into(),
            display_name: "Hugo Petit".into(),
            role: MemberRole::Hr,
            locale: Locale::Fr,
            status: MemberStatus::Invited,
            created_at: DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_410),
        }
    }
}
