//! How often a client may ask, and who the client is.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use poem::http::HeaderMap;

use crate::platform::config::Config;
use crate::platform::ids::UserId;
use crate::platform::problem::{Error, Problem, Result};

/// Requests between two clearings of keys whose budget is full again.
const CLEAR_EVERY: u32 = 4096;

/// After the end of a node everybody of an office comes back at once, with a few requests each.
const SOCKETS: u32 = 5;

/// Events of sockets in a second, of one person on this node, on however many sockets: ten times what one socket may send.
const EVENTS: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// Requests per minute, for each client address and for each user.
pub struct Limits {
    by_address: Option<Budget<IpAddr>>,
    /// Of Socket.IO, which polls.
    sockets_by_address: Option<Budget<IpAddr>>,
    /// Of those who renew their token to come back with their sockets.
    refreshes_by_address: Option<Budget<IpAddr>>,
    by_user: Option<Budget<UserId>>,
    events_by_user: Budget<UserId>,
}

impl Limits {
    /// A limit of 0 is none.
    pub fn new(config: &Config) -> Self {
        Self {
            by_address: Budget::new(config.rate_limit_per_ip),
            sockets_by_address: Budget::new(config.rate_limit_per_ip.saturating_mul(SOCKETS)),
            refreshes_by_address: Budget::new(config.rate_limit_per_ip.saturating_mul(SOCKETS)),
            by_user: Budget::new(config.rate_limit_per_user),
            events_by_user: Budget::of(Quota::per_second(EVENTS)),
        }
    }

    /// `429` with `Retry-After` once the address has used up its minute.
    pub fn check_address(&self, address: IpAddr) -> Result<()> {
        self.by_address.as_ref().map_or(Ok(()), |budget| budget.check(&network(address)))
    }

    /// The same for requests of Socket.IO, which leave the others theirs.
    pub fn check_socket_address(&self, address: IpAddr) -> Result<()> {
        self.sockets_by_address.as_ref().map_or(Ok(()), |budget| budget.check(&network(address)))
    }

    /// The same for renewals of tokens. Whoever is refused one is counted with [`Limits::check_address`] as well, so that what
    /// is more here is for live sessions alone.
    pub fn check_refresh_address(&self, address: IpAddr) -> Result<()> {
        self.refreshes_by_address.as_ref().map_or(Ok(()), |budget| budget.check(&network(address)))
    }

    /// `429` with `Retry-After` once the user has used up their minute.
    pub fn check_user(&self, user: UserId) -> Result<()> {
        self.by_user.as_ref().map_or(Ok(()), |budget| budget.check(&user))
    }

    /// The same for events of the person's sockets.
    pub fn check_event(&self, user: UserId) -> Result<()> {
        self.events_by_user.check(&user)
    }
}

struct Budget<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    asked: AtomicU32,
}

impl<K: Hash + Eq + Clone> Budget<K> {
    fn new(per_minute: u32) -> Option<Self> {
        Some(Self::of(Quota::per_minute(NonZeroU32::new(per_minute)?)))
    }

    fn of(quota: Quota) -> Self {
        Self { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default(), asked: AtomicU32::new(0) }
    }

    fn check(&self, key: &K) -> Result<()> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % CLEAR_EVERY == CLEAR_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|refusal| {
            let wait = refusal.wait_time_from(self.clock.now()).as_secs() + 1;
            Problem::from(Error::TooManyRequests)
                .with_arg("seconds", wait.to_string())
                .with_header("retry-after", wait.to_string())
        })
    }
}

/// One subscriber holds a whole /64 of IPv6 addresses.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// The /48 of an IPv6 address: what a provider gives to one customer (RFC 6177).
pub fn site(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> 48)).into()),
    }
}

/// The client's address: the nearest one that is not a proxy of ours.
///
/// `X-Forwarded-For` is read from the right, where each proxy appends what it saw, and only as far
/// as configured proxies vouch for it; whatever a client wrote itself is further left.
pub fn client_ip(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut nearest = peer?.to_canonical();
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        for entry in value.to_str().unwrap_or_default().rsplit(',') {
            if !is_trusted(&nearest) {
                return Some(nearest);
            }
            match address_of(entry.trim()) {
                Some(address) => nearest = address,
                None => return Some(nearest),
            }
        }
    }
    Some(nearest)
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client_ip(Some(peer.parse().unwrap()), &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn a_client_is_not_believed_without_a_configured_proxy() {
        assert_eq!(seen("203.0.113.9", &["1.1.1.1"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["1.1.1.1"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn a_forged_entry_left_of_the_proxys_own_is_ignored() {
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["10.0.0.7, 203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn a_chain_of_configured_proxies_is_followed() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.9, 10.0.0.2"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(
            seen("10.0.0.1", &["203.0.113.9:4711", "[2001:db8::2]"], &["10.0.0.0/8", "2001:db8::/32"]),
            "203.0.113.9"
        );
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn what_is_no_address_ends_the_chain() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.9, unknown"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn a_used_up_budget_says_when_to_come_back() {
        let budget = Budget::new(2).unwrap();
        let one = network("2001:db8::1".parse().unwrap());
        assert!(budget.check(&one).is_ok() && budget.check(&network("2001:db8::2".parse().unwrap())).is_ok());
        let refusal = budget.check(&one).unwrap_err();
        assert_eq!(refusal.code(), "too_many_requests");
        let (name, seconds) = refusal.headers().first().unwrap();
        assert_eq!(*name, "retry-after");
        assert!((1..=31).contains(&seconds.parse::<u32>().unwrap()));
        assert!(budget.check(&network("203.0.113.9".parse().unwrap())).is_ok());
    }
}
