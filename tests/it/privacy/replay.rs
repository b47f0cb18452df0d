//! A backup of before an erasure, restored: the ledger carries it out again.

use std::process::Command;

use huntzen::domain::privacy::operator::{self, Fault, How, Replayed};
use huntzen::platform::crypto::seal::Keyring;
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
    let keyring = &it.app.platform.keyring;
    operator::ledger(it.app.options(), keyring, |line| lines = format!("{lines}{line}\n")).await.unwrap().unwrap();
    // and the seal
    assert_eq!(lines.lines().count(), 2);
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

    // a line that was changed or taken out, or no seal: nothing is begun
    let cut = lines.lines().next().unwrap().to_owned();
    let changed = lines.replacen(&it.alice.id.to_string(), &it.dr.id.to_string(), 1);
    let emptied = lines.lines().last().unwrap().to_owned();
    for (ledger, fault) in [(cut, Fault::Cut), (changed, Fault::Broken(1)), (emptied, Fault::Forged)] {
        assert_eq!(replay(&restored, &ledger, Some(keyring), false).await, Err(fault));
    }
    // what would be done is told, and not done
    let dry = replay(&restored, &lines, Some(keyring), true).await.unwrap();
    assert_eq!((dry.erased, dry.unlisted), (1, 0));
    assert!(dry.keys >= 2, "{dry:?}");
    assert_eq!(alice.get("/journal").await.expect(200).str("/items/0/body"), DIARY);
    assert_eq!(after.count("SELECT count(*) FROM app.erasure_ledger").await, 0);
    assert_eq!(after.count("SELECT count(*) FROM app.audit_logs WHERE action LIKE 'erasure.%replayed'").await, 0);

    let done = replay(&restored, &lines, Some(keyring), false).await.unwrap();
    assert_eq!(done, Replayed { erased: 1, keys: dry.keys, ..Replayed::default() });
    let told = "SELECT details::text FROM app.audit_logs WHERE action = 'erasure.replayed'";
    let told: String = sqlx::query_scalar(told).fetch_one(after.db()).await.unwrap();
    assert!(told.contains(&format!("\"count\": {}", dry.keys)), "{told}");
    // the ledger of this database is the one that was replayed
    let mut again = String::new();
    operator::ledger(&restored, keyring, |line| again = format!("{again}{line}\n")).await.unwrap().unwrap();
    assert_eq!(again.lines().next(), lines.lines().next());
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
    assert_eq!(replay(&restored, &more, Some(keyring), false).await, Err(Fault::Forged));
    let done = replay(&restored, &more, None, false).await.unwrap();
    assert_eq!(done, Replayed { unchanged: 1, unknown: 1, ..Replayed::default() });
    assert_eq!(dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    assert_eq!(after.count("SELECT count(*) FROM app.audit_logs WHERE action = 'erasure.replayed'").await, 2);
    // nothing else is taken for a line
    assert_eq!(replay(&restored, "DROP TABLE\n", None, false).await, Err(Fault::Malformed(1)));
    // who keeps notes for the law is not erased by a line, and that it was tried is noted
    let line = json!({"userId": it.dr.id, "keyIds": notes, "erasedAt": "2126-01-01T00:00:00Z"}).to_string();
    let done = replay(&restored, &line, None, false).await.unwrap();
    assert_eq!((done.refused, done.keys, done.unlisted), (1, 0, 2));
    assert_eq!(dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    let refused = "SELECT count(*) FROM app.audit_logs WHERE action = 'erasure.replayed' AND outcome = 'refused'";
    assert_eq!(after.count(refused).await, 1);
    let done = operator::replay(&restored, How { from: None, keyring: None, is_dry: false }).await.unwrap().unwrap();
    assert_eq!((done.erased, done.unchanged, done.unknown), (0, 1, 1));
    // each run is noted, whatever came of it
    assert_eq!(after.count("SELECT count(*) FROM app.audit_logs WHERE action = 'erasure.ledger_replayed'").await, 4);
}

async fn replay(
    owner: &PgConnectOptions,
    ledger: &str,
    keyring: Option<&Keyring>,
    is_dry: bool,
) -> Result<Replayed, Fault> {
    let mut from = ledger.as_bytes();
    operator::replay(owner, How { from: Some(&mut from), keyring, is_dry }).await.unwrap()
}

#[tokio::test]
async fn a_ledger_of_which_somebody_took_or_changed_an_entry_in_the_database_is_not_whole() {
    let app = TestApp::start().await;
    let tamper = async |statement: &str| {
        let mut tx = app.db().begin().await.unwrap();
        let whole = format!("SET LOCAL session_replication_role = replica; {statement}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(whole)).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    };
    sqlx::raw_sql(
        "INSERT INTO app.erasure_ledger (user_id, key_ids, erased_at)
         SELECT gen_random_uuid(), ARRAY[gen_random_uuid(), gen_random_uuid()], now() - n * interval '1 day'
         FROM generate_series(1, 4) n",
    )
    .execute(app.db())
    .await
    .unwrap();
    assert_eq!(operator::verify(app.options()).await.unwrap(), Ok(4));
    tamper("UPDATE app.erasure_ledger SET key_ids = '{}' WHERE place = 3").await;
    assert_eq!(operator::verify(app.options()).await.unwrap(), Err(Fault::Broken(3)));
    tamper("DELETE FROM app.erasure_ledger WHERE place = 3").await;
    assert_eq!(operator::verify(app.options()).await.unwrap(), Err(Fault::Broken(4)));
    // it is neither given out nor replayed
    let told = operator::ledger(app.options(), &app.platform.keyring, |_| ()).await.unwrap();
    assert_eq!(told, Err(Fault::Broken(4)));
    let how = How { from: None, keyring: None, is_dry: true };
    assert_eq!(operator::replay(app.options(), how).await.unwrap(), Err(Fault::Broken(4)));
    let (is_fine, out, _) = crate::audit::chain::huntzen(&app, &["audit", "verify"]).await;
    assert!(!is_fine && out.contains("ledger of erasures: entry 4 is not what it was"), "{out}");
    tamper("DELETE FROM app.erasure_ledger WHERE place > 2").await;
    let (is_fine, out, _) = crate::audit::chain::huntzen(&app, &["audit", "verify", "--json"]).await;
    assert!(is_fine && out.contains(r#"{"ledger":{"isWhole":true,"entries":2}}"#), "{out}");
}
