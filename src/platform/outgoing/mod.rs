//! Requests that the program makes to addresses which people give it: calendars of others.
//!
//! Somebody could give the address of a machine that only this one can reach. So: https on its own port, a public
//! address (whatever notation it is written in), no credentials, no redirects, no proxy, five seconds, a bounded
//! answer that is not compressed. A name is resolved once for each connection; every address that it has must be
//! public, and the connection goes to one of these very addresses, so that a name cannot change its mind in between.
//!
//! `OUTGOING_TEST_HOSTS` names `host:port` pairs for which the rules about scheme, port and address do not hold:
//! servers of tests and of development. Production refuses the setting.

mod address;

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use url::{Host, Url};

use crate::platform::config::Config;
use crate::platform::problem::{Problem, Result};
use address::is_public;

/// For the whole: resolving, connecting, and the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
const NAME: &str = "HuntZen-Care (calendar reader)";

/// What a client has of a resource, so that it need not be sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub enum Fetched {
    Body(Bytes, Validators),
    /// The client's copy is current.
    NotModified,
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident => $code:literal),* $(,)?) => {
        /// Why nothing came back. Says nothing of the address.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Failure { $($(#[$doc])* $name),* }

        impl Failure {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable; kept in the database.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }
        }
    };
}

failures! {
    /// Not https, another port, credentials in the address.
    Address => "address",
    /// It points into a network that is not public.
    PrivateAddress => "private_address",
    UnknownHost => "unknown_host",
    Unreachable => "unreachable",
    Timeout => "timeout",
    Redirected => "redirected",
    /// 401, 403.
    Unauthorized => "unauthorized",
    /// 404, 410.
    NotFound => "not_found",
    /// Any other status.
    ServerError => "server_error",
    TooLarge => "too_large",
    /// Compressed, though it was asked not to be.
    Compressed => "compressed",
}

/// Makes the requests.
pub struct Outgoing {
    guarded: Client,
    /// For the hosts of tests.
    open: Client,
    test_hosts: Vec<String>,
    patience: Duration,
}

impl Outgoing {
    pub fn new(config: &Config) -> Result<Self> {
        Self::with_patience(config, PATIENCE)
    }

    fn with_patience(config: &Config, patience: Duration) -> Result<Self> {
        let builder = || {
            Client::builder()
                .user_agent(NAME)
                .redirect(Policy::none())
                .no_proxy()
                .referer(false)
                .timeout(patience)
                .connect_timeout(patience)
                // each request looks its address up anew
                .pool_max_idle_per_host(0)
                // an answer is taken as it comes: what is small when compressed may be huge
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate()
        };
        Ok(Self {
            guarded: builder().https_only(true).dns_resolver(Guard).build().map_err(Problem::internal)?,
            open: builder().build().map_err(Problem::internal)?,
            test_hosts: config.outgoing_test_hosts.clone(),
            patience,
        })
    }

