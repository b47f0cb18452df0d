//! A copy holds every personal column: each is given a word of its own, which is looked for in the ZIP. What is compared is
//! what the copy holds, not a list of what it says it holds.

use std::collections::BTreeSet;

use huntzen::platform::auth::Role;
use huntzen::platform::ids::{CompanyId, UserId};
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

use super::copies::{Opened, ask};
use super::*;

/// Whose rows of a table they are, where it is not what the matrix says: a practitioner's copy holds of messages what they sent,
/// of articles what somebody wrote.
const OWN: &[(&str, &str)] = &[
    ("messages", "t.sender_id = me OR t.user_id = me"),
    ("articles", "t.author_id = me"),
    ("article_translations", "t.article_id IN (SELECT a.id FROM app.articles a WHERE a.author_id = me)"),
    ("message_receipts", "t.reader_id = me"),
    ("call_parties", "t.person_id = me"),
    ("files", "t.owner_id = me"),
    ("consultation_reasons", "t.consultation_id IN (SELECT c.id FROM app.consultations c WHERE c.user_id = me)"),
    ("waitlist_holds", "false"),
];

/// Tables that a copy does not hold, for the reasons of `sweeps.rs`.
const TABLES: &[&str] = &[
    "clinical_notes",
    "clinical_note_versions",
    "encryption_keys",
    "call_signals",
    "idempotency_keys",
    "company_networks",
    "refresh_tokens",
    "news",
    "platform_news",
    "article_slugs",
];

/// Columns that it does not hold, and why.
const COLUMNS: &[(&str, &str)] = &[
    ("users.password_hash", "what proves who somebody is"),
    ("two_factor.last_step", "what keeps a code from being taken twice"),
    ("article_translations.search_text", "made of the text"),
    ("practitioners.search_name", "made of the name"),
    ("practitioners.search_text", "made of the profile"),
    ("audit_logs.actor_role", "of what somebody did themselves: their own role"),
    ("email_log.key", "what the program calls a mail: its template and numbers"),
    ("external_calendars.etag", "what the calendar's server calls its version"),
    ("external_calendars.last_modified", "as the version"),
    ("practitioner_rates.since", "the first rate of the fixture is of all time"),
    // the program's own counting
    ("conversations.last_rev", "a revision"),
    ("message_receipts.rev", "a revision"),
    ("messages.rev", "a revision"),
    ("messages.version", "a version"),
    ("journal_entries.version", "a version"),
    ("journal_keys.version", "a version"),
    ("reviews.version", "a version"),
    ("reviews.sealed_version", "a version"),
    ("notifications.place", "a place in a list"),
    ("notifications.occurrence", "what tells one occasion from the next"),
    ("privacy_requests.all_steps", "how far a job is"),
];

/// A column of text, time or number.
type Column = (String, String, String);

async fn columns(conn: &mut PgConnection) -> Vec<Column> {
    sqlx::query_as(
        "SELECT c.table_name::text, c.column_name::text, c.data_type::text FROM information_schema.columns c
         JOIN fixture.tables t ON t.name = 'app.' || c.table_name
         WHERE c.table_schema = 'app' AND c.is_generated = 'NEVER'
           AND c.data_type IN ('text', 'timestamp with time zone', 'integer', 'bigint', 'smallint')
         ORDER BY c.table_name, c.ordinal_position",
    )
    .fetch_all(conn)
    .await
    .unwrap()
}

