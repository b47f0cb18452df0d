//! Whether two kinds of requests, made in turns, can be told apart by the time that they take.

use std::time::Duration;

/// Requests of each kind: 500 with `LONG_TESTS=1`, else so many as are enough to see a hash or a mail.
pub fn pairs(few: u32) -> u32 {
    if std::env::var_os("LONG_TESTS").is_some() { 500 } else { few }
}

/// The times of two kinds.
#[derive(Default)]
pub struct Times {
    pub known: Vec<Duration>,
    pub unknown: Vec<Duration>,
}

impl Times {
    pub fn add(&mut self, is_known: bool, took: Duration) {
        if is_known { self.known.push(took) } else { self.unknown.push(took) }
    }

    /// Panics where the one kind is quicker than the other by more than chance explains: four standard deviations of
    /// the share of pairs in which a known one took longer (Mann and Whitney). With 500 of each that is a share beyond
    /// 0.427 to 0.573.
    #[allow(clippy::cast_precision_loss)]
    pub fn assert_alike(&self) {
        let (known, unknown) = (self.known.len() as f64, self.unknown.len() as f64);
        let share = self.share_above();
        let deviation = ((known + unknown + 1.0) / (12.0 * known * unknown)).sqrt();
        println!(
            "{known} + {unknown}: median known {:?}, unknown {:?}; known above unknown in {:.1} % ({:+.1} deviations)",
            median(&self.known),
            median(&self.unknown),
            share * 100.0,
            (share - 0.5) / deviation
        );
        assert!((share - 0.5).abs() < 4.0 * deviation, "the time tells: {share:.3}");
    }

    /// How often a known one is above an unknown one: a half where they come from the same hat.
    #[allow(clippy::cast_precision_loss)]
    fn share_above(&self) -> f64 {
        let mut above = 0.0;
        for one in &self.known {
            for other in &self.unknown {
                above += if one > other { 1.0 } else { f64::from(u8::from(one == other)) / 2.0 };
            }
        }
        above / (self.known.len() * self.unknown.len()) as f64
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_difference_of_a_tenth_is_seen() {
    let noise = |n: u64| n * 7919 % 100;
    let times = |more: u64| (0..100).map(|n| Duration::from_micros(100 + more + noise(n))).collect();
    let alike = Times { known: times(0), unknown: times(0) };
    alike.assert_alike();
    let told = Times { known: times(30), unknown: times(0) };
    assert!(std::panic::catch_unwind(|| told.assert_alike()).is_err());
}
