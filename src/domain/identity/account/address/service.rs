//! Ask for another address, prove it, stop the change.

use chrono::TimeDelta;
use uuid::Uuid;

use super::super::links::{self, Purpose};
use super::jobs::{MailEmailProof, TellEmailChanged, WarnOfEmailChange};
use super::store::{self, NewToken, Wish};
use crate::domain::identity::error::Error;
use crate::domain::identity::safety::{self, Touched};
use crate::platform::audit::Entry;
use crate::platform::auth::tokens::hash_opaque;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Platform, Problem, RequestInfo, Result, Tx};

/// How long a new address may wait for its proof.
const PROOF_TTL: TimeDelta = TimeDelta::hours(24);
/// After so many mails to addresses that may be anybody's, the person waits.
const RETRY_AFTER: &str = "3600";

/// Starts a change of the caller's address, in their transaction. The password was asked for before.
pub(in super::super) async fn ask_for_change(cx: &Context, tx: &mut Tx, address: &str) -> Result<()> {
    let (proof, stop): (Uuid, Uuid) = (cx.new_id(), cx.new_id());
    let proof_token = links::token(cx.platform(), Purpose::EmailVerification, proof)?;
    let stop_token = links::token(cx.platform(), Purpose::EmailChange, stop)?;
    let asked = store::ask_for_change(
        tx,
        address,
        NewToken { id: proof, hash: &proof_token.hash },
        NewToken { id: stop, hash: &stop_token.hash },
        cx.now(),
        cx.now() + PROOF_TTL,
    )
    .await?;
    match asked {
        Wish::TooMany => {
            return Err(Problem::from(Refusal::TooManyRequests).with_header("Retry-After", RETRY_AFTER));
        }
        Wish::Unknown => return Err(Refusal::Unauthenticated.into()),
        Wish::Asked => tx.enqueue(&WarnOfEmailChange { token_id: stop }, None, None).await?,
        Wish::AskedQuietly => {}
    }
    tx.enqueue(&MailEmailProof { token_id: proof }, None, None).await?;
    tx.audit(Entry::done("user.email_change_asked", "user", cx.caller().user_id.0).about(cx.caller().user_id)).await
}

/// The caller keeps the address that they have.
pub(in super::super) async fn withdraw_change(cx: &Context, tx: &mut Tx) -> Result<()> {
    store::withdraw_change(tx, cx.now()).await?;
    tx.audit(Entry::done("user.email_change_withdrawn", "user", cx.caller().user_id.0).about(cx.caller().user_id)).await
}

/// Takes the new address, with the token that was mailed there. Once.
pub async fn verify(platform: &Platform, request: &RequestInfo, token: &str) -> Result<()> {
    let (hash, now) = (hash_opaque(token), platform.clock.now());
    let owner = links::find_owner(platform, request, Purpose::EmailVerification, &hash)
        .await?
        .ok_or(Error::InvalidEmailToken)?;
    let mut tx = platform.db.anonymous(owner.actor(request)).await?;
    let verified = store::verify(&mut tx, &hash, now).await?;
    if !verified.done {
        return Err(Error::InvalidEmailToken.into());
    }
    if let Some(token_id) = verified.notice {
        tx.enqueue(&TellEmailChanged { token_id, changed_at: now }, None, None).await?;
    }
    safety::emit(&mut tx, owner.user_id, Touched::Email, now).await?;
    tx.audit(Entry::done("user.email_changed", "user", owner.user_id.0).about(owner.user_id)).await?;
    tx.commit().await
}

/// Stops a change, with the token that was mailed to the old address.
pub async fn stop(platform: &Platform, request: &RequestInfo, token: &str) -> Result<()> {
    let (hash, now) = (hash_opaque(token), platform.clock.now());
    let owner =
        links::find_owner(platform, request, Purpose::EmailChange, &hash).await?.ok_or(Error::InvalidEmailToken)?;
    let mut tx = platform.db.anonymous(owner.actor(request)).await?;
    if !store::stop_change(&mut tx, &hash, now).await? {
        return Err(Error::InvalidEmailToken.into());
    }
    tx.audit(Entry::done("user.email_change_stopped", "user", owner.user_id.0).about(owner.user_id)).await?;
    tx.commit().await
}
