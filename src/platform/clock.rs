//! The only place that reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// The system's clock, or one that a test moves.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// The system's clock plus this many milliseconds.
    Shifted(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that starts at the present time and can be moved with [`Clock::advance`].
    pub fn shiftable() -> Self {
        Self::Shifted(Arc::new(AtomicI64::new(0)))
    }

    /// The present time, cut to the microseconds that PostgreSQL keeps.
    #[allow(clippy::disallowed_methods)] // the one home of the clock
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            Self::System => Utc::now(),
            Self::Shifted(by) => Utc::now() + TimeDelta::milliseconds(by.load(Ordering::Relaxed)),
        };
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// Moves a shiftable clock; the system's clock stays where it is.
    pub fn advance(&self, by: TimeDelta) {
        if let Self::Shifted(shift) = self {
            shift.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
        }
    }

    /// How far a shiftable clock runs ahead of the system's.
    pub fn shift(&self) -> TimeDelta {
        match self {
            Self::System => TimeDelta::zero(),
            Self::Shifted(by) => TimeDelta::milliseconds(by.load(Ordering::Relaxed)),
        }
    }
}
