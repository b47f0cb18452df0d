//! Set up, enable, renew the recovery codes, disable.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::error::Error;
use super::jobs::{Change, tell};
use super::model::{self, OFFER_TTL, RECOVERY_CODE_BYTES, RECOVERY_CODES, SECRET_BYTES, TotpSecret};
pub use super::proof::SecondStep;
use super::proof::{Column, Gate, begin_with, missing, place};
use super::store::{self, Enabled, TwoFactor};
use crate::domain::identity::account::passwords::confirm;
use crate::domain::identity::account::store::find_profile;
use crate::domain::identity::session::service::Device;
use crate::domain::identity::session::store::end_sessions_of;
use crate::platform::audit::Entry;
use crate::platform::auth::Permission;
use crate::platform::auth::tokens::hash_opaque;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Result, Tx};

/// A secret to put into an app. It counts for nothing until a code of it is shown.
pub struct Offer {
    pub secret: String,
    pub uri: String,
    pub expires_at: DateTime<Utc>,
}

async fn own(cx: &Context) -> Result<TwoFactor> {
    store::find_own(&mut cx.read(Permission::ManageSelf).await?).await
}

/// Offers a secret, for the present password. Who has a second factor shows it as well; it counts until the new one
/// has shown a code.
pub async fn set_up(
    cx: &Context,
    password: &SecretString,
    shown: Option<&SecondStep>,
    device: &Device,
) -> Result<Offer> {
    let (platform, me) = (cx.platform(), cx.caller().user_id);
    let has_one = own(cx).await?.secret.is_some();
    if has_one && shown.is_none() {
        return Err(missing());
    }
    confirm(cx, password, device).await?;
    let mut tx = match shown {
        Some(shown) if has_one => begin_with(cx, shown, device).await?,
        _ => cx.begin(Permission::ManageSelf).await?,
    };
    let profile = find_profile(&mut tx, me).await?.ok_or(Refusal::NotFound)?;
    let secret = Zeroizing::new(platform.entropy.bytes::<SECRET_BYTES>());
    let sealed = platform.keyring.seal(&place(me, Column::PendingSecret), &secret[..], &platform.entropy)?;
    store::save_offer(&mut tx, &sealed, cx.now()).await?;
    tx.audit(Entry::done("two_factor.offered", "user", me.0).about(me)).await?;
    tx.commit().await?;
    let totp = TotpSecret::new(&secret[..], &profile.email)?;
    Ok(Offer { secret: totp.base32(), uri: totp.uri()?, expires_at: cx.now() + OFFER_TTL })
}

/// Makes the offered secret count, for a first code of it. Answers the recovery codes. Every other session ends: it was
/// opened without what is needed from now on.
pub async fn enable(cx: &Context, code: &SecretString, device: &Device) -> Result<Vec<String>> {
    let (platform, me, now) = (cx.platform(), cx.caller().user_id, cx.now());
    let gate = Gate::enter(cx, device).await?;
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    let own = store::find_own(&mut tx).await?;
    let offered = own.pending_secret.filter(|_| own.pending_at.is_some_and(|at| at + OFFER_TTL > now));
    let offered = offered.ok_or(Error::TotpNotSetUp)?;
    let secret = platform.keyring.open(&place(me, Column::PendingSecret), &offered)?;
    let Some(step) = TotpSecret::new(&secret, "")?.step_of(code.expose_secret(), now) else {
        drop(tx);
        return gate.refuse(cx).await;
    };
    let sealed = platform.keyring.seal(&place(me, Column::Secret), &secret, &platform.entropy)?;
    let enabled = store::enable(&mut tx, &offered, &sealed, step, now).await?.ok_or(Error::TotpNotSetUp)?;
    let codes = new_recovery_codes(cx, &mut tx).await?;
    end_sessions_of(&mut tx, me, Some(cx.caller().session_id), now).await?;
    let (action, change) = match enabled {
        Enabled::Enabled => ("two_factor.enabled", Change::Enabled),
        Enabled::Replaced => ("two_factor.replaced", Change::Replaced),
    };
    tx.audit(Entry::done(action, "user", me.0).about(me)).await?;
    tell(&mut tx, me, change, now).await?;
    gate.open(cx).await?;
    tx.commit().await?;
    platform.sessions.refresh(platform).await;
    Ok(codes)
}

/// Switches it off, for password and code. Not for those whose role needs it.
pub async fn disable(cx: &Context, password: &SecretString, shown: &SecondStep, device: &Device) -> Result<()> {
    let (platform, caller, now) = (cx.platform(), cx.caller(), cx.now());
    let own = own(cx).await?;
    if own.secret.is_none() {
        return Err(Error::TotpNotEnabled.into());
    }
    let required_at = model::required_at(caller.role, own.activated_at, platform.config.totp_grace);
    if required_at.is_some_and(|at| at <= now) {
        return Err(Error::TotpMandatory.into());
    }
    confirm(cx, password, device).await?;
    let mut tx = begin_with(cx, shown, device).await?;
    if !store::disable(&mut tx).await? {
        return Err(Error::TotpNotEnabled.into());
    }
    end_sessions_of(&mut tx, caller.user_id, Some(caller.session_id), now).await?;
    tx.audit(Entry::done("two_factor.disabled", "user", caller.user_id.0).about(caller.user_id)).await?;
    tell(&mut tx, caller.user_id, Change::Disabled, now).await?;
    tx.commit().await?;
    platform.sessions.refresh(platform).await;
    Ok(())
}

/// A new set of recovery codes, for password and code: each of them replaces the second factor. The old ones open
/// nothing any more.
pub async fn renew_recovery_codes(
    cx: &Context,
    password: &SecretString,
    shown: &SecondStep,
    device: &Device,
) -> Result<Vec<String>> {
    if own(cx).await?.secret.is_none() {
        return Err(Error::TotpNotEnabled.into());
    }
    confirm(cx, password, device).await?;
    let mut tx = begin_with(cx, shown, device).await?;
    let codes = new_recovery_codes(cx, &mut tx).await?;
    let me = cx.caller().user_id;
    tx.audit(Entry::done("recovery_codes.renewed", "user", me.0).about(me)).await?;
    tell(&mut tx, me, Change::CodesRenewed, cx.now()).await?;
    tx.commit().await?;
    Ok(codes)
}

async fn new_recovery_codes(cx: &Context, tx: &mut Tx) -> Result<Vec<String>> {
    let platform = cx.platform();
    let codes: Vec<String> = std::iter::repeat_with(|| platform.entropy.bytes::<RECOVERY_CODE_BYTES>())
        .map(model::recovery_code)
        .take(RECOVERY_CODES)
        .collect();
    let hashes: Vec<_> = codes.iter().map(|code| hash_opaque(&model::normalise_recovery_code(code))).collect();
    let ids: Vec<_> = codes.iter().map(|_| cx.new_id()).collect();
    if !store::renew_recovery_codes(tx, &ids, &hashes, cx.now()).await? {
        return Err(Error::TotpNotEnabled.into());
    }
    Ok(codes)
}
