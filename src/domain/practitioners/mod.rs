//! Practitioners: who they are, what they offer, their hours, and the calendars that they keep elsewhere.
//!
//! ```text
//! unverified ──verify──→ active ←─reactivate── inactive
//!      ↑                   └──────deactivate──────→↑
//!      └── reactivate (who was never verified) ────┘
//! ```
//!
//! Only who is active can be found and booked: by the policies, and by the trigger on bookings.
//!
//! A practitioner serves many companies and belongs to none. The front door for the floors above is
//! [`booking_terms`], [`hours`] and [`Hours::windows`]: what a booking must keep to, and the times in which
//! sessions may lie. Each asks for any number of practitioners in one statement.

pub mod api;
pub mod calendars;
pub mod codes;
pub mod error;
pub mod events;
pub mod hours;
pub mod model;
pub mod overrides;
pub mod service;
pub mod store;

pub use api::PractitionersApi;
pub use calendars::CalendarsApi;
pub use calendars::jobs::register as jobs;
pub use hours::{Hours, Rule, Window};
pub use model::{After, BookingTerms, Filter, Listed, Mode, Order, Specialty, Status};
pub use service::{begin_reading, end_reading, hours, replace_hours};
pub use store::{BY_RATING, list as directory, list_by_ids as by_ids};
pub use store::{Whose, find_zone as zone, is_current, list_booking_terms as booking_terms, lock_hours, touch};
