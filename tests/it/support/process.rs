//! The real program as a process of its own, to be killed and to be told to stop.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use chrono::TimeDelta;
use huntzen::platform::auth::tokens::{Tokens, hash_opaque};
use huntzen::platform::auth::{Caller, Role};
use huntzen::platform::config::Config;
use huntzen::platform::ids::{CompanyId, SessionId, UserId};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};
use uuid::Uuid;

use super::client::User;
use super::cluster;
use super::smtp::{Mail, sink};

const START: &str = "HuntZen Care runs at ";
const PATIENCE: Duration = Duration::from_mins(1);

/// Where programs are started: one database, one set of secrets, one sender of mails.
pub struct Site {
    settings: Vec<(&'static str, String)>,
    config: Config,
    sender: String,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    /// The superuser's connections.
    pub db: PgPool,
}

impl Site {
    /// On a database that is there. `roles_secret` is that of its cluster, where the roles have passwords already.
    pub async fn new(database: &PgConnectOptions, roles_secret: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sender = format!("{}@care.test", Uuid::new_v4().simple());
        let mut settings = vec![
            ("APP_ENV", "development".to_owned()),
            ("DATABASE_URL", database.to_url_lossy().to_string()),
            ("DATABASE_POOL_SIZE", "20".to_owned()),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "10000".to_owned()),
            ("DATA_DIR", folder.path().to_str().unwrap().to_owned()),
            ("MASTER_KEYS", cluster::MASTER_KEYS.to_owned()),
            // chosen by the system at each start, and printed
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
            ("SMTP_URL", format!("smtp://127.0.0.1:{}?tls=none", sink().port)),
            ("MAIL_FROM", sender.clone()),
            ("RATE_LIMIT_PER_IP", "1000000".to_owned()),
            ("RATE_LIMIT_PER_USER", "1000000".to_owned()),
        ];
        settings.extend(roles_secret.map(|secret| ("DATABASE_ROLES_SECRET", secret.to_owned())));
        let named = |name: &str| settings.iter().find(|(it, _)| *it == name).map(|(_, value)| value.clone());
        let config = Config::from_env(named).unwrap();
        let db = PgPoolOptions::new().max_connections(4).connect_with(database.clone()).await.unwrap();
        Self { settings, config, sender, folder, http: reqwest::Client::new(), db }
    }

    /// Gives the programs to come another setting.
    pub fn set(&mut self, name: &'static str, value: Option<String>) {
        self.settings.retain(|(it, _)| *it != name);
        self.settings.extend(value.map(|value| (name, value)));
    }

    /// The mails that programs of this site sent so far.
    pub fn mails(&self) -> Vec<Mail> {
        sink().mails(&self.sender)
    }

