//! Who reaches which rows of which table: tried out as every runtime role, and compared with files for people to read.

use std::collections::BTreeMap;
use std::fmt::Write;

use huntzen::platform::db::{DbRole, role_options};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use uuid::Uuid;

use super::golden::assert_golden;
use crate::support::cluster;

const REFUSALS: &str = include_str!("refusals.sql");
const FIXTURE: &str = include_str!("fixture.sql");
const HEADING: &str = "select              insert              update              delete";
const VERBS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// Somebody in whose name a role asks.
struct Persona {
    name: &'static str,
    role: DbRole,
    person: Option<&'static str>,
    company: Option<&'static str>,
}

const PERSONAS: [Persona; 8] = [
    Persona { name: "employee", role: DbRole::Employee, person: Some("alice"), company: Some("acme") },
    Persona { name: "practitioner", role: DbRole::Practitioner, person: Some("martin"), company: None },
    Persona { name: "hr", role: DbRole::Hr, person: Some("acme hr"), company: Some("acme") },
    Persona { name: "company_admin", role: DbRole::CompanyAdmin, person: Some("acme admin"), company: Some("acme") },
    Persona { name: "platform", role: DbRole::Platform, person: Some("staff"), company: None },
    Persona { name: "worker", role: DbRole::Worker, person: Some("alice"), company: Some("acme") },
    Persona { name: "worker alone", role: DbRole::Worker, person: None, company: None },
    Persona { name: "auth", role: DbRole::Auth, person: None, company: None },
];

/// Whose a row is, seen from a persona.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Own,
    SameCompany,
    Other,
}

struct Row {
    key: String,
    whose: Whose,
    copy: Value,
}

#[derive(sqlx::FromRow)]
struct Table {
    name: String,
    /// How its rows are told apart: SQL over the key's columns.
    key: String,
    own: Option<String>,
    company: Option<String>,
    fresh: Option<String>,
    change: Option<String>,
}

/// Every relation of our schemas that holds rows, with what the fixture says about it.
async fn tables(superuser: &mut PgConnection) -> Vec<Table> {
    sqlx::query_as(
        "SELECT it.name, it.key, f.own, f.company, f.fresh, f.change
         FROM (SELECT format('%s.%s', n.nspname, c.relname) AS name,
                      coalesce((SELECT 'ROW(' || string_agg(a.attname, ', ' ORDER BY a.attnum) || ')::text'
                                FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                                WHERE i.indrelid = c.oid AND i.indisprimary), 't::text') AS key
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname IN ('app', 'auth', 'stats') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) it
         LEFT JOIN fixture.tables f USING (name) ORDER BY it.name",
    )
    .fetch_all(superuser)
    .await
    .unwrap()
}

async fn rows(superuser: &mut PgConnection, table: &Table, persona: &Persona) -> Vec<Row> {
    let (Some(own), Some(company), Some(fresh)) = (&table.own, &table.company, &table.fresh) else { return Vec::new() };
    // for views that ask who looks
    let person = id(superuser, persona.person).await.map(|id| id.to_string()).unwrap_or_default();
    sqlx::query("SELECT set_config('app.user_id', $1, false)").bind(person).execute(&mut *superuser).await.unwrap();
    let found: Vec<(String, bool, bool, Value)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {}, coalesce({own}, false), coalesce({company} = fixture.id($2), false), to_jsonb(t) || ({fresh})::jsonb
         FROM {} t, fixture.id($1) me ORDER BY 1",
        table.key, table.name
    )))
    .bind(persona.person)
    .bind(persona.company)
    .fetch_all(superuser)
    .await
    .unwrap_or_else(|error| panic!("{}: {error}", table.name));
    found
        .into_iter()
        .map(|(key, own, same_company, copy)| Row {
            key,
            copy,
            whose: match (own, same_company) {
                (true, _) => Whose::Own,
                (false, true) => Whose::SameCompany,
                (false, false) => Whose::Other,
            },
        })
        .collect()
}

/// The columns of a relation that the connection's role may use so.
async fn columns(conn: &mut PgConnection, table: &str, verb: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT quote_ident(a.attname) FROM pg_attribute a
         WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
           AND has_column_privilege(a.attrelid, a.attnum, $2) ORDER BY a.attnum",
    )
    .bind(table)
    .bind(verb)
    .fetch_all(conn)
    .await
    .unwrap_or_default()
}

async fn may_delete(conn: &mut PgConnection, table: &str) -> bool {
    sqlx::query_scalar("SELECT has_table_privilege($1, 'DELETE')").bind(table).fetch_one(conn).await.unwrap_or(false)
}

async fn connect(options: &PgConnectOptions, role: DbRole) -> PgConnection {
    let config = cluster::template().await.config();
    PgConnection::connect_with(&role_options(options, role, config)).await.unwrap()
}

/// A transaction's settings, as the program makes them.
async fn enter(conn: &mut PgConnection, person: Option<Uuid>, company: Option<Uuid>) {
    raw_sql("BEGIN").execute(&mut *conn).await.unwrap();
    let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    sqlx::query("SELECT set_config('app.user_id', $1, true), set_config('app.company_id', $2, true)")
        .bind(text(person))
        .bind(text(company))
        .execute(&mut *conn)
        .await
        .unwrap();
}

