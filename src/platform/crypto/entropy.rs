//! The only source of randomness.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The operating system's generator, or a seeded one for data that must come out the same each time.
#[derive(Clone)]
pub enum Entropy {
    System(SystemRandom),
    /// For demonstration data only; never behind a token or a key.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    pub fn system() -> Self {
        Self::System(SystemRandom::new())
    }

    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// An array of them.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Fills what is there, so that a key is nowhere but in its place.
    ///
    /// A generator of the operating system that fails leaves nothing safe to do: the process ends.
    pub fn fill(&self, bytes: &mut [u8]) {
        match self {
            Self::System(random) => {
                if random.fill(bytes).is_err() {
                    std::process::abort();
                }
            }
            Self::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes),
        }
    }
}
