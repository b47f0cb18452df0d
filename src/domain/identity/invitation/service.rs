//! Accept an invitation, also with another address than the invited one.

use secrecy::SecretString;

use super::super::account::passwords;
use super::super::error::Error;
use super::super::model;
use super::super::session::service::{Device, Person, Session, note, open_session};
use super::jobs::{INVITATION_TTL, MailChosenAddress, invitation_token};
use super::store::{self, AcceptanceOutcome, ChoiceOutcome};
use crate::platform::audit::{Entry, Outcome};
use crate::platform::auth::tokens::hash_opaque;
use crate::platform::db::Actor;
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Platform, Problem, RequestInfo, Result};

/// What a person says when they accept.
pub struct Acceptance {
    pub token: String,
    pub password: SecretString,
    pub accept_terms: bool,
    pub display_name: Option<String>,
    pub locale: Option<Locale>,
    pub time_zone: Option<String>,
    pub device: Device,
}

pub async fn accept_invitation(platform: &Platform, request: &RequestInfo, it: Acceptance) -> Result<Session> {
    use secrecy::ExposeSecret;

    let mut errors = FieldErrors::new();
    let own: Vec<&str> = it.display_name.as_deref().into_iter().collect();
    passwords::model::check(it.password.expose_secret(), &own, "/password", &mut errors);
    let own_name = it.display_name.as_deref().map(model::clean_name);
    errors.check(own_name != Some(None), "/displayName", "text");
    errors.check(it.accept_terms, "/acceptTerms", "terms_not_accepted");
    if let Some(zone) = &it.time_zone {
        model::check_time_zone(zone, "/timeZone", &mut errors);
    }
    errors.finish()?;

    let (hash, now) = (hash_opaque(&it.token), platform.clock.now());
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    // a token that opens nothing is not worth a hash
    let (address, name) = store::find_invitee(&mut tx, &hash, now).await?.ok_or(Error::InvalidInvitation)?;
    drop(tx);
    let mut errors = FieldErrors::new();
    passwords::model::check(it.password.expose_secret(), &[&address, &name], "/password", &mut errors);
    errors.finish()?;
    let password_hash = platform.passwords.hash(&it.password, &platform.entropy).await?;

    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let accepted = store::accept_invitation(
        &mut tx,
        &store::Acceptance {
            token_hash: &hash,
            new_user_id: platform.new_id(),
            password_hash: &password_hash,
            display_name: own_name.flatten().as_deref(),
            locale: it.locale,
            time_zone: it.time_zone.as_deref(),
            terms_version: model::TERMS_VERSION,
            at: now,
        },
    )
    .await?;
    match (accepted.outcome, accepted) {
        (
            AcceptanceOutcome::Accepted,
            store::Accepted {
                user_id: Some(id),
                role: Some(role),
                company_id,
                email: Some(email),
                display_name: Some(display_name),
                locale: Some(locale),
                ..
            },
        ) => {
            note(&mut tx, "user.invitation_accepted", Some(id), None, Outcome::Success).await?;
            let person = Person { id, email, role, company_id, display_name, locale };
            let session = open_session(platform, &mut tx, person, &it.device).await?;
            tx.commit().await?;
            Ok(session)
        }
        (AcceptanceOutcome::AddressTaken, store::Accepted { user_id, company_id, .. }) => {
            // rolled back: the invitation stays unused
            drop(tx);
            let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
            // whoever reads that mailbox knows of the account now: its person finds that in their access log
            let holder = user_id.map(|id| (id, company_id));
            tx.audit(Entry::refused("user.invitation_refused", "user", None).of_account(holder)).await?;
            tx.commit().await?;
            Err(Error::AccountExists.into())
        }
        _ => Err(Error::InvalidInvitation.into()),
    }
}

/// After so many links to addresses that may be anybody's, the person waits.
const RETRY_AFTER: &str = "3600";

/// Sends the link of an invitation to the address that its holder wants to log in with, who proves it by opening the
/// link. Whether the address is free is told to who opens it.
pub async fn choose_address(platform: &Platform, request: &RequestInfo, token: &str, email: &str) -> Result<()> {
    let mut errors = FieldErrors::new();
    let address = model::normalise_address(email);
    errors.check(address.is_some(), "/email", "email");
    errors.finish()?;
    let (id, now) = (platform.new_id(), platform.clock.now());
    let link = invitation_token(platform, id)?;
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let (presented, until) = (hash_opaque(token), now + INVITATION_TTL);
    let address = address.unwrap_or_default();
    let chosen = store::choose_address(&mut tx, &presented, id, &link.hash, &address, now, until).await?;
    let company = match chosen {
        (ChoiceOutcome::Sent, Some(company)) => company,
        (ChoiceOutcome::TooMany, _) => {
            return Err(Problem::from(Refusal::TooManyRequests).with_header("Retry-After", RETRY_AFTER));
        }
        _ => return Err(Error::InvalidInvitation.into()),
    };
    // the mail's job finds the invitation within its company
    tx.enter_company(company).await?;
    tx.enqueue(&MailChosenAddress { token_id: id }, None, None).await?;
    tx.audit_done("invitation.address_asked", "invitation", id).await?;
    tx.commit().await
}
