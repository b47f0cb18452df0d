//! The private server that development and tests start, and the migration of its databases.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use huntzen::platform::config::Config;
use huntzen::platform::db::development::{DevelopmentDatabase, DevelopmentError, Durability};
use huntzen::platform::db::{Db, DbRole, migrate, role_options};
use sqlx::{Connection, PgConnection};

use crate::support::cluster;

#[tokio::test]
async fn runtime_roles_need_their_password_and_are_safe_to_start_on() {
    let cluster = cluster::template().await;
    let options = cluster::fresh_database().await;
    for role in DbRole::ALL {
        let right = role_options(&options, role, cluster.config());
        PgConnection::connect_with(&right).await.unwrap().close().await.unwrap();
        let error = PgConnection::connect_with(&right.password("wrong")).await.unwrap_err();
        assert!(error.to_string().contains("password authentication failed"), "{error}");
    }
    let db = Db::open(&options, cluster.config());
    db.verify().await.unwrap();
    db.close();
    cluster::drop_database(&options).await;
}

#[tokio::test]
async fn test_databases_do_not_see_each_other() {
    let (one, other) = (cluster::fresh_database().await, cluster::fresh_database().await);
    let mut conn = PgConnection::connect_with(&one).await.unwrap();
    sqlx::raw_sql("CREATE TABLE only_here ()").execute(&mut conn).await.unwrap();
    let mut conn = PgConnection::connect_with(&other).await.unwrap();
    let seen: bool =
        sqlx::query_scalar("SELECT to_regclass('only_here') IS NOT NULL").fetch_one(&mut conn).await.unwrap();
    assert!(!seen);
    cluster::drop_database(&one).await;
    cluster::drop_database(&other).await;
}

/// How many migrations, when the last, and what the policies were made of.
type State = (i64, Option<chrono::DateTime<chrono::Utc>>, Option<String>);

#[tokio::test]
async fn migrating_again_changes_nothing_and_two_at_once_wait_for_one_another() {
    let cluster = cluster::template().await;
    let options = cluster::fresh_database().await;
    let state = "SELECT count(*), max(installed_on), (SELECT string_agg(fingerprint, ',') FROM migrate.policies)
                 FROM migrate.applied";
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let before: State = sqlx::query_as(state).fetch_one(&mut conn).await.unwrap();
    assert_eq!(before.2.as_deref(), Some(migrate::fingerprint().as_str()));
    let (first, second) =
        tokio::join!(migrate::migrate(&options, cluster.config()), migrate::migrate(&options, cluster.config()));
    first.unwrap();
    second.unwrap();
    let after: State = sqlx::query_as(state).fetch_one(&mut conn).await.unwrap();
    assert_eq!(before, after);
    // policies of another version are stated anew
    sqlx::raw_sql("UPDATE migrate.policies SET fingerprint = 'other'").execute(&mut conn).await.unwrap();
    migrate::migrate(&options, cluster.config()).await.unwrap();
    let again: State = sqlx::query_as(state).fetch_one(&mut conn).await.unwrap();
    assert_eq!(before, again);
    cluster::drop_database(&options).await;
}

/// The tables of schema app that their owner would see through, or anybody else.
async fn open_tables(conn: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p')
           AND NOT (relrowsecurity AND relforcerowsecurity)",
    )
    .fetch_all(conn)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_new_table_is_under_row_security_whoever_makes_it_and_however() {
    let options = cluster::fresh_database().await;
    let mut owner = migrate::owner(&options).await.unwrap();
    let mut superuser = PgConnection::connect_with(&options).await.unwrap();
    for (conn, tables) in [(&mut owner, "a"), (&mut superuser, "b")] {
        for sql in [
            "CREATE TABLE app.{}_plain (id uuid)",
            "CREATE TABLE IF NOT EXISTS app.{}_plain (id uuid)",
            "CREATE TABLE app.{}_copied AS SELECT 1 AS one",
            "SELECT 1 AS one INTO app.{}_chosen",
            "CREATE TABLE app.{}_parted (at date) PARTITION BY RANGE (at)",
            "CREATE TABLE app.{}_part PARTITION OF app.{}_parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
            // nobody's business
            "CREATE TEMPORARY TABLE {}_temporary (id uuid)",
        ] {
            let sql = sql.replace("{}", tables);
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *conn).await.unwrap();
        }
    }
    let made: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relname ~ '^[ab]_' AND relnamespace = 'app'::regnamespace",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert_eq!((made, open_tables(&mut superuser).await), (10, vec![]));
    // its owner is not above it
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM app.a_copied").fetch_one(&mut owner).await.unwrap();
    assert_eq!(seen, 0);
    // nor may the owner, whom migrations run as, take that away
    let error = sqlx::raw_sql("ALTER EVENT TRIGGER huntzen_force_row_security DISABLE").execute(&mut owner).await;
    assert!(error.unwrap_err().to_string().contains("must be owner"));
    cluster::drop_database(&options).await;
}