    /// Whether an address may be asked at all, as far as can be said without asking.
    pub fn check(&self, url: &Url) -> Result<(), Failure> {
        let Some(host) = url.host() else { return Err(Failure::Address) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Failure::Address);
        }
        if self.is_test_host(url) {
            return Ok(());
        }
        // a port that is the scheme's own is not named
        if url.scheme() != "https" || url.port().is_some() {
            return Err(Failure::Address);
        }
        match host {
            Host::Domain(_) => Ok(()),
            // however it was written: the parser has read octal, hexadecimal and short forms
            Host::Ipv4(it) if is_public(it.into()) => Ok(()),
            Host::Ipv6(it) if is_public(it.into()) => Ok(()),
            Host::Ipv4(_) | Host::Ipv6(_) => Err(Failure::PrivateAddress),
        }
    }

    /// GET of at most `limit` bytes.
    pub async fn get(&self, url: &Url, known: &Validators, limit: usize) -> Result<Fetched, Failure> {
        self.check(url)?;
        tokio::time::timeout(self.patience, self.ask(url, known, limit)).await.unwrap_or(Err(Failure::Timeout))
    }

    async fn ask(&self, url: &Url, known: &Validators, limit: usize) -> Result<Fetched, Failure> {
        let client = if self.is_test_host(url) { &self.open } else { &self.guarded };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/calendar, */*;q=0.1"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let conditions = [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value.as_ref().and_then(|value| HeaderValue::try_from(value.as_str()).ok()) {
                headers.insert(name, value);
            }
        }
        // an error of the client names the address: only its kind goes on
        let mut answer = client.get(url.clone()).headers(headers).send().await.map_err(|error| kind(&error))?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => return Ok(Fetched::NotModified),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Failure::Unauthorized),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Failure::NotFound),
            status if status.is_redirection() => return Err(Failure::Redirected),
            StatusCode::OK => {}
            _ => return Err(Failure::ServerError),
        }
        if answer.headers().get(header::CONTENT_ENCODING).is_some_and(|it| it != "identity") {
            return Err(Failure::Compressed);
        }
        if answer.content_length().is_some_and(|length| length > limit as u64) {
            return Err(Failure::TooLarge);
        }
        let text = |name| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            (value.len() <= 500).then(|| value.to_owned())
        };
        let validators = Validators { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) };
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| kind(&error))? {
            if body.len() + piece.len() > limit {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Fetched::Body(body.freeze(), validators))
    }

    fn is_test_host(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
        let asked = format!("{host}:{port}");
        self.test_hosts.contains(&asked)
    }
}

fn kind(error: &reqwest::Error) -> Failure {
    let mut source = error.source();
    while let Some(it) = source {
        if let Some(refused) = it.downcast_ref::<Refused>() {
            return refused.0;
        }
        source = it.source();
    }
    if error.is_timeout() { Failure::Timeout } else { Failure::Unreachable }
}

/// Resolves a name to the addresses that the connection then goes to, when all of them are public.
struct Guard;

#[derive(Debug, thiserror::Error)]
#[error("the address is refused: {0:?}")]
struct Refused(Failure);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses: Vec<SocketAddr> = found.map_err(|_| Refused(Failure::UnknownHost))?.collect();
            if addresses.is_empty() {
                return Err(Refused(Failure::UnknownHost).into());
            }
            if !addresses.iter().all(|it| is_public(it.ip())) {
                return Err(Refused(Failure::PrivateAddress).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(test_hosts: &str) -> Outgoing {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::from_env(|name| match name {
            "DATA_DIR" => Some(folder.path().display().to_string()),
            "OUTGOING_TEST_HOSTS" => Some(test_hosts.to_owned()),
            _ => None,
        });
        Outgoing::new(&config.unwrap()).unwrap()
    }

    #[test]
    fn only_public_https_without_credentials_is_asked() {
        let outgoing = outgoing("127.0.0.1:4711");
        let check = |url: &str| outgoing.check(&Url::parse(url).unwrap());
        for good in ["https://calendar.example/a.ics?k=1", "https://calendar.example:443/", "https://8.8.8.8/"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://calendar.example/",
            "ftp://calendar.example/",
            "file:///etc/passwd",
            "data:text/calendar,",
            "https://calendar.example:8443/",
            "https://me@calendar.example/",
            "https://:x@calendar.example/",
        ] {
            assert_eq!(check(bad), Err(Failure::Address), "{bad}");
        }
        for inside in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://017700000001/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::10.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://１２７.0.0.1/",
            "https://0/",
        ] {
            assert_eq!(check(inside), Err(Failure::PrivateAddress), "{inside}");
        }
        assert_eq!(check("http://127.0.0.1:4711/feed"), Ok(()));
        assert_eq!(check("http://127.0.0.1:4712/feed"), Err(Failure::Address));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_before_anything_is_sent() {
        let outgoing = outgoing("");
        let refused = outgoing.get(&Url::parse("https://localhost/").unwrap(), &Validators::default(), 10).await;
        assert_eq!(refused.unwrap_err(), Failure::PrivateAddress);
        let refused = outgoing.get(&Url::parse("https://nowhere.invalid/").unwrap(), &Validators::default(), 10).await;
        assert_eq!(refused.unwrap_err(), Failure::UnknownHost);
    }

    #[test]
    fn codes_are_unlike_each_other() {
        let codes: std::collections::BTreeSet<_> = Failure::ALL.iter().map(|it| it.code()).collect();
        assert_eq!(codes.len(), Failure::ALL.len());
    }
}