/// What became of one statement on one row.
enum Outcome {
    Done,
    /// Row security hid the row or refused the new one.
    Nothing,
    Broke(String),
}

async fn attempt(conn: &mut PgConnection, sql: &str, row: &Row) -> Outcome {
    raw_sql("SAVEPOINT attempt").execute(&mut *conn).await.unwrap();
    let done = if sql.contains("jsonb_populate_record") {
        sqlx::query(AssertSqlSafe(sql)).bind(&row.copy).execute(&mut *conn).await
    } else {
        sqlx::query(AssertSqlSafe(sql)).bind(&row.key).execute(&mut *conn).await
    };
    raw_sql("ROLLBACK TO SAVEPOINT attempt").execute(&mut *conn).await.unwrap();
    match done {
        Ok(it) if it.rows_affected() == 1 => Outcome::Done,
        Ok(_) => Outcome::Nothing,
        Err(sqlx::Error::Database(error)) if error.message().contains("row-level security") => Outcome::Nothing,
        Err(sqlx::Error::Database(error)) => {
            Outcome::Broke(error.constraint().map_or_else(|| error.message().to_owned(), str::to_owned))
        }
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// The statement that tries a verb on one row; `None` without a privilege.
async fn statement(conn: &mut PgConnection, table: &Table, verb: &str) -> Option<String> {
    let (name, key) = (&table.name, &table.key);
    if verb == "DELETE" {
        return may_delete(conn, name).await.then(|| format!("DELETE FROM {name} t WHERE {key} = $1"));
    }
    let columns = columns(conn, name, verb).await;
    let first = columns.first()?;
    Some(match verb {
        "SELECT" => format!("SELECT FROM {name} t WHERE {key} = $1"),
        "UPDATE" => {
            let change = table.change.clone().unwrap_or_else(|| format!("{first} = t.{first}"));
            format!("UPDATE {name} t SET {change} WHERE {key} = $1")
        }
        _ => {
            let columns = columns.join(", ");
            format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::{name}, $1)")
        }
    })
}

/// One line of the matrix: every verb on every row of a table.
async fn line(conn: &mut PgConnection, table: &Table, persona: &Persona, rows: &[Row]) -> String {
    let mut line = format!("  {:<14}", persona.name);
    let mut notes = Vec::new();
    for verb in VERBS {
        let Some(sql) = statement(conn, table, verb).await else {
            write!(line, "{:<20}", "-").unwrap();
            continue;
        };
        let mut counts: BTreeMap<Whose, (usize, usize)> = BTreeMap::new();
        let mut broken: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows {
            let count = counts.entry(row.whose).or_default();
            count.1 += 1;
            match attempt(conn, &sql, row).await {
                Outcome::Done => count.0 += 1,
                Outcome::Nothing => {}
                Outcome::Broke(what) => *broken.entry(what).or_default() += 1,
            }
        }
        let cells = [Whose::Own, Whose::SameCompany, Whose::Other]
            .map(|whose| counts.get(&whose).map_or_else(|| ".".to_owned(), |(done, all)| format!("{done}/{all}")));
        write!(line, "{:<20}", format!("{:<6}{:<6}{}", cells[0], cells[1], cells[2])).unwrap();
        notes.extend(broken.into_iter().map(|(what, times)| format!("{} {times}× {what}", verb.to_lowercase())));
    }
    if !notes.is_empty() {
        write!(line, "  {}", notes.join(", ")).unwrap();
    }
    line.trim_end().to_owned()
}

async fn fixture() -> (PgConnectOptions, PgConnection) {
    let options = cluster::fresh_database().await;
    let mut superuser = PgConnection::connect_with(&options).await.unwrap();
    raw_sql(FIXTURE).execute(&mut superuser).await.unwrap();
    raw_sql("RESET search_path").execute(&mut superuser).await.unwrap();
    (options, superuser)
}

async fn id(superuser: &mut PgConnection, name: Option<&str>) -> Option<Uuid> {
    sqlx::query_scalar("SELECT fixture.id($1)").bind(name).fetch_one(superuser).await.unwrap()
}

#[tokio::test]
async fn every_role_reaches_the_rows_that_the_matrix_says() {
    let (options, mut superuser) = fixture().await;
    let mut text = String::from(
        "Who reaches which rows. Each cell counts rows reached of rows there are: the person's own, others of the same\n\
         company, all others; `-` is no privilege, `.` no such row. After the line: constraints that were met instead.\n\
         Tried as alice (employee of acme), martin (practitioner), acme's HR and admin, staff, and a job of alice's.\n",
    );
    let tables = tables(&mut superuser).await;
    let mut forgotten = Vec::new();
    let mut conns = Vec::new();
    for persona in &PERSONAS {
        let mut conn = connect(&options, persona.role).await;
        let ids = (id(&mut superuser, persona.person).await, id(&mut superuser, persona.company).await);
        enter(&mut conn, ids.0, ids.1).await;
        conns.push(conn);
    }
    for table in &tables {
        writeln!(text, "\n{}\n{:<16}{HEADING}", table.name, "").unwrap();
        let mut there_are_rows = false;
        for (persona, conn) in PERSONAS.iter().zip(&mut conns) {
            let rows = rows(&mut superuser, table, persona).await;
            there_are_rows |= !rows.is_empty();
            text.push_str(&line(conn, table, persona, &rows).await);
            text.push('\n');
        }
        if !there_are_rows {
            forgotten.push(table.name.clone());
        }
    }
    text.push_str("\nWithout settings, as after a forgotten or an ended transaction, these are seen:\n");
    for persona in PERSONAS.iter().filter(|persona| persona.name != "worker alone") {
        let mut conn = connect(&options, persona.role).await;
        for table in &tables {
            if columns(&mut conn, &table.name, "SELECT").await.is_empty() {
                continue;
            }
            let seen: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {}", table.name)))
                .fetch_one(&mut conn)
                .await
                .unwrap();
            if seen > 0 {
                writeln!(text, "  {:<14}{} {seen}", persona.name, table.name).unwrap();
            }
        }
        conn.close().await.unwrap();
    }
    drop(conns);
    superuser.close().await.unwrap();
    cluster::drop_database(&options).await;
    assert!(forgotten.is_empty(), "fixture.sql has no rows of, or says nothing about: {forgotten:?}");
    assert_golden("access_matrix.txt", &text);
    println!("{} tables × {} callers × {} verbs", tables.len(), PERSONAS.len(), VERBS.len());
}

#[tokio::test]
async fn every_role_holds_the_privileges_that_the_list_says() {
    let (options, mut superuser) = fixture().await;
    let mut text =
        String::from("What each role may use at all: columns of tables, and functions. `*` is every column.\n");
    let tables = tables(&mut superuser).await;
    for role in DbRole::ALL {
        let mut conn = connect(&options, role).await;
        writeln!(text, "\n{}", role.name()).unwrap();
        for table in &tables {
            let all: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
            )
            .bind(&table.name)
            .fetch_one(&mut superuser)
            .await
            .unwrap();
            for verb in ["SELECT", "INSERT", "UPDATE"] {
                let granted = columns(&mut conn, &table.name, verb).await;
                if granted.is_empty() {
                    continue;
                }
                let list = if i64::try_from(granted.len()) == Ok(all) { "*".to_owned() } else { granted.join(" ") };
                writeln!(text, "  {:<30} {:<7}{list}", table.name, verb.to_lowercase()).unwrap();
            }
            if may_delete(&mut conn, &table.name).await {
                writeln!(text, "  {:<30} delete", table.name).unwrap();
            }
        }
        let functions: Vec<String> = sqlx::query_scalar(
            "SELECT format('%s.%s', n.nspname, p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname IN ('app', 'auth', 'stats') AND has_schema_privilege(n.oid, 'USAGE')
               AND has_function_privilege(p.oid, 'EXECUTE') AND p.prorettype <> 'trigger'::regtype ORDER BY 1",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        for function in functions {
            writeln!(text, "  {function}()").unwrap();
        }
        conn.close().await.unwrap();
    }
    superuser.close().await.unwrap();
    cluster::drop_database(&options).await;
    assert_golden("privileges.txt", &text);
}

