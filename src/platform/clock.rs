//! The only place that reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// The system's clock, or one that a test moves.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// The system's clock, moved.
    Shifted(Arc<Shift>),
}

/// By how many milliseconds a clock is moved.
#[derive(Debug, Default)]
pub struct Shift {
    /// Time that has passed, as far as a test is concerned.
    passed: AtomicI64,
    /// What the clock of this program alone is wrong by.
    wrong: AtomicI64,
}

impl Clock {
    /// A clock that starts at the present time and can be moved with [`Clock::advance`].
    pub fn shiftable() -> Self {
        Self::Shifted(Arc::default())
    }

    /// The present time, cut to the microseconds that PostgreSQL keeps.
    #[allow(clippy::disallowed_methods)] // the one home of the clock
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            Self::System => Utc::now(),
            Self::Shifted(by) => {
                let millis = by.passed.load(Ordering::Relaxed) + by.wrong.load(Ordering::Relaxed);
                Utc::now() + TimeDelta::milliseconds(millis)
            }
        };
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// Moves a shiftable clock; the system's clock stays where it is.
    pub fn advance(&self, by: TimeDelta) {
        if let Self::Shifted(shift) = self {
            shift.passed.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
        }
    }

    /// From now on a shiftable clock is wrong by this much, while time goes on as it did.
    pub fn go_wrong(&self, by: TimeDelta) {
        if let Self::Shifted(shift) = self {
            shift.wrong.store(by.num_milliseconds(), Ordering::Relaxed);
        }
    }

    /// How far a shiftable clock was advanced. That is no fault of it: [`Clock::now`] less this is what the machine's clock says.
    pub fn shift(&self) -> TimeDelta {
        match self {
            Self::System => TimeDelta::zero(),
            Self::Shifted(by) => TimeDelta::milliseconds(by.passed.load(Ordering::Relaxed)),
        }
    }
}
