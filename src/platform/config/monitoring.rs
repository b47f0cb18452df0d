//! Where the program tells of itself: an address for who monitors it, a collector of traces, a server for errors.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::parse::is_this_machine;
use super::reader::Reader;

/// All of it is off unless set.
#[derive(Clone, Debug, Default)]
pub struct Monitoring {
    /// Health and metrics on an address of their own, without a token.
    pub addr: Option<SocketAddr>,
    pub traces: Option<Collector>,
    pub errors: Option<Dsn>,
}

/// What takes traces: OTLP over HTTP, in protobuf.
#[derive(Clone, Debug)]
pub struct Collector {
    /// With the path of traces.
    pub endpoint: Url,
    /// Such as a key of its service.
    pub headers: Vec<(String, SecretString)>,
    /// Of the requests that nobody has decided about before: 0 to 1.
    pub share: f64,
}

/// What takes reports of errors, by the protocol of Sentry.
#[derive(Clone, Debug)]
pub struct Dsn {
    /// Where envelopes are posted.
    pub envelopes: Url,
    pub key: SecretString,
}

impl Monitoring {
    pub(super) fn read(r: &mut Reader<impl Fn(&str) -> Option<String>>, production: bool) -> Self {
        let addr = r.optional("MONITORING_ADDR", "an address and a port, such as 127.0.0.1:9464", |text| {
            text.parse().map_err(|_| "is not an address with a port".into())
        });
        let endpoint = r.optional(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "the address of a collector, such as http://127.0.0.1:4318 (https in production, but on this machine)",
            |text| collector(text, production),
        );
        let headers = r.or("OTEL_EXPORTER_OTLP_HEADERS", Vec::new(), "name=value pairs, separated by commas", headers);
        let share = r.or("OTEL_TRACES_SAMPLER_ARG", 1.0, "a share of the requests from 0 to 1", |text| {
            text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| format!("is {text:?}"))
        });
        let errors = r.optional(
            "SENTRY_DSN",
            "https://key@host/project, as the server of errors shows it (https in production, but on this machine)",
            |text| dsn(text, production),
        );
        let traces = endpoint.map(|endpoint| Collector {
            endpoint,
            headers: headers.unwrap_or_default(),
            share: share.unwrap_or(1.0),
        });
        Self { addr, traces, errors }
    }
}

/// An address that the operator names: it may be on a private network, where calendars of practitioners may not.
fn address(text: &str, production: bool) -> Result<Url, String> {
    // not shown: it may hold a key
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("is not an address of the web".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds more than scheme, host, port and path".into());
    }
    if production && url.scheme() == "http" && !is_this_machine(&url) {
        return Err("speaks http to another machine".into());
    }
    Ok(url)
}

fn collector(text: &str, production: bool) -> Result<Url, String> {
    let mut url = address(text, production)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds credentials: OTEL_EXPORTER_OTLP_HEADERS takes them".into());
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// `name=value,name=value`, the values percent-encoded where they need it.
fn headers(text: &str) -> Result<Vec<(String, SecretString)>, String> {
    text.split(',')
        .enumerate()
        .map(|(n, pair)| {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("entry {} has no name", n + 1))?;
            let name = name.trim().to_ascii_lowercase();
            let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || !name.chars().all(fits) || value.chars().any(char::is_control) {
                return Err(format!("entry {} is no header", n + 1));
            }
            Ok((name, SecretString::from(value)))
        })
        .collect()
}

/// `https://key@host/path/project`; an old secret behind the key is left out.
fn dsn(text: &str, production: bool) -> Result<Dsn, String> {
    let mut url = address(text, production)?;
    let key = SecretString::from(url.username());
    if key.expose_secret().is_empty() || !key.expose_secret().chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err("has no key before the host".into());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let (before, project) = path.rsplit_once('/').unwrap_or_default();
    if project.is_empty() || !project.chars().all(|c| c.is_ascii_digit()) {
        return Err("names no project after the host".into());
    }
    url.set_path(&format!("{before}/api/{project}/envelope/"));
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| "is not an address of the web")?;
    Ok(Dsn { envelopes: url, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_told_by_its_base_and_traces_have_their_path() {
        let endpoint = |text, production| collector(text, production).map(String::from);
        assert_eq!(endpoint("https://otlp.example.org", true).unwrap(), "https://otlp.example.org/v1/traces");
        assert_eq!(
            endpoint("https://otlp.example.org/tenant/", true).unwrap(),
            "https://otlp.example.org/tenant/v1/traces"
        );
        assert_eq!(endpoint("http://127.0.0.1:4318", true).unwrap(), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(endpoint("http://[::1]:4318/", true).unwrap(), "http://[::1]:4318/v1/traces");
        assert_eq!(endpoint("http://collector:4318", false).unwrap(), "http://collector:4318/v1/traces");
        for (bad, fault) in [
            ("http://collector:4318", "http to another machine"),
            ("grpc://127.0.0.1:4317", "not an address of the web"),
            ("https://me:hidden@otlp.example.org", "holds credentials"),
            ("https://otlp.example.org?key=hidden", "holds more"),
            ("otlp.example.org", "is not a URL"),
        ] {
            let said = endpoint(bad, true).unwrap_err();
            assert!(said.contains(fault) && !said.contains("hidden"), "{bad}: {said}");
        }
        let it = headers("api-key=a%2Cb, X-Scope=care").unwrap();
        let it: Vec<_> = it.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(it, [("api-key", "a,b"), ("x-scope", "care")]);
        for bad in ["hidden", "=hidden", "a b=hidden", "a=%0Ahidden"] {
            assert!(!headers(bad).unwrap_err().contains("hidden"));
        }
    }

    #[test]
    fn a_dsn_tells_where_envelopes_go_and_under_which_key() {
        let it = dsn("https://0123abcd@errors.example.org/42", true).unwrap();
        assert_eq!(it.envelopes.as_str(), "https://errors.example.org/api/42/envelope/");
        assert_eq!(it.key.expose_secret(), "0123abcd");
        assert!(!format!("{it:?}").contains("0123abcd"));
        let it = dsn("http://k:old@127.0.0.1:8000/sentry/7/", true).unwrap();
        assert_eq!(it.envelopes.as_str(), "http://127.0.0.1:8000/sentry/api/7/envelope/");
        for (bad, fault) in [
            ("http://hidden@errors.example.org/42", "http to another machine"),
            ("https://errors.example.org/42", "no key"),
            ("https://hidden@errors.example.org/", "no project"),
            ("https://hidden@errors.example.org/care", "no project"),
            ("hidden", "is not a URL"),
        ] {
            let said = dsn(bad, true).unwrap_err();
            assert!(said.contains(fault) && !said.contains("hidden"), "{bad}: {said}");
        }
    }
}
