//! Log in, refresh, list and end sessions.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::super::error::Error;
use super::super::model;
use super::super::safety::{self, Touched};
use super::super::throttle::{Attempt, Purpose, Subject};
use super::super::two_factor;
use super::jobs::TellOfReuse;
use super::store::{self, RenewalOutcome};
use crate::platform::audit::{Entry, Outcome};
use crate::platform::auth::tokens::{OpaqueToken, hash_opaque};
use crate::platform::auth::{Caller, Permission, Role};
use crate::platform::db::Actor;
use crate::platform::http::PageQuery;
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::{Cause, Error as Refusal};
use crate::platform::{Context, Platform, RequestInfo, Result, Tx};

/// How long a device is known after its last log-in.
pub const DEVICE_TTL: TimeDelta = TimeDelta::days(180);

/// Who was let in.
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    pub company_id: Option<CompanyId>,
    pub display_name: String,
    pub locale: Locale,
}

/// The device that a request comes from, as it says.
#[derive(Default)]
pub struct Device {
    /// What its person calls it.
    pub name: Option<String>,
    /// What proves that its person logged in from it before.
    pub token: Option<String>,
}

/// What a person holds after a log-in or a refresh.
pub struct Session {
    pub person: Person,
    pub access_token: String,
    /// How long the access token lives.
    pub expires_in: TimeDelta,
    pub refresh_token: String,
    /// When the session ends at the latest.
    pub expires_at: DateTime<Utc>,
    /// After a log-in.
    pub device_token: Option<String>,
}

/// What a password opens.
pub enum LogIn {
    Open(Box<Session>),
    /// The account asks for a code as well.
    SecondStep(two_factor::Ticket),
}

