//! Forget, set anew, change, confirm.

use secrecy::{ExposeSecret, SecretString};

use super::super::links;
use super::super::store::find_profile;
use super::jobs::TellPasswordChanged;
use super::{model, store};
use crate::domain::identity::error::Error;
use crate::domain::identity::model::normalise_email;
use crate::domain::identity::safety::{self, Touched};
use crate::domain::identity::session::service::Device;
use crate::domain::identity::throttle::{Attempt, Purpose, Subject};
use crate::platform::audit::Entry;
use crate::platform::auth::Permission;
use crate::platform::auth::tokens::hash_opaque;
use crate::platform::db::Actor;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Platform, RequestInfo, Result};

/// Notes that somebody forgot the password of an address. Nothing here depends on whether it has an account; each
/// request makes the next one for that address wait longer, but for devices from which its person logged in.
pub async fn forget(platform: &Platform, request: &RequestInfo, address: &str, device: &Device) -> Result<()> {
    let address = normalise_email(address);
    let mut tx = platform.db.anonymous(Actor::nobody(request)).await?;
    let subject = Subject::Address(&address);
    let attempt = Attempt::begin(platform, &mut tx, Purpose::Mail, subject, device.token.as_deref()).await?;
    let whose = store::ask_for_reset(&mut tx, &address, platform.clock.now()).await?;
    tx.audit(Entry::done("user.password_reset_asked", "user", None).of_account(whose)).await?;
    attempt.failed(&mut tx).await?;
    tx.commit().await
}

/// Sets a password with the token of a mailed link, once.
pub async fn reset(platform: &Platform, request: &RequestInfo, token: &str, password: &SecretString) -> Result<()> {
    let mut errors = FieldErrors::new();
    model::check(password.expose_secret(), &[], "/password", &mut errors);
    errors.finish()?;

    let (hash, now) = (hash_opaque(token), platform.clock.now());
    // a token that opens nothing is not worth a hash
    let owner = links::find_owner(platform, request, links::Purpose::PasswordReset, &hash)
        .await?
        .ok_or(Error::InvalidResetToken)?;
    let mut errors = FieldErrors::new();
    model::check(password.expose_secret(), &[&owner.email, &owner.display_name], "/password", &mut errors);
    errors.finish()?;
    let password_hash = platform.passwords.hash(password, &platform.entropy).await?;

    let mut tx = platform.db.anonymous(owner.actor(request)).await?;
    if !store::reset(&mut tx, &hash, &password_hash, now).await? {
        return Err(Error::InvalidResetToken.into());
    }
    tx.audit(Entry::done("user.password_reset", "user", owner.user_id.0).about(owner.user_id)).await?;
    tx.enqueue(&TellPasswordChanged { user_id: owner.user_id, changed_at: now }, None, None).await?;
    safety::emit(&mut tx, owner.user_id, Touched::Password, now).await?;
    tx.commit().await?;
    platform.sessions.refresh(platform).await;
    Ok(())
}

/// Changes the caller's password; every session ends, this one as well, and no device is known any more.
pub async fn change(cx: &Context, present: &SecretString, new: &SecretString, device: &Device) -> Result<()> {
    let me = cx.caller().user_id;
    let mut tx = cx.read(Permission::ManageSelf).await?;
    let profile = find_profile(&mut tx, me).await?.ok_or(Refusal::NotFound)?;
    drop(tx);
    let mut errors = FieldErrors::new();
    if model::is_same(present.expose_secret(), new.expose_secret()) {
        errors.add("/newPassword", "password_unchanged");
    } else {
        model::check(new.expose_secret(), &[&profile.email, &profile.display_name], "/newPassword", &mut errors);
    }
    errors.finish()?;

    let checked = confirm(cx, present, device).await?;
    let (platform, now) = (cx.platform(), cx.now());
    let password_hash = platform.passwords.hash(new, &platform.entropy).await?;
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    if !store::change_own(&mut tx, &checked, &password_hash, now).await? {
        // another change was first: what was typed is not the present one any more
        return Err(Error::WrongPassword.into());
    }
    tx.audit(Entry::done("user.password_changed", "user", me.0).about(me)).await?;
    tx.enqueue(&TellPasswordChanged { user_id: me, changed_at: now }, None, None).await?;
    safety::emit(&mut tx, me, Touched::Password, now).await?;
    tx.commit().await?;
    platform.sessions.refresh(platform).await;
    Ok(())
}

/// Lets the caller go on only with their present password; the hash that it fits. Wrong ones make the next one wait, on
/// a known device its own only.
pub(in crate::domain::identity) async fn confirm(
    cx: &Context,
    present: &SecretString,
    device: &Device,
) -> Result<String> {
    let (platform, me) = (cx.platform(), cx.caller().user_id);
    let mut tx = platform.db.anonymous(Actor::of(cx)).await?;
    let person = Subject::Person(me);
    let attempt = Attempt::begin(platform, &mut tx, Purpose::Password, person, device.token.as_deref()).await?;
    let hash = store::password_of(&mut tx, me).await?;
    // no connection waits while the password is hashed
    drop(tx);
    let fits = platform.passwords.verify(present, hash.as_deref()).await?;
    let mut tx = platform.db.anonymous(Actor::of(cx)).await?;
    if let Some(hash) = hash.filter(|_| fits) {
        attempt.succeeded(&mut tx).await?;
        tx.commit().await?;
        return Ok(hash);
    }
    attempt.failed(&mut tx).await?;
    tx.commit().await?;
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    tx.audit(Entry::refused("user.password_refused", "user", me.0).about(me)).await?;
    tx.commit().await?;
    Err(Error::WrongPassword.into())
}
