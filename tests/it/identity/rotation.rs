//! A master key is replaced: interrupted, beside others who use the database, and seen by operators.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::app;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::envelope::{KeyPurpose, Subject, SubjectKey};
use huntzen::platform::crypto::key_use::CountKeys;
use huntzen::platform::crypto::rewrap::rewrap;
use huntzen::platform::crypto::seal::{Keyring, SealError};
use huntzen::platform::db::DbRole;
use huntzen::platform::ids::{CompanyId, UserId};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::ConnectOptions;
use uuid::Uuid;

use crate::support::process::Site;
use crate::support::{Company, TestApp, User, cluster};
use crate::two_factor::enabled;

const OLD: (&str, u8) = ("old", 1);
const NEW: (&str, u8) = ("new", 2);

fn keys(ids: &[(&str, u8)]) -> String {
    let pairs: Vec<_> = ids.iter().map(|(id, byte)| format!("{id}:{}", STANDARD.encode([*byte; 32]))).collect();
    pairs.join(",")
}

fn ring(ids: &[(&str, u8)]) -> Keyring {
    let pairs: Vec<_> = ids.iter().map(|(id, byte)| ((*id).to_owned(), STANDARD.encode([*byte; 32]).into())).collect();
    Keyring::new(&pairs).unwrap()
}

async fn app_of(ids: &[(&str, u8)]) -> TestApp {
    TestApp::start_with(|name| (name == "MASTER_KEYS").then(|| keys(ids))).await
}

fn subject(conversation: Uuid, company: &Company, person: &User) -> Subject {
    Subject { purpose: KeyPurpose::CHAT, id: conversation, person: person.id, company: company.id }
}

/// Keys of conversations of a person, wrapped under this ring.
async fn wrapped(app: &TestApp, company: &Company, person: &User, ring: &Keyring, ids: &[Uuid]) {
    let entropy = Entropy::system();
    let wrapped: Vec<Vec<u8>> = ids
        .iter()
        .map(|id| SubjectKey::new(*id, subject(*id, company, person), &entropy).wrap(ring, &entropy).unwrap())
        .collect();
    sqlx::query(
        "INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
         SELECT it.id, $1, 'chat', it.id, $2, it.wrapped, now() FROM unnest($3::uuid[], $4::bytea[]) AS it (id, wrapped)",
    )
    .bind(company.id)
    .bind(person.id)
    .bind(ids)
    .bind(wrapped)
    .execute(app.db())
    .await
    .unwrap();
}

fn some(how_many: usize) -> Vec<Uuid> {
    (0..how_many).map(|_| Uuid::new_v4()).collect()
}

type Kept = (Uuid, CompanyId, UserId, Option<Vec<u8>>);

/// Every key opens with this ring.
async fn all_open(app: &TestApp, ring: &Keyring) -> usize {
    let kept: Vec<Kept> = sqlx::query_as("SELECT id, company_id, person_id, wrapped FROM app.encryption_keys")
        .fetch_all(app.db())
        .await
        .unwrap();
    for (id, company, person, wrapped) in &kept {
        let subject = Subject { purpose: KeyPurpose::CHAT, id: *id, person: *person, company: *company };
        if let Some(wrapped) = wrapped {
            SubjectKey::unwrap(*id, subject, wrapped, ring).map(drop).unwrap();
        }
    }
    kept.len()
}

/// How many keys of conversations are under a master key of three letters.
async fn under(app: &TestApp, key: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM app.encryption_keys WHERE substring(wrapped FROM 4 FOR 3) = convert_to($1, 'UTF8')",
    )
    .bind(key)
    .fetch_one(app.db())
    .await
    .unwrap()
}

async fn noted(app: &TestApp, action: &str) -> (i64, i64) {
    sqlx::query_as(
        "SELECT count(*), coalesce(sum((details->>'count')::bigint), 0)::bigint FROM app.audit_logs
         WHERE action = $1 AND actor_role = 'operator'",
    )
    .bind(action)
    .fetch_one(app.db())
    .await
    .unwrap()
}

/// The real program, with these master keys.
async fn command(app: &TestApp, master_keys: &[(&str, u8)], args: &[&str]) -> Command {
    let secret = cluster::template().await.config().database_roles_secret.expose_secret().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_huntzen"));
    command
        .args(args)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("DATABASE_URL", app.options().to_url_lossy().to_string())
        .env("DATABASE_ROLES_SECRET", secret)
        .env("MASTER_KEYS", keys(master_keys))
        .env("DATA_DIR", std::env::temp_dir().join(format!("huntzen-keys-{}", std::process::id())))
        .stdin(Stdio::null());
    command
}

/// Its first line about how far it is.
fn first_line(child: &mut Child) -> (String, impl Read + use<>) {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    (line, lines)
}

