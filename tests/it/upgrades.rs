//! Databases of earlier releases, brought to this version: nothing fails on what is in them, nothing is lost, and what comes
//! out is what a new database is.
//!
//! `upgrades/<last migration>.sql.gz` is such a database, as `pg_dump` wrote it: schema, functions and policies of its day,
//! with the rows of that day's `sweeps/fixture.sql`. Kept in the tree, because policies are stated anew in their files and the
//! history is not there where tests run. `KEEP_RELEASE=1 cargo test --test it upgrades::` adds the present one: to be
//! done at each release, and the oldest may go when nobody runs it any more.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use huntzen::platform::db::migrate;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, raw_sql};

use crate::support::dump::tool;
use crate::support::{TestApp, cluster};

const FIXTURE: &str = include_str!("sweeps/fixture.sql");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/upgrades")
}

/// One of PostgreSQL's programs, for a database; the password stays out of the list of processes.
fn client(name: &str, at: &PgConnectOptions) -> Command {
    let host = at.get_socket().map_or_else(|| at.get_host().to_owned(), |socket| socket.display().to_string());
    let url = at.to_url_lossy();
    let password = percent_encoding::percent_decode_str(url.password().unwrap_or_default()).decode_utf8_lossy();
    let mut command = Command::new(tool(name));
    command
        .env("PGHOST", host)
        .env("PGPORT", at.get_port().to_string())
        .env("PGUSER", at.get_username())
        .env("PGPASSWORD", &*password)
        .env("PGDATABASE", at.get_database().unwrap());
    command
}

