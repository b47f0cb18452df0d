//! One parser for each kind of value. A fault never repeats a secret.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use ipnet::IpNet;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{Environment, JwtKey, LogFormat};

type Parsed<T> = Result<T, String>;

const SHORTEST_SECRET: usize = 32;
/// 43 characters of random base64 hold about 31 different ones.
const FEWEST_DIFFERENT: usize = 12;
const GIVEAWAYS: [&str; 9] =
    ["example", "changeme", "change-me", "change_me", "replace", "password", "secret", "huntzen", "123456"];

pub fn environment(text: &str) -> Parsed<Environment> {
    match text {
        "development" => Ok(Environment::Development),
        "production" => Ok(Environment::Production),
        _ => Err(format!("is {text:?}")),
    }
}

pub fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        _ => Err(format!("is {text:?}")),
    }
}

pub fn number<T: FromStr + PartialOrd + Display>(text: &str, range: RangeInclusive<T>) -> Parsed<T> {
    let number: T = text.parse().map_err(|_| format!("is {text:?}, not a whole number"))?;
    if range.contains(&number) { Ok(number) } else { Err(format!("is {number}")) }
}

/// Words that people are shown.
pub fn line(text: &str) -> Parsed<String> {
    if text.chars().count() > 500 || text.chars().any(char::is_control) {
        return Err("is no line of at most 500 characters".into());
    }
    Ok(text.trim().to_owned())
}

/// `90s`, `15m`, `24h`, `30d`.
pub fn duration(text: &str, range: RangeInclusive<TimeDelta>) -> Parsed<TimeDelta> {
    let fault = || format!("is {text:?}, not a number with s, m, h or d");
    let unit = text.chars().last().ok_or_else(fault)?;
    let count: i64 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(fault)?;
    let duration = match unit {
        's' => TimeDelta::try_seconds(count),
        'm' => TimeDelta::try_minutes(count),
        'h' => TimeDelta::try_hours(count),
        'd' => TimeDelta::try_days(count),
        _ => None,
    }
    .ok_or_else(fault)?;
    if range.contains(&duration) { Ok(duration) } else { Err(format!("is {text}")) }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// An address of the web without path, query or credentials.
fn origin(text: &str) -> Parsed<Url> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("{text:?} is not an address of the web"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} holds more than scheme, host and port"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds credentials".into());
    }
    Ok(url)
}

pub fn public_url(text: &str, production: bool) -> Parsed<Url> {
    let url = origin(text)?;
    if production && url.scheme() != "https" {
        return Err("is not https".into());
    }
    if production && is_this_machine(&url) { Err("points to this machine".into()) } else { Ok(url) }
}

pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => true,
    }
}

pub fn origins(text: &str, production: bool) -> Parsed<Vec<String>> {
    list(text)
        .map(|item| {
            let url = origin(item)?;
            if production && url.scheme() != "https" {
                return Err(format!("{item:?} is not https"));
            }
            Ok(url.origin().ascii_serialization())
        })
        .collect()
}

/// A host, as a part of addresses: lower case, no scheme, no path.
pub fn host_name(text: &str) -> Parsed<String> {
    let url = Url::parse(&format!("https://{text}")).map_err(|_| format!("{text:?} is no host name"))?;
    let host = url.host_str().unwrap_or_default();
    let with_port = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    if with_port == text { Ok(with_port) } else { Err(format!("{text:?} is no host name in lower case")) }
}

/// Letters, digits, `-`, `_` and `.`.
pub fn plain_word(text: &str) -> Parsed<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() <= 64 && text.chars().all(fits) { Ok(text.to_owned()) } else { Err("holds other characters".into()) }
}

/// Addresses of TURN and STUN servers (RFC 7064, RFC 7065).
pub fn relays(text: &str) -> Parsed<Vec<String>> {
    list(text)
        .map(|item| {
            let (scheme, rest) = item.split_once(':').unwrap_or_default();
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']' | '?' | '=');
            let is_relay = matches!(scheme, "turn" | "turns" | "stun" | "stuns");
            if is_relay && !rest.is_empty() && rest.chars().all(fits) {
                Ok(item.to_owned())
            } else {
                Err(format!("{item:?} is no address of a relay"))
            }
        })
        .collect()
}

/// Where requests may go that would be refused otherwise.
pub fn test_hosts(text: &str, production: bool) -> Parsed<Vec<String>> {
    if production {
        return Err("is set".into());
    }
    list(text)
        .map(|item| {
            let (host, port) = item.rsplit_once(':').unwrap_or_default();
            let is_pair = !host.is_empty() && port.parse::<u16>().is_ok();
            if is_pair { Ok(item.to_ascii_lowercase()) } else { Err(format!("{item:?} is no host with a port")) }
        })
        .collect()
}