#[tokio::test]
async fn a_rotation_that_was_killed_goes_on_where_it_was() {
    const ALL: usize = 3000;
    let app = app_of(&[OLD]).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    wrapped(&app, &company, &alice, &ring(&[OLD]), &some(ALL)).await;

    let mut child = command(&app, &[NEW, OLD], &["keys", "rotate", "--busy", "100"])
        .await
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (line, _pipe) = first_line(&mut child);
    assert_eq!(line, "500 of 3000 (16 %), encryption_keys.chat\n");
    // in the middle of a later transaction it waits for us
    let mut gate = app.db().begin().await.unwrap();
    sqlx::query("LOCK TABLE app.encryption_keys IN SHARE MODE").execute(&mut *gate).await.unwrap();
    app.until_one_waits().await;
    assert!(child.try_wait().unwrap().is_none(), "it was too quick to be killed");
    child.kill().unwrap();
    child.wait().unwrap();
    gate.rollback().await.unwrap();

    let moved = under(&app, "new").await;
    assert!((500..3000).contains(&moved) && moved % 500 == 0, "{moved} moved");
    assert_eq!(under(&app, "old").await, 3000 - moved);
    // whoever was served by either key is served now
    assert_eq!(all_open(&app, &ring(&[OLD, NEW])).await, ALL);
    assert_eq!(
        (noted(&app, "secrets.rotation_begun").await, noted(&app, "secrets.rewrapped").await),
        ((1, 3000), (0, 0))
    );

    let done = command(&app, &[NEW, OLD], &["keys", "rotate", "--busy", "100"]).await.output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && told.contains("Everything is sealed under the newest master key."), "{done:?}");
    assert!(told.contains(&format!("{} moved, 0 left", 3000 - moved)), "{told}");
    assert_eq!((under(&app, "new").await, under(&app, "old").await), (3000, 0));
    assert_eq!(all_open(&app, &ring(&[NEW])).await, ALL);
    assert_eq!(noted(&app, "secrets.rotation_begun").await, (2, 3000 + 3000 - moved));
    assert_eq!(noted(&app, "secrets.rewrapped").await, (1, 3000 - moved));
    // and once more there is nothing to do
    let again = command(&app, &[NEW], &["keys", "rewrap"]).await.output().unwrap();
    assert!(again.status.success() && again.stderr.is_empty(), "{again:?}");
    assert_eq!(noted(&app, "secrets.rewrapped").await.0, 1);
}

#[tokio::test]
async fn a_key_that_is_destroyed_meanwhile_stays_so_and_a_new_one_under_the_older_key_moves_as_well() {
    let app = app_of(&[OLD]).await;
    let company = app.company("Acme").await;
    let (alice, bob, carol) =
        (app.employee(&company).await, app.employee(&company).await, app.employee(&company).await);
    wrapped(&app, &company, &alice, &ring(&[OLD]), &some(700)).await;
    let (his, hers) = (Uuid::new_v4(), Uuid::from_u128(1));
    wrapped(&app, &company, &bob, &ring(&[OLD]), &[his]).await;

    // his account is being erased
    let mut worker = app.as_role(DbRole::Worker, bob.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(company.id.to_string())
        .execute(&mut worker)
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut worker).await.unwrap();
    let destroyed: i64 = sqlx::query_scalar("SELECT app.destroy_keys($1, '{chat}', now())")
        .bind(bob.id)
        .fetch_one(&mut worker)
        .await
        .unwrap();
    assert_eq!(destroyed, 1);
    let rotation = {
        let owner = app.options().clone();
        tokio::spawn(
            async move { rewrap(&owner, &ring(&[NEW, OLD]), &Entropy::system(), &app::sealed()).await.unwrap() },
        )
    };
    // the others have moved, his is waited for
    app.until_one_waits().await;
    assert_eq!((under(&app, "new").await, under(&app, "old").await), (700, 1));
    // a node that does not seal under the new one yet makes a key, before the row that is being looked at
    wrapped(&app, &company, &carol, &ring(&[OLD]), &[hers]).await;
    sqlx::raw_sql("COMMIT").execute(&mut worker).await.unwrap();

    let done = rotation.await.unwrap();
    let chat = done.iter().find(|it| it.column == "encryption_keys.chat").unwrap();
    assert_eq!((chat.moved, chat.left, chat.fault), (701, 0, None));
    let kept: (Option<Vec<u8>>, bool) =
        sqlx::query_as("SELECT wrapped, destroyed_at IS NOT NULL FROM app.encryption_keys WHERE id = $1")
            .bind(his)
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(kept, (None, true));
    assert_eq!(all_open(&app, &ring(&[NEW])).await, 702);
}

