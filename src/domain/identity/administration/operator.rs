//! What the operator of the installation does, as the owner of the database. No runtime role may.

use chrono::{DateTime, Utc};

use super::store::{self, MadeAdmin, NewAdmin};
use crate::domain::identity::invitation::jobs::INVITATION_TTL;
use crate::domain::identity::model::{clean_name, normalise_address};
use crate::domain::identity::two_factor::jobs::{Change, tell};
use crate::platform::audit::Entry;
use crate::platform::auth::tokens::OpaqueToken;
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::ids;
use crate::platform::locale::Locale;
use crate::platform::{Problem, Tx};

/// Why the operator is told no. Words for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0:?} is not an address that mail can reach")]
    Address(String),
    #[error("the name must have 1 to 200 characters that can be read")]
    Name,
    #[error("{0} has an account already")]
    Taken(String),
    #[error("{0} has no account with a second factor")]
    NothingToReset(String),
    #[error("the database refused: {0:?}")]
    Failed(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

/// The link with which a new platform admin sets their password, and until when.
pub struct Invitation {
    pub email: String,
    pub link: String,
    pub expires_at: DateTime<Utc>,
    /// The person was invited before; that link does not work any more.
    pub is_another: bool,
}

/// Makes a platform admin who waits for their owner. Whoever has the link becomes it; only the operator sees it. One who
/// waits already gets another link.
pub async fn create_admin(
    mut tx: Tx,
    config: &Config,
    clock: &Clock,
    email: &str,
    name: Option<&str>,
    locale: Locale,
) -> Result<Invitation, Refused> {
    let address = normalise_address(email).ok_or_else(|| Refused::Address(email.to_owned()))?;
    // the part of the address before the @ is one that can be read
    let name = name.map(|name| clean_name(name).ok_or(Refused::Name)).transpose()?;
    let (entropy, now) = (Entropy::system(), clock.now());
    let token = OpaqueToken::generate(&entropy);
    let new = NewAdmin {
        id: ids::uuid_v7(now, entropy.bytes()).into(),
        email: &address,
        display_name: name.as_deref(),
        locale,
        token_id: ids::uuid_v7(now, entropy.bytes()),
        token_hash: &token.hash,
        at: now,
        expires_at: now + INVITATION_TTL,
    };
    let made = store::insert_admin(&mut tx, &new).await?;
    let (id, action) = match (made.outcome, made.account) {
        (MadeAdmin::Created, Some(id)) => (id, "user.created_by_operator"),
        (MadeAdmin::Renewed, Some(id)) => (id, "user.invited_by_operator"),
        _ => return Err(Refused::Taken(address)),
    };
    tx.audit(Entry::done(action, "user", id.0).about(id)).await?;
    tx.commit().await?;
    let link = format!("{}accept-invitation#token={}", config.public_url, token.plain);
    let is_another = made.outcome == MadeAdmin::Renewed;
    Ok(Invitation { link, expires_at: new.expires_at, email: address, is_another })
}

/// Takes a second factor away that its person lost together with the recovery codes. Who asks for it must have been
/// recognised by other means. The person is told. The address.
pub async fn reset_two_factor(mut tx: Tx, clock: &Clock, email: &str) -> Result<String, Refused> {
    let address = normalise_address(email).ok_or_else(|| Refused::Address(email.to_owned()))?;
    let now = clock.now();
    let Some((person, company)) = store::reset_two_factor(&mut tx, &address, now).await? else {
        return Err(Refused::NothingToReset(address));
    };
    // the mail's job looks its reader up within their company
    if let Some(company) = company {
        tx.enter_company(company).await?;
    }
    tx.audit(Entry::done("two_factor.reset", "user", person.0).about(person)).await?;
    tell(&mut tx, person, Change::Reset, now).await?;
    tx.commit().await?;
    Ok(address)
}
