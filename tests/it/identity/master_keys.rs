//! The keys under which secrets are sealed, and how they are replaced.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::app;
use huntzen::platform::auth::signing_keys;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::rewrap::{Rewrapped, rewrap};
use huntzen::platform::crypto::seal::{Keyring, SealError};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::ConnectOptions;

use super::log_in;
use crate::support::app::PASSWORD;
use crate::support::{TestApp, cluster};
use crate::two_factor::{App, enabled, next_step};

fn keys(ids: &[(&str, u8)]) -> String {
    let pairs: Vec<_> = ids.iter().map(|(id, byte)| format!("{id}:{}", STANDARD.encode([*byte; 32]))).collect();
    pairs.join(",")
}

fn ring(ids: &[(&str, u8)]) -> Keyring {
    let pairs: Vec<_> = ids.iter().map(|(id, byte)| ((*id).to_owned(), STANDARD.encode([*byte; 32]).into())).collect();
    Keyring::new(&pairs).unwrap()
}

async fn moved(app: &TestApp, keyring: &Keyring) -> Vec<(String, i64, i64, Option<SealError>)> {
    let done = rewrap(app.options(), keyring, &Entropy::system(), &app::sealed()).await.unwrap();
    done.into_iter().map(|Rewrapped { column, moved, left, fault }| (column, moved, left, fault)).collect()
}

fn said(column: &str, moved: i64, left: i64) -> (String, i64, i64, Option<SealError>) {
    (column.to_owned(), moved, left, None)
}

/// The real program, with these master keys.
async fn run(app: &TestApp, master_keys: &str, args: &[&str]) -> Output {
    let secret = cluster::template().await.config().database_roles_secret.expose_secret().to_owned();
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_huntzen"))
        .args(args)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("DATABASE_URL", app.options().to_url_lossy().to_string())
        .env("DATABASE_ROLES_SECRET", secret)
        .env("MASTER_KEYS", master_keys)
        .env("DATA_DIR", folder.path())
        .output()
        .unwrap()
}

