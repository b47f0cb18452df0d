//! Use cases of companies, their settings and networks.

use chrono::NaiveDate;

use super::events::CompanyArchived;
use super::members::{self, NewMember};
use super::model::{Company, Differences, MemberRole, NetworkMode, Settings, Status};
use super::store::{self, Listing};
use crate::domain::identity::account::address::{ARCHIVED_GRACE, TellPeopleOfArchiving, TellPeopleOfReturn};
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::http::{Etag, IdempotencyKey, PageQuery};
use crate::platform::ids::{CompanyId, PractitionerId};
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result, Tx};

/// The transaction's company, as far as the caller may see it. A platform admin's transaction is then about it.
pub(super) async fn enter(cx: &Context, tx: &mut Tx, id: CompanyId) -> Result<Company> {
    let company = store::find(tx, id).await?.ok_or(Refusal::NotFound)?;
    if cx.caller().is(Role::PlatformAdmin) {
        tx.enter_company(id).await?;
    }
    Ok(company)
}

/// As [`enter`], holding the company until the transaction ends.
pub(super) async fn enter_locked(cx: &Context, tx: &mut Tx, id: CompanyId) -> Result<Company> {
    let company = store::lock(tx, id).await?.ok_or(Refusal::NotFound)?;
    if cx.caller().is(Role::PlatformAdmin) {
        tx.enter_company(id).await?;
    } else {
        company.status.require_active()?;
    }
    Ok(company)
}

/// Adds a company, and its first admin where one is named.
pub async fn create(
    cx: &Context,
    key: Option<&IdempotencyKey>,
    mut company: Company,
    admin: Option<NewMember>,
) -> Result<Company> {
    let mut faults = FieldErrors::new();
    company.check(&mut faults);
    let admin = admin.map(|admin| admin.checked("/admin", &mut faults));
    faults.finish()?;
    let mut tx = cx.begin(Permission::CreateCompany).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    company.id = cx.new_id();
    store::insert(&mut tx, &company).await?;
    let company = enter(cx, &mut tx, company.id).await?;
    tx.audit_done("company.created", "company", company.id.0).await?;
    if let Some(admin) = admin {
        members::invite_into(cx, &mut tx, &company, admin, MemberRole::CompanyAdmin).await?;
    }
    tx.remember(key, &company).await?;
    tx.commit().await?;
    Ok(company)
}

pub async fn list(
    cx: &Context,
    words: Option<&str>,
    status: Option<Status>,
    page: &PageQuery<(String, CompanyId)>,
) -> Result<Vec<Company>> {
    let mut tx = cx.read(Permission::ListCompanies).await?;
    let words = words.map(str::trim).filter(|words| !words.is_empty());
    store::list(&mut tx, Listing { words, status, after: page.after.as_ref(), fetch: page.fetch() }).await
}

pub async fn find(cx: &Context, id: CompanyId) -> Result<Company> {
    let mut tx = cx.read(Permission::ReadCompany).await?;
    store::find(&mut tx, id).await?.ok_or_else(|| Refusal::NotFound.into())
}

/// What to change; `None` stays.
#[derive(Debug, Default)]
pub struct CompanyChange {
    pub name: Option<String>,
    pub locale: Option<Locale>,
    pub time_zone: Option<String>,
    /// `Some(None)` takes the number away.
    pub siren: Option<Option<String>>,
    pub contract_starts_on: Option<NaiveDate>,
    pub contract_ends_on: Option<NaiveDate>,
    pub sessions_per_employee: Option<i32>,
    pub seats: Option<i32>,
}

