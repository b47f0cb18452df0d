//! `/companies`.

mod bodies;

use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi, Tags};

use self::bodies::{
    CompanyAnswer, CompanyPatch, MemberAnswer, NetworkBody, NewCompany, NewMemberBody, SettingsAnswer, SettingsPatch,
};
use super::model::{Company, Status};
use super::{members, service};
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, Etag, IdempotencyKey, Page, PageQuery, Tagged};
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::{Context, Result};

#[derive(Tags)]
enum Tag {
    /// Client companies: contract, settings, network of practitioners, and the people who run them.
    Companies,
}

#[derive(ApiResponse)]
pub enum CompanyCreated {
    /// The company, ready for its directory.
    #[oai(status = 201)]
    Created(
        Json<CompanyAnswer>,
        /// The version of the company.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum MemberInvited {
    /// The pending member; the invitation is on its way.
    #[oai(status = 201)]
    Invited(Json<MemberAnswer>),
}

#[derive(ApiResponse)]
pub enum MemberRemoved {
    /// The member is gone.
    #[oai(status = 204)]
    Removed,
}

fn tagged(cx: &Context, company: Company, if_none_match: Option<&str>) -> Tagged<CompanyAnswer> {
    let etag = Etag::of(company.updated_at);
    Tagged::new(CompanyAnswer::new(company, cx.caller().role), &etag, if_none_match)
}

async fn set_status(cx: &Context, key: Option<String>, id: CompanyId, status: Status) -> Result<Tagged<CompanyAnswer>> {
    let key = IdempotencyKey::new(key, "setCompanyStatus", &(id, status))?;
    Ok(tagged(cx, service::set_status(cx, key.as_ref(), id, status).await?, None))
}

pub struct CompaniesApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Companies")]
impl CompaniesApi {
    /// Create a company
    ///
    /// With the settings that everybody begins with. Where a first admin is named, they get an invitation by mail.
    #[oai(path = "/companies", method = "post", operation_id = "createCompany")]
    async fn create(
        &self,
        cx: Authorized<perm::CreateCompany>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewCompany>,
    ) -> Result<CompanyCreated> {
        let key = IdempotencyKey::new(idempotency_key.0, "createCompany", &body.0)?;
        let (company, admin) = body.0.into_parts(cx.now());
        let company = service::create(&cx, key.as_ref(), company, admin).await?;
        let etag = Etag::of(company.updated_at).as_str().to_owned();
        Ok(CompanyCreated::Created(Json(CompanyAnswer::new(company, cx.caller().role)), etag))
    }

    /// List companies
    ///
    /// By name.
    #[oai(path = "/companies", method = "get", operation_id = "listCompanies")]
    async fn list(
        &self,
        cx: Authorized<perm::ListCompanies>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
        /// Part of a name, or the beginning of a SIREN.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// Only companies of this status.
        status: Query<Option<Status>>,
    ) -> Result<Json<Page<CompanyAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let companies = service::list(&cx, q.0.as_deref(), status.0, &page).await?;
        let role = cx.caller().role;
        Ok(Json(Page::new(&page, companies, |it| (it.name.clone(), it.id), |it| CompanyAnswer::new(it, role))))
    }

