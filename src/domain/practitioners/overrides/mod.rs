//! Dated changes of the weekly hours: extra hours, closed time, time off.
//!
//! All are meant on the wall clock of the practitioner's zone, as the weekly hours are, and move with it. What is open:
//! the weekly hours without what is closed, and the extra hours, whichever was stated first; of all that, nothing in
//! time off. So who closes a day and adds hours to it has special hours on it.

pub mod model;
pub mod store;

pub use model::{Kind, Override};
