//! The configuration: environment variables, every mistake reported at once.
//!
//! In development nothing has to be set: what is missing has a default, and secrets are made once and
//! kept in the data folder. In production missing or weak secrets stop the start.

mod monitoring;
mod own_secrets;
mod parse;
mod reader;
mod storage;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::platform::crypto::master_keys::{self, MasterKey, load};

pub use monitoring::{Collector, Dsn, Monitoring};
use own_secrets::OwnSecrets;
use reader::Reader;
pub use storage::{Bucket, StorageUrl};

/// One mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub variable: &'static str,
    /// What is wrong. Never holds the value of a secret.
    pub fault: String,
    pub expected: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; expected {}", self.variable, self.fault, self.expected)
    }
}

/// Every mistake in the configuration, one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} mistake(s):", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Development,
    Production,
}

/// An Ed25519 key that signs access tokens.
#[derive(Clone, Debug)]
pub struct JwtKey {
    pub kid: String,
    /// PKCS#8, DER, base64.
    pub pkcs8: SecretString,
}

/// Where video sessions are held.
#[derive(Clone, Debug)]
pub struct Jitsi {
    pub domain: String,
    pub app_id: String,
    /// Signs the tokens that Prosody checks.
    pub app_secret: SecretString,
}

/// The relays of calls.
#[derive(Clone, Debug)]
pub struct Turn {
    /// `turn:`, `turns:` and `stun:` addresses.
    pub urls: Vec<String>,
    /// Shared with the relays; the first one signs, the others are about to go.
    pub secrets: Vec<SecretString>,
}

/// Everything that can be set. Names of variables are the fields' in capitals; `.env.example` lists them.
#[derive(Clone, Debug)]
pub struct Config {
    pub app_env: Environment,
    pub listen_addr: SocketAddr,
    pub public_url: Url,
    /// The owner's connection, for `migrate` and `seed`. `None`: the development database is started.
    pub database_url: Option<SecretString>,
    /// The passwords of the runtime roles are derived from it.
    pub database_roles_secret: SecretString,
    /// Connections for the busiest role; others get half.
    pub database_pool_size: u32,
    pub database_acquire_timeout_ms: u64,
    /// An older connection is closed instead of being used again.
    pub database_connection_max_age_seconds: u64,
    /// Newest first: `id:base64` of 32 bytes each.
    pub master_keys: Vec<MasterKey>,
    /// The first one signs; all verify.
    pub jwt_keys: Vec<JwtKey>,
    /// `smtp://`, `smtps://`; in development `file:` writes to the mailbox instead.
    pub smtp_url: SecretString,
    pub mail_from: String,
    pub storage_url: StorageUrl,
    /// The largest file that somebody can send.
    pub max_upload_bytes: u64,
    /// What the files of one person may add up to.
    pub file_quota_bytes: u64,
    /// `redis://` or `rediss://`: nodes tell each other over it what changed. `None`: over the database.
    pub redis_url: Option<SecretString>,
    /// `None`: nobody can join by video.
    pub jitsi: Option<Jitsi>,
    /// `None`: calls work between people who reach each other directly.
    pub turn: Option<Turn>,
    pub trusted_proxies: Vec<IpNet>,
    pub cors_origins: Vec<String>,
    /// Who may read `/metrics`; without it the route does not exist in production.
    pub metrics_token: Option<SecretString>,
    pub monitoring: Monitoring,
    pub access_token_ttl: TimeDelta,
    pub refresh_token_ttl: TimeDelta,
    /// How long practitioners and platform admins may do without a second factor, from their first day.
    pub totp_grace: TimeDelta,
    /// Who is responsible for what is done with people's data, for the privacy notice.
    pub privacy_controller: String,
    /// Where people write about their data. `None`: the sender of mail.
    pub privacy_contact: Option<String>,
    /// The data protection officer, where there is one.
    pub privacy_officer: Option<String>,
    /// How long a conversation takes messages after the end of its session.
    pub chat_open_days: u16,
    /// Addresses that a company may invite within 24 hours.
    pub company_invitations_per_day: u32,
    /// `host:port` pairs that requests of the program may reach without https and on private networks. Development only.
    pub outgoing_test_hosts: Vec<String>,
    pub max_body_bytes: usize,
    /// Requests per minute.
    pub rate_limit_per_ip: u32,
    pub rate_limit_per_user: u32,
    /// Where development keeps its database, secrets, mail and files.
    pub data_dir: PathBuf,
    pub log_format: LogFormat,
    /// What is logged: levels, or `target=level` pairs, as `tracing` reads them.
    pub log_filter: String,
    /// How long a shutdown waits for running requests and jobs, in seconds.
    pub shutdown_grace_seconds: u64,
    /// The password of every account of the demonstration. Development only.
    pub demo_password: SecretString,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Pretty,
}

