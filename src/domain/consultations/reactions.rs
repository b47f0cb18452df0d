//! What happens here because of what happened on lower floors.

use super::events::{self, ConsultationCancelled};
use super::{store, upkeep, waitlist};
use crate::domain::companies::events::CompanyArchived;
use crate::domain::employees::events::EmployeeLeft;
use crate::domain::identity::administration::events::EmployeeSuspended;
use crate::platform::Result;
use crate::platform::ids::UserId;
use crate::platform::jobs::{JobContext, Registry};

/// Registers what this module does later.
pub fn jobs(registry: &mut Registry) {
    registry.on(cancel_for_leaver);
    registry.on(cancel_for_suspended);
    registry.on(cancel_for_archived_company);
    upkeep::jobs(registry);
    waitlist::jobs(registry);
}

/// What one transaction cancels of an archived company's consultations.
const CANCELLED_AT_ONCE: i32 = 100;

/// A company was archived: what is booked on its contract is cancelled, and both people of each are told. A second run
/// finds the rest; one for a company that is active again finds nothing.
async fn cancel_for_archived_company(cx: JobContext, _: CompanyArchived) -> Result<()> {
    // nobody's doing, as with leavers
    let cx = JobContext { user_id: None, ..cx };
    loop {
        let mut tx = cx.begin().await?;
        let cancelled = store::cancel_for_archived_company(&mut tx, cx.now(), CANCELLED_AT_ONCE).await?;
        if cancelled.is_empty() {
            return Ok(());
        }
        for id in cancelled {
            events::emit(&mut tx, &ConsultationCancelled { consultation_id: id }, id).await?;
            store::find_time(&mut tx, id).await?.emit(&mut tx, cx.now()).await?;
            tx.audit_done("consultation.cancelled", "consultation", id.0).await?;
        }
        tx.commit().await?;
    }
}

/// Somebody left their company: their future consultations on its contract are cancelled, and both people are told.
/// A second run finds nothing to cancel; neither does one for a person who is back.
async fn cancel_for_leaver(cx: JobContext, job: EmployeeLeft) -> Result<()> {
    // nobody's doing: an entry in the name of the HR person would tell them that there was something to cancel
    let cx = JobContext { user_id: None, ..cx };
    let mut tx = cx.begin().await?;
    for id in store::cancel_for_leaver(&mut tx, job.employee_id, cx.now()).await? {
        events::emit(&mut tx, &ConsultationCancelled { consultation_id: id }, id).await?;
        store::find_time(&mut tx, id).await?.emit(&mut tx, cx.now()).await?;
        tx.audit_done("consultation.cancelled", "consultation", id.0).await?;
    }
    tx.commit().await
}

/// An employee's account was suspended: they cannot come, so that what they had booked is cancelled, at nobody's cost,
/// and both people are told. One that is active again by now keeps everything.
async fn cancel_for_suspended(cx: JobContext, job: EmployeeSuspended) -> Result<()> {
    cancel_for_closed_account(&cx, job.user_id).await
}

/// Cancels what is booked by somebody whose account is suspended or closed, in the job's company. A second run finds the
/// rest.
pub async fn cancel_for_closed_account(cx: &JobContext, person: UserId) -> Result<()> {
    let cx = JobContext { user_id: None, ..cx.clone() };
    let mut tx = cx.begin().await?;
    for id in store::cancel_for_suspended(&mut tx, person, cx.now()).await? {
        events::emit(&mut tx, &ConsultationCancelled { consultation_id: id }, id).await?;
        store::find_time(&mut tx, id).await?.emit(&mut tx, cx.now()).await?;
        tx.audit_done("consultation.cancelled", "consultation", id.0).await?;
    }
    tx.commit().await
}
