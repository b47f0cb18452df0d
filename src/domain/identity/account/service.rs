//! One's own profile.

use secrecy::SecretString;

use super::super::model;
use super::model::Profile;
use super::{address, passwords, store};
use crate::domain::identity::session::service::Device;
use crate::platform::auth::Permission;
use crate::platform::http::Etag;
use crate::platform::locale::Locale;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Problem, Result};

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
    /// Waits for its proof before it is taken; needs the present password. The present one keeps the present one.
    pub email: Option<String>,
    pub current_password: Option<SecretString>,
    pub device: Device,
}

pub async fn change_profile(cx: &Context, change: ProfileChange, if_match: Option<&str>) -> Result<Profile> {
    let mut errors = FieldErrors::new();
    if let Some(zone) = &change.time_zone {
        model::check_time_zone(zone, "/timeZone", &mut errors);
    }
    let name = change.display_name.as_deref().map(model::clean_name);
    errors.check(name != Some(None), "/displayName", "text");
    let address = change.email.as_deref().map(model::normalise_address);
    errors.check(address != Some(None), "/email", "email");
    errors.check(address.is_none() || change.current_password.is_some(), "/currentPassword", "required");
    errors.finish()?;
    let address = address.flatten();
    if address.is_some()
        && let Some(password) = &change.current_password
    {
        // a stale change is not worth a hash
        Etag::of(profile(cx).await?.updated_at).require(if_match)?;
        passwords::confirm(cx, password, &change.device).await?;
    }

    let mut tx = cx.begin(Permission::ManageSelf).await?;
    let mut it = store::lock_profile(&mut tx, cx.caller().user_id).await?.ok_or(Refusal::NotFound)?;
    Etag::of(it.updated_at).require(if_match)?;
    if let Some(name) = name.flatten() {
        it.display_name = name;
    }
    if let Some(locale) = change.locale {
        it.locale = locale;
    }
    if let Some(zone) = change.time_zone {
        it.time_zone = zone;
    }
    store::save_profile(&mut tx, &it).await?;
    match address {
        Some(address) if address == it.email && !it.can_prove_present_address() => {
            address::withdraw_change(cx, &mut tx).await?;
        }
        Some(address) => address::ask_for_change(cx, &mut tx, &address).await?,
        None => {}
    }
    tx.audit_done("user.profile_changed", "user", it.id.0).await?;
    let it = store::find_profile(&mut tx, it.id).await?.ok_or(Refusal::NotFound)?;
    tx.commit().await?;
    Ok(it)
}
