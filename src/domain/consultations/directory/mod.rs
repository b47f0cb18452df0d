//! The directory of practitioners: who can be found, by what, and from when each has time.
//!
//! When somebody is free next is asked of the same function that lists slots and takes bookings, for everybody of the
//! network at once ([`slots::find_first_free`](super::slots)), so the directory shows no time that cannot be booked.
//! It is computed when asked: a network of 500 costs a handful of statements, and no table of results has to follow
//! bookings, clocks and calendars.
//!
//! Pages by name go by keyset. Pages by next free time cannot: between two of them everybody's time may move. Their
//! cursor names whom the client has been shown (four bytes each, of a thousand at most), and the next page holds the
//! first ones of the order of now who are not among them. So nobody is shown twice, nobody is passed over, and every time is true when it is
//! shown.

mod api;
mod model;
mod service;

pub use api::{DirectoryApi, PractitionerItem};
pub use model::{Found, Sort};
pub use service::{Query, search, with_first_free};
