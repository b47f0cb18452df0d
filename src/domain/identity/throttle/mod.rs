//! Attempts that fail are slowed down, on every node alike, and nobody is locked out.
//!
//! What is tried (an address, an account) waits longer after each failure: 1, 3, 5, 10 seconds and so on. Who tries
//! (a network) and all together have budgets of failures, for each purpose its own: an office that asks for links on its
//! first day can still log in. A device from which the person logged in before is
//! answerable for its own failures only, so that a stranger's do not keep its person out.
//!
//! An attempt is judged in two steps, with the costly check of a password or a code between them and no lock held:
//!
//! ```text
//! let attempt = Attempt::begin(platform, &mut tx, Purpose::LogIn, Subject::Address(&email), device).await?;
//! …
//! attempt.failed(&mut tx).await?;      // or succeeded; then commit, and answer
//! ```
//!
//! The second step refuses what others' failures have overtaken meanwhile, whatever the check found. So many
//! attempts at once learn no more than one.
//!
//! The transactions are those of [`crate::platform::db::Db::anonymous`].

mod store;

use std::net::IpAddr;

use aws_lc_rs::hmac;

use super::error::Error;
use crate::platform::auth::tokens::hash_opaque;
use crate::platform::crypto::derive;
use crate::platform::http::limits::{network, site};
use crate::platform::ids::UserId;
use crate::platform::{Platform, Problem, Result, Tx};

/// Seconds to wait after each failure; the last one stays. Forgotten after a success, or a day without failures.
const DELAYS: [f64; 7] = [1., 3., 5., 10., 30., 60., 300.];

/// What is tried. Failures of one do not slow down the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    LogIn,
    /// A code or a recovery code.
    SecondFactor,
    /// The present password, of somebody who is signed in.
    Password,
    /// To have a mail sent. Each one counts as a failure.
    Mail,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::LogIn => "log in",
            Self::SecondFactor => "second factor",
            Self::Password => "password",
            Self::Mail => "mail",
        }
    }
}

/// Whose account is tried, existing or not.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// Normalised.
    Address(&'a str),
    Person(UserId),
}

/// So many failures at once, and one more each so many seconds.
struct Budget {
    failures: f64,
    seconds: f64,
}

/// Of a client address, IPv6 by /64: a whole company may sit behind one.
const OF_NETWORK: Budget = Budget { failures: 60., seconds: 10. };
/// Of the /48 of an IPv6 address, which one customer of a provider may hold.
const OF_SITE: Budget = Budget { failures: 240., seconds: 2.5 };
/// Of everybody together, but for known devices.
const OF_ALL: Budget = Budget { failures: 2000., seconds: 0.1 };

/// An attempt that may be made. Say how it ended: see the module.
#[must_use]
pub struct Attempt {
    brakes: store::Brakes,
    clock: crate::platform::clock::Clock,
    /// Whether the person logged in from this device before.
    pub known_device: bool,
}

impl Attempt {
    /// `429` while a delay stands or a budget is used up. `device` is the token that the client holds, if any.
    pub async fn begin(
        platform: &Platform,
        tx: &mut Tx,
        purpose: Purpose,
        subject: Subject<'_>,
        device: Option<&str>,
    ) -> Result<Self> {
        let (_, master) =
            platform.config.master_keys.first().ok_or_else(|| Problem::internal("MASTER_KEYS names no key"))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &derive::key(master, "throttle")[..]);
        let hash = |parts: [&str; 3]| hmac::sign(&key, parts.join("\n").as_bytes()).as_ref().to_vec();

        let now = platform.clock.now();
        let known = match device {
            Some(token) => store::known_device(tx, &hash_opaque(token), subject, now).await?,
            None => None,
        };
        let mut brakes = store::Brakes { delays: DELAYS.to_vec(), ..store::Brakes::default() };
        if let Some(device) = known {
            brakes.delayed = hash(["device", purpose.name(), &device.to_string()]);
        } else {
            brakes.delayed = match subject {
                Subject::Address(address) => hash(["address", purpose.name(), address]),
                Subject::Person(id) => hash(["person", purpose.name(), &id.to_string()]),
            };
            let ip = tx.actor().ip;
            let of = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
            brakes.add(hash(["network", purpose.name(), &of(ip.map(network))]), &OF_NETWORK);
            if let Some(site) = ip.and_then(site) {
                brakes.add(hash(["site", purpose.name(), &of(Some(site))]), &OF_SITE);
            }
            brakes.add(hash(["all", purpose.name(), ""]), &OF_ALL);
        }
        refuse(store::wait(tx, &brakes, now).await?)?;
        Ok(Self { brakes, clock: platform.clock.clone(), known_device: known.is_some() })
    }

    /// Counts the failure; to be committed. `429` where it came too late to be judged.
    pub async fn failed(self, tx: &mut Tx) -> Result<()> {
        refuse(store::failed(tx, &self.brakes, self.clock.now()).await?)
    }

    /// Forgets the failures before it. `429` where it came too late to be judged: then nothing may be granted.
    pub async fn succeeded(&self, tx: &mut Tx) -> Result<()> {
        refuse(store::succeeded(tx, &self.brakes, self.clock.now()).await?)
    }
}

impl store::Brakes {
    fn add(&mut self, key: Vec<u8>, budget: &Budget) {
        self.budgets.push(key);
        self.allowed.push((budget.failures - 1.) * budget.seconds);
        self.steps.push(budget.seconds);
    }
}

fn refuse(wait: i32) -> Result<()> {
    if wait <= 0 {
        return Ok(());
    }
    let seconds = wait.to_string();
    Err(Problem::from(Error::TooManyAttempts).with_arg("seconds", seconds.clone()).with_header("Retry-After", seconds))
}
