//! Passwords: Argon2id (RFC 9106), at most as many hashes at once as there are cores, a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::entropy::Entropy;
use crate::platform::problem::{Error, Problem, Result};

/// Hashes that may wait for a core before the answer is 503.
const QUEUE_PER_CORE: usize = 64;

/// What hashing costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
}

impl Cost {
    /// OWASP's second recommendation, raised in passes until a hash takes about a quarter of a second.
    pub const STANDARD: Self = Self { memory_kib: 19 * 1024, passes: 10 };
    /// The least that the standard allows, for demonstration data.
    pub const LEAST: Self = Self { memory_kib: 19 * 1024, passes: 2 };
}

#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    cores: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    most_waiting: usize,
    /// The hash of a password that nobody has: verifying against it costs what a real one costs.
    decoy: Arc<str>,
}

impl Passwords {
    pub fn new(cost: Cost, entropy: &Entropy) -> Result<Self> {
        let params =
            Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|e| Problem::internal(e.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let decoy = hash(&argon2, &entropy.bytes::<32>(), &entropy.bytes::<16>())?;
        Ok(Self {
            argon2,
            cores: Arc::new(Semaphore::new(cores)),
            waiting: Arc::default(),
            most_waiting: cores * QUEUE_PER_CORE,
            decoy: decoy.into(),
        })
    }

    /// The PHC string to keep.
    pub async fn hash(&self, password: &SecretString, entropy: &Entropy) -> Result<String> {
        let (argon2, password, salt) = (self.argon2.clone(), normalise(password), entropy.bytes::<16>());
        self.run(move || hash(&argon2, password.expose_secret().as_bytes(), &salt)).await?
    }

    /// Whether the password fits; against no hash at all it does not, at the same cost.
    pub async fn verify(&self, password: &SecretString, phc: Option<&str>) -> Result<bool> {
        let known = phc.is_some();
        let phc: String = phc.unwrap_or(&self.decoy).to_owned();
        let (argon2, password) = (self.argon2.clone(), normalise(password));
        self.run(move || {
            let parsed = PasswordHash::new(&phc).map_err(|e| Problem::internal(e.to_string()))?;
            Ok(argon2.verify_password(password.expose_secret().as_bytes(), &parsed).is_ok() && known)
        })
        .await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.most_waiting {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Problem::from(Error::Unavailable).with_header("Retry-After", "2"));
        }
        let permit = self.cores.clone().acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let permit = permit.map_err(Problem::internal)?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        })
        .await
        .map_err(Problem::internal)
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<String> {
    argon2
        .hash_password_with_salt(password, salt)
        .map(|hash| hash.to_string())
        .map_err(|e| Problem::internal(e.to_string()))
}

/// NFKC, so that the same characters typed on another keyboard give the same bytes (NIST SP 800-63B, 3.1.1.2).
fn normalise(password: &SecretString) -> SecretString {
    use unicode_normalization::UnicodeNormalization;
    password.expose_secret().nfkc().collect::<String>().into()
}