    /// Every object of the storage, as it is kept.
    pub fn objects(&self) -> Vec<Vec<u8>> {
        fn walk(folder: &Path, found: &mut Vec<Vec<u8>>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(std::fs::read(&path).unwrap()) }
            }
        }
        let mut found = Vec::new();
        walk(&self.storage(), &mut found);
        found.retain(|it| !it.is_empty());
        found
    }

    /// The folder of its files.
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    pub async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.db).await.unwrap()
    }

    /// Asks until a query answers with true. Panics after a minute.
    pub async fn until(&self, query: &'static str) {
        let asking = async {
            while !sqlx::query_scalar::<_, bool>(query).fetch_one(&self.db).await.unwrap() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            let jobs: Vec<String> = sqlx::query_scalar(
                "SELECT concat_ws(' ', job_type, status, attempts, run_at, last_result) FROM apalis.jobs
                 WHERE status <> 'Done' LIMIT 20",
            )
            .fetch_all(&self.db)
            .await
            .unwrap();
            panic!("not within a minute: {query}; jobs: {jobs:?}");
        }
    }

    /// Runs a command of the program to its end.
    pub fn run(&self, args: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_huntzen"))
            .args(args)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Starts `huntzen serve` on the migrated database, and waits until it serves.
    pub async fn serve(&self) -> Server {
        let migrated = self.run(&["migrate"]);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        self.start().await
    }

    /// Starts `huntzen worker`. It prints no address: it has one only for whoever monitors it.
    pub fn work(&self) -> Server {
        let log = self.folder.path().join("worker.log");
        let kept = std::fs::File::options().append(true).create(true).open(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_huntzen"))
            .arg("worker")
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(kept.try_clone().unwrap())
            .stderr(kept)
            .spawn()
            .unwrap();
        Server { child, base: String::new(), log }
    }

    /// Starts `huntzen serve`, and waits until it serves.
    pub async fn start(&self) -> Server {
        let log = self.folder.path().join("server.log");
        let mut kept = std::fs::File::options().append(true).create(true).open(&log).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_huntzen"))
            .arg("serve")
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(kept.try_clone().unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (found, address) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut found = Some(found);
            // to its end: whoever writes to a pipe that nobody reads stops
            for line in lines.map_while(Result::ok) {
                writeln!(kept, "{line}").unwrap();
                if let Some(address) = line.strip_prefix(START)
                    && let Some(found) = found.take()
                {
                    let _ = found.send(address.to_owned());
                }
            }
        });
        let started = tokio::time::timeout(PATIENCE, address).await.expect("it starts within a minute");
        let base = started.unwrap_or_else(|_| panic!("it does not start: {}", read(&log)));
        Server { child, base, log }
    }

    /// Waits until a program says that it is ready.
    pub async fn until_ready(&self, server: &Server) {
        let asking = async {
            loop {
                let answer = self.http.get(format!("{}/health/ready", server.base)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let ready = tokio::time::timeout(PATIENCE, asking).await;
        assert!(ready.is_ok(), "not ready within a minute: {}", read(&server.log));
    }

    /// A person with a session of a quarter of an hour.
    pub async fn user(&self, id: UserId, role: Role, company_id: Option<CompanyId>) -> User {
        let session_id = SessionId(Uuid::new_v4());
        let now = huntzen::platform::clock::Clock::System.now();
        let email = sqlx::query_scalar(
            "WITH session AS (INSERT INTO app.user_sessions (id, user_id, created_at, last_used_at, expires_at)
                              VALUES ($1, $2, $3, $3, $4))
             SELECT email::text FROM app.users WHERE id = $2",
        )
        .bind(session_id)
        .bind(id)
        .bind(now)
        .bind(now + TimeDelta::days(30))
        .fetch_one(&self.db)
        .await
        .unwrap();
        let caller = Caller { user_id: id, role, company_id, session_id, totp_setup_required: false };
        let token = Tokens::new(&self.config).unwrap().sign_access(&caller, now).unwrap();
        User { id, email, company_id, token, base: String::new(), http: self.http.clone() }
    }

    /// A session of somebody's on another device, by its refresh token.
    pub async fn refresh_token(&self, user: &User) -> String {
        let token = Uuid::new_v4().to_string();
        sqlx::query(
            "WITH session AS (INSERT INTO app.user_sessions (id, user_id, created_at, last_used_at, expires_at)
                              VALUES ($1, $2, now(), now(), now() + interval '30 days'))
             INSERT INTO app.refresh_tokens (id, session_id, hash, created_at) VALUES (gen_random_uuid(), $1, $3, now())",
        )
        .bind(Uuid::new_v4())
        .bind(user.id)
        .bind(hash_opaque(&token))
        .execute(&self.db)
        .await
        .unwrap();
        token
    }

    /// A company with so many employees, and so many practitioners: open from 9 to 17 on every day in Paris.
    pub async fn people(&self, employees: i32, practitioners: i32) -> People {
        let company = CompanyId(Uuid::new_v4());
        sqlx::query(
            "WITH company AS (
                 INSERT INTO app.companies (id, name, contract_starts_on, contract_ends_on, sessions_per_employee, seats)
                 VALUES ($1, 'Initech', current_date - 100, current_date + 265, 12, 1000) RETURNING id)
             INSERT INTO app.company_settings (company_id) SELECT id FROM company",
        )
        .bind(company)
        .execute(&self.db)
        .await
        .unwrap();
        let employees: Vec<UserId> = sqlx::query_scalar(
            "WITH person AS (SELECT gen_random_uuid() AS id FROM generate_series(1, $2)),
             entry AS (
                 INSERT INTO app.employees (id, company_id, email, first_name, last_name)
                 SELECT id, $1, id || '@people.test', 'Ana', 'Silva' FROM person RETURNING id)
             INSERT INTO app.users (id, email, password_hash, role, display_name, locale, status, company_id, employee_id)
             SELECT id, id || '@people.test', 'x', 'employee', 'Ana', 'en', 'active', $1, id FROM entry RETURNING id",
        )
        .bind(company)
        .bind(employees)
        .fetch_all(&self.db)
        .await
        .unwrap();
        let practitioners: Vec<UserId> = sqlx::query_scalar(
            "INSERT INTO app.users (id, email, password_hash, role, display_name, locale, status)
             SELECT id, id || '@people.test', 'x', 'practitioner', 'Dr Test', 'en', 'active'
             FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $1)) person RETURNING id",
        )
        .bind(practitioners)
        .fetch_all(&self.db)
        .await
        .unwrap();
        for sql in [
            "INSERT INTO app.practitioners (id, display_name, languages, modes, time_zone, session_lengths,
                                            min_notice_minutes, hourly_rate_cents, status, verified_at, verified_checks, adeli)
             SELECT id, 'Dr Test', '{fr,en}', '{video}', 'Europe/Paris', '{30}', 0, 9000, 'active', now(), '{identity,adeli}',
                    (759300000 + n)::text FROM unnest($1::uuid[]) WITH ORDINALITY AS it (id, n)",
            "INSERT INTO app.practitioner_specialties (practitioner_id, specialty)
             SELECT id, 'psychology' FROM unnest($1::uuid[]) id",
            "INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
             SELECT gen_random_uuid(), id, day, 540, 1020 FROM unnest($1::uuid[]) id, generate_series(1, 7) day",
        ] {
            sqlx::query(sql).bind(&practitioners).execute(&self.db).await.unwrap();
        }
        let mut people = People { employees: Vec::new(), practitioners: Vec::new() };
        for id in employees {
            people.employees.push(self.user(id, Role::Employee, Some(company)).await);
        }
        for id in practitioners {
            people.practitioners.push(self.user(id, Role::Practitioner, None).await);
        }
        people
    }
}

pub struct People {
    pub employees: Vec<User>,
    pub practitioners: Vec<User>,
}

/// A running program. Dropping it kills it.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:port`
    pub base: String,
    log: PathBuf,
}

impl Server {
    /// kill -9
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it has held in memory at most so far, in kilobytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Begins that anew: what there is now.
    pub fn forget_peak_memory(&self) -> u64 {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
            .expect("the kernel forgets the peak (PROC_PAGE_MONITOR)");
        self.peak_memory()
    }

    /// SIGTERM
    pub fn terminate(&self) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .unwrap();
    }

    /// What it said so far, and what others of its site did.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; at most a minute.
    pub async fn end(mut self) -> (ExitStatus, String) {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let status = tokio::time::timeout(PATIENCE, ended).await.expect("it ends within a minute");
        (status, read(&self.log))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