pub async fn log_in(
    platform: &Platform,
    request: &RequestInfo,
    email: &str,
    password: &SecretString,
    device: &Device,
    in_cookie: bool,
) -> Result<LogIn> {
    let email = model::normalise_email(email);
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let subject = Subject::Address(&email);
    let attempt = Attempt::begin(platform, &mut tx, Purpose::LogIn, subject, device.token.as_deref()).await?;
    let found = store::find_login(&mut tx, &email).await?;
    // no connection waits while the password is hashed
    drop(tx);
    let whose = found.as_ref().map(|login| (login.id, login.company_id));
    let Some((login, mut tx)) = hold(platform, request, &email, password, found, &attempt).await? else {
        let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
        attempt.failed(&mut tx).await?;
        // one statement whether or not there is such an account: who waits for the answer learns nothing
        tx.audit(Entry::refused("session.refused", "user", None).of_account(whose)).await?;
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
    if login.status != "active" {
        note(&mut tx, "session.refused", Some(person.id), None, Outcome::Refused).await?;
        tx.commit().await?;
        return Err(Error::AccountSuspended.into());
    }
    if let Some(ticket) = two_factor::ask(platform, &mut tx, device, in_cookie).await? {
        tx.commit().await?;
        return Ok(LogIn::SecondStep(ticket));
    }
    let session = open_or_note(platform, tx, person, device).await?;
    Ok(LogIn::Open(Box::new(session)))
}

/// Opens a session, and commits. What proved the person right and opens nothing, because their company is archived, is
/// noted all the same: the refusal has undone what was done so far.
pub(in super::super) async fn open_or_note(
    platform: &Platform,
    mut tx: Tx,
    person: Person,
    device: &Device,
) -> Result<Session> {
    let (actor, id) = (tx.actor().clone(), person.id);
    match open_session(platform, &mut tx, person, device).await {
        Ok(session) => {
            tx.commit().await?;
            Ok(session)
        }
        Err(problem) if problem.code() == Error::CompanyArchived.code() => {
            drop(tx);
            let mut tx = platform.db.anonymous(actor).await?;
            note(&mut tx, "session.refused", Some(id), None, Outcome::Refused).await?;
            tx.commit().await?;
            Err(problem)
        }
        Err(problem) => Err(problem),
    }
}

/// Whom the password opens, and their transaction, in which the account is locked: a change of the password, a reset or
/// a suspension that was first has won, one that comes later finds what this log-in opens. `None`: it opens nobody.
/// What others' failures have overtaken is refused first of all: before that nothing takes longer because the password is
/// right.
async fn hold(
    platform: &Platform,
    request: &RequestInfo,
    email: &str,
    password: &SecretString,
    mut found: Option<store::Login>,
    attempt: &Attempt,
) -> Result<Option<(store::Login, Tx)>> {
    // what was changed while it was verified is verified once more: it may be the same password, hashed anew
    for _ in 0..2 {
        let hash = found.as_ref().and_then(|login| login.password_hash.as_deref());
        let fits = platform.passwords.verify(password, hash).await?;
        let Some(login) = found.filter(|_| fits) else { return Ok(None) };
        let checked = login.password_hash.as_deref().unwrap_or_default();
        let of_person = actor(request, login.id, login.role, login.company_id);
        let mut tx = platform.db.anonymous(of_person.clone()).await?;
        attempt.succeeded(&mut tx).await?;
        if let Some(held) = store::hold_login(&mut tx, login.id, checked, None).await? {
            if platform.passwords.is_current(checked) {
                return Ok(Some((held, tx)));
            }
            // hashing costs something else by now; where every core is busy, the next log-in does it
            tx.commit().await?;
            let renewed = platform.passwords.hash(password, &platform.entropy).await.ok();
            tx = platform.db.anonymous(of_person).await?;
            if let Some(held) = store::hold_login(&mut tx, login.id, checked, renewed.as_deref()).await? {
                return Ok(Some((held, tx)));
            }
        }
        found = store::find_login(&mut tx, email).await?;
    }
    Ok(None)
}

/// Opens a session for a person who has proven who they are; with every step that their account asks for. The
/// device is known from now on.
pub async fn open_session(platform: &Platform, tx: &mut Tx, person: Person, device: &Device) -> Result<Session> {
    let (id, token, now) =
        (platform.new_id::<SessionId>(), OpaqueToken::generate(&platform.entropy), platform.clock.now());
    let expires_at = now + platform.config.refresh_token_ttl;
    let opened = store::insert_session(
        tx,
        &store::NewSession {
            id,
            user_id: person.id,
            token_id: platform.new_id(),
            token_hash: &token.hash,
            device: device.name.as_deref(),
            at: now,
            expires_at,
        },
    )
    .await?;
    if !opened {
        return Err(Error::AccountSuspended.into());
    }
    note(tx, "session.opened", Some(person.id), Some(id), Outcome::Success).await?;
    let fresh = OpaqueToken::generate(&platform.entropy);
    let presented = device.token.as_deref();
    let kept = store::remember_device(
        tx,
        &store::NewDevice {
            id: platform.new_id(),
            user_id: person.id,
            presented: presented.map(hash_opaque),
            fresh: &fresh.hash,
            at: now,
            expires_at: now + DEVICE_TTL,
        },
    )
    .await?;
    let due = two_factor::setup_is_due(platform, tx, person.id, person.role).await?;
    let mut session = issue(platform, person, id, due, token.plain, now, expires_at)?;
    session.device_token = Some(presented.filter(|_| kept).map_or(fresh.plain, ToOwned::to_owned));
    Ok(session)
}

fn issue(
    platform: &Platform,
    person: Person,
    session_id: SessionId,
    totp_setup_required: bool,
    refresh_token: String,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<Session> {
    let caller = Caller {
        user_id: person.id,
        role: person.role,
        company_id: person.company_id,
        session_id,
        totp_setup_required,
    };
    // no access outlives its session
    let expires_in = platform.tokens.access_ttl.min(expires_at - now);
    Ok(Session {
        access_token: platform.tokens.sign_access_for(&caller, now, expires_in)?,
        expires_in,
        refresh_token,
        expires_at,
        device_token: None,
        person,
    })
}

fn actor(request: &RequestInfo, id: UserId, role: Role, company_id: Option<CompanyId>) -> Actor {
    Actor { user_id: Some(id), role: Some(role), company_id, ..Actor::nobody(request) }
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
    let it = store::renew_session(&mut tx, &hash_opaque(presented), platform.new_id(), &next.hash, now).await?;
    match (it.outcome, it) {
        (
            RenewalOutcome::Renewed,
            store::Renewal {
                user_id: Some(id),
                session_id: Some(session),
                role: Some(role),
                company_id,
                email: Some(email),
                display_name: Some(display_name),
                locale: Some(locale),
                expires_at: Some(expires_at),
                ..
            },
        ) => {
            let due = two_factor::setup_is_due(platform, &mut tx, id, role).await?;
            tx.commit().await?;
            let person = Person { id, email, role, company_id, display_name, locale };
            issue(platform, person, session, due, next.plain, now, expires_at)
        }
        (RenewalOutcome::Reused, store::Renewal { user_id: Some(user), session_id: Some(session), company_id, .. }) => {
            // the mail's job looks its reader up within their company
            if let Some(company) = company_id {
                tx.enter_company(company).await?;
            }
            note(&mut tx, "session.reuse_detected", Some(user), Some(session), Outcome::Refused).await?;
            tx.enqueue(&TellOfReuse { user_id: user, session_id: session, at: now }, None, None).await?;
            safety::emit(&mut tx, user, Touched::Session, now).await?;
            tx.commit().await?;
            platform.sessions.note(session, now, platform.tokens.access_ttl);
            Err(Error::RefreshTokenReused.into())
        }
        _ => Err(Error::InvalidRefreshToken.into()),
    }
}

/// The caller's own live sessions, newest first.
pub async fn list(cx: &Context, page: &PageQuery<SessionId>) -> Result<Vec<store::SessionRow>> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    store::list_sessions(&mut tx, cx.caller().user_id, cx.now(), page.after, page.fetch()).await
}

/// Ends one of the caller's own sessions, at once and on every node. Twice is once.
pub async fn end(cx: &Context, session: SessionId) -> Result<()> {
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    if !store::is_own_session(&mut tx, session).await? {
        return Err(Refusal::NotFound.into());
    }
    if store::revoke_session(&mut tx, session, cx.now()).await? {
        note(&mut tx, "session.closed", None, Some(session), Outcome::Success).await?;
    }
    tx.commit().await?;
    cx.platform().sessions.note(session, cx.now(), cx.platform().tokens.access_ttl);
    Ok(())
}

/// Ends the caller's own sessions: all of them, or all but the one that asks.
pub async fn end_all(cx: &Context, keep_current: bool) -> Result<()> {
    let (caller, now) = (cx.caller(), cx.now());
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    let kept = keep_current.then_some(caller.session_id);
    store::end_sessions_of(&mut tx, caller.user_id, kept, now).await?;
    note(&mut tx, "session.all_closed", Some(caller.user_id), None, Outcome::Success).await?;
    tx.commit().await?;
    cx.platform().sessions.refresh(cx.platform()).await;
    Ok(())
}