impl Config {
    /// Reads the process' environment. Nothing else does.
    #[allow(clippy::disallowed_methods)] // the one home of the environment
    pub fn from_process_env() -> Result<Self, ConfigErrors> {
        Self::from_env(|name| std::env::var(name).ok())
    }

    /// Whether pages of this origin are ours, or were allowed.
    pub fn allows_origin(&self, origin: &str) -> bool {
        origin == self.public_url.origin().ascii_serialization()
            || self.cors_origins.iter().any(|allowed| allowed == origin)
    }

    /// Reads every variable, and reports every mistake. An empty value is an unset one.
    #[allow(clippy::too_many_lines)] // one paragraph for each variable, in the order of `.env.example`
    pub fn from_env(vars: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut r = Reader::new(vars);
        let app_env = r.or("APP_ENV", Environment::Development, "development or production", parse::environment);
        let production = app_env == Some(Environment::Production);
        let data_dir = r.or("DATA_DIR", PathBuf::from(".huntzen"), "a folder", |text| Ok(PathBuf::from(text)));
        let folder = data_dir.as_deref().unwrap_or(Path::new(".huntzen"));
        let development = |name: &str| (!production).then(|| parse::folder_url(&folder.join(name))).flatten();

        let listen_addr = r.or(
            "LISTEN_ADDR",
            SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)),
            "an address and a port, such as 127.0.0.1:3000",
            |text| text.parse().map_err(|_| "is not an address with a port".into()),
        );
        let public_url = r.required(
            "PUBLIC_URL",
            if production { None } else { Url::parse("http://127.0.0.1:3000").ok() },
            "the address that people open, such as https://care.example.org (https in production)",
            |text| parse::public_url(text, production),
        );

        let database_url = r.optional(
            "DATABASE_URL",
            "postgres://owner:password@host/database, the connection of the database's owner",
            parse::database_url,
        );
        if production && !r.is_set("DATABASE_URL") {
            r.fault("DATABASE_URL", "is missing", "postgres://owner:password@host/database");
        }
        let database_pool_size = r.or("DATABASE_POOL_SIZE", 10, "1 to 200 connections", |t| parse::number(t, 1..=200));
        let database_acquire_timeout_ms =
            r.or("DATABASE_ACQUIRE_TIMEOUT_MS", 1500, "50 to 30000 milliseconds", |t| parse::number(t, 50..=30_000));
        let database_connection_max_age_seconds =
            r.or("DATABASE_CONNECTION_MAX_AGE_SECONDS", 1800, "0 to 86400 seconds", |t| parse::number(t, 0..=86_400));

        let metrics_token =
            r.optional("METRICS_TOKEN", "32 characters or more of random text", |text| parse::secret(text, production));
        let monitoring = Monitoring::read(&mut r, production);
        let set_roles_secret = r.optional(
            "DATABASE_ROLES_SECRET",
            "32 characters or more of random text (openssl rand -base64 32)",
            |t| parse::secret(t, production),
        );
        let set_master_keys = Self::master_keys(&mut r, production);
        let set_jwt_keys = r.optional(
            "JWT_KEYS",
            "kid:base64 of an Ed25519 key in PKCS#8 (openssl genpkey -algorithm ed25519 -outform DER | base64 -w0), \
             the signing one first, separated by commas",
            parse::jwt_keys,
        );
        let jitsi = Self::jitsi(&mut r, production);
        let turn = Self::turn(&mut r, production);
        if production {
            for (name, how) in [
                ("DATABASE_ROLES_SECRET", "openssl rand -base64 32"),
                ("JWT_KEYS", "kid:base64 of an Ed25519 key in PKCS#8"),
            ] {
                if !r.is_set(name) {
                    r.fault(name, "is missing", how);
                }
            }
            let roles = set_roles_secret.iter().map(|secret| ("DATABASE_ROLES_SECRET", secret));
            let metrics = metrics_token.iter().map(|secret| ("METRICS_TOKEN", secret));
            let masters = set_master_keys.iter().flatten().map(|(_, key)| ("MASTER_KEYS", key));
            let jwts = set_jwt_keys.iter().flatten().map(|key| ("JWT_KEYS", &key.pkcs8));
            let video = jitsi.iter().map(|it| ("JITSI_APP_SECRET", &it.app_secret));
            let relays = turn.iter().flat_map(|it| &it.secrets).map(|secret| ("TURN_SECRET", secret));
            if let Some(variable) =
                parse::repeated(roles.chain(masters).chain(jwts).chain(metrics).chain(video).chain(relays))
            {
                r.fault(variable, "holds a secret that is used twice", "a secret of its own for each purpose");
            }
        }

        let smtp_url = r.required(
            "SMTP_URL",
            development("mail").map(|url| SecretString::from(url.as_str())),
            "smtp://user:password@host:587 or smtps://user:password@host:465 (file:/folder in development only)",
            |text| parse::smtp_url(text, production),
        );
        let mail_from = r.required(
            "MAIL_FROM",
            (!production).then(|| "HuntZen Care <no-reply@huntzen.test>".to_owned()),
            "a sender, such as HuntZen Care <no-reply@care.example.org>",
            parse::sender,
        );
        let storage_url = r.required(
            "STORAGE_URL",
            development("files").and_then(|url| StorageUrl::parse(url.as_str(), production).ok()),
            "file:/absolute/folder, or s3://key:secret@endpoint/bucket?region=… (with https in production)",
            |text| StorageUrl::parse(text, production),
        );
        let max_upload_bytes = r.or("MAX_UPLOAD_BYTES", 25 << 20, "65536 to 5368709120 bytes", |text| {
            parse::number(text, (64 << 10)..=(5 << 30))
        });
        let file_quota_bytes = r.or("FILE_QUOTA_BYTES", 1 << 30, "1048576 bytes to 1 TiB", |text| {
            parse::number(text, (1 << 20)..=(1 << 40))
        });

        let redis_url = r.optional(
            "REDIS_URL",
            "redis://user:password@host:6379 or rediss://user:password@host:6379",
            parse::redis_url,
        );

        let trusted_proxies = r.or("TRUSTED_PROXIES", Vec::new(), "networks such as 10.0.0.0/8,::1", parse::networks);
        let cors_origins =
            r.or("CORS_ORIGINS", Vec::new(), "origins such as https://care.example.org, separated by commas", |text| {
                parse::origins(text, production)
            });
        let totp_grace_days = r.or(
            "TOTP_GRACE_DAYS",
            // the accounts of the demonstration log in with their passwords
            if production { 14 } else { 36_500 },
            "0 to 36500 days",
            |text| parse::number(text, 0..=36_500_u32),
        );
        if r.is_set("AUDIT_RETENTION_DAYS") {
            r.fault(
                "AUDIT_RETENTION_DAYS",
                "is no setting any more: durations stand in the database",
                "UPDATE app.retention_rules SET years = NULL, days = … WHERE record = 'audit_entry' (docs/privacy.md)",
            );
        }
        let privacy_controller = r.or(
            "PRIVACY_CONTROLLER",
            "HuntZen Care".to_owned(),
            "a name and a postal address, one line of at most 500 characters",
            parse::line,
        );
        let privacy_contact = r.optional("PRIVACY_CONTACT", "an address of mail or of the web, one line", parse::line);
        let privacy_officer = r.optional("PRIVACY_OFFICER", "a name and an address, one line", parse::line);
        let chat_open_days = r.or("CHAT_OPEN_DAYS", 14, "0 to 365 days", |text| parse::number(text, 0..=365_u16));
        let company_invitations_per_day =
            r.or("COMPANY_INVITATIONS_PER_DAY", 20_000, "1 to 1000000 addresses", |t| parse::number(t, 1..=1_000_000));
        let outgoing_test_hosts =
            r.or("OUTGOING_TEST_HOSTS", Vec::new(), "host:port pairs such as 127.0.0.1:8080, in development", |text| {
                parse::test_hosts(text, production)
            });
        let max_body_bytes =
            r.or("MAX_BODY_BYTES", 5 << 20, "1024 to 104857600 bytes", |t| parse::number(t, 1024..=100 << 20));
        let rate_limit_per_ip =
            r.or("RATE_LIMIT_PER_IP", 1200, "1 to 1000000 requests a minute", |t| parse::number(t, 1..=1_000_000));
        let rate_limit_per_user =
            r.or("RATE_LIMIT_PER_USER", 600, "1 to 1000000 requests a minute", |t| parse::number(t, 1..=1_000_000));
        let access_token_ttl = r.or("ACCESS_TOKEN_TTL", TimeDelta::minutes(15), "10s to 15m", |text| {
            parse::duration(text, TimeDelta::seconds(10)..=TimeDelta::minutes(15))
        });
        let refresh_token_ttl = r.or("REFRESH_TOKEN_TTL", TimeDelta::days(30), "1h to 90d", |text| {
            parse::duration(text, TimeDelta::hours(1)..=TimeDelta::days(90))
        });
        let log_format = r.or(
            "LOG_FORMAT",
            if production { LogFormat::Json } else { LogFormat::Pretty },
            "json or pretty",
            parse::log_format,
        );
        let log_filter =
            r.or("LOG_FILTER", "info,sqlx=warn".to_owned(), "levels, such as info", |text| Ok(text.to_owned()));
        let shutdown_grace_seconds =
            r.or("SHUTDOWN_GRACE_SECONDS", 25, "0 to 600 seconds", |text| parse::number(text, 0..=600));

        let demo_password = r.or(
            "DEMO_PASSWORD",
            SecretString::from("demo-huntzen-2026"),
            "12 characters or more, in development",
            |text| parse::demo_password(text, production),
        );

        // made only when everything else is right, so that a mistyped setting leaves nothing behind
        let own = (!production && !r.has_faults())
            .then(|| OwnSecrets::load_or_make(folder))
            .transpose()
            .unwrap_or_else(|error| {
                r.fault("DATA_DIR", &format!("cannot keep secrets: {error}"), "a folder that can be written to");
                None
            });
        let roles_secret =
            set_roles_secret.or_else(|| own.as_ref().map(|own| own.database_roles_secret.clone().into()));
        let master_keys = set_master_keys.or_else(|| own.as_ref().map(OwnSecrets::master_keys));
        let jwt_keys = set_jwt_keys.or_else(|| own.as_ref().map(OwnSecrets::jwt_keys));

        r.finish(|| {
            Some(Self {
                app_env: app_env?,
                listen_addr: listen_addr?,
                public_url: public_url?,
                database_url,
                database_roles_secret: roles_secret?,
                database_pool_size: database_pool_size?,
                database_acquire_timeout_ms: database_acquire_timeout_ms?,
                database_connection_max_age_seconds: database_connection_max_age_seconds?,
                master_keys: master_keys?,
                jwt_keys: jwt_keys?,
                smtp_url: smtp_url?,
                mail_from: mail_from?,
                storage_url: storage_url?,
                max_upload_bytes: max_upload_bytes?,
                file_quota_bytes: file_quota_bytes?,
                redis_url,
                jitsi,
                turn,
                trusted_proxies: trusted_proxies?,
                cors_origins: cors_origins?,
                metrics_token,
                monitoring,
                access_token_ttl: access_token_ttl?,
                refresh_token_ttl: refresh_token_ttl?,
                totp_grace: TimeDelta::days(totp_grace_days?.into()),
                privacy_controller: privacy_controller?,
                privacy_contact,
                privacy_officer,
                chat_open_days: chat_open_days?,
                company_invitations_per_day: company_invitations_per_day?,
                outgoing_test_hosts: outgoing_test_hosts?,
                max_body_bytes: max_body_bytes?,
                rate_limit_per_ip: rate_limit_per_ip?,
                rate_limit_per_user: rate_limit_per_user?,
                data_dir: data_dir?,
                log_format: log_format?,
                log_filter: log_filter?,
                shutdown_grace_seconds: shutdown_grace_seconds?,
                demo_password: demo_password?,
            })
        })
    }

    /// From one of three places.
    fn master_keys(r: &mut Reader<impl Fn(&str) -> Option<String>>, production: bool) -> Option<Vec<MasterKey>> {
        const EXPECTED: &str = "id:base64 of 32 random bytes (openssl rand -base64 32), newest first, separated by commas; or MASTER_KEYS_FILE; or MASTER_KEYS_COMMAND";
        let mut set =
            ["MASTER_KEYS", "MASTER_KEYS_FILE", "MASTER_KEYS_COMMAND"].into_iter().filter(|name| r.is_set(name));
        match (set.next(), set.next()) {
            (Some(one), Some(other)) => {
                r.fault(other, &format!("is set beside {one}"), "one of them");
                return None;
            }
            (None, _) if production => r.fault("MASTER_KEYS", "is missing", EXPECTED),
            _ => {}
        }
        let text = r.optional("MASTER_KEYS", EXPECTED, |text| load(&master_keys::Environment::new(text), production));
        let file = r.optional(
            "MASTER_KEYS_FILE",
            "a file that its owner alone can read (mode 400 or 600), with what MASTER_KEYS would hold, a key a line",
            |path| load(&master_keys::KeyFile::new(path), production),
        );
        let command = r.optional(
            "MASTER_KEYS_COMMAND",
            "the whole path of a program and what it is given, with blanks between; it prints what MASTER_KEYS would hold, a key a line",
            |line| load(&master_keys::KeyCommand::new(line), production),
        );
        text.or(file).or(command)
    }

    /// All three settings, or none.
    fn jitsi(r: &mut Reader<impl Fn(&str) -> Option<String>>, production: bool) -> Option<Jitsi> {
        let domain = r.optional("JITSI_DOMAIN", "a host name, such as meet.example.org", parse::host_name);
        let app_id = r.optional("JITSI_APP_ID", "the app_id of Prosody's token module", parse::plain_word);
        let app_secret = r.optional(
            "JITSI_APP_SECRET",
            "the app_secret of Prosody's token module: 32 characters or more of random text",
            |text| parse::secret(text, production),
        );
        r.together(["JITSI_DOMAIN", "JITSI_APP_ID", "JITSI_APP_SECRET"]);
        Some(Jitsi { domain: domain?, app_id: app_id?, app_secret: app_secret? })
    }

    /// Both settings, or none.
    fn turn(r: &mut Reader<impl Fn(&str) -> Option<String>>, production: bool) -> Option<Turn> {
        let urls = r.optional(
            "TURN_URLS",
            "addresses such as turns:turn.example.org:5349?transport=tcp,stun:turn.example.org:3478",
            parse::relays,
        );
        let secrets = r.optional(
            "TURN_SECRET",
            "coturn's static-auth-secret: 32 characters or more of random text; two, the new one first, while it changes",
            |text| parse::secrets(text, production),
        );
        r.together(["TURN_URLS", "TURN_SECRET"]);
        Some(Turn { urls: urls?, secrets: secrets? })
    }

    /// What works, but hardly is what an operator wants.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.jitsi.is_none() {
            warnings.push("JITSI_DOMAIN, JITSI_APP_ID and JITSI_APP_SECRET are not set: nobody can join by video");
        }
        if self.turn.is_none() {
            warnings
                .push("TURN_URLS and TURN_SECRET are not set: calls fail wherever a firewall is between two people");
        }
        if self.privacy_contact.is_none() {
            warnings.push("PRIVACY_CONTACT is not set: the privacy notice names the sender of mail");
        }
        if self.is_production() { warnings } else { Vec::new() }
    }

    /// The owner's connection; `None` where the development database is to be started.
    pub fn database_options(&self) -> Option<sqlx::postgres::PgConnectOptions> {
        self.database_url.as_ref().and_then(|url| url.expose_secret().parse().ok())
    }

    pub fn is_production(&self) -> bool {
        self.app_env == Environment::Production
    }
}

#[cfg(test)]
mod tests;