impl CompanyChange {
    fn apply(self, company: &mut Company) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut company.name, self.name);
        set(&mut company.locale, self.locale);
        set(&mut company.time_zone, self.time_zone);
        set(&mut company.siren, self.siren);
        set(&mut company.contract_starts_on, self.contract_starts_on);
        set(&mut company.contract_ends_on, self.contract_ends_on);
        set(&mut company.sessions_per_employee, self.sessions_per_employee);
        set(&mut company.seats, self.seats);
    }

    /// The number, the contract and the clock that it goes by are agreed with the platform: a company cannot change them
    /// alone. Counted by one time zone after the other, months would tell of single sessions at their edges.
    fn refuse_reserved(&self) -> Result<()> {
        let reserved = [
            ("/siren", self.siren.is_some()),
            ("/timeZone", self.time_zone.is_some()),
            ("/contract/startsOn", self.contract_starts_on.is_some()),
            ("/contract/endsOn", self.contract_ends_on.is_some()),
            ("/contract/sessionsPerEmployee", self.sessions_per_employee.is_some()),
            ("/contract/seats", self.seats.is_some()),
        ];
        let mut faults = FieldErrors::new();
        for (pointer, is_asked) in reserved {
            faults.check(!is_asked, pointer, "reserved_for_platform");
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::from(Refusal::Forbidden).with_errors(faults.into_vec())) }
    }
}

pub async fn change(cx: &Context, id: CompanyId, change: CompanyChange, if_match: Option<&str>) -> Result<Company> {
    let is_platform = cx.caller().is(Role::PlatformAdmin);
    let mut tx = cx.begin(Permission::UpdateCompany).await?;
    let mut company = enter_locked(cx, &mut tx, id).await?;
    if !is_platform {
        change.refuse_reserved()?;
    }
    Etag::of(company.updated_at).require(if_match)?;
    let before = company.clone();
    change.apply(&mut company);
    let mut faults = FieldErrors::new();
    company.check(&mut faults);
    faults.finish()?;
    if is_platform {
        store::save(&mut tx, &company).await?;
    } else {
        store::save_own(&mut tx, &company).await?;
    }
    audit_change(&mut tx, "company.updated", "company", id, before.differences(&company)).await?;
    let company = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    tx.commit().await?;
    Ok(company)
}

/// Notes which fields were changed, and of each whose value tells nothing of a person what it was and is.
async fn audit_change(tx: &mut Tx, action: &str, object_type: &str, id: CompanyId, it: Differences) -> Result<()> {
    tx.audit(Entry::done(action, object_type, id.0).with(Detail::Fields, it.fields)).await?;
    for (field, before, after) in it.values {
        let entry = Entry::done("company.value_changed", object_type, id.0).with(Detail::Of, field);
        tx.audit(entry.with(Detail::From, before).with(Detail::To, after)).await?;
    }
    Ok(())
}

pub async fn set_status(cx: &Context, key: Option<&IdempotencyKey>, id: CompanyId, status: Status) -> Result<Company> {
    let mut tx = cx.begin(Permission::ChangeCompanyStatus).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    let mut company = enter_locked(cx, &mut tx, id).await?;
    let before = company.status;
    if before.change_to(status)? {
        let archived_at = store::find_archiving(&mut tx, id).await?;
        company.status = status;
        store::save(&mut tx, &company).await?;
        let action = match status {
            Status::Active => "company.activated",
            Status::Suspended => "company.suspended",
            Status::Archived => "company.archived",
        };
        if status == Status::Archived {
            store::end_sessions_of_members(&mut tx, cx.now()).await?;
            tx.enqueue(&CompanyArchived {}, None, None).await?;
            store::note_archiving(&mut tx, id, cx.now()).await?;
            let news = TellPeopleOfArchiving { archiving_id: cx.new_id(), after: None };
            tx.enqueue(&news, None, None).await?;
        } else if archived_at.is_some_and(|at| at + ARCHIVED_GRACE <= cx.now()) {
            let news = TellPeopleOfReturn { return_id: cx.new_id(), after: None };
            tx.enqueue(&news, None, None).await?;
        }
        let entry = Entry::done(action, "company", id.0);
        tx.audit(entry.with(Detail::From, before.as_str()).with(Detail::To, status.as_str())).await?;
    }
    let company = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    tx.remember(key, &company).await?;
    tx.commit().await?;
    if status == Status::Archived {
        cx.platform().sessions.refresh(cx.platform()).await;
    }
    Ok(company)
}

