//! Brings a database to the state that this program wants: roles, the queue's tables, our tables, policies.
//!
//! Everything happens on one connection of the owner of the database. Each step can be repeated; two
//! programs that migrate at once wait for one another.

use std::time::Duration;

use apalis_postgres::PostgresStorage;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

use super::{DbRole, role_options};
use crate::platform::config::Config;
use crate::platform::crypto::derive;
use crate::platform::crypto::entropy::Entropy;

/// `(name, SQL)`: roles first, then context, then the others by name.
/// `roles` and `new_tables` are run by the user of `DATABASE_URL`, the others by the owner.
static POLICIES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/policies.rs"));
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Any number that other users of the database are unlikely to lock.
const LOCK: i64 = 0x6875_6e74_7a65_6e21;
/// Policies are replaced under load: a lock that is not free within this time is left to the others.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";
const AS_OWNER: &str = "SET ROLE huntzen_owner; SET search_path = public, pg_temp";
const ATTEMPTS: u32 = 40;
/// Migrations up to here may fill the tables that they make; later ones find them under row security already.
const LAST_UNGUARDED: i64 = 20_261_123_999_999;
const SCRAM_ROUNDS: u32 = 4096;

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("cannot connect to the database as its owner: {0}")]
    Unreachable(#[source] sqlx::Error),
    #[error("cannot make the database roles: {0}; the user of DATABASE_URL must be allowed to create roles")]
    Roles(#[source] sqlx::Error),
    #[error("cannot migrate the tables of {what}: {source}")]
    Tables { what: &'static str, source: sqlx::migrate::MigrateError },
    #[error("cannot apply policies/{file}.sql: {source}")]
    Policies { file: &'static str, source: sqlx::Error },
    #[error("the database refused a step of the migration: {0}")]
    Database(#[from] sqlx::Error),
}

/// Migrates the database that `owner` connects to.
pub async fn migrate(owner: &PgConnectOptions, config: &Config) -> Result<(), MigrateError> {
    // not from a pool: an error drops the connection, and every lock goes with it
    let mut conn = PgConnection::connect_with(&owner.clone().application_name("huntzen migrate"))
        .await
        .map_err(MigrateError::Unreachable)?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut conn).await?;

    make_roles(&mut conn).await.map_err(MigrateError::Roles)?;
    set_passwords(&mut conn, owner, config).await.map_err(MigrateError::Roles)?;

    let queue = PostgresStorage::<()>::migrations();
    let mut ours = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
    // beside schema app, whose every table is under row security
    ours.create_schema("migrate");
    ours.dangerous_set_table_name("migrate.applied");
    // the queue's early migrations want to write to schema public, which is open to nobody otherwise
    raw_sql("GRANT CREATE ON SCHEMA public TO huntzen_owner").execute(&mut conn).await?;
    raw_sql(AS_OWNER).execute(&mut conn).await?;
    run(&mut conn, "the queue", &queue).await?;
    raw_sql("RESET ROLE; REVOKE CREATE ON SCHEMA public FROM huntzen_owner").execute(&mut conn).await?;
    raw_sql(AS_OWNER).execute(&mut conn).await?;
    let mut unguarded = Migrator {
        migrations: ours.iter().filter(|it| it.version <= LAST_UNGUARDED).cloned().collect::<Vec<_>>().into(),
        ..Migrator::DEFAULT
    };
    unguarded.create_schema("migrate");
    unguarded.dangerous_set_table_name("migrate.applied");
    unguarded.set_ignore_missing(true);
    run(&mut conn, "the program", &unguarded).await?;
    raw_sql("RESET ROLE").execute(&mut conn).await?;
    guard_new_tables(&mut conn).await?;
    raw_sql(AS_OWNER).execute(&mut conn).await?;
    run(&mut conn, "the program", &ours).await?;
    apply_policies(&mut conn, &fingerprint()).await?;

    conn.close().await?;
    Ok(())
}

/// The owner's connection, for what is done to the whole installation.
pub async fn owner(owner: &PgConnectOptions) -> Result<PgConnection, MigrateError> {
    let mut conn = PgConnection::connect_with(&owner.clone().application_name("huntzen"))
        .await
        .map_err(MigrateError::Unreachable)?;
    raw_sql(AS_OWNER).execute(&mut conn).await?;
    Ok(conn)
}

async fn run(conn: &mut PgConnection, what: &'static str, migrator: &Migrator) -> Result<(), MigrateError> {
    migrator.run(conn).await.map_err(|source| MigrateError::Tables { what, source })
}

fn policy(wanted: &str) -> &'static str {
    POLICIES.iter().find(|(name, _)| *name == wanted).map_or("", |(_, sql)| sql)
}

/// Has the database itself put every new table under row security, where that may be asked of it. Elsewhere a new table
/// is open to nobody until the policies are stated, which puts it under row security as well.
async fn guard_new_tables(conn: &mut PgConnection) -> Result<(), MigrateError> {
    match raw_sql(policy("new_tables")).execute(&mut *conn).await {
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42501")) => {
            tracing::warn!(
                "DATABASE_URL is no superuser's, so the database cannot put new tables under row security by itself: \
                 every `huntzen migrate` does it at its end"
            );
            Ok(())
        }
        Err(source) => Err(MigrateError::Policies { file: "new_tables", source }),
        Ok(_) => Ok(()),
    }
}

/// Roles are shared by the whole cluster, so the migration of another database may be making them too.
async fn make_roles(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    for attempt in 1.. {
        match raw_sql(policy("roles")).execute(&mut *conn).await {
            Err(error) if attempt < ATTEMPTS && (is_concurrent_change(&error) || is_made(&error)) => {
                pause(attempt).await;
            }
            done => return done.map(|_| ()),
        }
    }
    Ok(())
}

/// Sets the passwords of the log-in roles that cannot log in with theirs.
async fn set_passwords(conn: &mut PgConnection, owner: &PgConnectOptions, config: &Config) -> Result<(), sqlx::Error> {
    for role in DbRole::ALL {
        match PgConnection::connect_with(&role_options(owner, role, config)).await {
            Ok(works) => {
                works.close().await?;
                continue;
            }
            // 28P01: wrong password; 28000: none set
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("28")) => {}
            Err(error) => return Err(error),
        }
        let password = derive::database_password(&config.database_roles_secret, role.name());
        let verifier = scram_verifier(&password);
        // neither a role's name nor base64 holds a quote
        let statement = format!("ALTER ROLE {} PASSWORD '{verifier}'", role.name());
        for attempt in 1.. {
            match raw_sql(AssertSqlSafe(statement.as_str())).execute(&mut *conn).await {
                Err(error) if attempt < ATTEMPTS && is_concurrent_change(&error) => pause(attempt).await,
                done => {
                    done?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// What the server keeps of a password (RFC 5803), so that the password itself never reaches its log.
fn scram_verifier(password: &SecretString) -> String {
    let salt = Entropy::system().bytes::<16>();
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    let rounds = std::num::NonZeroU32::new(SCRAM_ROUNDS).unwrap_or(std::num::NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.expose_secret().as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${SCRAM_ROUNDS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

/// One value for everything that decides on the schema: the same value, the same schema.
pub fn fingerprint() -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for (name, sql) in POLICIES {
        context.update(name.as_bytes());
        context.update(&[0]);
        context.update(sql.as_bytes());
        context.update(&[0]);
    }
    for migration in PostgresStorage::<()>::migrations().iter().chain(MIGRATIONS.iter()) {
        context.update(&migration.checksum);
    }
    hex::encode(context.finish())
}

/// States all policies anew in one transaction: nobody sees a table without them.
async fn apply_policies(conn: &mut PgConnection, fingerprint: &str) -> Result<(), MigrateError> {
    raw_sql("CREATE TABLE IF NOT EXISTS migrate.policies (fingerprint text NOT NULL)").execute(&mut *conn).await?;
    let applied: Option<String> =
        sqlx::query_scalar("SELECT fingerprint FROM migrate.policies").fetch_optional(&mut *conn).await?;
    if applied.as_deref() == Some(fingerprint) {
        return Ok(());
    }
    for attempt in 1.. {
        match try_policies(conn, fingerprint).await {
            Err(MigrateError::Policies { source, .. }) if attempt < ATTEMPTS && is_concurrent_change(&source) => {
                pause(attempt).await;
            }
            done => return done,
        }
    }
    Ok(())
}

async fn try_policies(conn: &mut PgConnection, fingerprint: &str) -> Result<(), MigrateError> {
    let mut tx = conn.begin().await?;
    raw_sql(LOCK_TIMEOUT).execute(&mut *tx).await?;
    for &(file, sql) in POLICIES.iter().filter(|(name, _)| !matches!(*name, "roles" | "new_tables")) {
        raw_sql(sql).execute(&mut *tx).await.map_err(|source| MigrateError::Policies { file, source })?;
    }
    sqlx::query("DELETE FROM migrate.policies").execute(&mut *tx).await?;
    sqlx::query("INSERT INTO migrate.policies VALUES ($1)").bind(fingerprint).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Another transaction was in the way: deadlock, lock timeout, or a change of the same row of a catalogue.
fn is_concurrent_change(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    match error.code().as_deref() {
        Some("40P01" | "55P03") => true,
        Some("XX000") => error.message().contains("concurrently"),
        _ => false,
    }
}

/// Another has made the same thing in the meantime.
fn is_made(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| matches!(error.code().as_deref(), Some("23505" | "42710")))
}

async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(20)) * 50)).await;
}

#[cfg(test)]
mod tests {
    use super::POLICIES;

    #[test]
    fn roles_and_context_come_before_the_other_policies() {
        let names: Vec<_> = POLICIES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names[..2], ["roles", "context"]);
        assert!(names[2..].is_sorted());
    }
}
