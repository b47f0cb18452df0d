//! `STORAGE_URL`: where files are kept.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Host, Url};

/// Where files are kept.
#[derive(Clone, Debug)]
pub enum StorageUrl {
    /// `file:/path`
    Folder(PathBuf),
    Bucket(Bucket),
}

/// `s3://key:secret@endpoint/bucket`: any server that speaks S3. `?region=`; `?style=virtual` puts the bucket before the
/// endpoint's name, as Amazon wants it, in place of behind it; `?tls=none` speaks http.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `https://host`, `http://host:port`
    pub endpoint: String,
    pub name: String,
    pub region: String,
    pub access_key: String,
    pub secret_key: SecretString,
    pub is_virtual_host: bool,
}

impl StorageUrl {
    /// What is wrong never repeats the URL: it holds a secret.
    pub(super) fn parse(text: &str, production: bool) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        match url.scheme() {
            "file" => Ok(Self::Folder(url.to_file_path().map_err(|()| "names no folder of this machine")?)),
            "s3" => Bucket::parse(&url, production).map(Self::Bucket),
            scheme => Err(format!("has the scheme {scheme:?}, which is not supported")),
        }
    }
}

impl Bucket {
    fn parse(url: &Url, production: bool) -> Result<Self, String> {
        let plain = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
        let plain = |text: &str| plain(text).map_err(|_| "has a key that is no text".to_owned());
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no endpoint")?;
        let access_key = plain(url.username())?;
        let secret_key = plain(url.password().unwrap_or_default())?;
        if access_key.is_empty() || secret_key.is_empty() {
            return Err("has no key and secret before the endpoint".into());
        }
        let name = url.path().trim_matches('/').to_owned();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if !(3..=63).contains(&name.len()) || !name.chars().all(fits) {
            return Err("names no bucket after the endpoint (3 to 63 of a-z 0-9 - .)".into());
        }
        let (mut region, mut is_virtual_host, mut is_plain) = ("us-east-1".to_owned(), false, false);
        for (option, value) in url.query_pairs() {
            match (&*option, &*value) {
                ("region", value) if !value.is_empty() => value.clone_into(&mut region),
                ("style", "path") => is_virtual_host = false,
                ("style", "virtual") => is_virtual_host = true,
                ("tls", "none") => is_plain = true,
                _ => return Err(format!("has an option {option:?} that is not known, or not with this value")),
            }
        }
        if is_plain && production && !is_loopback(host) {
            return Err("speaks http to another machine".into());
        }
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = if is_plain { "http" } else { "https" };
        let host = if is_virtual_host { format!("{name}.{host}") } else { host.to_owned() };
        Ok(Self {
            endpoint: format!("{scheme}://{host}{port}"),
            name,
            region,
            access_key,
            secret_key: secret_key.into(),
            is_virtual_host,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Ipv4(ip)) => ip.is_loopback(),
        Ok(Host::Ipv6(ip)) => ip.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost",
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn bucket(text: &str) -> Bucket {
        match StorageUrl::parse(text, true).unwrap() {
            StorageUrl::Bucket(bucket) => bucket,
            StorageUrl::Folder(folder) => panic!("{}", folder.display()),
        }
    }

    #[test]
    fn a_bucket_is_named_with_its_keys() {
        let it = bucket("s3://GK31c2:a%2Fb%2Bc@s3.eu-west-3.example.org/care-files?region=eu-west-3");
        assert_eq!((it.endpoint.as_str(), it.name.as_str()), ("https://s3.eu-west-3.example.org", "care-files"));
        assert_eq!((it.access_key.as_str(), it.secret_key.expose_secret()), ("GK31c2", "a/b+c"));
        assert_eq!((it.region.as_str(), it.is_virtual_host), ("eu-west-3", false));
        assert!(!format!("{it:?}").contains("a/b+c"));
        let it = bucket("s3://k:s@s3.example.org/care-files?style=virtual");
        assert_eq!(it.endpoint, "https://care-files.s3.example.org");
        assert_eq!(bucket("s3://k:s@127.0.0.1:9000/care?tls=none").endpoint, "http://127.0.0.1:9000");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (text, fault) in [
            ("s3://s3.example.org/care", "no key and secret"),
            ("s3://key:hidden@s3.example.org/", "no bucket"),
            ("s3://key:hidden@s3.example.org/Care_Files", "no bucket"),
            ("s3://key:hidden@s3.example.org/care?tls=none", "http to another machine"),
            ("s3://key:hidden@s3.example.org/care?acl=public", "not known"),
            ("s3://key:hidden@/care", "is not a URL"),
            ("ftp://key:hidden@s3.example.org/care", "not supported"),
        ] {
            let said = StorageUrl::parse(text, true).unwrap_err();
            assert!(said.contains(fault) && !said.contains("hidden"), "{text}: {said}");
        }
    }
}
