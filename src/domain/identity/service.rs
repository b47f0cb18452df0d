//! Log in, refresh, log out, accept an invitation, one's own profile.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::error::Error;
use super::model::{self, Profile};
use super::store::{self, AcceptanceOutcome, RotationOutcome};
use crate::platform::audit::{Entry, Outcome};
use crate::platform::auth::tokens::{OpaqueToken, hash_opaque};
use crate::platform::auth::{Caller, Permission, Role};
use crate::platform::db::Actor;
use crate::platform::http::Etag;
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Platform, Problem, RequestInfo, Result, Tx};

/// Who was let in.
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    pub company_id: Option<CompanyId>,
    pub display_name: String,
    pub locale: Locale,
}

/// What a person holds after a log-in or a refresh.
pub struct Session {
    pub person: Person,
    pub access_token: String,
    pub refresh_token: String,
    pub expires_at: DateTime<Utc>,
}

pub async fn log_in(
    platform: &Platform,
    request: &RequestInfo,
    email: &str,
    password: &SecretString,
    device: Option<&str>,
) -> Result<Session> {
    let email = model::normalise_email(email);
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let found = store::find_login(&mut tx, &email).await?;
    // no connection waits while the password is hashed
    drop(tx);
    let hash = found.as_ref().and_then(|login| login.password_hash.as_deref());
    let fits = platform.passwords.verify(password, hash).await?;
    let Some(login) = found.filter(|_| fits) else {
        let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
        note(&mut tx, "session.refused", None, None, Outcome::Refused).await?;
        tx.commit().await?;
        return Err(Error::InvalidCredentials.into());
    };
    let person = Person {
        id: login.id,
        email,
        role: login.role,
        company_id: login.company_id,
        display_name: login.display_name,
        locale: login.locale,
    };
    let mut tx = platform.db.anonymous(actor(request, &person)).await?;
    if login.status != "active" {
        note(&mut tx, "session.refused", Some(person.id), None, Outcome::Refused).await?;
        tx.commit().await?;
        return Err(Error::AccountSuspended.into());
    }
    let session = open_session(platform, &mut tx, person, device).await?;
    tx.commit().await?;
    Ok(session)
}

async fn open_session(platform: &Platform, tx: &mut Tx, person: Person, device: Option<&str>) -> Result<Session> {
    let (id, token, now) =
        (platform.new_id::<SessionId>(), OpaqueToken::generate(&platform.entropy), platform.clock.now());
    let opened = store::insert_session(
        tx,
        &store::NewSession {
            id,
            user_id: person.id,
            token_id: platform.new_id(),
            token_hash: &token.hash,
            device,
            at: now,
            expires_at: now + platform.config.refresh_token_ttl,
        },
    )
    .await?;
    if !opened {
        return Err(Error::AccountSuspended.into());
    }
    note(tx, "session.opened", Some(person.id), Some(id), Outcome::Success).await?;
    issue(platform, person, id, token.plain, now)
}

fn issue(
    platform: &Platform,
    person: Person,
    session_id: SessionId,
    refresh_token: String,
    now: DateTime<Utc>,
) -> Result<Session> {
    let caller = Caller { user_id: person.id, role: person.role, company_id: person.company_id, session_id };
    Ok(Session {
        access_token: platform.tokens.sign_access(&caller, now)?,
        expires_at: now + platform.tokens.access_ttl,
        refresh_token,
        person,
    })
}

fn actor(request: &RequestInfo, person: &Person) -> Actor {
    Actor { user_id: Some(person.id), role: Some(person.role), company_id: person.company_id, ..Actor::nobody(request) }
}

async fn note(
    tx: &mut Tx,
    action: &str,
    user: Option<UserId>,
    session: Option<SessionId>,
    outcome: Outcome,
) -> Result<()> {
    tx.audit(Entry {
        action,
        object_type: if session.is_some() { "session" } else { "user" },
        object_id: session.map(|id| id.0).or(user.map(|id| id.0)),
        company_id: None,
        outcome,
    })
    .await
}

