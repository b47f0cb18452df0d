//! Reads calendars that others write (RFC 5545), for one question only: when is somebody busy?
//!
//! Foreign bytes: whatever they are, reading them ends, within bounds, with spans of time or with a reason. What
//! cannot be understood is read as the calendars that write it mean it, and otherwise left out; nothing panics.
//!
//! - An event blocks its time unless it is transparent, marked as free (Outlook) or cancelled.
//! - An event of whole days blocks them in the zone of the person whose calendar it is; so do floating times.
//! - A time that a clock skips is read with the offset before the gap, one that occurs twice as the first (RFC 5545,
//!   3.3.5). Names of zones are IANA's, those of Windows and Outlook, those with a maker's prefix; an unknown name is
//!   explained by the calendar's own VTIMEZONE, and else means the person's zone.
//! - Recurrences are followed within the window that is asked for; RECURRENCE-ID replaces a single occurrence, with
//!   RANGE=THISANDFUTURE as well.

mod busy;
mod lines;
mod recurrence;
mod spans;
mod time;
mod windows;

pub use busy::{Busy, Reading, Unreadable, read};
