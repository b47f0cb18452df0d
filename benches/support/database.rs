//! The database of the benchmarks: a private server with everything durable, and a database for each scale,
//! filled once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::platform::crypto::derive;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::db::DbRole;
use huntzen::platform::db::development::{DevelopmentDatabase, Durability};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::Outcome;

/// As deployments are advised to set them; the rest is as PostgreSQL comes.
const SETTINGS: [(&str, &str); 4] =
    [("shared_buffers", "1GB"), ("max_wal_size", "4GB"), ("random_page_cost", "1.1"), ("effective_cache_size", "4GB")];

pub struct Database {
    /// The server runs as long as this; a copy runs on that of its original.
    cluster: Option<DevelopmentDatabase>,
    options: PgConnectOptions,
    roles_secret: SecretString,
}

impl Database {
    /// Starts the server, and fills the database of this scale if it is empty.
    pub async fn prepare(server: &Path, scale: u32) -> Outcome<Self> {
        let folder = PathBuf::from(".huntzen/bench");
        let mut cluster = DevelopmentDatabase::start(&folder, Durability::Full).await?;
        let mut conn = cluster.options().connect().await?;
        let name = format!("huntzen_{scale}");
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut conn)
            .await?;
        if !known {
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut conn).await?;
        }
        let tuned = is_tuned(&mut conn).await?;
        if !tuned {
            for (setting, value) in SETTINGS {
                let change = format!("ALTER SYSTEM SET {setting} = '{value}'");
                sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut conn).await?;
            }
        }
        conn.close().await?;
        if !tuned {
            cluster.stop();
            cluster = DevelopmentDatabase::start(&folder, Durability::Full).await?;
        }

        let options = cluster.options().database(&name);
        let roles_secret = STANDARD.encode(Entropy::system().bytes::<32>()).into();
        let database = Self { cluster: Some(cluster), options, roles_secret };
        database.tell(server, &["migrate"])?;
        let begun = Instant::now();
        eprintln!("filling the database, if it is empty: {scale} companies");
        database.tell(server, &["seed", "--scale", &scale.to_string()])?;
        eprintln!("filled in {:.0?}", begun.elapsed());
        database.settle().await?;
        Ok(database)
    }

    /// Nothing is due: sessions whose time came since the database was filled are gone, and jobs that nobody did. The workers
    /// would be busy with thousands of mails else, to a server that there is not. Databases that were filled without rates get them.
    async fn settle(&self) -> Outcome {
        let mut conn = self.connect().await?;
        sqlx::raw_sql(
            "SET session_replication_role = replica;
             DELETE FROM app.consultations
             WHERE status IN ('pending', 'confirmed', 'in_progress') AND starts_at < now() + interval '2 days';
             DELETE FROM apalis.jobs WHERE status <> 'Done';
             INSERT INTO app.practitioner_rates (practitioner_id, since, hourly_rate_cents, currency)
             SELECT p.id, '-infinity', p.hourly_rate_cents, p.currency FROM app.practitioners p
             WHERE NOT EXISTS (SELECT FROM app.practitioner_rates r WHERE r.practitioner_id = p.id)",
        )
        .execute(&mut conn)
        .await?;
        conn.close().await?;
        Ok(())
    }

    /// Has the program do something to this database.
    fn tell(&self, server: &Path, arguments: &[&str]) -> Outcome {
        let status = Command::new(server).args(arguments).envs(self.settings()).status()?;
        if status.success() { Ok(()) } else { Err(format!("{} {arguments:?} failed", server.display()).into()) }
    }

    /// The variables that lead the program here.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABASE_URL", self.options.to_url_lossy().to_string()),
            ("DATABASE_ROLES_SECRET", self.roles_secret.expose_secret().to_owned()),
            ("DATA_DIR", ".huntzen/bench".to_owned()),
        ]
    }

    /// The variables that lead PostgreSQL's own programs here, as one of the runtime roles.
    pub fn libpq(&self, role: DbRole) -> Vec<(&'static str, String)> {
        let password = derive::database_password(&self.roles_secret, role.name());
        let host = self.options.get_socket().map(|socket| socket.display().to_string());
        vec![
            ("PGHOST", host.unwrap_or_else(|| self.options.get_host().to_owned())),
            ("PGPORT", self.options.get_port().to_string()),
            ("PGDATABASE", self.options.get_database().unwrap_or_default().to_owned()),
            ("PGUSER", role.name().to_owned()),
            ("PGPASSWORD", password.expose_secret().to_owned()),
        ]
    }

    /// As the owner, to prepare what a workload needs.
    pub async fn connect(&self) -> Outcome<PgConnection> {
        Ok(self.options.connect().await?)
    }

    /// As one of the runtime roles.
    pub async fn connect_as(&self, role: DbRole) -> Outcome<PgConnection> {
        let password = derive::database_password(&self.roles_secret, role.name());
        let options = self.options.clone().username(role.name()).password(password.expose_secret());
        Ok(options.connect().await?)
    }

    /// A copy for a workload that writes, on the same server; nothing else may be connected to this one meanwhile.
    pub async fn copy(&self, server: &Path) -> Outcome<Self> {
        let name = self.options.get_database().unwrap_or_default();
        let mut conn = self.options.clone().database("postgres").connect().await?;
        sqlx::query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1")
            .bind(name)
            .execute(&mut conn)
            .await?;
        eprintln!("copying the database");
        for sql in [
            format!("DROP DATABASE IF EXISTS {name}_copy WITH (FORCE)"),
            format!("CREATE DATABASE {name}_copy TEMPLATE {name} STRATEGY file_copy"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await?;
        }
        conn.close().await?;
        let options = self.options.clone().database(&format!("{name}_copy"));
        let copy = Self { cluster: None, options, roles_secret: self.roles_secret.clone() };
        // grants on the database itself are not copied
        copy.tell(server, &["migrate"])?;
        Ok(copy)
    }

    /// Removes the copy.
    pub async fn discard(self) -> Outcome {
        let name = self.options.get_database().unwrap_or_default();
        let mut conn = self.options.clone().database("postgres").connect().await?;
        let sql = format!("DROP DATABASE {name} WITH (FORCE)");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await?;
        Ok(())
    }

    pub fn stop(self) {
        if let Some(cluster) = self.cluster {
            cluster.stop();
        }
    }
}

async fn is_tuned(conn: &mut PgConnection) -> sqlx::Result<bool> {
    let [(name, value), ..] = SETTINGS;
    let actual: String = sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(conn).await?;
    Ok(actual == value)
}