pub async fn settings(cx: &Context, id: CompanyId) -> Result<Settings> {
    let mut tx = cx.read(Permission::UpdateCompany).await?;
    store::find_settings(&mut tx, id).await?.ok_or_else(|| Refusal::NotFound.into())
}

/// What to change; `None` stays.
#[derive(Debug, Default)]
pub struct SettingsChange {
    pub cancellation_window_hours: Option<i32>,
    pub booking_horizon_days: Option<i32>,
    pub reporting_threshold: Option<i32>,
    pub late_cancellation_counts: Option<bool>,
    pub no_show_counts: Option<bool>,
}

pub async fn change_settings(
    cx: &Context,
    id: CompanyId,
    change: SettingsChange,
    if_match: Option<&str>,
) -> Result<Settings> {
    let mut tx = cx.begin(Permission::UpdateCompany).await?;
    enter_locked(cx, &mut tx, id).await?;
    let now = store::lock_settings(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    Etag::of(now.updated_at).require(if_match)?;
    let next = Settings {
        cancellation_window_hours: change.cancellation_window_hours.unwrap_or(now.cancellation_window_hours),
        booking_horizon_days: change.booking_horizon_days.unwrap_or(now.booking_horizon_days),
        reporting_threshold: change.reporting_threshold.unwrap_or(now.reporting_threshold),
        late_cancellation_counts: change.late_cancellation_counts.unwrap_or(now.late_cancellation_counts),
        no_show_counts: change.no_show_counts.unwrap_or(now.no_show_counts),
        ..now
    };
    let saved = store::save_settings(&mut tx, id, &next).await?;
    audit_change(&mut tx, "company.settings_changed", "company_settings", id, now.differences(&saved)).await?;
    tx.commit().await?;
    Ok(saved)
}

/// Which practitioners a company's employees may choose from.
pub struct Network {
    pub mode: NetworkMode,
    /// Kept, and without effect, while the network is open.
    pub practitioner_ids: Vec<PractitionerId>,
    pub etag: Etag,
}

async fn load_network(tx: &mut Tx, company: &Company) -> Result<Network> {
    let practitioner_ids = store::list_network(tx, company.id).await?;
    // saving a network always touches its company, so that both go by one version
    Ok(Network { mode: company.network, practitioner_ids, etag: Etag::of(company.updated_at) })
}

pub async fn network(cx: &Context, id: CompanyId) -> Result<Network> {
    let mut tx = cx.read(Permission::UpdateCompany).await?;
    let company = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    load_network(&mut tx, &company).await
}

pub async fn set_network(
    cx: &Context,
    id: CompanyId,
    mode: NetworkMode,
    practitioners: &[PractitionerId],
    if_match: Option<&str>,
) -> Result<Network> {
    let mut tx = cx.begin(Permission::UpdateCompany).await?;
    let company = enter_locked(cx, &mut tx, id).await?;
    Etag::of(company.updated_at).require(if_match)?;
    let mut faults = FieldErrors::new();
    for place in store::list_unknown(&mut tx, id, practitioners).await? {
        faults.add(format!("/practitionerIds/{place}"), "unknown_practitioner");
    }
    faults.finish()?;
    store::save_network(&mut tx, id, mode, practitioners).await?;
    let entry = Entry::done("company.network_changed", "company", id.0)
        .with(Detail::From, company.network.as_str())
        .with(Detail::To, mode.as_str())
        .with(Detail::Count, practitioners.len());
    tx.audit(entry).await?;
    let company = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let network = load_network(&mut tx, &company).await?;
    tx.commit().await?;
    Ok(network)
}

/// The front door for higher floors: the company, as far as the transaction may see it.
pub async fn find_in(tx: &mut Tx, id: CompanyId) -> Result<Option<Company>> {
    store::find(tx, id).await
}

/// The company of a change that its own people make; refused while it is not active.
pub async fn require_active(tx: &mut Tx, id: CompanyId) -> Result<Company> {
    let company = store::find(tx, id).await?.ok_or(Refusal::NotFound)?;
    company.status.require_active()?;
    Ok(company)
}