pub async fn refresh(platform: &Platform, request: &RequestInfo, presented: &str) -> Result<Session> {
    let (next, now) = (OpaqueToken::generate(&platform.entropy), platform.clock.now());
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let it = store::rotate_refresh_token(&mut tx, &hash_opaque(presented), platform.new_id(), &next.hash, now).await?;
    match (it.outcome, it) {
        (
            RotationOutcome::Rotated,
            store::Rotation {
                user_id: Some(id),
                session_id: Some(session),
                role: Some(role),
                company_id,
                email: Some(email),
                display_name: Some(display_name),
                locale: Some(locale),
                ..
            },
        ) => {
            tx.commit().await?;
            let person = Person { id, email, role, company_id, display_name, locale };
            issue(platform, person, session, next.plain, now)
        }
        (RotationOutcome::Reused, it) => {
            note(&mut tx, "session.reuse_detected", it.user_id, it.session_id, Outcome::Refused).await?;
            tx.commit().await?;
            if let Some(session) = it.session_id {
                platform.sessions.note(session, now, platform.tokens.access_ttl);
            }
            Err(Error::RefreshTokenReused.into())
        }
        _ => Err(Error::InvalidRefreshToken.into()),
    }
}

/// Ends the caller's own session, at once and on every node. Twice is once.
pub async fn log_out(cx: &Context) -> Result<()> {
    let session = cx.caller().session_id;
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    if store::revoke_session(&mut tx, session, cx.now()).await? {
        note(&mut tx, "session.closed", None, Some(session), Outcome::Success).await?;
    }
    tx.commit().await?;
    cx.platform().sessions.note(session, cx.now(), cx.platform().tokens.access_ttl);
    Ok(())
}

/// What a person says when they accept.
pub struct Acceptance {
    pub token: String,
    pub password: SecretString,
    pub accept_terms: bool,
    pub display_name: Option<String>,
    pub locale: Option<Locale>,
    pub time_zone: Option<String>,
    pub device: Option<String>,
}

pub async fn accept_invitation(platform: &Platform, request: &RequestInfo, it: Acceptance) -> Result<Session> {
    use secrecy::ExposeSecret;

    let mut errors = FieldErrors::new();
    model::check_password(it.password.expose_secret(), "/password", &mut errors);
    errors.check(it.accept_terms, "/acceptTerms", "terms_not_accepted");
    if let Some(zone) = &it.time_zone {
        model::check_time_zone(zone, "/timeZone", &mut errors);
    }
    errors.finish()?;

    let (hash, now) = (hash_opaque(&it.token), platform.clock.now());
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    // a token that opens nothing is not worth a hash
    if !store::invitation_is_open(&mut tx, &hash, now).await? {
        return Err(Error::InvalidInvitation.into());
    }
    drop(tx);
    let password_hash = platform.passwords.hash(&it.password, &platform.entropy).await?;

    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let accepted = store::accept_invitation(
        &mut tx,
        &store::Acceptance {
            token_hash: &hash,
            new_user_id: platform.new_id(),
            password_hash: &password_hash,
            display_name: it.display_name.as_deref(),
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
            let session = open_session(platform, &mut tx, person, it.device.as_deref()).await?;
            tx.commit().await?;
            Ok(session)
        }
        // rolled back: the invitation stays unused
        (AcceptanceOutcome::AddressTaken, _) => Err(Error::AccountExists.into()),
        _ => Err(Error::InvalidInvitation.into()),
    }
}

pub async fn profile(cx: &Context) -> Result<Profile> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    store::find_profile(&mut tx, cx.caller().user_id).await?.ok_or_else(|| Problem::from(Refusal::NotFound))
}

/// A change to one's own profile; `None` leaves a field as it is.
#[derive(Default)]
pub struct ProfileChange {
    pub display_name: Option<String>,
    pub locale: Option<Locale>,
    pub time_zone: Option<String>,
}

pub async fn change_profile(cx: &Context, change: ProfileChange, if_match: Option<&str>) -> Result<Profile> {
    let mut errors = FieldErrors::new();
    if let Some(zone) = &change.time_zone {
        model::check_time_zone(zone, "/timeZone", &mut errors);
    }
    errors.finish()?;

    let mut tx = cx.begin(Permission::ManageSelf).await?;
    let mut it = store::lock_profile(&mut tx, cx.caller().user_id).await?.ok_or(Refusal::NotFound)?;
    Etag::of(it.updated_at).require(if_match)?;
    if let Some(name) = change.display_name {
        it.display_name = name;
    }
    if let Some(locale) = change.locale {
        it.locale = locale;
    }
    if let Some(zone) = change.time_zone {
        it.time_zone = zone;
    }
    it.updated_at = store::save_profile(&mut tx, &it).await?;
    tx.audit_done("user.profile_changed", "user", it.id.0).await?;
    tx.commit().await?;
    Ok(it)
}
