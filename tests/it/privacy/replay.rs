//! A backup of before an erasure, restored: the ledger carries it out again.

use std::process::Command;

use huntzen::domain::privacy::operator::{self, Replayed};
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;

use super::*;
use crate::support::cluster;
use crate::support::dump::tool;

/// What libpq connects with.
fn url(at: &PgConnectOptions) -> String {
    let host = at.get_socket().map_or_else(|| at.get_host().to_owned(), |socket| socket.display().to_string());
    let mut url = sqlx::ConnectOptions::to_url_lossy(at);
    url.query_pairs_mut().clear().append_pair("host", &host);
    url.to_string()
}

fn run(program: &str, args: &[&str]) {
    let done = Command::new(tool(program)).args(args).output().unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn a_backup_of_before_is_erased_again_by_the_ledger_and_notes_stay_with_their_author() {
    let mut it = life().await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("before.dump");
    run(
        "pg_dump",
        &[
            "--format=custom",
            "--exclude-table-data=stats.*",
            "--file",
            dump.to_str().unwrap(),
            "--dbname",
            &url(it.app.options()),
        ],
    );
    it.erase().await;
    let mut lines = String::new();
    operator::ledger(it.app.options(), |line| lines = format!("{lines}{line}\n")).await.unwrap();
    assert_eq!(lines.lines().count(), 1);
    assert!(!lines.contains(&it.alice.email) && lines.contains(&it.alice.id.to_string()), "{lines}");

    // into a database of its own, which knows of no erasure
    let restored = cluster::fresh_database().await;
    let mut conn = <sqlx::PgConnection as sqlx::Connection>::connect_with(&restored).await.unwrap();
    sqlx::raw_sql("DROP SCHEMA app, auth, stats, apalis, migrate, public CASCADE; CREATE SCHEMA public")
        .execute(&mut conn)
        .await
        .unwrap();
    drop(conn);
    let to = url(&restored);
    let done = Command::new(tool("pg_restore")).args(["--dbname", &to, dump.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() || said.contains("already exists"), "{said}");
    let keys = it.app.platform.config.master_keys.clone();
    let keys = keys.iter().map(|(id, key)| format!("{id}:{}", key.expose_secret())).collect::<Vec<_>>().join(",");
    let after = TestApp::start_on(restored.clone(), |name| (name == "MASTER_KEYS").then(|| keys.clone())).await;
    after.clock.advance(it.app.clock.now() - after.clock.now());
    let sign_in = async |user: &User, role: Role| {
        user.at(&after.base).with_token(after.session(user.id, role, user.company_id).await)
    };
    let (alice, dr) = (sign_in(&it.alice, Role::Employee).await, sign_in(&it.dr, Role::Practitioner).await);
    // as it was: everything is there again
    assert_eq!(alice.get("/journal").await.expect(200).str("/items/0/body"), DIARY);
    let talk = format!("/conversations/{}/messages", it.session);
    assert_eq!(dr.get(&talk).await.expect(200).str("/items/0/body"), MESSAGE);

    let mut file = lines.as_bytes();
    let done = operator::replay(&restored, Some(&mut file)).await.unwrap();
    assert_eq!(done, Replayed { erased: 1, unchanged: 0, unknown: 0 });
    // her journal and their messages are unreadable, the note is its author's
    assert!(!alice.get("/journal").await.text().contains(DIARY));
    assert_eq!(after.count("SELECT count(*) FROM app.user_sessions s JOIN app.users u ON u.id = s.user_id WHERE u.erased_at IS NOT NULL").await, 0);
    assert_eq!(
        after.count("SELECT count(*) FROM app.encryption_keys WHERE purpose <> 'note' AND wrapped IS NOT NULL").await,
        0
    );
    assert_eq!(after.count("SELECT count(*) FROM app.journal_entries").await, 0);
    assert_eq!(dr.get(&talk).await.expect(200).str("/items/0/content"), "erased");
    assert_eq!(dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    assert_eq!(after.count("SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL").await, 1);
    assert_eq!(after.count("SELECT count(*) FROM app.audit_logs WHERE action = 'erasure.replayed'").await, 1);
    // again changes nothing; a stranger is no fault, and noted; whatever a line names, no note is lost by it
    let notes: Vec<String> = sqlx::query_scalar("SELECT id::text FROM app.encryption_keys WHERE purpose = 'note'")
        .fetch_all(after.db())
        .await
        .unwrap();
    let forged = json!({"userId": Uuid::new_v4(), "keyIds": notes, "erasedAt": "2026-01-01T00:00:00Z"});
    let more = format!("{lines}\n{forged}\n");
    let done = operator::replay(&restored, Some(&mut more.as_bytes())).await.unwrap();
    assert_eq!(done, Replayed { erased: 0, unchanged: 1, unknown: 1 });
    assert_eq!(dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    assert_eq!(after.count("SELECT count(*) FROM app.audit_logs WHERE action = 'erasure.replayed'").await, 2);
    // nothing else is taken for a line
    assert!(operator::replay(&restored, Some(&mut &b"DROP TABLE\n"[..])).await.is_err());
    let done = operator::replay(&restored, None).await.unwrap();
    assert_eq!((done.erased, done.unchanged), (0, 1));
}