    /// Read a company
    ///
    /// Company-bound callers see their own, and of it what their role may know.
    #[oai(path = "/companies/:id", method = "get", operation_id = "getCompany")]
    async fn find(
        &self,
        cx: Authorized<perm::ReadCompany>,
        id: Path<CompanyId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<CompanyAnswer>> {
        let company = service::find(&cx, id.0).await?;
        Ok(tagged(&cx, company, if_none_match.0.as_deref()))
    }

    /// Change a company
    ///
    /// A company admin changes the name and the language of the own company; the SIREN, the contract and the time zone
    /// are the platform's to change. `409 seats_in_use`, with their number: more people are active in the
    /// directory than the contract would have seats.
    #[oai(path = "/companies/:id", method = "patch", operation_id = "updateCompany")]
    async fn change(
        &self,
        cx: Authorized<perm::UpdateCompany>,
        id: Path<CompanyId>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<CompanyPatch>,
    ) -> Result<Tagged<CompanyAnswer>> {
        let company = service::change(&cx, id.0, body.0.into(), if_match.0.as_deref()).await?;
        Ok(tagged(&cx, company, None))
    }

    /// Suspend a company
    ///
    /// Its people can still read, and neither book nor change anything. What is booked takes place; nothing is lost.
    /// Doing it twice changes nothing.
    #[oai(path = "/companies/:id/suspend", method = "post", operation_id = "suspendCompany")]
    async fn suspend(
        &self,
        cx: Authorized<perm::ChangeCompanyStatus>,
        id: Path<CompanyId>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Tagged<CompanyAnswer>> {
        set_status(&cx, idempotency_key.0, id.0, Status::Suspended).await
    }

    /// Activate a company
    ///
    /// One that was suspended or archived. What an archiving cancelled stays cancelled. Doing it twice changes nothing.
    #[oai(path = "/companies/:id/activate", method = "post", operation_id = "activateCompany")]
    async fn activate(
        &self,
        cx: Authorized<perm::ChangeCompanyStatus>,
        id: Path<CompanyId>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Tagged<CompanyAnswer>> {
        set_status(&cx, idempotency_key.0, id.0, Status::Active).await
    }

    /// Archive a company
    ///
    /// When the contract is over. HR users and company admins are signed out at once and cannot log in; what is booked
    /// is cancelled with notice. Employees keep their accounts and read their own history. Doing it twice changes
    /// nothing.
    #[oai(path = "/companies/:id/archive", method = "post", operation_id = "archiveCompany")]
    async fn archive(
        &self,
        cx: Authorized<perm::ChangeCompanyStatus>,
        id: Path<CompanyId>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Tagged<CompanyAnswer>> {
        set_status(&cx, idempotency_key.0, id.0, Status::Archived).await
    }

    /// Read a company's settings
    #[oai(path = "/companies/:id/settings", method = "get", operation_id = "getCompanySettings")]
    async fn settings(
        &self,
        cx: Authorized<perm::UpdateCompany>,
        id: Path<CompanyId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<SettingsAnswer>> {
        let settings = service::settings(&cx, id.0).await?;
        Ok(Tagged::new(settings.into(), &Etag::of(settings.updated_at), if_none_match.0.as_deref()))
    }

    /// Change a company's settings
    ///
    /// The reporting threshold may be raised; nobody can go below 10. It counts for months that close after it was set:
    /// those before keep what they were judged by.
    #[oai(path = "/companies/:id/settings", method = "patch", operation_id = "updateCompanySettings")]
    async fn change_settings(
        &self,
        cx: Authorized<perm::UpdateCompany>,
        id: Path<CompanyId>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<SettingsPatch>,
    ) -> Result<Tagged<SettingsAnswer>> {
        let settings = service::change_settings(&cx, id.0, body.0.into(), if_match.0.as_deref()).await?;
        Ok(Tagged::new(settings.into(), &Etag::of(settings.updated_at), None))
    }

    /// Read a company's network
    ///
    /// Which practitioners its employees may choose from: all of them, or a list.
    #[oai(path = "/companies/:id/network", method = "get", operation_id = "getCompanyNetwork")]
    async fn network(
        &self,
        cx: Authorized<perm::UpdateCompany>,
        id: Path<CompanyId>,
        /// The version that the client has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<NetworkBody>> {
        let network = service::network(&cx, id.0).await?;
        let etag = network.etag.clone();
        Ok(Tagged::new(network.into(), &etag, if_none_match.0.as_deref()))
    }

    /// Choose a company's network
    ///
    /// Replaces the mode and the list. Booked consultations stay; new ones follow the new network. Somebody unknown, or
    /// who takes no bookings any more, cannot be added; who is on the list stays there when they become inactive.
    #[oai(path = "/companies/:id/network", method = "put", operation_id = "setCompanyNetwork")]
    async fn set_network(
        &self,
        cx: Authorized<perm::UpdateCompany>,
        id: Path<CompanyId>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<NetworkBody>,
    ) -> Result<Tagged<NetworkBody>> {
        let NetworkBody { mode, practitioner_ids } = body.0;
        let network = service::set_network(&cx, id.0, mode, &practitioner_ids, if_match.0.as_deref()).await?;
        let etag = network.etag.clone();
        Ok(Tagged::new(network.into(), &etag, None))
    }

    /// List a company's members
    ///
    /// Its HR users and admins, oldest first, and those who are invited; employees are in the directory. What the
    /// platform's staff read is written to the company's audit log.
    #[oai(path = "/companies/:id/members", method = "get", operation_id = "listCompanyMembers")]
    async fn members(
        &self,
        cx: Authorized<perm::ManageMembers>,
        id: Path<CompanyId>,
        /// Items on a page, 1–100; 20 unless said.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<MemberAnswer>>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let members = members::list(&cx, id.0, &page).await?;
        Ok(Json(Page::new(&page, members, |it| it.id, MemberAnswer::from)))
    }

    /// Invite a member
    ///
    /// They get an invitation by mail, which opens an account within 7 days. The answer and the mail are the same
    /// whether or not the address has an account somewhere; only who accepts learns it. Inviting an address again
    /// renews the invitation with the new role, name and language, and sends a new link, which ends the earlier ones;
    /// at most 5 within 24 hours.
    #[oai(path = "/companies/:id/members", method = "post", operation_id = "inviteCompanyMember")]
    async fn invite(
        &self,
        cx: Authorized<perm::ManageMembers>,
        id: Path<CompanyId>,
        /// Makes a repetition safe: it gets the first answer.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewMemberBody>,
    ) -> Result<MemberInvited> {
        let key = IdempotencyKey::new(idempotency_key.0, "inviteCompanyMember", &(id.0, &body.0))?;
        let role = body.0.role;
        let member = members::invite(&cx, key.as_ref(), id.0, body.0.into(), role).await?;
        Ok(MemberInvited::Invited(Json(member.into())))
    }

    /// Remove a member
    ///
    /// Ends their sessions at once; they cannot log in any more, and their address is free for a new invitation. An
    /// invitation that is pending is withdrawn. The last active admin cannot be removed.
    #[oai(path = "/companies/:id/members/:userId", method = "delete", operation_id = "removeCompanyMember")]
    async fn remove(
        &self,
        cx: Authorized<perm::ManageMembers>,
        id: Path<CompanyId>,
        #[oai(name = "userId")] user_id: Path<UserId>,
    ) -> Result<MemberRemoved> {
        members::remove(&cx, id.0, user_id.0).await?;
        Ok(MemberRemoved::Removed)
    }
}
