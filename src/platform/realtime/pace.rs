//! How often a socket may ask.

use std::time::Duration;

use tokio::time::Instant;

/// Events in a second, and at once after a pause.
const EVENTS: u32 = 20;
/// Refused events after which a socket is closed; a pause of a second forgives them.
const PATIENCE: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Admit,
    Refuse,
    Close,
}

/// A bucket of events that fills again.
#[derive(Debug)]
pub struct Pace {
    left: f64,
    counted_at: Instant,
    refused: u32,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { left: f64::from(EVENTS), counted_at: now, refused: 0 }
    }

    pub fn admit(&mut self, now: Instant) -> Verdict {
        let since: Duration = now.saturating_duration_since(self.counted_at);
        self.left = (self.left + since.as_secs_f64() * f64::from(EVENTS)).min(f64::from(EVENTS));
        self.counted_at = now;
        if self.left >= f64::from(EVENTS) {
            self.refused = 0;
        }
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Verdict::Admit;
        }
        self.refuse()
    }

    /// Counts what is refused for another reason.
    pub fn refuse(&mut self) -> Verdict {
        self.refused += 1;
        if self.refused > PATIENCE { Verdict::Close } else { Verdict::Refuse }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_at_once_then_twenty_a_second_then_refusals_then_the_end() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!((0..20).all(|_| pace.admit(start) == Verdict::Admit));
        assert_eq!(pace.admit(start), Verdict::Refuse);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..12).filter(|_| pace.admit(later) == Verdict::Admit).count(), 10);
        // a pause of a second forgives
        let rested = later + Duration::from_secs(1);
        assert!((0..20).all(|_| pace.admit(rested) == Verdict::Admit));
        let refused = (0..1000).map(|_| pace.admit(rested)).take_while(|it| *it == Verdict::Refuse).count();
        assert_eq!(refused, 100);
        assert_eq!(pace.admit(rested), Verdict::Close);
    }
}
