//! The configuration: environment variables, every mistake reported at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::TimeDelta;
use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

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
    /// Newest first: `id:base64` of 32 bytes each.
    pub master_keys: Vec<(String, SecretString)>,
    /// The first one signs; all verify.
    pub jwt_keys: Vec<JwtKey>,
    /// `smtp://`, `smtps://`; in development `file:` writes to the mailbox instead.
    pub smtp_url: SecretString,
    pub mail_from: String,
    /// `file:/path`.
    pub storage_url: Url,
    pub trusted_proxies: Vec<IpNet>,
    pub cors_origins: Vec<String>,
    /// Who may read `/metrics`; without it the route does not exist in production.
    pub metrics_token: Option<SecretString>,
    pub access_token_ttl: TimeDelta,
    pub refresh_token_ttl: TimeDelta,
    pub max_body_bytes: usize,
    /// Requests per minute.
    pub rate_limit_per_ip: u32,
    pub rate_limit_per_user: u32,
    /// Where development keeps its database, secrets, mail and files.
    pub data_dir: PathBuf,
    pub log_format: LogFormat,
    /// How long a shutdown waits for running requests and jobs, in seconds.
    pub shutdown_grace_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Pretty,
}

impl Config {
    pub fn is_production(&self) -> bool {
        self.app_env == Environment::Production
    }
}
