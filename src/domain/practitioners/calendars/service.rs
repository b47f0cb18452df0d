//! Use cases of calendars: add, list, take away.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jobs::ReadCalendar;
use super::model::{self, Calendar, External, Kind};
use super::store::{self, NewExternal};
use crate::domain::companies::model::clean;
use crate::domain::practitioners::store as practitioners;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::auth::tokens::hash_opaque;
use crate::platform::crypto::rewrap::Sealed;
use crate::platform::crypto::seal::{Place, Purpose};
use crate::platform::http::IdempotencyKey;
use crate::platform::ids::{CalendarId, PractitionerId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, FieldErrors, Result, Tx};

const ADDRESS: Purpose = Purpose::new("practitioners.calendar_address");

/// What this module keeps sealed.
pub const SEALED: Sealed = Sealed { purpose: ADDRESS, table: "external_calendars", column: "url" };

/// Where the address of a calendar is sealed.
pub(super) fn place(id: CalendarId, owner: PractitionerId) -> Place {
    Place {
        purpose: ADDRESS,
        table: SEALED.table,
        column: SEALED.column,
        row: id.0,
        person: Some(owner.0),
        company: None,
    }
}

/// A calendar to add.
pub struct NewCalendar {
    pub kind: Kind,
    pub label: String,
    /// Of an external one.
    pub url: Option<String>,
}

pub async fn add(
    cx: &Context,
    owner: PractitionerId,
    key: Option<&IdempotencyKey>,
    new: NewCalendar,
) -> Result<Calendar> {
    let mut faults = FieldErrors::new();
    let label = clean(&new.label);
    faults.check(label.is_some(), "/label", "text");
    let url = match (new.kind, &new.url) {
        (Kind::External, Some(text)) => {
            let url = model::address(text).filter(|url| cx.platform().outgoing.check(url).is_ok());
            faults.check(url.is_some(), "/url", "calendar_address");
            url
        }
        (Kind::External, None) => {
            faults.add("/url", "required");
            None
        }
        (Kind::Feed, url) => {
            faults.check(url.is_none(), "/url", "calendar_address_of_feed");
            None
        }
    };
    faults.finish()?;
    let label = label.unwrap_or_default();

    let mut tx = cx.begin(Permission::ManageCalendars).await?;
    if let Some(first) = tx.recall(key).await? {
        return Ok(first);
    }
    // one at a time, so that the places are counted right
    practitioners::lock_zone(&mut tx, owner).await?.ok_or(Refusal::NotFound)?;
    let id: CalendarId = cx.new_id();
    let mut made = Calendar { id, kind: new.kind, label, created_at: cx.now(), external: None, url: None };
    if let Some(url) = url {
        let platform = cx.platform();
        let sealed = platform.keyring.seal(&place(id, owner), url.as_str().as_bytes(), &platform.entropy)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let it = NewExternal { id, label: &made.label, sealed_url: &sealed, host: &host, now: cx.now() };
        store::insert_external(&mut tx, owner, &it).await?;
        // at once, so that a wrong address shows while its owner looks
        tx.enqueue(&ReadCalendar { calendar_id: id }, None, None).await?;
        made.external = Some(External { host, read_at: None, next_read_at: cx.now(), failure: None });
    } else {
        let token = URL_SAFE_NO_PAD.encode(cx.platform().entropy.bytes::<32>());
        store::insert_feed(&mut tx, owner, id, &made.label, &hash_opaque(&token), cx.now()).await?;
        let base = cx.platform().config.public_url.as_str().trim_end_matches('/').to_owned();
        made.url = Some(format!("{base}/api/v1/calendars/{token}.ics"));
    }
    audit(&mut tx, "calendar.added", id, made.kind).await?;
    tx.remember(key, &made).await?;
    tx.commit().await?;
    Ok(made)
}

pub async fn list(cx: &Context, owner: PractitionerId) -> Result<Vec<Calendar>> {
    let mut tx = cx.read(Permission::ManageCalendars).await?;
    practitioners::find_zone(&mut tx, owner).await?.ok_or(Refusal::NotFound)?;
    store::list(&mut tx, owner).await
}

/// Its busy times go with it, and its address answers no longer.
pub async fn remove(cx: &Context, owner: PractitionerId, id: CalendarId) -> Result<()> {
    let mut tx = cx.begin(Permission::ManageCalendars).await?;
    let kind = store::delete(&mut tx, owner, id).await?.ok_or(Refusal::NotFound)?;
    audit(&mut tx, "calendar.removed", id, kind).await?;
    tx.commit().await
}

async fn audit(tx: &mut Tx, action: &'static str, id: CalendarId, kind: Kind) -> Result<()> {
    tx.audit(Entry::done(action, "calendar", id.0).with(Detail::Kind, kind.as_str())).await
}
