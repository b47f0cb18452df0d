//! What somebody wrote about a session: why they come, why they cannot come. Health content, perhaps.
//!
//! It is sealed before it reaches the database, opens only where it was put, and only the two people in the session
//! read it, one session at a time: never in a list, a kept answer, a mail, an event, the audit log or a job.

mod store;

use chrono::{DateTime, Utc};

use super::model::{DoneBy, Reasons};
use crate::platform::auth::Permission;
use crate::platform::crypto::rewrap::Sealed;
use crate::platform::crypto::seal::{Place, Purpose};
use crate::platform::ids::{CompanyId, ConsultationId};
use crate::platform::{Context, Problem, Result, Tx};

const REASON: Purpose = Purpose::new("consultations.reason");
/// Where texts are kept: in one column, by what they are about.
pub const SEALED: [Sealed; 2] = [
    Sealed { purpose: REASON, table: "consultation_reasons", column: "booking" },
    Sealed { purpose: REASON, table: "consultation_reasons", column: "cancelling" },
];

/// What a text is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum About {
    Booking,
    Cancelling,
}

impl About {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Booking => "booking",
            Self::Cancelling => "cancelling",
        }
    }
}

/// Whose session it is about.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub id: ConsultationId,
    pub company_id: CompanyId,
}

impl Session {
    fn place(self, about: About) -> Place {
        let [booking, cancelling] = SEALED;
        let it = match about {
            About::Booking => booking,
            About::Cancelling => cancelling,
        };
        let (row, company) = (self.id.0, Some(self.company_id.0));
        Place { purpose: it.purpose, table: it.table, column: it.column, row, person: None, company }
    }
}

/// Keeps a text, where there is one.
pub async fn keep(cx: &Context, tx: &mut Tx, of: Session, about: About, text: Option<&str>, by: DoneBy) -> Result<()> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(()) };
    let platform = cx.platform();
    let sealed = platform.keyring.seal(&of.place(about), text.as_bytes(), &platform.entropy)?;
    store::insert(tx, of, about, &sealed, by, cx.now()).await
}

/// What the caller may read of it. A text that does not open is left out, and noted: the session itself stays usable.
pub async fn read(cx: &Context, tx: &mut Tx, of: Session) -> Result<Reasons> {
    let mut found = Reasons::default();
    for (about, sealed) in store::list(tx, of.id).await? {
        let opened = match cx.platform().keyring.open(&of.place(about), &sealed) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(%error, consultation_id = %of.id, "what was written about a session does not open");
                continue;
            }
        };
        let text = std::str::from_utf8(&opened).map_err(Problem::internal)?.to_owned();
        match about {
            About::Booking => found.booking = Some(text),
            About::Cancelling => found.cancelling = Some(text),
        }
    }
    Ok(found)
}

/// What was written about one of the caller's own sessions.
pub struct Own {
    pub consultation: ConsultationId,
    pub about: About,
    pub written_by: String,
    pub written_at: DateTime<Utc>,
    /// `None`: it does not open, which is noted.
    pub text: Option<String>,
}

/// Some of what was written about the caller's own sessions, and where it goes on. For their copy of their data.
pub async fn list_own(
    cx: &Context,
    after: Option<(ConsultationId, About)>,
) -> Result<(Vec<Own>, Option<(ConsultationId, About)>)> {
    let mut tx = cx.read(Permission::ReadConsultations).await?;
    let found = store::list_own(&mut tx, after).await?;
    let next = found.last().filter(|_| found.len() == store::PAGE).map(|it| (it.consultation_id, it.about));
    let own = found.into_iter().map(|it| {
        let of = Session { id: it.consultation_id, company_id: it.company_id };
        let opened = cx.platform().keyring.open(&of.place(it.about), &it.sealed);
        let text = match opened {
            Ok(text) => String::from_utf8(text.to_vec()).ok(),
            Err(error) => {
                tracing::error!(%error, consultation_id = %of.id, "what was written about a session does not open");
                None
            }
        };
        let (written_by, written_at) = (it.written_by, it.written_at);
        Own { consultation: of.id, about: it.about, written_by, written_at, text }
    });
    Ok((own.collect(), next))
}