#[tokio::test]
async fn secrets_move_to_the_newest_master_key_and_the_older_one_can_go() {
    let app = TestApp::start_with(|name| (name == "MASTER_KEYS").then(|| keys(&[("old", 1)]))).await;
    let mut people = Vec::new();
    for _ in 0..3 {
        let user = app.platform_admin().await;
        let phone = enabled(&app, &user).await;
        people.push((user, phone));
    }
    // one of them is changing the app
    let (user, phone) = &people[2];
    let body = json!({"password": PASSWORD, "code": phone.code(&app, 0)});
    let offer = user.post("/auth/totp/setup", body).await.expect(200);
    let mut owner = app.owner().await;
    signing_keys::rotate(&mut owner, &app.platform.config, &Entropy::system(), app.clock.now()).await.unwrap();

    // nothing to do while the key is the newest
    assert!(moved(&app, &ring(&[("old", 1)])).await.iter().all(|(_, moved, left, _)| (*moved, *left) == (0, 0)));
    let both = ring(&[("new", 2), ("old", 1)]);
    // somebody changed a secret: it does not open, is told, and keeps nothing else from moving
    let whole: Vec<u8> = sqlx::query_scalar("SELECT secret FROM app.two_factor WHERE user_id = $1")
        .bind(people[0].0.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    let put = async |secret: &[u8]| {
        sqlx::query("UPDATE app.two_factor SET secret = $2 WHERE user_id = $1")
            .bind(people[0].0.id)
            .bind(secret)
            .execute(app.db())
            .await
            .unwrap();
    };
    let mut forged = whole.clone();
    *forged.last_mut().unwrap() ^= 1;
    put(&forged).await;
    assert_eq!(
        moved(&app, &both).await,
        [
            said("signing_keys.secret", 1, 0),
            ("two_factor.secret".to_owned(), 2, 1, Some(SealError::Forged)),
            said("two_factor.pending_secret", 1, 0),
            said("external_calendars.url", 0, 0),
            said("consultation_reasons.booking", 0, 0),
            said("consultation_reasons.cancelling", 0, 0),
            said("reviews.sealed", 0, 0),
            said("encryption_keys.chat", 0, 0),
            said("encryption_keys.note", 0, 0),
            said("encryption_keys.journal", 0, 0),
            said("encryption_keys.file", 0, 0),
            said("encryption_keys.copy", 0, 0),
            said("encryption_keys.reason", 0, 0),
            said("encryption_keys.review", 0, 0),
        ]
    );
    put(&whole).await;
    assert_eq!(moved(&app, &both).await[1], said("two_factor.secret", 1, 0));
    assert!(moved(&app, &both).await.iter().all(|(_, moved, left, _)| (*moved, *left) == (0, 0)), "twice is once");
    let noted = "SELECT coalesce(sum((details->>'count')::int), 0) FROM app.audit_logs
                 WHERE action = 'secrets.rewrapped' AND actor_role = 'operator'";
    assert_eq!(app.count(noted).await, 5);
    let begun = "SELECT (details->>'count')::bigint FROM app.audit_logs WHERE action = 'secrets.rotation_begun'
                 ORDER BY at DESC LIMIT 1";
    assert_eq!(app.count(begun).await, 1);

    // a node that has the new key alone opens all of it
    let alone =
        app.node_with(|config| config.master_keys = vec![("new".into(), STANDARD.encode([2; 32]).into())]).await;
    next_step(&app);
    for (user, phone) in &people {
        let ticket = log_in(&app, user).await.expect(200).str("/ticket");
        let step = json!({"ticket": ticket, "code": phone.code(&app, 0)});
        app.anonymous().at(&alone.base).post("/auth/login/totp", step).await.expect(200);
    }
    let changed = App::of(&offer, Vec::new());
    user.at(&alone.base).post("/auth/totp/enable", json!({"code": changed.code(&app, 0)})).await.expect(200);
    assert_eq!(alone.platform.tokens.public_keys(app.clock.now()).len(), 2);
    app.settle().await;
}

#[tokio::test]
async fn the_command_fails_while_something_is_left_under_an_older_key() {
    let app = TestApp::start_with(|name| (name == "MASTER_KEYS").then(|| keys(&[("old", 1)]))).await;
    let admin = app.platform_admin().await;
    enabled(&app, &admin).await;
    let refused = run(&app, &keys(&[("new", 2)]), &["keys", "rotate"]).await;
    assert!(!refused.status.success());
    let (told, why) = (String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert!(told.contains("0 moved, 1 left (MASTER_KEYS does not hold the key that the secret names)"), "{told}");
    assert!(why.contains("1 secrets are left under older master keys"), "{why}");

    let done = run(&app, &keys(&[("new", 2), ("old", 1)]), &["keys", "rotate"]).await;
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && told.contains("Everything is sealed under the newest master key."), "{done:?}");
    let under_new = "SELECT count(*) FROM app.two_factor WHERE substring(secret FROM 4 FOR 3) = 'new'";
    assert_eq!(app.count(under_new).await, 1);
    app.settle().await;
}

/// Of every column of bytes: a hash, or what is sealed under something else than a master key.
const NOT_UNDER_MASTER_KEYS: &[&str] = &[
    "app.audit_chain.digest",
    "app.audit_chain.entry_digest",
    "app.audit_heads.digest",
    "app.audit_verifications.digest",
    "app.erasure_ledger.digest",
    // of the object in the storage
    "app.files.digest",
    // under the keys of conversations and of people
    "app.files.sealed_key",
    "app.files.sealed_name",
    "app.idempotency_keys.fingerprint",
    "app.invitation_mails.address_hash",
    "app.calendar_feeds.hash",
    // under the keys of notes and journals
    "app.clinical_note_versions.sealed",
    "app.journal_entries.facts",
    "app.journal_entries.sealed",
    // under keys that their person alone has
    "app.journal_keys.before_passphrase",
    "app.journal_keys.before_recovery_code",
    "app.journal_keys.by_passphrase",
    "app.journal_keys.by_recovery_code",
    "app.known_devices.hash",
    // derived from the master keys, to tell one from another
    "app.master_keys.check_value",
    // gone after two minutes, whichever key it was under
    "app.call_signals.sealed",
    // under the keys of conversations
    "app.messages.sealed",
    "app.one_time_tokens.hash",
    // under the key beside it
    "app.privacy_requests.sealed_key",
    "app.recovery_codes.hash",
    "app.refresh_tokens.hash",
    "app.throttles.key",
];

#[tokio::test]
async fn every_sealed_column_is_moved() {
    let app = TestApp::start().await;
    let columns: BTreeSet<String> = sqlx::query_scalar(
        "SELECT c.table_schema || '.' || c.table_name || '.' || c.column_name FROM information_schema.columns c
         JOIN information_schema.tables t USING (table_schema, table_name)
         WHERE c.table_schema = 'app' AND c.data_type = 'bytea' AND t.table_type = 'BASE TABLE'",
    )
    .fetch_all(app.db())
    .await
    .unwrap()
    .into_iter()
    .collect();
    let listed: BTreeSet<String> = sqlx::query_scalar("SELECT 'app.' || place FROM app.sealed_places()")
        .fetch_all(app.db())
        .await
        .unwrap()
        .into_iter()
        .collect();
    let known: BTreeSet<String> = app::sealed().iter().map(|it| format!("app.{}", it.name())).collect();
    assert_eq!(known, listed, "app::sealed() and policies/sealed_secrets.sql");
    let mut expected: BTreeSet<String> = NOT_UNDER_MASTER_KEYS.iter().map(|it| (*it).to_owned()).collect();
    expected.extend(known);
    // two places in one column: by what a text is about
    expected.insert("app.consultation_reasons.sealed".to_owned());
    // one place for each purpose
    expected.insert("app.encryption_keys.wrapped".to_owned());
    let unknown: Vec<_> = columns.difference(&expected).collect();
    assert!(unknown.is_empty(), "is it sealed (app::sealed, policies/sealed_secrets.sql) or a hash? {unknown:?}");
    // each of them is listed and replaced
    for place in app::sealed() {
        for locking in [true, false] {
            sqlx::query("SELECT * FROM app.list_sealed($1, 'any', NULL, 10, $2)")
                .bind(place.name())
                .bind(locking)
                .fetch_all(app.db())
                .await
                .unwrap();
        }
        let replaced: i64 =
            sqlx::query_scalar("SELECT app.replace_sealed($1, ARRAY[gen_random_uuid()], '{\"\"}', '{\"\"}')")
                .bind(place.name())
                .fetch_one(app.db())
                .await
                .unwrap();
        assert_eq!(replaced, 0);
    }
}
