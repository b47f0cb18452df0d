//! A practitioner takes no bookings any more, and the platform wants what is booked to be cancelled.

use super::events::{self, ConsultationCancelled};
use super::store;
use crate::domain::practitioners::events::PractitionerDeactivated;
use crate::platform::Result;
use crate::platform::jobs::{JobContext, Registry};

pub fn jobs(registry: &mut Registry) {
    registry.on(cancel_for_practitioner);
}

/// Cancels company by company, as each consultation's jobs belong to its company; both people of each are told. A second
/// run finds the rest; one for a practitioner who is active again finds nothing.
async fn cancel_for_practitioner(cx: JobContext, job: PractitionerDeactivated) -> Result<()> {
    // the log says of each only that the platform did it
    let cx = JobContext { user_id: None, ..cx };
    let mut tx = cx.begin().await?;
    let companies = store::list_companies_with_sessions_of(&mut tx, job.practitioner_id, cx.now()).await?;
    drop(tx);
    for company in companies {
        let cx = JobContext { company_id: Some(company), ..cx.clone() };
        let mut tx = cx.begin().await?;
        for id in store::cancel_for_inactive_practitioner(&mut tx, job.practitioner_id, cx.now()).await? {
            events::emit(&mut tx, &ConsultationCancelled { consultation_id: id }, id).await?;
            tx.audit_done("consultation.cancelled", "consultation", id.0).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}
