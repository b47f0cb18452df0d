//! The second half of a log-in, and what a session without a second factor may do.

use chrono::{DateTime, Utc};

use super::error::Error;
use super::model::{self, TICKET_TTL};
use super::proof::{self, SecondStep};
use super::store::{self, NewTicket};
use crate::domain::identity::session::service::{Device, Person, Session, open_or_note};
use crate::domain::identity::throttle::{Attempt, Purpose, Subject};
use crate::platform::auth::Role;
use crate::platform::auth::tokens::{OpaqueToken, hash_opaque};
use crate::platform::db::Actor;
use crate::platform::ids::UserId;
use crate::platform::{Platform, RequestInfo, Result, Tx};

/// What carries a log-in from the password to the code. It opens nothing of the account.
pub struct Ticket {
    pub plain: String,
    pub expires_at: DateTime<Utc>,
}

/// A ticket, where the account asks for a code; in the transaction of a person whose password fits.
pub async fn ask(platform: &Platform, tx: &mut Tx, device: &Device, in_cookie: bool) -> Result<Option<Ticket>> {
    let (token, now) = (OpaqueToken::generate(&platform.entropy), platform.clock.now());
    let new = NewTicket {
        id: platform.new_id(),
        hash: &token.hash,
        in_cookie,
        device: device.name.as_deref(),
        at: now,
        expires_at: now + TICKET_TTL,
    };
    let made = store::insert_ticket(tx, &new).await?;
    Ok(made.then_some(Ticket { plain: token.plain, expires_at: new.expires_at }))
}

/// Ends the log-in that a ticket carries. Says whether its session travels in a cookie, as asked for with the password.
pub async fn finish(
    platform: &Platform,
    request: &RequestInfo,
    ticket: &str,
    shown: &SecondStep,
    device_token: Option<String>,
    may_use_cookies: impl FnOnce() -> Result<()>,
) -> Result<(Session, bool)> {
    let now = platform.clock.now();
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let ticket = store::try_ticket(&mut tx, &hash_opaque(ticket), now).await?.ok_or(Error::InvalidLoginTicket)?;
    if ticket.in_cookie {
        may_use_cookies()?;
    }
    let person = Subject::Person(ticket.user_id);
    let attempt = Attempt::begin(platform, &mut tx, Purpose::SecondFactor, person, device_token.as_deref()).await?;
    // counted before it is looked at; one that has to wait is not
    tx.commit().await?;

    let actor = Actor {
        user_id: Some(ticket.user_id),
        role: Some(ticket.role),
        company_id: ticket.company_id,
        ..Actor::nobody(request)
    };
    let mut tx = platform.db.anonymous(actor.clone()).await?;
    // first of all, for it locks the account
    if !store::use_ticket(&mut tx, ticket.id, now).await? {
        return Err(Error::InvalidLoginTicket.into());
    }
    let own = store::find_own(&mut tx).await?;
    if own.secret.is_none() {
        // switched off meanwhile
        return Err(Error::InvalidLoginTicket.into());
    }
    if !proof::take(platform, &mut tx, ticket.user_id, &own, shown).await? {
        drop(tx);
        let mut tx = platform.db.anonymous(actor).await?;
        attempt.failed(&mut tx).await?;
        proof::note_refusal(&mut tx, ticket.user_id).await?;
        tx.commit().await?;
        return Err(Error::InvalidTotpCode.into());
    }
    attempt.succeeded(&mut tx).await?;
    let person = Person {
        id: ticket.user_id,
        email: ticket.email,
        role: ticket.role,
        company_id: ticket.company_id,
        display_name: ticket.display_name,
        locale: ticket.locale,
    };
    let device = Device { name: ticket.device, token: device_token };
    let session = open_or_note(platform, tx, person, &device).await?;
    Ok((session, ticket.in_cookie))
}

/// Whether a session of this person may manage their own account only: their role needs a second factor, the grace
/// period is over, and they have none.
pub async fn setup_is_due(platform: &Platform, tx: &mut Tx, person: UserId, role: Role) -> Result<bool> {
    // the others are not asked about: a round trip less
    if model::required_at(role, Some(DateTime::UNIX_EPOCH), platform.config.totp_grace).is_none() {
        return Ok(false);
    }
    let Some((activated_at, enabled)) = store::find_of(tx, person).await? else { return Ok(false) };
    let required_at: Option<DateTime<Utc>> = model::required_at(role, activated_at, platform.config.totp_grace);
    Ok(!enabled && required_at.is_some_and(|at| at <= platform.clock.now()))
}
