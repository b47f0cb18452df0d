//! One application for one test.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use huntzen::app;
use huntzen::platform::Platform;
use huntzen::platform::auth::{Caller, Role};
use huntzen::platform::clock::Clock;
use huntzen::platform::config::Config;
use huntzen::platform::db::{DbRole, role_options};
use huntzen::platform::ids::{CompanyId, EmployeeId, PractitionerId, SessionId, UserId};
use huntzen::platform::jobs::{DeadJob, Job, Settings, Workers};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::client::User;
use super::cluster;
use super::smtp::{Mail, sink};

/// The password of every person that a builder makes.
pub const PASSWORD: &str = "four quiet words here";

pub struct TestApp {
    pub platform: Arc<Platform>,
    pub clock: Clock,
    /// `http://127.0.0.1:port`
    pub base: String,
    http: reqwest::Client,
    /// The superuser's connections, for assertions only.
    db: PgPool,
    options: PgConnectOptions,
    workers: OnceCell<Workers>,
    server: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

/// Another server of an application.
pub struct Node {
    pub platform: Arc<Platform>,
    /// `http://127.0.0.1:port`
    pub base: String,
    _server: AbortOnDropHandle<()>,
}

#[derive(Clone)]
pub struct Company {
    pub id: CompanyId,
    pub admin: User,
    pub hr: User,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(|_| None).await
    }

    /// With settings of its own: names of variables and their values.
    pub async fn start_with(settings: impl Fn(&str) -> Option<String>) -> Self {
        Box::pin(Self::start_on(cluster::fresh_database().await, settings)).await
    }

    /// With one connection for all of a role; who waits for it longer than a second and a half is refused.
    pub async fn start_with_one_connection() -> Self {
        Self::start_with(|name| match name {
            "DATABASE_POOL_SIZE" => Some("1".into()),
            "DATABASE_ACQUIRE_TIMEOUT_MS" => Some("1500".into()),
            _ => None,
        })
        .await
    }

    /// On a database of [`cluster::fresh_database`].
    pub async fn start_on(options: PgConnectOptions, settings: impl Fn(&str) -> Option<String>) -> Self {
        let roles_secret = &cluster::template().await.config().database_roles_secret;
        let folder = tempfile::tempdir().unwrap();
        let sender = format!("{}@care.test", Uuid::new_v4().simple());
        let config = Config::from_env(|name| {
            settings(name).or_else(|| match name {
                "DATA_DIR" => Some(folder.path().display().to_string()),
                "MASTER_KEYS" => Some(cluster::MASTER_KEYS.into()),
                "DATABASE_ROLES_SECRET" => Some(roles_secret.expose_secret().to_owned()),
                "DATABASE_POOL_SIZE" => Some("6".into()),
                // many tests share few cores: a job that gives up is not run again before its time
                "DATABASE_ACQUIRE_TIMEOUT_MS" => Some("20000".into()),
                "SMTP_URL" => Some(format!("smtp://127.0.0.1:{}?tls=none", sink().port)),
                "MAIL_FROM" => Some(sender.clone()),
                "RATE_LIMIT_PER_IP" | "RATE_LIMIT_PER_USER" => Some("1000000".into()),
                _ => None,
            })
        })
        .unwrap();
        let clock = Clock::shiftable();
        let platform = app::platform(config, &options, clock.clone()).await.unwrap();
        let (address, server) =
            app::listen(platform.clone(), "127.0.0.1:0".parse().unwrap(), std::future::pending()).await.unwrap();
        let db = PgPoolOptions::new().max_connections(2).connect_with(options.clone()).await.unwrap();
        Self {
            platform,
            clock,
            base: format!("http://{address}"),
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            db,
            options,
            workers: OnceCell::new(),
            server: tokio::spawn(async move { server.await.unwrap() }),
            _folder: folder,
        }
    }

    /// Another server on the same database, with the same secrets and the same clock.
    pub async fn second_node(&self) -> Node {
        self.node_with(|_| ()).await
    }

    /// Another server on the same database, with settings of its own.
    pub async fn node_with(&self, change: impl FnOnce(&mut Config)) -> Node {
        let mut config = Config::clone(&self.platform.config);
        change(&mut config);
        let platform = app::platform(config, &self.options, self.clock.clone()).await.unwrap();
        let (address, server) =
            app::listen(platform.clone(), "127.0.0.1:0".parse().unwrap(), std::future::pending()).await.unwrap();
        let server = AbortOnDropHandle::new(tokio::spawn(async move { server.await.unwrap() }));
        Node { platform, base: format!("http://{address}"), _server: server }
    }