#[tokio::test]
async fn the_program_does_not_start_where_a_table_is_open_to_one_of_its_roles() {
    let cluster = cluster::template().await;
    let options = cluster::fresh_database().await;
    let mut superuser = PgConnection::connect_with(&options).await.unwrap();
    let db = Db::open(&options, cluster.config());
    for (open, close) in [
        ("ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY", "ALTER TABLE app.users FORCE ROW LEVEL SECURITY"),
        (
            "CREATE TABLE app.stray (id uuid, name text); ALTER TABLE app.stray DISABLE ROW LEVEL SECURITY;
             GRANT SELECT (name) ON app.stray TO huntzen_hr",
            "REVOKE SELECT (name) ON app.stray FROM huntzen_hr",
        ),
    ] {
        sqlx::raw_sql(open).execute(&mut superuser).await.unwrap();
        let refusal = db.verify().await.unwrap_err().to_string();
        assert!(refusal.contains("may use a table that is not under row security"), "{refusal}");
        sqlx::raw_sql(close).execute(&mut superuser).await.unwrap();
        // a table that nobody may use, as a migration leaves it for a moment, is no reason
        db.verify().await.unwrap();
    }
    db.close();
    cluster::drop_database(&options).await;
}

/// Somebody who owns the database and makes roles, as providers of databases have it, can do without event triggers.
#[tokio::test]
async fn a_user_who_is_no_superuser_migrates_as_well() {
    let cluster = cluster::template().await;
    let options = cluster::fresh_database().await;
    let mut superuser = PgConnection::connect_with(&options).await.unwrap();
    let name = format!("plain_{}", options.get_database().unwrap());
    for sql in [
        format!("CREATE ROLE {name} LOGIN CREATEROLE CREATEDB PASSWORD 'only here'"),
        format!("CREATE DATABASE {name} OWNER {name}"),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut superuser).await.unwrap();
    }
    let plain = options.clone().username(&name).password("only here").database(&name);
    for _ in 0..2 {
        migrate::migrate(&plain, cluster.config()).await.unwrap();
    }
    let mut conn = PgConnection::connect_with(&options.clone().database(&name)).await.unwrap();
    let triggers: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_event_trigger").fetch_one(&mut conn).await.unwrap();
    assert_eq!((triggers, open_tables(&mut conn).await), (0, vec![]));
    // a superuser who migrates later makes up for it
    migrate::migrate(&options.clone().database(&name), cluster.config()).await.unwrap();
    let triggers: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_event_trigger").fetch_one(&mut conn).await.unwrap();
    assert_eq!(triggers, 1);
    conn.close().await.unwrap();
    for sql in [
        format!("DROP DATABASE {name} WITH (FORCE)"),
        format!("REVOKE huntzen_owner FROM {name}"),
        format!("DROP ROLE {name}"),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut superuser).await.unwrap();
    }
    cluster::drop_database(&options).await;
}