#[tokio::test]
async fn two_rotations_beside_each_other_share_the_work() {
    let app = app_of(&[OLD]).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    wrapped(&app, &company, &alice, &ring(&[OLD]), &some(2200)).await;
    let both = ring(&[NEW, OLD]);
    let run = || async { rewrap(app.options(), &both, &Entropy::system(), &app::sealed()).await.unwrap() };
    let (one, other) = tokio::join!(run(), run());
    let of = |all: &[huntzen::platform::crypto::rewrap::Rewrapped]| {
        let it = all.iter().find(|it| it.column == "encryption_keys.chat").unwrap().clone();
        (it.moved, it.left, it.fault)
    };
    let (one, other) = (of(&one), of(&other));
    assert_eq!((one.0 + other.0, one.1, other.1, one.2, other.2), (2200, 0, 0, None, None));
    assert_eq!(all_open(&app, &ring(&[NEW])).await, 2200);
}

#[tokio::test]
async fn keys_that_do_not_open_are_told_at_once_and_keep_no_other_from_moving() {
    let app = app_of(&[OLD]).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    wrapped(&app, &company, &alice, &ring(&[OLD]), &some(3)).await;
    wrapped(&app, &company, &alice, &ring(&[("gone", 9)]), &some(2)).await;
    let forged = some(1);
    wrapped(&app, &company, &alice, &ring(&[OLD]), &forged).await;
    // another one's key in its place
    sqlx::query("UPDATE app.encryption_keys k SET wrapped = o.wrapped FROM app.encryption_keys o WHERE k.id = $1 AND o.id <> $1 AND app.sealed_under(o.wrapped) = 'old'")
        .bind(forged[0])
        .execute(app.db())
        .await
        .unwrap();
    let done = rewrap(app.options(), &ring(&[NEW, OLD]), &Entropy::system(), &app::sealed()).await.unwrap();
    let chat = done.iter().find(|it| it.column == "encryption_keys.chat").unwrap();
    assert_eq!((chat.moved, chat.left), (3, 3));
    assert!(matches!(chat.fault, Some(SealError::UnknownKey | SealError::Forged)), "{:?}", chat.fault);
}

#[tokio::test]
async fn every_node_shows_how_much_is_left_under_which_key() {
    let app = app_of(&[OLD]).await;
    let admin = app.platform_admin().await;
    enabled(&app, &admin).await;
    app.enqueue(&CountKeys {}).await;
    app.settle().await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret();
    let mut site = Site::new(app.options(), Some(secret)).await;
    site.set("MASTER_KEYS", Some(keys(&[NEW, OLD])));
    let node = site.start().await;
    let shown = async || reqwest::get(format!("{}/metrics", node.base)).await.unwrap().text().await.unwrap();
    let has = |text: &str, line: &str| text.lines().any(|it| it == line);
    let before = shown().await;
    assert!(
        has(&before, "huntzen_secrets_by_master_key{key=\"old\"} 1")
            && has(&before, "huntzen_secrets_under_older_master_keys 1"),
        "{before}"
    );
    let done = site.run(&["keys", "rotate"]);
    assert!(done.status.success(), "{done:?}");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let text = shown().await;
        if has(&text, "huntzen_secrets_by_master_key{key=\"old\"} 0")
            && has(&text, "huntzen_secrets_by_master_key{key=\"new\"} 1")
            && has(&text, "huntzen_secrets_under_older_master_keys 0")
        {
            break;
        }
        assert!(std::time::Instant::now() < until, "{text}");
    }
    node.kill();
    site.db.close().await;
}

