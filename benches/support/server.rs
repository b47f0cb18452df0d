//! The program under measurement: a process of its own, set as in production.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::platform::auth::Caller;
use huntzen::platform::auth::tokens::Tokens;
use huntzen::platform::clock::Clock;
use huntzen::platform::config::Config;
use huntzen::platform::crypto::derive;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::database::Database;
use super::measure::Usage;
use crate::Outcome;

/// The default of `DEMO_PASSWORD`, which the database was filled with.
pub const PASSWORD: &str = "demo-huntzen-2026";

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Ed25519, of the key that signs access tokens.
    pub public_key: Vec<u8>,
    /// What it was started with.
    pub settings: Vec<(&'static str, String)>,
    client: reqwest::Client,
    /// Of the server's own key.
    tokens: Tokens,
}

/// The master key of the benchmarks' databases.
pub fn master_keys() -> String {
    format!("bench:{}", STANDARD.encode(&derive::key(&PASSWORD.into(), "master key of benchmarks")[..]))
}

impl Server {
    pub async fn start(program: &Path, database: &Database) -> Outcome<Self> {
        Self::start_with(program, database, &["serve"]).await
    }

    pub async fn start_with(program: &Path, database: &Database, command: &[&str]) -> Outcome<Self> {
        Self::start_set(program, database, command, &[]).await
    }

    /// With settings of its own.
    pub async fn start_set(
        program: &Path,
        database: &Database,
        command: &[&str],
        more: &[(&'static str, String)],
    ) -> Outcome<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let key = Ed25519KeyPair::generate()?;
        let pkcs8 = AsDer::<Pkcs8V1Der>::as_der(&key)?;
        let files = std::path::absolute(".huntzen/bench/files")?;
        std::fs::create_dir_all(&files)?;
        let log = std::fs::File::create(".huntzen/bench/server.log")?;
        let mut settings = database.settings();
        settings.extend([
            ("APP_ENV", "production".into()),
            ("LISTEN_ADDR", address.to_string()),
            ("PUBLIC_URL", "https://bench.huntzen.test".into()),
            // the same at each start: the database knows it
            ("MASTER_KEYS", master_keys()),
            ("JWT_KEYS", format!("bench:{}", STANDARD.encode(pkcs8.as_ref()))),
            ("SMTP_URL", "smtp://127.0.0.1:9".into()),
            ("MAIL_FROM", "Bench <no-reply@bench.test>".into()),
            ("STORAGE_URL", format!("file:{}", files.display())),
            // one address and few people make all the requests
            ("RATE_LIMIT_PER_IP", "1000000".into()),
            ("RATE_LIMIT_PER_USER", "1000000".into()),
        ]);
        settings.extend(more.iter().cloned());
        let named = |name: &str| settings.iter().find(|(it, _)| *it == name).map(|(_, value)| value.clone());
        let config = Config::from_env(named).map_err(|faults| format!("the settings: {faults:?}"))?;
        let child = Command::new(program)
            .args(command)
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let (client, public_key) = (reqwest::Client::new(), key.public_key().as_ref().to_vec());
        let mut server = Self { child, address, public_key, settings, client, tokens: Tokens::new(&config)? };
        let begun = Instant::now();
        while !server.is_ready().await {
            if server.child.try_wait()?.is_some() || begun.elapsed() > Duration::from_mins(1) {
                return Err("the server did not start; see .huntzen/bench/server.log".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("http://{}/health/live", self.address)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// An access token as a log-in would give it, without the hash that one costs.
    pub fn sign(&self, caller: &Caller) -> Outcome<String> {
        let signed = self.tokens.sign_access(caller, Clock::System.now());
        Ok(signed.map_err(|problem| format!("no token: {problem:?}"))?)
    }

    /// An access token of the account with this address.
    pub async fn log_in(&self, email: &str) -> Outcome<String> {
        let answer = self
            .client
            .post(format!("http://{}/api/v1/auth/login", self.address))
            .json(&json!({ "email": email, "password": PASSWORD }))
            .send()
            .await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        let token = body.get("accessToken").and_then(Value::as_str);
        Ok(token.ok_or_else(|| format!("{email} cannot log in: {status} {body}"))?.to_owned())
    }

    /// One log-in: its status, how long it took, and after how long to try again where it was refused.
    pub async fn try_log_in(&self, email: &str) -> Outcome<(u16, Duration, Option<Duration>)> {
        let begun = Instant::now();
        let answer = self
            .client
            .post(format!("http://{}/api/v1/auth/login", self.address))
            .json(&json!({ "email": email, "password": PASSWORD }))
            .send()
            .await?;
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
        answer.bytes().await?;
        Ok((status, begun.elapsed(), after.map(Duration::from_secs)))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn usage(&self) -> Outcome<Usage> {
        Ok(Usage::of_process(self.child.id())?)
    }

    /// Asks the server to end, and waits until it has.
    pub fn stop(mut self) -> Outcome {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::TERM)?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