/// Runs statements as `pg_dump` writes them.
fn restore(into: &PgConnectOptions, statements: &[u8]) {
    let mut psql = client("psql", into)
        .args(["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    psql.stdin.take().unwrap().write_all(statements).unwrap();
    assert!(psql.wait().unwrap().success(), "{:?} is not restored", into.get_database());
}

/// The database of an earlier release.
async fn released(file: &Path) -> PgConnectOptions {
    let options = cluster::empty_database().await;
    let opened = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(opened.status.success(), "{}", file.display());
    restore(&options, &opened.stdout);
    options
}

/// The oldest of them, of a release that published no months, without its secrets: they are none.
pub async fn oldest() -> PgConnectOptions {
    let options = released(&folder().join("20261124000702.sql.gz")).await;
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    raw_sql(
        "SET session_replication_role = replica; DELETE FROM apalis.jobs; DELETE FROM app.signing_keys;
         DELETE FROM app.two_factor; DELETE FROM app.external_busy_times; DELETE FROM app.external_calendars;
         DELETE FROM app.consultation_reasons; DELETE FROM app.messages; DELETE FROM app.encryption_keys",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    conn.close().await.unwrap();
    options
}

fn dumped_schema(of: &PgConnectOptions) -> String {
    let done = client("pg_dump", of).arg("--schema-only").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Tables, functions, policies, privileges: everything but rows, a line of it at a time, in an order that does not depend on
/// when it was made. Restored once, because PostgreSQL words some expressions otherwise then.
pub async fn schema(of: &PgConnectOptions) -> Vec<String> {
    let copy = cluster::empty_database().await;
    restore(&copy, dumped_schema(of).as_bytes());
    let text = dumped_schema(&copy);
    cluster::drop_database(&copy).await;
    let mut lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with("--") && !line.starts_with('\\')).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What is in one list and not in the other, as often as it is.
pub fn but_for(lines: &[String], known: &[String]) -> Vec<String> {
    let mut left: BTreeMap<&str, i64> = BTreeMap::new();
    for line in known {
        *left.entry(line).or_default() += 1;
    }
    lines
        .iter()
        .filter(|line| {
            let more = left.entry(line).or_default();
            *more -= 1;
            *more < 0
        })
        .cloned()
        .collect()
}

async fn rows(of: &PgConnectOptions) -> BTreeMap<String, i64> {
    let mut conn = PgConnection::connect_with(of).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
         WHERE table_schema IN ('app', 'apalis') AND table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    let mut counts = BTreeMap::new();
    for table in tables {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        counts.insert(table, sqlx::query_scalar(count).fetch_one(&mut conn).await.unwrap());
    }
    conn.close().await.unwrap();
    counts
}

/// The database of this version with a few rows of everything, without the words that the matrix has for them.
async fn of_today() -> PgConnectOptions {
    let options = cluster::fresh_database().await;
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    raw_sql(FIXTURE).execute(&mut conn).await.unwrap();
    raw_sql("DROP SCHEMA fixture CASCADE").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    options
}

/// Adds the database of this version to those of earlier ones.
async fn keep() {
    let options = of_today().await;
    // what is counted could not be counted by whoever restores it: row security is in the way
    let done = client("pg_dump", &options).arg("--exclude-table-data=stats.*").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let superuser = format!("OWNER TO {};", options.get_username());
    let text = String::from_utf8(done.stdout).unwrap();
    let text: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("--") && !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        // whoever restores it owns what is the superuser's
        .filter(|line| !line.ends_with(&superuser))
        .collect();
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let last: i64 = sqlx::query_scalar("SELECT max(version) FROM migrate.applied").fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let mut gzip = Command::new("gzip").arg("-9nc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let writing = std::thread::spawn({
        let text = text.join("\n") + "\n";
        move || input.write_all(text.as_bytes()).unwrap()
    });
    let packed = gzip.wait_with_output().unwrap();
    writing.join().unwrap();
    std::fs::write(folder().join(format!("{last}.sql.gz")), packed.stdout).unwrap();
    cluster::drop_database(&options).await;
}

/// Articles as earlier releases took them: three that share a name in different languages, two that share one of before.
const SHARED_NAMES: &str = "
    INSERT INTO app.articles (id, status, category, published_at, created_at) VALUES
        ('00000000-0000-7000-8000-00000000000a', 'published', 'work', now(), now()),
        ('00000000-0000-7000-8000-00000000000b', 'published', 'work', now(), now() - interval '1 day'),
        ('00000000-0000-7000-8000-00000000000c', 'draft', 'work', NULL, now() - interval '2 days');
    INSERT INTO app.article_translations (article_id, language, slug, title, summary, body) VALUES
        ('00000000-0000-7000-8000-00000000000a', 'fr', 'shared', 'A', 'A', 'A'),
        ('00000000-0000-7000-8000-00000000000b', 'en', 'shared', 'B', 'B', 'B'),
        ('00000000-0000-7000-8000-00000000000c', 'fr', 'own', 'C', 'C', 'C'),
        ('00000000-0000-7000-8000-00000000000c', 'en', 'own', 'C', 'C', 'C');
    DO $$ BEGIN
        IF to_regclass('app.article_slugs') IS NOT NULL THEN
            UPDATE app.article_translations SET slug = 'new-' || language WHERE slug = 'own';
            INSERT INTO app.article_slugs (language, slug, article_id) VALUES
                ('fr', 'before', '00000000-0000-7000-8000-00000000000a'), ('en', 'before', '00000000-0000-7000-8000-00000000000b');
        END IF;
    END $$";

/// Each name leads to one article, each text is found by its name, and whoever had a name first has it still.
async fn names_are_told_apart(of: &PgConnectOptions) {
    let mut conn = PgConnection::connect_with(of).await.unwrap();
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', right(article_id::text, 1), language, slug) FROM app.article_slugs
         WHERE article_id::text LIKE '00000000-0000-7000-8000-%' AND slug <> 'before' ORDER BY 1",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    assert!(
        names.contains(&"b en shared".to_owned()) && names.contains(&"a fr shared-00000000000a".to_owned()),
        "{names:?}"
    );
    assert!(names.contains(&"c fr own".to_owned()) && names.contains(&"c en own".to_owned()), "{names:?}");
    let wrong: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM (SELECT FROM app.article_slugs GROUP BY slug HAVING count(DISTINCT article_id) > 1) s)
              + (SELECT count(*) FROM app.article_translations t WHERE NOT EXISTS (
                     SELECT FROM app.article_slugs s WHERE (s.language, s.slug, s.article_id) = (t.language, t.slug, t.article_id)))",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(wrong, 0, "{names:?}");
    conn.close().await.unwrap();
}

#[tokio::test]
async fn databases_of_earlier_releases_become_what_a_new_one_is() {
    if std::env::var_os("KEEP_RELEASE").is_some() {
        keep().await;
    }
    let config = cluster::template().await.config();
    let fresh = cluster::fresh_database().await;
    let wanted = schema(&fresh).await;
    cluster::drop_database(&fresh).await;
    assert!(wanted.len() > 5_000, "the schema was not read");
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let options = released(&file).await;
        let before = rows(&options).await;
        assert!(before.values().filter(|count| **count > 0).count() > 30, "{name} holds little: {before:?}");
        let mut conn = PgConnection::connect_with(&options).await.unwrap();
        raw_sql(SHARED_NAMES).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        migrate::migrate(&options, config).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        names_are_told_apart(&options).await;
        let is = schema(&options).await;
        let (missing, left) = (but_for(&wanted, &is), but_for(&is, &wanted));
        assert!(missing.is_empty() && left.is_empty(), "{name} lacks {missing:#?}\nand still has {left:#?}");
        let after = rows(&options).await;
        let lost: Vec<_> = before.iter().filter(|(table, count)| after.get(*table) < Some(*count)).collect();
        assert!(lost.is_empty(), "{name} lost rows of {lost:?}; now {after:?}");
        // again is nothing
        migrate::migrate(&options, config).await.unwrap();
        assert_eq!(rows(&options).await, after);
        println!("{name}: {} rows of {} tables", after.values().sum::<i64>(), after.len());
        // the program serves it; what waited in its queue is nobody's to do here, and the rows' secrets are none
        let mut conn = PgConnection::connect_with(&options).await.unwrap();
        raw_sql("SET session_replication_role = replica; DELETE FROM apalis.jobs; DELETE FROM app.signing_keys")
            .execute(&mut conn)
            .await
            .unwrap();
        conn.close().await.unwrap();
        let app = TestApp::start_on(options, |_| None).await;
        app.anonymous().get("//health/ready").await.expect(200);
        app.platform_admin().await.get("/admin/overview").await.expect(200);
    }
}