/// Gives a column of one of the person's rows a value that is nowhere else. `None`: there is no such row, or the database knows
/// what the column may hold.
async fn mark(conn: &mut PgConnection, me: Uuid, of: &Column, n: usize) -> Option<String> {
    let (table, column, kind) = of;
    let (value, found) = match kind.as_str() {
        "text" => (format!("left(coalesce({column}, ''), 150) || 'mk{n}'"), format!("mk{n}")),
        // a fraction of a second tells one from the other
        "timestamp with time zone" => (
            format!("date_trunc('second', coalesce({column}, timestamptz '2026-09-01')) + interval '{n} microseconds'"),
            format!(".{n:06}"),
        ),
        _ => (n.to_string(), n.to_string()),
    };
    let own: String = match OWN.iter().find(|it| it.0 == table) {
        Some((_, own)) => (*own).to_owned(),
        None => sqlx::query_scalar("SELECT own FROM fixture.tables WHERE name = 'app.' || $1")
            .bind(table)
            .fetch_one(&mut *conn)
            .await
            .unwrap(),
    };
    let sql = format!(
        "UPDATE app.{table} SET {column} = {value}
         WHERE ctid = (SELECT t.ctid FROM app.{table} t, (SELECT '{me}'::uuid AS me) who
                       WHERE ({own}) ORDER BY t.{column} IS NULL LIMIT 1)"
    );
    raw_sql("SAVEPOINT one").execute(&mut *conn).await.unwrap();
    let done = raw_sql(AssertSqlSafe(sql)).execute(&mut *conn).await;
    raw_sql(if done.is_ok() { "RELEASE one" } else { "ROLLBACK TO one" }).execute(&mut *conn).await.unwrap();
    done.ok().filter(|done| done.rows_affected() == 1).map(|_| found)
}

#[tokio::test]
async fn a_copy_holds_every_personal_column_of_everybody() {
    let app = TestApp::start().await;
    let mut conn = PgConnection::connect_with(app.options()).await.unwrap();
    for sql in [include_str!("../sweeps/fixture.sql"), "RESET search_path", "DELETE FROM apalis.jobs"] {
        raw_sql(sql).execute(&mut conn).await.unwrap();
    }
    // there is no object of any of its files
    raw_sql(
        "SET session_replication_role = replica;
         UPDATE app.files SET state = 'deleted', deleted_at = now(), sealed_key = NULL, sealed_name = NULL;
         RESET session_replication_role",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    let columns: Vec<_> = columns(&mut conn)
        .await
        .into_iter()
        .filter(|(table, column, _)| !TABLES.contains(&table.as_str()) && column != "time_zone")
        .collect();
    let (mut n, mut marked, mut missing) = (100_000, BTreeSet::new(), BTreeSet::new());
    for (name, role, company) in [
        ("alice", Role::Employee, Some("acme")),
        ("martin", Role::Practitioner, None),
        ("acme hr", Role::Hr, Some("acme")),
        ("acme admin", Role::CompanyAdmin, Some("acme")),
        ("staff", Role::PlatformAdmin, None),
    ] {
        let me: Uuid = sqlx::query_scalar("SELECT fixture.id($1)").bind(name).fetch_one(&mut conn).await.unwrap();
        let mut expected = Vec::new();
        raw_sql("BEGIN; SET LOCAL session_replication_role = replica").execute(&mut conn).await.unwrap();
        for column in &columns {
            // times are written without zeros at their end
            n += if n % 10 == 9 { 2 } else { 1 };
            if let Some(word) = mark(&mut conn, me, column, n).await {
                expected.push((format!("{}.{}", column.0, column.1), word));
            }
        }
        raw_sql("COMMIT").execute(&mut conn).await.unwrap();
        let company: Option<Uuid> = match company {
            Some(company) => {
                sqlx::query_scalar("SELECT fixture.id($1)").bind(company).fetch_one(&mut conn).await.unwrap()
            }
            None => None,
        };
        let token = app.session(UserId(me), role, company.map(CompanyId)).await;
        let user = app.anonymous().with_token(token);
        let id = ask(&user).await.expect(202).str("/id");
        app.settle().await;
        let mut copy = Opened::new(user.get(&format!("/privacy/exports/{id}/download")).await.expect(200).bytes);
        let data: String =
            copy.names().iter().filter(|name| name.starts_with("data/")).map(|name| copy.text(name)).collect();
        for (column, word) in expected {
            if !data.contains(&word) && !COLUMNS.iter().any(|it| it.0 == column) {
                missing.insert(format!("{column} of {}", role.as_str()));
            }
            marked.insert(column);
        }
    }
    assert!(missing.is_empty(), "the copy lacks {missing:#?}");
    let never: Vec<_> = COLUMNS.iter().filter(|it| !marked.contains(it.0)).collect();
    assert!(never.is_empty(), "{never:?}: there is no such column, or it is never marked");
    assert!(marked.len() > 100, "{}: {marked:?}", marked.len());
    println!("{} columns of {} people are in their copies", marked.len() - COLUMNS.len(), 5);
}