#[tokio::test]
async fn a_program_does_not_start_without_a_key_that_is_needed_nor_with_another_one_of_its_name() {
    let app = app_of(&[OLD]).await;
    let admin = app.platform_admin().await;
    enabled(&app, &admin).await;
    // its mail is sent here: the programs below do not live for long
    app.settle().await;
    // nobody has counted yet what was sealed
    assert_eq!(app.count("SELECT sum(secrets)::bigint FROM app.master_keys").await, 0);
    let secret = cluster::template().await.config().database_roles_secret.expose_secret();
    let mut site = Site::new(app.options(), Some(secret)).await;
    let mut refused = |master_keys: &[(&str, u8)], command: &str, why: &str| {
        site.set("MASTER_KEYS", Some(keys(master_keys)));
        let args: Vec<&str> = command.split(' ').collect();
        let done = site.run(&args);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && told.contains(why), "{command}: {told}");
        assert!(!told.contains(&STANDARD.encode([1; 32])) && !told.contains(&STANDARD.encode([7; 32])), "{told}");
    };
    for command in ["serve", "worker"] {
        refused(&[NEW], command, "1 secrets of the database are sealed under \"old\", which is missing");
        refused(&[("old", 7)], command, "\"old\" is not the key of that name that this database was used with");
    }
    refused(&[NEW, ("old", 7)], "keys rotate", "\"old\" is not the key of that name");
    refused(&[NEW], "keys forget older", "this database knows no master key \"older\"");
    // nothing of it stayed: the right one starts
    let counted = "SELECT count(*) FROM app.master_keys WHERE id = 'new' AND check_value IS NOT NULL";
    assert_eq!(app.count(counted).await, 0);
    site.set("MASTER_KEYS", Some(keys(&[OLD, NEW])));
    site.start().await.kill();
    assert_eq!(app.count(counted).await, 1);

    // a count of a while ago is looked at again
    sqlx::query("DELETE FROM app.two_factor").execute(app.db()).await.unwrap();
    site.set("MASTER_KEYS", Some(keys(&[NEW])));
    site.start().await.kill();

    // what was sealed after the last count as well, also where that said that nothing was; and one that is lost can be given up
    sqlx::query("INSERT INTO app.signing_keys (id, secret, published_at, signs_from) VALUES (gen_random_uuid(), '\\x0101036f6c6400', now() - interval '3 days', now() - interval '2 days')")
        .execute(app.db())
        .await
        .unwrap();
    let done = site.run(&["worker"]);
    assert!(String::from_utf8_lossy(&done.stderr).contains("which is missing"), "{done:?}");
    let done = site.run(&["keys", "forget", "old"]);
    assert!(done.status.success() && String::from_utf8_lossy(&done.stdout).contains("Gave up"), "{done:?}");
    sqlx::query("DELETE FROM app.signing_keys").execute(app.db()).await.unwrap();
    site.start().await.kill();
    assert_eq!(noted(&app, "master_key.forgotten").await.0, 1);
    site.db.close().await;
}

#[tokio::test]
async fn a_terminal_shows_a_bar() {
    let app = app_of(&[OLD]).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    wrapped(&app, &company, &alice, &ring(&[OLD]), &some(600)).await;
    let rotate = command(&app, &[NEW, OLD], &["keys", "rotate"]).await;
    let line = format!("{} keys rotate", rotate.get_program().to_string_lossy());
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear().env("TERM", "xterm");
    terminal.envs(rotate.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = terminal.stdin(Stdio::null()).output().expect("script of util-linux (Debian: bsdutils) is needed");
    let seen = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{seen}");
    assert!(seen.contains("of 600 (") && seen.contains('█') && seen.contains("Everything is sealed"), "{seen}");
}

#[tokio::test]
async fn nobody_notices_while_readers_then_writers_and_then_what_there_is_change() {
    let app = app_of(&[OLD]).await;
    let company = app.company("Acme").await;
    let of = |ids: &'static [(&'static str, u8)]| {
        app.node_with(move |config| {
            config.master_keys =
                ids.iter().map(|(id, byte)| ((*id).to_owned(), STANDARD.encode([*byte; 32]).into())).collect();
        })
    };
    let mut people = Vec::new();
    for _ in 0..6 {
        people.push(app.employee(&company).await);
    }
    let write = async |user: &User, base: &str, text: &str| {
        user.at(base).post("/journal", json!({"body": text, "mood": 3})).await.expect(201);
    };
    write(&people[0], &app.base, "under the old one").await;
    // one node after the other knows it, then one after the other seals under it: each reads what the others wrote
    let (reader, writer) = (of(&[OLD, NEW]).await, of(&[NEW, OLD]).await);
    write(&people[1], &reader.base, "by a reader").await;
    write(&people[2], &writer.base, "by a writer").await;
    let reads = async |user: &User, base: &str, text: &str| {
        let read = user.at(base).get("/journal").await.expect(200);
        assert!(read.text().contains(text), "{text}: {}", read.json);
    };
    for base in [&reader.base, &writer.base] {
        reads(&people[0], base, "under the old one").await;
        reads(&people[1], base, "by a reader").await;
        reads(&people[2], base, "by a writer").await;
    }
    // what there is moves while people go on
    let both = ring(&[NEW, OLD]);
    let rotate = async || rewrap(app.options(), &both, &Entropy::system(), &app::sealed()).await.unwrap();
    tokio::join!(
        rotate(),
        write(&people[3], &reader.base, "meanwhile, by a reader"),
        write(&people[4], &writer.base, "meanwhile, by a writer"),
        reads(&people[0], &reader.base, "under the old one"),
        reads(&people[1], &writer.base, "by a reader"),
    );
    // the last reader seals under it as well; what it wrote until then moves
    drop(reader);
    write(&people[5], &writer.base, "at last").await;
    assert!(rotate().await.iter().all(|it| (it.left, it.fault) == (0, None)));
    let alone = of(&[NEW]).await;
    for (user, text) in people.iter().zip([
        "under the old one",
        "by a reader",
        "by a writer",
        "meanwhile, by a reader",
        "meanwhile, by a writer",
        "at last",
    ]) {
        reads(user, &alone.base, text).await;
    }
    app.settle().await;
}
