//! Data to try the program with, and data to measure it with. The SQL is in `seeds/`.
//!
//! Both run as the user of `DATABASE_URL`, who must be able to read past row security (a superuser, as in
//! development), and both are refused in production. Each is one transaction and happens once: where its
//! data is there already, nothing is touched.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::domain::identity::model::TERMS_VERSION;
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::passwords::{Cost, Passwords};
use crate::platform::problem::Problem;

/// The accounts of the demonstration that are made to log in with, and what each is.
pub const DEMO_ACCOUNTS: [(&str, &str); 11] = [
    ("admin@huntzen.test", "platform admin"),
    ("admin@acme.test", "company admin of Acme"),
    ("admin@globex.test", "company admin of Globex"),
    ("hr@acme.test", "HR of Acme"),
    ("hr@globex.test", "HR of Globex"),
    ("alice@acme.test", "employee of Acme"),
    ("bob@acme.test", "employee of Acme"),
    ("carol@globex.test", "employee of Globex"),
    ("dave@globex.test", "employee of Globex"),
    ("dr.martin@huntzen.test", "practitioner, psychology"),
    ("coach.durand@huntzen.test", "practitioner, coaching"),
];

const DEMO: &[&str] = &[
    include_str!("../seeds/demo/00_helpers.sql"),
    include_str!("../seeds/demo/01_companies.sql"),
    include_str!("../seeds/demo/02_employees.sql"),
    include_str!("../seeds/demo/03_practitioners.sql"),
    include_str!("../seeds/demo/04_consultations.sql"),
    include_str!("../seeds/demo/05_usage.sql"),
    include_str!("../seeds/demo/06_articles.sql"),
    include_str!("../seeds/demo/07_waitlist.sql"),
    include_str!("../seeds/demo/09_audit.sql"),
];
const DEMO_EXISTS: &str = "SELECT EXISTS (SELECT FROM app.users WHERE email = 'admin@acme.test')";

const LOAD: &[&str] = &[
    include_str!("../seeds/load/01_people.sql"),
    include_str!("../seeds/load/02_consultations.sql"),
    include_str!("../seeds/load/03_events.sql"),
];
const LOAD_EXISTS: &str = "SELECT EXISTS (SELECT FROM app.users WHERE email = 'employee-0@bench.test')";

/// Any number that other users of the database are unlikely to lock.
const LOCK: i64 = 0x6875_6e74_7365_6564;

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("demonstration data is refused in production")]
    Production,
    #[error("the database refused the data: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the password of the demonstration cannot be hashed: {0:?}")]
    Password(Problem),
}

/// What seeding did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeded {
    Now,
    /// The data was there.
    Before,
}

/// Two companies with their people, twelve practitioners and a year of history. The same data each time,
/// relative to the clock's day.
pub async fn demo(owner: &PgConnectOptions, config: &Config, clock: &Clock) -> Result<Seeded, SeedError> {
    run(owner, config, clock.now(), DEMO_EXISTS, DEMO, &[]).await
}

/// So many companies, each with 100 employees, 1,000 consultations and 3,000 events, and a practitioner for
/// every two of them. The accounts are `employee-<n>@bench.test`; forty of a company's hundred have 25
/// consultations each.
pub async fn scale(
    owner: &PgConnectOptions,
    config: &Config,
    clock: &Clock,
    companies: u32,
) -> Result<Seeded, SeedError> {
    let settings = [("seed.companies", companies.to_string())];
    let seeded = run(owner, config, clock.now(), LOAD_EXISTS, LOAD, &settings).await?;
    if seeded == Seeded::Now {
        // so that the first queries are planned and run as they will be later
        let mut conn = connect(owner).await?;
        sqlx::raw_sql("VACUUM (ANALYZE)").execute(&mut conn).await?;
        conn.close().await?;
    }
    Ok(seeded)
}

async fn run(
    owner: &PgConnectOptions,
    config: &Config,
    now: DateTime<Utc>,
    exists: &'static str,
    files: &[&'static str],
    settings: &[(&str, String)],
) -> Result<Seeded, SeedError> {
    if config.is_production() {
        return Err(SeedError::Production);
    }
    let mut conn = connect(owner).await?;
    let mut tx = conn.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    if sqlx::query_scalar(exists).fetch_one(&mut *tx).await? {
        return Ok(Seeded::Before);
    }
    let shared = [
        ("seed.now", now.to_rfc3339()),
        ("seed.password_hash", password_hash(config).await.map_err(SeedError::Password)?),
        ("seed.terms_version", TERMS_VERSION.to_owned()),
    ];
    for (name, value) in shared.iter().chain(settings) {
        sqlx::query("SELECT set_config($1, $2, true)").bind(name).bind(value).execute(&mut *tx).await?;
    }
    for file in files {
        sqlx::raw_sql(*file).execute(&mut *tx).await?;
    }
    // HR reads about the history at once, not from the next hour on
    sqlx::query("SELECT stats.refresh($1)").bind(now).execute(&mut *tx).await?;
    tx.commit().await?;
    conn.close().await?;
    Ok(Seeded::Now)
}

async fn connect(owner: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let options = owner.clone().application_name("huntzen seed").options([("timezone", "UTC")]);
    // a large statement is slow, and no news
    let options = options.disable_statement_logging();
    PgConnection::connect_with(&options).await
}

/// One hash for all: they share the password, and a demonstration is to start quickly.
async fn password_hash(config: &Config) -> Result<String, Problem> {
    // the salt is the same each time as well: nothing here protects anybody
    let entropy = Entropy::seeded(1);
    Passwords::new(Cost::LEAST, &entropy)?.hash(&config.demo_password, &entropy).await
}
