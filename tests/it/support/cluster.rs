//! One private PostgreSQL for each test process, and a database of its own for each test.
//!
//! The cluster stays in the target folder from one run to the next, with a template database for the
//! present migrations and policies. Test processes beside each other take different clusters.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use huntzen::platform::config::Config;
use huntzen::platform::db::DbRole;
use huntzen::platform::db::development::{DevelopmentDatabase, DevelopmentError, Durability};
use huntzen::platform::db::migrate;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tokio::sync::OnceCell;

/// As many test processes may run at once.
const MOST_CLUSTERS: u32 = 16;

pub struct Cluster {
    server: DevelopmentDatabase,
    /// Settings that fit the cluster: its roles have the passwords that this derives.
    config: Config,
    template: String,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(1);

/// Programs on one database have the same master key, or the later ones do not start.
pub const MASTER_KEYS: &str = "test:Vnm3f6qkKAyxLQp5zVdiTS4Ttm3v8nBYDgKWv0PeIUw=";

/// The cluster of this process, with the template database made.
pub async fn template() -> &'static Cluster {
    CLUSTER.get_or_init(Cluster::start).await
}

/// A new database with the present schema and nothing in it; options of the superuser.
pub async fn fresh_database() -> PgConnectOptions {
    template().await.fresh_database().await
}

/// A database with nothing in it, as an operator makes one to restore a backup into.
pub async fn empty_database() -> PgConnectOptions {
    let cluster = template().await;
    let name = format!("test_{}_{}", std::process::id(), NEXT_DATABASE.fetch_add(1, Ordering::Relaxed));
    cluster.execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    cluster.server.options().database(&name)
}

/// Drops a database of [`fresh_database`], with whoever is still connected.
pub async fn drop_database(options: &PgConnectOptions) {
    let name = options.get_database().expect("a test database has a name");
    assert!(name.starts_with("test_"), "{name} is no test database");
    template().await.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
}

impl Cluster {
    async fn start() -> Self {
        let (server, data_dir) = start_free().await;
        let config = Config::from_env(|name| (name == "DATA_DIR").then(|| data_dir.clone())).expect("test settings");
        let template = format!("template_{}", &migrate::fingerprint()[..16]);
        let cluster = Self { server, config, template };
        cluster.make_template().await;
        // whose plan it is, where a test has them told
        cluster.execute("ALTER SYSTEM SET log_line_prefix = '%d %u '").await;
        cluster.execute("SELECT pg_reload_conf()").await;
        cluster
    }

    /// What the server says.
    pub fn log(&self) -> PathBuf {
        self.config.data_dir.join("postgres/server.log")
    }

    /// Settings for an application on a database of this cluster.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub async fn fresh_database(&self) -> PgConnectOptions {
        let name = format!("test_{}_{}", std::process::id(), NEXT_DATABASE.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {} STRATEGY file_copy", self.template)).await;
        // privileges on a database are not copied with it
        let roles = DbRole::ALL.map(DbRole::name).join(", ");
        self.execute(&format!(
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {roles};
             GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {name} TO huntzen_owner;
             GRANT TEMPORARY ON DATABASE {name} TO huntzen_stats"
        ))
        .await;
        self.server.options().database(&name)
    }

    async fn make_template(&self) {
        let databases: Vec<String> =
            sqlx::query_scalar(r"SELECT datname::text FROM pg_database WHERE datname LIKE 'te%\_%'")
                .fetch_all(&mut self.connect().await)
                .await
                .expect("the list of databases");
        // left by earlier runs, or of another schema
        for name in databases.iter().filter(|name| **name != self.template) {
            if name.starts_with("template_") {
                self.execute(&format!("ALTER DATABASE {name} IS_TEMPLATE false")).await;
            }
            self.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
        if databases.contains(&self.template) {
            return;
        }
        // takes its name when it is whole
        self.execute("CREATE DATABASE test_unfinished").await;
        let options = self.server.options().database("test_unfinished");
        migrate::migrate(&options, &self.config).await.expect("the template is migrated");
        self.execute(&format!("ALTER DATABASE test_unfinished RENAME TO {}", self.template)).await;
        self.execute(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true", self.template)).await;
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.server.options().database("postgres")).await.expect("the cluster is there")
    }

    async fn execute(&self, sql: &str) {
        let mut conn = self.connect().await;
        raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        conn.close().await.expect("closing");
    }
}

/// Starts the first cluster that no other process uses.
async fn start_free() -> (DevelopmentDatabase, String) {
    for number in 0..MOST_CLUSTERS {
        let data_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{number}"));
        match DevelopmentDatabase::start(&data_dir, Durability::Relaxed).await {
            Ok(server) => return (server, data_dir.to_str().expect("a folder in UTF-8").to_owned()),
            Err(DevelopmentError::InUse { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{MOST_CLUSTERS} test processes run already");
}

/// The jobs of a database that are due or running, as `queue: kind`.
pub async fn jobs_left(options: &PgConnectOptions) -> Vec<String> {
    let mut conn = PgConnection::connect_with(options).await.expect("the database is there");
    sqlx::query_scalar(
        "SELECT job_type || ': ' || (convert_from(job, 'UTF8')::jsonb ->> 'kind') FROM apalis.jobs
         WHERE status NOT IN ('Done', 'Killed') AND run_at <= now()
           -- what the clock of a program that was stopped asked for is the next one's to do
           AND coalesce(idempotency_key, '') !~ ':[0-9]+$'",
    )
    .fetch_all(&mut conn)
    .await
    .expect("the queue is there")
}