    /// The connection of the database's owner, as commands use it.
    pub async fn owner(&self) -> PgConnection {
        huntzen::platform::db::migrate::owner(&self.options).await.unwrap()
    }

    /// A connection of a log-in role, with a person in its settings.
    pub async fn as_role(&self, role: DbRole, person: UserId) -> PgConnection {
        let options = role_options(&self.options, role, &self.platform.config);
        let mut conn = PgConnection::connect_with(&options).await.unwrap();
        sqlx::query("SELECT set_config('app.user_id', $1, false)")
            .bind(person.to_string())
            .execute(&mut conn)
            .await
            .unwrap();
        conn
    }

    /// How the superuser connects.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Until somebody waits for a lock of this application's database.
    pub async fn until_one_waits(&self) {
        self.until_waiting(1).await;
    }

    /// Until so many wait for locks of this application's database.
    pub async fn until_waiting(&self, how_many: i64) {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while self.count(waiting).await < how_many {
            assert!(std::time::Instant::now() < until, "fewer than {how_many} wait for locks");
            tokio::task::yield_now().await;
        }
    }

    /// The superuser's connections: to see what is really there.
    pub fn db(&self) -> &PgPool {
        &self.db
    }

    pub async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.db).await.unwrap()
    }

    /// Enqueues a job with the owner's connection, as a schedule would.
    pub async fn enqueue<J: Job>(&self, job: &J) {
        self.enqueue_for(job, None, None).await;
    }

    /// Enqueues a job that is a person's doing.
    pub async fn enqueue_for<J: Job>(&self, job: &J, company: Option<CompanyId>, person: Option<UserId>) {
        let mut tx = self.db.begin().await.unwrap();
        sqlx::query("SELECT set_config('app.company_id', coalesce($1::uuid::text, ''), true), set_config('app.user_id', coalesce($2::uuid::text, ''), true)")
            .bind(company)
            .bind(person)
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query("SELECT app.enqueue($1, $2, ARRAY[$3], ARRAY[NULL::text], NULL, 8)")
            .bind(J::QUEUE.name())
            .bind(J::KIND)
            .bind(serde_json::to_value(job).unwrap())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Runs every job that is due by the application's clock, and what they enqueue. Panics where one died.
    pub async fn settle(&self) {
        let dead = Box::pin(self.settle_with_dead()).await;
        assert!(dead.is_empty(), "jobs died: {dead:?}");
    }

    /// As [`TestApp::settle`], for tests in which jobs may die.
    pub async fn settle_with_dead(&self) -> Vec<DeadJob> {
        let workers = self
            .workers
            .get_or_init(|| async {
                // a tick at five past would be a job that the test knows nothing of
                let settings = Settings { schedules: false, ..Settings::default() };
                Workers::start(self.platform.clone(), app::registry(), settings).unwrap()
            })
            .await;
        workers.settle(Duration::from_mins(3)).await.unwrap()
    }

    /// The mails that were sent so far, in order. Call [`TestApp::settle`] first.
    pub fn mails(&self) -> Vec<Mail> {
        let from = self.platform.config.mail_from.as_str();
        let sender = from.rsplit_once('<').map_or(from, |(_, rest)| rest.trim_end_matches('>'));
        sink().mails(sender)
    }

    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to.iter().any(|to| to == address)).collect()
    }

    /// Nobody signed in.
    pub fn anonymous(&self) -> User {
        self.user(UserId(Uuid::nil()), String::new(), None, String::new())
    }

    fn user(&self, id: UserId, email: String, company_id: Option<CompanyId>, token: String) -> User {
        User { id, email, company_id, token, base: self.base.clone(), http: self.http.clone() }
    }

    /// A person with a session. Employees get an entry of the directory as well.
    pub async fn person(&self, role: Role, company_id: Option<CompanyId>) -> User {
        let id: UserId = self.platform.new_id();
        let email = format!("{}-{}@people.test", role.as_str().replace('_', "-"), id.0.simple());
        let employee_id = (role == Role::Employee).then(|| self.platform.new_id::<EmployeeId>());
        if let Some(employee) = employee_id {
            sqlx::query(
                "INSERT INTO app.employees (id, company_id, email, first_name, last_name) VALUES ($1, $2, $3, 'Ana', 'Silva')",
            )
            .bind(employee)
            .bind(company_id)
            .bind(&email)
            .execute(&self.db)
            .await
            .unwrap();
        }
        sqlx::query(
            "INSERT INTO app.users (id, email, password_hash, role, display_name, locale, status, company_id, employee_id)
             VALUES ($1, $2, $3, $4, $5, 'en', 'active', $6, $7)",
        )
        .bind(id)
        .bind(&email)
        .bind(password_hash(&self.platform).await)
        .bind(role)
        .bind(format!("Person {}", &id.0.simple().to_string()[24..]))
        .bind(company_id)
        .bind(employee_id)
        .execute(&self.db)
        .await
        .unwrap();
        let token = self.session(id, role, company_id).await;
        self.user(id, email, company_id, token)
    }

    /// A new session of somebody: their access token.
    pub async fn session(&self, user_id: UserId, role: Role, company_id: Option<CompanyId>) -> String {
        let session_id: SessionId = self.platform.new_id();
        let now = self.clock.now();
        sqlx::query(
            "INSERT INTO app.user_sessions (id, user_id, created_at, last_used_at, expires_at) VALUES ($1, $2, $3, $3, $4)",
        )
        .bind(session_id)
        .bind(user_id)
        .bind(now)
        .bind(now + TimeDelta::days(30))
        .execute(&self.db)
        .await
        .unwrap();
        self.platform
            .tokens
            .sign_access(&Caller { user_id, role, company_id, session_id, totp_setup_required: false }, now)
            .unwrap()
    }

    pub async fn platform_admin(&self) -> User {
        self.person(Role::PlatformAdmin, None).await
    }

    /// A company whose contract runs, with its admin and its HR.
    pub async fn company(&self, name: &str) -> Company {
        let id: CompanyId = self.platform.new_id();
        let today = self.clock.now().date_naive();
        sqlx::query(
            "INSERT INTO app.companies (id, name, contract_starts_on, contract_ends_on, sessions_per_employee, seats)
             VALUES ($1, $2, $3, $4, 12, 20000)",
        )
        .bind(id)
        .bind(name)
        .bind(today - TimeDelta::days(100))
        .bind(today + TimeDelta::days(265))
        .execute(&self.db)
        .await
        .unwrap();
        sqlx::query("INSERT INTO app.company_settings (company_id) VALUES ($1)")
            .bind(id)
            .execute(&self.db)
            .await
            .unwrap();
        Company {
            id,
            admin: self.person(Role::CompanyAdmin, Some(id)).await,
            hr: self.person(Role::Hr, Some(id)).await,
        }
    }

    pub async fn employee(&self, company: &Company) -> User {
        self.person(Role::Employee, Some(company.id)).await
    }

    /// A practitioner in Paris, open from 9 to 17 on every day of the week, sessions of 30 and 60 minutes,
    /// no buffers, no notice.
    pub async fn practitioner(&self) -> User {
        let user = self.person(Role::Practitioner, None).await;
        sqlx::query(
            "INSERT INTO app.practitioners (id, display_name, languages, modes, time_zone, session_lengths,
                                            min_notice_minutes, hourly_rate_cents, status, verified_at, verified_checks,
                                            adeli)
             VALUES ($1, 'Dr Test', '{fr,en}', '{video,audio,chat}', 'Europe/Paris', '{30,60}', 0, 9000, 'active', now(),
                     '{identity,adeli}', $2)",
        )
        .bind(user.id)
        .bind(format!("75{:07}", user.id.0.as_u128() % 10_000_000))
        .execute(&self.db)
        .await
        .unwrap();
        sqlx::query("INSERT INTO app.practitioner_specialties (practitioner_id, specialty) VALUES ($1, 'psychology')")
            .bind(user.id)
            .execute(&self.db)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
             SELECT gen_random_uuid(), $1, day, 540, 1020 FROM generate_series(1, 7) day",
        )
        .bind(user.id)
        .execute(&self.db)
        .await
        .unwrap();
        user
    }

    pub fn practitioner_id(user: &User) -> PractitionerId {
        user.id.into()
    }
}

/// Hashed once for all: the cost is not what most tests are about.
async fn password_hash(platform: &Platform) -> &'static str {
    static HASH: OnceCell<String> = OnceCell::const_new();
    HASH.get_or_init(|| async { platform.passwords.hash(&PASSWORD.into(), &platform.entropy).await.unwrap() }).await
}

impl Drop for TestApp {
    /// A test that leaves jobs behind has not looked at what it caused: it fails. Then the database goes.
    fn drop(&mut self) {
        self.server.abort();
        let (options, failed) = (self.options.clone(), std::thread::panicking());
        let settled = self.workers.initialized();
        drop(self.workers.take());
        let own = options.clone();
        let left = std::thread::spawn(move || runtime().block_on(cluster::jobs_left(&own))).join().unwrap();
        // not waited for: PostgreSQL drops a database when every connection has answered, also those that this
        // very thread would have to serve
        std::thread::spawn(move || runtime().block_on(cluster::drop_database(&options)));
        if !failed {
            assert!(left.is_empty(), "jobs are left (settled: {settled}): {left:?}");
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
