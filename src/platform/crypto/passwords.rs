//! Passwords: Argon2id (RFC 9106), at most as many hashes at once as there are cores, a bounded queue, and everybody
//! else's requests go first: a hash has a thread of its own, of low priority.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

use super::entropy::Entropy;
use crate::platform::problem::{Error, Problem, Result};

/// Hashes that may wait for a core before the answer is 503.
const QUEUE_PER_CORE: usize = 64;
/// How much a hash steps back behind requests (nice(2)); where nobody else has anything to do, it costs nothing.
const NICENESS: i32 = 5;

/// Bytes that a byte may become in NFKC: U+FDFA, of three, becomes 33.
const LONGEST_EXPANSION: usize = 11;

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
    done: Arc<AtomicUsize>,
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
            done: Arc::default(),
            decoy: decoy.into(),
        })
    }

    /// The PHC string to keep.
    pub async fn hash(&self, password: &SecretString, entropy: &Entropy) -> Result<String> {
        let (argon2, password, salt) = (self.argon2.clone(), normalise(password), entropy.bytes::<16>());
        self.run(move || hash(&argon2, password.as_bytes(), &salt)).await?
    }

    /// Whether the password fits; against no hash at all, or one that cannot be read, it does not, at the same cost.
    pub async fn verify(&self, password: &SecretString, phc: Option<&str>) -> Result<bool> {
        let (phc, decoy) = (phc.map(ToOwned::to_owned), self.decoy.clone());
        let (argon2, password) = (self.argon2.clone(), normalise(password));
        self.run(move || {
            let compare = |phc: &str| {
                let stored = PasswordHash::new(phc).map_err(|_| HashError::EncodingInvalid)?;
                if stored.salt.is_none() || stored.hash.is_none() {
                    return Err(HashError::EncodingInvalid);
                }
                argon2.verify_password(password.as_bytes(), &stored)
            };
            match phc.as_deref().map(compare) {
                Some(Ok(())) => return true,
                Some(Err(HashError::PasswordInvalid)) => return false,
                // the words of these errors hold nothing of the hash
                Some(Err(error)) => tracing::error!(%error, "a stored password hash cannot be read"),
                None => {}
            }
            let _ = compare(&decoy);
            false
        })
        .await
    }

    /// Whether a stored hash is one that would be made today: by its algorithm and by what it costs.
    pub fn is_current(&self, phc: &str) -> bool {
        let cost = |it: &Params| (it.m_cost(), it.t_cost(), it.p_cost());
        PasswordHash::new(phc).is_ok_and(|it| {
            it.salt.is_some()
                && it.hash.is_some()
                && it.algorithm == Algorithm::Argon2id.ident()
                && it.version == Some(Version::V0x13.into())
                && Params::try_from(&it).is_ok_and(|params| cost(&params) == cost(self.argon2.params()))
        })
    }

    /// Passwords hashed since the start: each log-in costs one, whatever it is answered.
    pub fn hashed(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Runs on a core of its own, or waits for one. Who gives up waiting leaves the queue; a hash that began is done.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Place::take(&self.waiting, self.most_waiting)
            .ok_or_else(|| Problem::from(Error::Unavailable).with_header("Retry-After", "2"))?;
        let permit = self.cores.clone().acquire_owned().await.map_err(Problem::internal)?;
        drop(place);
        self.done.fetch_add(1, Ordering::Relaxed);
        let (done, answer) = oneshot::channel();
        // not one of the runtime's threads: a priority once lowered stays low
        std::thread::Builder::new()
            .name("password".into())
            .spawn(move || {
                // on Linux of this thread alone; a hash is right at any priority
                let _ = rustix::process::nice(NICENESS);
                let result = work();
                drop(permit);
                // whoever asked may have left
                let _ = done.send(result);
            })
            .map_err(Problem::internal)?;
        answer.await.map_err(Problem::internal)
    }
}

