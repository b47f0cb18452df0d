//! A practitioner takes no bookings any more, or cannot log in, and the platform wants what is booked to be cancelled.

use super::events::{self, ConsultationCancelled};
use super::store;
use crate::domain::identity::administration::events::PractitionerSuspended;
use crate::domain::practitioners::events::PractitionerDeactivated;
use crate::platform::Result;
use crate::platform::ids::PractitionerId;
use crate::platform::jobs::{JobContext, Registry};

pub fn jobs(registry: &mut Registry) {
    registry.on(cancel_for_deactivated);
    registry.on(cancel_for_suspended);
}

async fn cancel_for_deactivated(cx: JobContext, job: PractitionerDeactivated) -> Result<()> {
    cancel_all(cx, job.practitioner_id).await
}

async fn cancel_for_suspended(cx: JobContext, job: PractitionerSuspended) -> Result<()> {
    cancel_all(cx, job.user_id.into()).await
}

/// Cancels company by company, as each consultation's jobs belong to its company; both people of each are told. A second
/// run finds the rest; one for a practitioner who is active again finds nothing.
async fn cancel_all(cx: JobContext, practitioner: PractitionerId) -> Result<()> {
    // the log says of each only that the platform did it
    let cx = JobContext { user_id: None, ..cx };
    let mut tx = cx.begin().await?;
    let companies = store::list_companies_with_sessions_of(&mut tx, practitioner, cx.now()).await?;
    drop(tx);
    for company in companies {
        let cx = JobContext { company_id: Some(company), ..cx.clone() };
        let mut tx = cx.begin().await?;
        for id in store::cancel_for_inactive_practitioner(&mut tx, practitioner, cx.now()).await? {
            events::emit(&mut tx, &ConsultationCancelled { consultation_id: id }, id).await?;
            tx.audit_done("consultation.cancelled", "consultation", id.0).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}
