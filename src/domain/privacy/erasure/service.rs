//! Asking, looking, taking back.

use std::fmt::Write as _;

use rust_i18n::t;
use secrecy::SecretString;

use super::jobs::{MailErasure, Told};
use super::model::{Obstacle, Receipt, Request, Status, WAIT};
use super::store;
use crate::domain::identity::session::service::Device;
use crate::domain::identity::two_factor::{SecondStep, begin_proven};
use crate::domain::privacy::error::Error;
use crate::domain::privacy::notice;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::http::IdempotencyKey;
use crate::platform::locale::Locale;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

/// A request, and what it takes and leaves as things are now.
pub struct Overview {
    pub request: Request,
    pub receipt: Receipt,
    pub time_zone: String,
}

fn refusal(obstacle: Obstacle) -> Error {
    match obstacle {
        Obstacle::SessionsAhead => Error::ErasureSessionsAhead,
        Obstacle::RecordsKept => Error::ErasureRecordsKept,
        Obstacle::LastAdmin => Error::ErasureLastAdmin,
    }
}

/// Asks for it, for password and code. Where it was asked for already, that request stays.
pub async fn ask(
    cx: &Context,
    password: &SecretString,
    shown: Option<&SecondStep>,
    device: &Device,
    once: Option<&IdempotencyKey>,
) -> Result<Overview> {
    let mut tx = begin_proven(cx, password, shown, device).await?;
    if tx.recall::<()>(once).await?.is_none() {
        let asked = store::ask(&mut tx, cx.new_id(), cx.now(), cx.now() + WAIT).await?;
        if let Some(obstacle) = asked.obstacle {
            return Err(refusal(obstacle).into());
        }
        let id = asked.asked.ok_or_else(|| Problem::internal("an erasure that was asked for is not there"))?;
        let me = cx.caller().user_id;
        tx.audit(Entry::done("erasure.asked", "privacy_request", id.0).about(me)).await?;
        if asked.is_new {
            tx.enqueue(&MailErasure { request_id: id, what: Told::Asked }, Some(&format!("{id}:asked")), None).await?;
        }
        tx.remember(once, &()).await?;
    }
    let found = overview(cx, &mut tx).await?;
    tx.commit().await?;
    Ok(found)
}

pub async fn find(cx: &Context) -> Result<Overview> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    overview(cx, &mut tx).await
}

async fn overview(cx: &Context, tx: &mut Tx) -> Result<Overview> {
    let request = store::find_last(tx).await?.ok_or(Refusal::NotFound)?;
    let facts = store::find_own_facts(tx).await?;
    let durations = notice::durations(cx.platform()).await?;
    let time_zone = store::find_time_zone(tx).await?;
    let open_days = cx.platform().config.chat_open_days;
    Ok(Overview { receipt: Receipt::new(&facts, &durations, request.due_at, open_days), request, time_zone })
}

/// Takes it back.
pub async fn withdraw(cx: &Context) -> Result<()> {
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    match store::withdraw(&mut tx, cx.now()).await? {
        Some(Status::Withdrawn) => {}
        Some(_) => return Err(Error::ErasureBegun.into()),
        None => return Err(Refusal::NotFound.into()),
    }
    let me = cx.caller().user_id;
    let request = store::find_last(&mut tx).await?.ok_or(Refusal::NotFound)?;
    let entry = Entry::done("erasure.withdrawn", "privacy_request", request.id.0).about(me);
    tx.audit(entry.with(Detail::Status, "withdrawn")).await?;
    let mail = MailErasure { request_id: request.id, what: Told::Withdrawn };
    tx.enqueue(&mail, Some(&format!("{}:withdrawn", request.id)), None).await?;
    tx.commit().await
}

impl Overview {
    /// The receipt as a text to be kept.
    pub fn text(&self, locale: Locale) -> String {
        let words = |key: &str| t!(format!("privacy.receipt.{key}"), locale = locale.as_str()).into_owned();
        let mut text = format!("{}\n{}\n", words("title"), self.request.id);
        for (list, lines) in [("erased", &self.receipt.erased), ("kept", &self.receipt.kept)] {
            let _ = writeln!(text, "\n{}", words(&format!("{list}_title")));
            for line in lines {
                let _ = writeln!(text, "- {}", line.words(list, &self.time_zone, locale));
            }
        }
        text
    }
}