#[tokio::test]
async fn what_nobody_may_do_is_refused() {
    let (options, mut superuser) = fixture().await;
    let (mut tried, mut done) = (0, Vec::new());
    for piece in REFUSALS.split("\n-- refused: ").skip(1) {
        let (sentence, sql) = piece.split_once('\n').unwrap();
        let who = sentence.split_whitespace().next().unwrap();
        let persona = PERSONAS.iter().find(|persona| persona.name == who).unwrap_or_else(|| panic!("who is {who}?"));
        let (person, company) = (id(&mut superuser, persona.person).await, id(&mut superuser, persona.company).await);
        let mut conn = connect(&options, persona.role).await;
        enter(&mut conn, person, company).await;
        let mut statement = sql.trim().trim_end_matches(';').to_owned();
        while let Some((before, rest)) = statement.clone().split_once("fixture_id('") {
            let (name, after) = rest.split_once("')").unwrap();
            let id = id(&mut superuser, Some(name)).await.unwrap();
            statement = format!("{before}'{id}'::uuid{after}");
        }
        tried += 1;
        match sqlx::query(AssertSqlSafe(statement.as_str())).execute(&mut conn).await {
            Ok(it) if it.rows_affected() == 0 => {}
            Ok(it) => done.push(format!("{sentence}: {} rows", it.rows_affected())),
            // a privilege, row security, or a constraint; anything else is a mistake of the test
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| code == "42501" || code.starts_with("23")) => {}
            Err(error) => panic!("{sentence}: {error}"),
        }
        conn.close().await.unwrap();
    }
    superuser.close().await.unwrap();
    cluster::drop_database(&options).await;
    assert!(done.is_empty(), "\n{}", done.join("\n"));
    println!("{tried} statements, each refused");
}
