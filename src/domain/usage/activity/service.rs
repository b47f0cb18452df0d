//! Use case: read one's own activity, or a practitioner's.

use super::model::{Activity, Flagged, Subject};
use super::store;
use crate::domain::usage::model::Months;
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::{Permission, Role};
use crate::platform::ids::PractitionerId;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result};

/// Sessions that one answer lists at most.
pub const MOST_FLAGGED: i64 = 100;

/// What a practitioner did in some months.
pub struct Report {
    pub practitioner: PractitionerId,
    pub subject: Subject,
    pub months: Vec<Activity>,
    /// Newest first.
    pub flagged: Vec<Flagged>,
    /// Whether there are older ones.
    pub has_more_flagged: bool,
}

pub async fn report(cx: &Context, named: Option<PractitionerId>, months: &Months) -> Result<Report> {
    let is_staff = cx.caller().role == Role::PlatformAdmin;
    let own = cx.caller().user_id.into();
    let practitioner = match named {
        Some(named) => named,
        None if is_staff => return Err(Problem::from(Refusal::Invalid).at("query:practitionerId", "required")),
        None => own,
    };
    let mut tx = cx.begin(Permission::ReadActivity).await?;
    let subject = store::find_subject(&mut tx, practitioner).await?.ok_or(Refusal::NotFound)?;
    let activity = store::list_activity(&mut tx, practitioner, months).await?;
    let mut flagged = store::list_flagged(&mut tx, practitioner, months, MOST_FLAGGED + 1).await?;
    let most = usize::try_from(MOST_FLAGGED).map_err(Problem::internal)?;
    let has_more_flagged = flagged.len() > most;
    flagged.truncate(most);
    if is_staff {
        let entry = Entry::done("practitioner.activity_read", "practitioner", Some(practitioner.0))
            .with(Detail::From, months.from.first_day())
            .with(Detail::To, months.to.first_day());
        tx.audit(entry).await?;
    }
    tx.commit().await?;
    Ok(Report { practitioner, subject, months: activity, flagged, has_more_flagged })
}
