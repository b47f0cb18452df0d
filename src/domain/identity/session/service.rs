//! Log in, refresh, log out.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::super::error::Error;
use super::super::model;
use super::store::{self, RotationOutcome};
use crate::platform::audit::{Entry, Outcome};
use crate::platform::auth::tokens::{OpaqueToken, hash_opaque};
use crate::platform::auth::{Caller, Permission, Role};
use crate::platform::db::Actor;
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Context, Platform, RequestInfo, Result, Tx};

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

/// Opens a session for a person who has proven who they are; with every step that their account asks for.
pub async fn open_session(platform: &Platform, tx: &mut Tx, person: Person, device: Option<&str>) -> Result<Session> {
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

pub(in super::super) async fn note(
    tx: &mut Tx,
    action: &str,
    user: Option<UserId>,
    session: Option<SessionId>,
    outcome: Outcome,
) -> Result<()> {
    let object_type = if session.is_some() { "session" } else { "user" };
    let object_id = session.map(|id| id.0).or(user.map(|id| id.0));
    let mut entry = match outcome {
        Outcome::Success => Entry::done(action, object_type, object_id),
        Outcome::Refused => Entry::refused(action, object_type, object_id),
    };
    if let Some(user) = user {
        entry = entry.about(user);
    }
    tx.audit(entry).await
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
