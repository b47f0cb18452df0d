//! Carrying out what is due; telling its person.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::{Receipt, Status};
use super::store::{self, Reader};
use crate::domain::consultations::reactions::cancel_for_closed_account;
use crate::domain::privacy::notice;
use crate::platform::audit::Entry;
use crate::platform::ids::PrivacyRequestId;
use crate::platform::jobs::{Job, JobContext, Queue, Registry};
use crate::platform::mail::{self, Letter, Recipient};
use crate::platform::{Problem, Result};

/// Erasures that one look at the clock finds.
const MOST_DUE: i32 = 500;
/// An erasure waits for the mail server for so many attempts, which is some hours.
const PATIENT_ATTEMPTS: i32 = 6;

/// Looks for erasures whose time has come.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepErasures {}

impl Job for SweepErasures {
    const KIND: &'static str = "privacy.sweep_erasures";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Erases the account of whoever asked for it.
#[derive(Debug, Serialize, Deserialize)]
pub struct EraseAccount {
    pub request_id: PrivacyRequestId,
}

impl Job for EraseAccount {
    const KIND: &'static str = "privacy.erase";
    const QUEUE: Queue = Queue::Events;
}

/// What is told by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Asked,
    Withdrawn,
    Refused,
    /// Nobody uses the account: who comes back keeps it.
    Unused,
}

impl Told {
    fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Withdrawn => "withdrawn",
            Self::Refused => "refused",
            Self::Unused => "unused",
        }
    }

    /// Whether it is still so.
    fn is_so(self, status: Status) -> bool {
        match self {
            Self::Asked | Self::Unused => status == Status::Waiting,
            Self::Withdrawn => status == Status::Withdrawn,
            Self::Refused => status == Status::Refused,
        }
    }
}

/// Tells the person what became of their request.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailErasure {
    pub request_id: PrivacyRequestId,
    pub what: Told,
}

impl Job for MailErasure {
    const KIND: &'static str = "privacy.mail_erasure";
    const QUEUE: Queue = Queue::Mail;
}

pub fn register(registry: &mut Registry) {
    registry.on(sweep);
    registry.schedule("privacy.sweep_erasures", "40 */5 * * * *", || SweepErasures {});
    registry.on(erase);
    registry.on(mail_erasure);
}

async fn sweep(cx: JobContext, _: SweepErasures) -> Result<()> {
    let mut tx = cx.begin().await?;
    let due = store::list_due(&mut tx, cx.now(), MOST_DUE).await?;
    drop(tx);
    // one that failed for good is tried again within the hour
    let hour = cx.now().format("%Y%m%d%H").to_string();
    for it in due {
        let its = JobContext { company_id: it.company_id, user_id: Some(it.user_id), ..cx.clone() };
        let mut tx = its.begin().await?;
        tx.enqueue(&EraseAccount { request_id: it.id }, Some(&format!("{}:{hour}", it.id)), None).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn erase(cx: JobContext, job: EraseAccount) -> Result<()> {
    let (id, now) = (job.request_id, cx.now());
    let person = cx.user_id.ok_or_else(|| Problem::internal("an erasure is somebody's"))?;
    let mut tx = cx.begin().await?;
    let Some(status) = store::begin(&mut tx, id, now).await? else { return Ok(()) };
    if status == Status::Refused {
        tx.audit(Entry::refused("erasure.refused", "privacy_request", id.0).about(person)).await?;
        let mail = MailErasure { request_id: id, what: Told::Refused };
        tx.enqueue(&mail, Some(&format!("{id}:refused")), None).await?;
        return tx.commit().await;
    }
    tx.commit().await?;
    // from here on nobody is signed in as them, here at once
    cx.platform.sessions.refresh(&cx.platform).await;
    if cx.company_id.is_some() {
        cancel_for_closed_account(&cx, person).await?;
    }
    // while the address is known
    if let Err(problem) = send_receipt(&cx, id).await {
        if cx.attempt < PATIENT_ATTEMPTS {
            return Err(problem);
        }
        tracing::warn!(?problem, request_id = %id, "an erasure goes on without its receipt");
    }
    let mut tx = cx.begin().await?;
    if store::carry_out(&mut tx, id, now).await? {
        tx.audit(Entry::done("erasure.carried_out", "privacy_request", id.0).about(person)).await?;
        metrics::counter!("huntzen_erasures_total").increment(1);
    }
    tx.commit().await
}

async fn send_receipt(cx: &JobContext, id: PrivacyRequestId) -> Result<()> {
    let durations = notice::durations(&cx.platform).await?;
    mail::deliver(cx, &format!("erasure_receipt:{id}"), async |tx| {
        let Some(mut it) = store::find_reader(tx, id).await?.filter(|it| it.status == Status::Begun) else {
            return Ok(None);
        };
        let facts = it.facts.take().map(|facts| facts.0).unwrap_or_default();
        let receipt = Receipt::new(&facts, &durations, cx.now(), cx.platform.config.chat_open_days);
        let lines = |list: &str, lines: &[super::model::Line]| {
            lines.iter().map(|line| line.words(list, &it.time_zone, it.locale)).collect::<Vec<_>>()
        };
        // an employer's mailbox hears that it was done, and nothing of what there was
        let (erased, kept) = if it.is_private {
            (lines("erased", &receipt.erased), lines("kept", &receipt.kept))
        } else {
            (Vec::new(), Vec::new())
        };
        let context = json!({
            "name": it.display_name, "what": "receipt", "asked_by": it.asked_by.as_str(), "reason": null, "due_at": it.due_at, "time_zone": it.time_zone,
            "erased": erased, "kept": kept, "reference": id,
        });
        Ok(Some(letter(&it, context)?))
    })
    .await
}

async fn mail_erasure(cx: JobContext, job: MailErasure) -> Result<()> {
    let (id, what) = (job.request_id, job.what);
    mail::deliver(&cx, &format!("erasure_{}:{id}", what.as_str()), async |tx| {
        let Some(it) = store::find_reader(tx, id).await?.filter(|it| what.is_so(it.status)) else { return Ok(None) };
        let context = json!({
            "name": it.display_name, "what": what.as_str(), "asked_by": it.asked_by.as_str(), "reason": it.reason.map(super::model::Obstacle::as_str),
            "due_at": it.due_at, "time_zone": it.time_zone, "erased": [], "kept": [], "reference": id,
        });
        Ok(Some(letter(&it, context)?))
    })
    .await
}

fn letter(it: &Reader, context: serde_json::Value) -> Result<Letter> {
    let to = mail::mailbox(Some(&it.display_name), &it.email)?;
    Ok(Letter::new(to, Recipient::User(it.id), it.locale, "account_erasure", context))
}
