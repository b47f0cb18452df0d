//! The rights of a person over their data: what they agreed to, what is done with it, a copy of it, its erasure, its end.
//!
//! **Consents** ([`consents`]) are decisions about versioned documents, added and never changed. Accepting an invitation is
//! one, noted by the database itself. A new version of the terms asks again: `GET /me` names it in `consentsDue`. Nothing is
//! blocked by it, for nobody's care is held back until they agree to new words.
//!
//! **The notice** ([`notice`]) is made of words in both languages, and of the one table of durations
//! (`app.retention_rules`), which the jobs that remove things follow as well ([`retention`]).
//!
//! **A copy** ([`copies`]) is a ZIP made by a job that reads as its person: by their own role, behind their own row security,
//! so that it cannot hold what they could not see. It is written piece by piece, sealed under a key of its own.
//!
//! ```text
//! pending ──→ running ──→ ready ──seven days──→ expired
//!    └───────────┴──→ failed    └──→ stopped ←── the account is erased
//! ```
//!
//! **Erasure** ([`erasure`]):
//!
//! ```text
//! waiting ──seven days──→ begun ──→ done        begun: the account is closed, and nothing comes any more
//!    ├──taken back──→ withdrawn                 done: keys are destroyed, texts and files gone, the account is nobody's
//!    └──an obstacle──→ refused
//! ```
//!
//! The ledger of erasures holds ids and nothing of anybody; `huntzen privacy replay` carries them out again after a backup
//! was restored.

mod consents;
mod copies;
mod erasure;
mod error;
mod notice;
pub mod operator;
mod retention;

pub use copies::{CollectCopies, SECTIONS, SweepCopies, copy_document, copy_subject};
pub use erasure::SweepErasures;
pub use error::Error;
pub use retention::RemoveExpired;

use poem_openapi::{OpenApi, Tags};

use crate::platform::jobs::Registry;

#[derive(Tags)]
enum Tag {
    /// What concerns one's own data.
    Privacy,
}

/// `/privacy`, but for the access log.
pub fn apis() -> impl OpenApi {
    (consents::ConsentsApi, notice::NoticeApi, copies::CopiesApi, erasure::ErasureApi)
}

/// The handlers and schedules of this module.
pub fn jobs(registry: &mut Registry) {
    copies::jobs(registry);
    erasure::jobs(registry);
    retention::jobs(registry);
}