#[tokio::test]
async fn policies_give_way_to_a_reader_and_come_through_when_it_is_done() {
    let cluster = cluster::template().await;
    let options = cluster::fresh_database().await;
    let mut reader = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("UPDATE migrate.policies SET fingerprint = 'other'").execute(&mut reader).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM app.users").execute(&mut reader).await.unwrap();
    let both = futures_util::future::join(migrate::migrate(&options, cluster.config()), async {
        let mut other = PgConnection::connect_with(&options).await.unwrap();
        // until the migration waits for the reader
        let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database =
                       (SELECT oid FROM pg_database WHERE datname = current_database()))";
        while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut other).await.unwrap() {
            tokio::task::yield_now().await;
        }
        // others who come now wait for less than the migration's patience, and get through
        sqlx::raw_sql("SET statement_timeout = '2s'; SELECT FROM app.users").execute(&mut other).await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut reader).await.unwrap();
    });
    let (done, ()) = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    done.unwrap();
    cluster::drop_database(&options).await;
}

#[tokio::test]
async fn two_data_folders_have_two_servers_and_one_folder_has_one() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = DevelopmentDatabase::start(one.path(), Durability::Relaxed).await.unwrap();
    let second = DevelopmentDatabase::start(other.path(), Durability::Full).await.unwrap();
    for (server, fsync) in [(&first, "off"), (&second, "on")] {
        let mut conn = PgConnection::connect_with(&server.options()).await.unwrap();
        let found: (String, String) =
            sqlx::query_as("SELECT current_setting('fsync'), current_setting('log_parameter_max_length')")
                .fetch_one(&mut conn)
                .await
                .unwrap();
        assert_eq!(found, (fsync.to_owned(), "0".to_owned()));
    }
    let again = DevelopmentDatabase::start(one.path(), Durability::Relaxed).await.err().unwrap();
    assert!(matches!(again, DevelopmentError::InUse { .. }), "{again}");
    assert!(again.to_string().contains(&std::process::id().to_string()), "{again}");
    // commands use the server of the program that runs
    let beside = DevelopmentDatabase::beside(one.path()).unwrap();
    PgConnection::connect_with(&beside).await.unwrap();

    // what is in it stays
    let mut conn = PgConnection::connect_with(&first.options()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept ()").execute(&mut conn).await.unwrap();
    first.stop();
    assert!(DevelopmentDatabase::beside(one.path()).is_none());
    let first = DevelopmentDatabase::start(one.path(), Durability::Relaxed).await.unwrap();
    let mut conn = PgConnection::connect_with(&first.options()).await.unwrap();
    sqlx::raw_sql("SELECT FROM kept").execute(&mut conn).await.unwrap();
}

#[tokio::test]
async fn a_folder_with_a_long_name_or_closed_to_others_serves_as_well() {
    let private = std::fs::Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
    let long = folder.path().join("x".repeat(120));
    let server = DevelopmentDatabase::start(&long, Durability::Relaxed).await.unwrap();
    PgConnection::connect_with(&server.options()).await.unwrap();
    server.stop();
    let target = std::fs::canonicalize(long.join("postgres")).unwrap();
    if !target.starts_with(folder.path()) {
        std::fs::remove_dir_all(target).unwrap();
    }
}

#[tokio::test]
async fn killing_the_program_stops_its_server() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut conn = {
        // a program that holds the server is killed; this process can hold it again
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_huntzen"))
            .arg("migrate")
            .env("DATA_DIR", folder.path())
            .spawn()
            .unwrap();
        while !folder.path().join("postgres/data/postmaster.pid").exists() {
            assert!(program.try_wait().unwrap().is_none(), "it ended before it could be killed");
            tokio::task::yield_now().await;
        }
        program.kill().unwrap();
        program.wait().unwrap();
        let server = DevelopmentDatabase::start(folder.path(), Durability::Relaxed).await.unwrap();
        let config =
            Config::from_env(|name| (name == "DATA_DIR").then(|| folder.path().to_str().unwrap().to_owned())).unwrap();
        migrate::migrate(&server.options(), &config).await.unwrap();
        let conn = PgConnection::connect_with(&server.options()).await.unwrap();
        drop(server);
        conn
    };
    assert!(sqlx::query("SELECT 1").execute(&mut conn).await.is_err(), "the server outlives its owner");
    let target = std::fs::canonicalize(folder.path().join("postgres")).unwrap();
    std::fs::remove_dir_all(target).unwrap();
}