/// A place in the queue; dropping it leaves the queue.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(waiting.clone());
        (waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<String> {
    argon2
        .hash_password_with_salt(password, salt)
        .map(|hash| hash.to_string())
        .map_err(|e| Problem::internal(e.to_string()))
}

/// NFKC, so that the same characters typed on another keyboard give the same bytes (NIST SP 800-63B, 3.1.1.2).
fn normalise(password: &SecretString) -> Zeroizing<String> {
    use unicode_normalization::UnicodeNormalization;
    let given = password.expose_secret();
    // never grown, which would leave copies behind
    let mut text = Zeroizing::new(String::with_capacity(given.len() * LONGEST_EXPANSION));
    text.extend(given.nfkc());
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;

    fn passwords() -> Passwords {
        Passwords::new(Cost { memory_kib: 8, passes: 1 }, &Entropy::system()).unwrap()
    }

    fn cores() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_and_nothing_fits_no_hash() {
        let it = passwords();
        let hash = it.hash(&"four quiet words".into(), &Entropy::system()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(it.verify(&"four quiet words".into(), Some(&hash)).await.unwrap());
        assert!(!it.verify(&"four quiet word".into(), Some(&hash)).await.unwrap());
        assert!(!it.verify(&"four quiet words".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_fits_nothing_and_is_refused_like_any_other() {
        let it = passwords();
        let hash = it.hash(&"four quiet words".into(), &Entropy::system()).await.unwrap();
        let cut = hash.rsplit_once('$').unwrap().0;
        for broken in
            ["", "no hash", cut, "$argon2id$v=19$m=8,t=1,p=1", "$argon2id$v=19$m=1,t=0,p=0$c2FsdHNhbHQ$aGFzaA"]
        {
            assert!(!it.verify(&"four quiet words".into(), Some(broken)).await.unwrap(), "{broken}");
            assert!(!it.is_current(broken), "{broken}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_not_current() {
        let (it, entropy) = (passwords(), Entropy::system());
        let hash = it.hash(&"four quiet words".into(), &entropy).await.unwrap();
        assert!(it.is_current(&hash));
        for cost in [Cost { memory_kib: 16, passes: 1 }, Cost { memory_kib: 8, passes: 2 }] {
            let other = Passwords::new(cost, &entropy).unwrap();
            assert!(!other.is_current(&hash), "{cost:?}");
            // it fits all the same
            assert!(other.verify(&"four quiet words".into(), Some(&hash)).await.unwrap());
        }
        assert!(!it.is_current(&hash.replace("argon2id", "argon2i")));
    }

    #[tokio::test]
    async fn no_more_hashes_run_at_once_than_there_are_cores() {
        let it = passwords();
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // as many as there are cores have to meet, or the test would wait for ever
        let meet = Arc::new(Barrier::new(cores()));
        let work = || {
            let (running, most, meet) = (running.clone(), most.clone(), meet.clone());
            it.run(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                meet.wait();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        };
        for done in futures_util::future::join_all((0..cores() * 8).map(|_| work())).await {
            done.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), cores());
    }

    #[tokio::test]
    async fn a_full_queue_is_answered_by_503_and_whoever_gives_up_leaves_it() {
        let it = passwords();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        // every core is busy until the gate opens
        let mut busy: Vec<_> = (0..cores())
            .map(|_| {
                let gate = gate.clone();
                Box::pin(it.run(move || gate.lock().unwrap().recv().is_err()))
            })
            .collect();
        for work in &mut busy {
            assert!(futures_util::poll!(work).is_pending());
        }
        let mut waiting: Vec<_> = (0..it.most_waiting).map(|_| Box::pin(it.run(|| ()))).collect();
        for work in &mut waiting {
            assert!(futures_util::poll!(work).is_pending());
        }
        let refusal = it.run(|| ()).await.unwrap_err();
        assert_eq!((refusal.status().as_u16(), refusal.code()), (503, "unavailable"));
        assert_eq!(refusal.headers(), [("Retry-After", "2".to_owned())]);
        // requests that were given up
        waiting.truncate(it.most_waiting - 1);
        let mut next = Box::pin(it.run(|| ()));
        assert!(futures_util::poll!(&mut next).is_pending());
        waiting.clear();
        drop(open);
        let all = async {
            for work in busy {
                work.await.unwrap();
            }
            next.await.unwrap();
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
        assert_eq!(it.waiting.load(Ordering::Relaxed), 0);
    }
}
