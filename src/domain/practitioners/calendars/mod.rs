//! Calendars of a practitioner: those that they keep elsewhere, and the one that they take with them.
//!
//! An *external* calendar is a feed (ICS) at an address that only its owner knows, so it is sealed at rest and never
//! shown again. A job reads each about every quarter of an hour and keeps when its owner is busy, never with what.
//! A feed that fails is asked less and less often, its last known times hold on, and its practitioner sees since when
//! and why; after a day they are told once by mail.
//!
//! ```text
//! waiting ──read──→ current ←──read── failing
//!    └──────────── fails ──────────────→┘ (15 minutes, 30, 60 … 6 hours between two attempts)
//! ```
//!
//! A *feed* is the other way round: an address under which the practitioner's own consultations can be read as a
//! calendar, by whoever has it, until it is taken back. The floor of consultations answers there.

pub mod api;
pub mod jobs;
pub mod model;
pub mod service;
pub mod store;

pub use api::{CalendarHealthAnswer, CalendarsApi};
pub use model::Health;
pub use service::SEALED;
pub use store::list_health;