/// Several, separated by commas, none twice.
pub fn secrets(text: &str, production: bool) -> Parsed<Vec<SecretString>> {
    let found = list(text).map(|item| secret(item, production)).collect::<Parsed<Vec<_>>>()?;
    if found.is_empty() { Err("holds no secret".into()) } else { Ok(found) }
}

pub fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    list(text)
        .map(|item| {
            item.parse()
                .or_else(|_| item.parse().map(|ip: std::net::IpAddr| ip.into()))
                .map_err(|_| format!("{item:?} is no network"))
        })
        .collect()
}

pub fn database_url(text: &str) -> Parsed<SecretString> {
    let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let options: PgConnectOptions =
        text.parse().ok().filter(|_| is_postgres).ok_or("is not a URL of a PostgreSQL database")?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err("names no database".into());
    }
    Ok(text.into())
}

pub fn smtp_url(text: &str, production: bool) -> Parsed<SecretString> {
    // not shown: it holds a password
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    match url.scheme() {
        "smtp" | "smtps" if url.has_host() => Ok(text.into()),
        "file" if production => Err("writes mail to files".into()),
        "file" if url.to_file_path().is_ok() => Ok(text.into()),
        scheme => Err(format!("has the scheme {scheme:?} or no host")),
    }
}

pub fn redis_url(text: &str) -> Parsed<SecretString> {
    // not shown: it holds a password
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    match url.scheme() {
        // what follows `#` would switch the check of certificates off
        "redis" | "rediss" if url.has_host() && url.fragment().is_none() => Ok(text.into()),
        scheme => Err(format!("has the scheme {scheme:?}, no host, or a fragment")),
    }
}

pub fn sender(text: &str) -> Parsed<String> {
    text.parse::<Mailbox>().map(|_| text.to_owned()).map_err(|error| format!("{text:?} is no sender ({error})"))
}

/// The `file:` URL of a folder.
pub fn folder_url(folder: &Path) -> Option<Url> {
    std::path::absolute(folder).ok().and_then(|path| Url::from_directory_path(path).ok())
}

/// Why a secret is not one, as far as its looks tell.
fn weakness(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    if text.len() < SHORTEST_SECRET {
        Some("is too short")
    } else if GIVEAWAYS.iter().any(|word| lower.contains(word)) {
        Some("looks like an example")
    } else if text.bytes().collect::<HashSet<_>>().len() < FEWEST_DIFFERENT {
        Some("is not random")
    } else {
        None
    }
}

pub fn secret(text: &str, production: bool) -> Parsed<SecretString> {
    match weakness(text) {
        Some(weakness) if production => Err(weakness.into()),
        _ => Ok(text.into()),
    }
}

pub fn demo_password(text: &str, production: bool) -> Parsed<SecretString> {
    if production {
        return Err("is refused in production".into());
    }
    if text.chars().count() < 12 { Err("is too short".into()) } else { Ok(text.into()) }
}

/// `name:value` pairs whose names are all different.
fn named(text: &str) -> Parsed<Vec<(String, String)>> {
    let mut names = HashSet::new();
    let pairs = list(text)
        .enumerate()
        .map(|(index, item)| {
            let (name, value) = item.split_once(':').ok_or_else(|| format!("entry {} has no name", index + 1))?;
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
                return Err(format!("entry {} has no usable name (letters, digits, - _ .)", index + 1));
            }
            if !names.insert(name) {
                return Err(format!("{name:?} is there twice"));
            }
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect::<Parsed<Vec<_>>>()?;
    if pairs.is_empty() { Err("holds no key".into()) } else { Ok(pairs) }
}

pub fn jwt_keys(text: &str) -> Parsed<Vec<JwtKey>> {
    named(text)?
        .into_iter()
        .map(|(kid, value)| {
            let der = Zeroizing::new(STANDARD.decode(&value).map_err(|_| format!("{kid:?} is not base64"))?);
            Ed25519KeyPair::from_pkcs8(&der).map_err(|_| format!("{kid:?} is not an Ed25519 key in PKCS#8"))?;
            Ok(JwtKey { kid, pkcs8: value.into() })
        })
        .collect()
}

/// The variable that holds a secret which came up before.
pub fn repeated<'a>(secrets: impl Iterator<Item = (&'static str, &'a SecretString)>) -> Option<&'static str> {
    let mut seen = HashSet::new();
    for (variable, secret) in secrets {
        if !seen.insert(secret.expose_secret()) {
            return Some(variable);
        }
    }
    None
}
