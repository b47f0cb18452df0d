//! What somebody wrote about a session: why they come, why they cannot come. Health content, perhaps.
//!
//! It is sealed before it reaches the database, under a key of the session's that goes with it and with the employee's
//! account, opens only where it was put, and only the two people in the session
//! read it, one session at a time: never in a list, a kept answer, a mail, an event, the audit log or a job.

mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use self::store::{Kept, StoredKey};
use super::model::{DoneBy, Reasons};
use crate::platform::auth::Permission;
use crate::platform::crypto::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::older_forms::OlderForm;
use crate::platform::crypto::rewrap::Sealed;
use crate::platform::crypto::seal::{Keyring, Place, Purpose, SealError};
use crate::platform::ids::{CompanyId, ConsultationId};
use crate::platform::{Context, Problem, Result, Tx};

const TABLE: &str = "consultation_reasons";
const REASON: Purpose = Purpose::new("consultations.reason");
/// Where texts of earlier releases are, sealed under a master key itself: in one column, by what they are about.
pub const SEALED: [Sealed; 2] = [
    Sealed { purpose: REASON, table: TABLE, column: "booking" },
    Sealed { purpose: REASON, table: TABLE, column: "cancelling" },
];
/// As what they are sealed anew.
pub const OLDER_FORMS: [OlderForm; 2] = [
    OlderForm {
        sealed: SEALED[0],
        place: |row, company| Session { id: ConsultationId(row), company_id: company }.older_place(About::Booking),
        purpose: KeyPurpose::REASON,
        document: |row| document(ConsultationId(row), About::Booking),
    },
    OlderForm {
        sealed: SEALED[1],
        place: |row, company| Session { id: ConsultationId(row), company_id: company }.older_place(About::Cancelling),
        purpose: KeyPurpose::REASON,
        document: |row| document(ConsultationId(row), About::Cancelling),
    },
];

/// Where a text is kept. It is written once.
pub fn document(session: ConsultationId, about: About) -> Document {
    Document { domain: "consultations", table: TABLE, column: about.as_str(), row: session.0, version: 1 }
}

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
    fn older_place(self, about: About) -> Place {
        let [booking, cancelling] = SEALED;
        let it = match about {
            About::Booking => booking,
            About::Cancelling => cancelling,
        };
        let (row, company) = (self.id.0, Some(self.company_id.0));
        Place { purpose: it.purpose, table: it.table, column: it.column, row, person: None, company }
    }
}

/// Keeps a text, where there is one. About somebody who was erased nothing is kept, and what it is about goes its way.
pub async fn keep(
    cx: &Context,
    tx: &mut Tx,
    of: Session,
    about: About,
    text: Option<&HealthText>,
    by: DoneBy,
) -> Result<()> {
    let Some(text) = text.map(|text| text.expose().trim()).filter(|text| !text.is_empty()) else { return Ok(()) };
    let Some(key) = for_writing(cx, tx, of.id).await? else { return Ok(()) };
    let sealed = key.seal(&document(of.id, about), &HealthText::new(text.to_owned()), &cx.platform().entropy)?;
    store::insert(tx, of, about, &Kept { sealed: &sealed, key_id: key.id() }, by, cx.now()).await
}

/// The key of what is written about a session. It is made with the first text. `None`: it was destroyed, or the person erased.
async fn for_writing(cx: &Context, tx: &mut Tx, session: ConsultationId) -> Result<Option<SubjectKey>> {
    let missing = || Problem::internal("a session of the caller's is not theirs");
    let platform = cx.platform();
    let mut its = store::find_key(tx, session).await?.ok_or_else(missing)?;
    if its.id.is_none() {
        let key = SubjectKey::new(cx.new_id(), its.subject(), &platform.entropy);
        let wrapped = key.wrap(&platform.keyring, &platform.entropy)?;
        // of two who write first at the same moment, one has made it
        store::keep_key(tx, session, key.id(), &wrapped, cx.now()).await?;
        its = store::find_key(tx, session).await?.ok_or_else(missing)?;
    }
    if its.wrapped.is_none() {
        return Ok(None);
    }
    Ok(Some(its.open(&platform.keyring)?))
}

impl StoredKey {
    fn subject(&self) -> Subject {
        Subject { purpose: KeyPurpose::REASON, id: self.session.0, person: self.person_id, company: self.company_id }
    }

    fn open(&self, keyring: &Keyring) -> std::result::Result<SubjectKey, SealError> {
        match (self.id, &self.wrapped) {
            (Some(id), Some(wrapped)) => SubjectKey::unwrap(id, self.subject(), wrapped, keyring),
            _ => Err(SealError::UnknownKey),
        }
    }
}

/// A text as it is kept, with the key that it names. `None` of that: it is of an earlier release.
fn open(
    cx: &Context,
    of: Session,
    about: About,
    sealed: &[u8],
    key_id: Option<Uuid>,
    key: &StoredKey,
) -> Option<String> {
    let keyring = &cx.platform().keyring;
    let opened = if key_id.is_none() {
        let opened = keyring.open(&of.older_place(about), sealed);
        opened.and_then(|text| String::from_utf8(text.to_vec()).map_err(|_| SealError::Malformed))
    } else if key_id == key.id {
        let opened = key.open(keyring).and_then(|key| key.open(&document(of.id, about), sealed));
        opened.map(|text| text.expose().to_owned())
    } else {
        Err(SealError::UnknownKey)
    };
    opened
        .inspect_err(|error| {
            tracing::error!(%error, consultation_id = %of.id, "what was written about a session does not open");
        })
        .ok()
}

/// What the caller may read of it. A text that does not open is left out, and noted: the session itself stays usable.
pub async fn read(cx: &Context, tx: &mut Tx, of: Session) -> Result<Reasons> {
    let mut found = Reasons::default();
    for it in store::list(tx, of.id).await? {
        let text = open(cx, of, it.about, &it.sealed, it.key_id, &it.key);
        match it.about {
            About::Booking => found.booking = text,
            About::Cancelling => found.cancelling = text,
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
        let of = Session { id: it.consultation_id, company_id: it.key.company_id };
        let text = open(cx, of, it.about, &it.sealed, it.key_id, &it.key);
        let (written_by, written_at) = (it.written_by, it.written_at);
        Own { consultation: of.id, about: it.about, written_by, written_at, text }
    });
    Ok((own.collect(), next))
}
