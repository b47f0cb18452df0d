//! What happens here because of what happened on lower floors.

use super::events::{self, ConsultationCancelled};
use super::store;
use crate::domain::employees::events::EmployeeLeft;
use crate::platform::Result;
use crate::platform::jobs::{JobContext, Registry};

/// Registers what this module does later.
pub fn jobs(registry: &mut Registry) {
    registry.on(cancel_for_leaver);
}

/// Somebody left their company: their future consultations on its contract are cancelled, and both people are told.
/// A second run finds nothing to cancel; neither does one for a person who is back.
async fn cancel_for_leaver(cx: JobContext, job: EmployeeLeft) -> Result<()> {
    // nobody's doing: an entry in the name of the HR person would tell them that there was something to cancel
    let cx = JobContext { user_id: None, ..cx };
    let mut tx = cx.begin().await?;
    for id in store::cancel_for_leaver(&mut tx, job.employee_id, cx.now()).await? {
        events::emit(&mut tx, &ConsultationCancelled { consultation_id: id }, id).await?;
        tx.audit_done("consultation.cancelled", "consultation", id.0).await?;
    }
    tx.commit().await
}
