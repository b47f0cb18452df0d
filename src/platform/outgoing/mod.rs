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
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
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

/// A client for an address that the operator set, such as where traces and reports of errors go. It may be on a private
/// network, for who sets it runs the machine; so nothing that people give may ever come here. What it answers with leads
/// nowhere else.
pub fn for_operator(url: &Url) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent("HuntZen-Care")
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .https_only(url.scheme() == "https")
        .timeout(PATIENCE)
        .connect_timeout(PATIENCE)
        .build()
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
        Self::with(config, PATIENCE, System)
    }

    fn with(config: &Config, patience: Duration, names: impl Lookup) -> Result<Self> {
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
            guarded: builder()
                .https_only(true)
                .dns_resolver(Guard(Arc::new(names)))
                .build()
                .map_err(Problem::internal)?,
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

/// Who knows the addresses of names.
trait Lookup: Send + Sync + 'static {
    fn lookup(&self, name: String) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The system's resolver.
struct System;

impl Lookup for System {
    async fn lookup(&self, name: String) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// Resolves a name to the addresses that the connection then goes to, when all of them are public.
struct Guard<L>(Arc<L>);

#[derive(Debug, thiserror::Error)]
#[error("the address is refused: {0:?}")]
struct Refused(Failure);

impl<L: Lookup> Resolve for Guard<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.0.clone();
        Box::pin(async move {
            let found = names.lookup(name.as_str().to_owned()).await;
            let addresses = found.map_err(|_| Refused(Failure::UnknownHost))?;
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
    use std::sync::Mutex;

    use super::*;

    fn config(test_hosts: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::from_env(|name| match name {
            "DATA_DIR" => Some(folder.path().display().to_string()),
            "OUTGOING_TEST_HOSTS" => Some(test_hosts.to_owned()),
            _ => None,
        });
        config.unwrap()
    }

    fn outgoing(test_hosts: &str) -> Outgoing {
        Outgoing::new(&config(test_hosts)).unwrap()
    }

    /// A server of names that answers one question after the other, the last answer for ever, and keeps the questions.
    #[derive(Clone, Default)]
    struct Names {
        answers: Vec<Vec<&'static str>>,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Lookup for Names {
        async fn lookup(&self, name: String) -> io::Result<Vec<SocketAddr>> {
            let mut asked = self.asked.lock().unwrap();
            let answer = self.answers.get(asked.len()).or(self.answers.last());
            asked.push(name);
            let answer = answer.ok_or(io::ErrorKind::NotFound)?;
            Ok(answer.iter().map(|it| SocketAddr::new(it.parse().unwrap(), 0)).collect())
        }
    }

    /// What becomes of so many requests to a name with these addresses, and how often it was looked up.
    async fn ask(answers: &[&[&'static str]], times: usize) -> (Vec<Failure>, usize) {
        let names = Names { answers: answers.iter().map(|it| it.to_vec()).collect(), ..Names::default() };
        let outgoing = Outgoing::with(&config(""), Duration::from_millis(300), names.clone()).unwrap();
        let mut failures = Vec::new();
        for _ in 0..times {
            let url = Url::parse("https://calendar.example/a.ics").unwrap();
            failures.push(outgoing.get(&url, &Validators::default(), 10).await.unwrap_err());
        }
        let asked = names.asked.lock().unwrap().len();
        (failures, asked)
    }

    /// Of the public internet by its number, and of nobody: no registry has given it out.
    const NOBODYS: &str = "2d00::1";

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

    #[tokio::test]
    async fn a_name_of_which_any_address_leads_inside_is_refused() {
        assert!(is_public(NOBODYS.parse().unwrap()));
        for inside in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
        ] {
            for addresses in
                [vec![inside], vec![NOBODYS, inside], vec![inside, NOBODYS], vec![NOBODYS, NOBODYS, inside]]
            {
                let asked = ask(&[&addresses], 1).await;
                assert_eq!(asked, (vec![Failure::PrivateAddress], 1), "{addresses:?}");
            }
        }
        assert_eq!(ask(&[&[]], 1).await, (vec![Failure::UnknownHost], 1));
        assert_eq!(ask(&[], 1).await, (vec![Failure::UnknownHost], 1));
    }

    #[tokio::test]
    async fn a_name_that_changes_its_mind_is_looked_up_once_for_each_connection_and_refused_at_the_next() {
        // the first answer lets the connection be made; the second, which would lead inside, is never asked for
        let (failures, asked) = ask(&[&[NOBODYS], &["127.0.0.1"]], 1).await;
        assert!(matches!(failures[..], [Failure::Unreachable | Failure::Timeout]), "{failures:?}");
        assert_eq!(asked, 1);
        // nothing is kept for the next request, which looks at what the name says then
        let (failures, asked) = ask(&[&[NOBODYS], &["127.0.0.1"]], 2).await;
        assert_eq!((failures[1], asked), (Failure::PrivateAddress, 2));
    }

    #[test]
    fn codes_are_unlike_each_other() {
        let codes: std::collections::BTreeSet<_> = Failure::ALL.iter().map(|it| it.code()).collect();
        assert_eq!(codes.len(), Failure::ALL.len());
    }
}
