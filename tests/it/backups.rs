//! `tools/backup`, as an operator uses it: what it makes, what it refuses, and what it brings back.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{Datelike, Days, NaiveDate, TimeDelta};
use huntzen::platform::auth::Role;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::seal::{Place, Purpose};
use huntzen::platform::ids::CompanyId;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, raw_sql};

use crate::audit::chain::five;
use crate::privacy::{self, MESSAGE, NOTE};
use crate::support::dump::tool;
use crate::support::{Answer, TestApp, User, cluster};
use crate::upgrades::{but_for, oldest, schema};
use crate::usage::{Sessions, Usage, advance, count_anew, months_ago, name, sessions};

const HUNTZEN: &str = env!("CARGO_BIN_EXE_huntzen");

/// Where the things of one backup are, apart from one another as they have to be.
struct Backup {
    folder: tempfile::TempDir,
    contents: PathBuf,
    keys: PathBuf,
    ledger: PathBuf,
}

impl Backup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (contents, keys, ledger) = (at("contents"), at("keys"), at("erasures.jsonl"));
        Self { folder, contents, keys, ledger }
    }

    /// Runs a program with the settings of a database.
    async fn done(&self, mut command: Command, database: &PgConnectOptions, change: impl Fn(&mut Command)) -> Output {
        let secret = cluster::template().await.config().database_roles_secret.expose_secret().to_owned();
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HUNTZEN", HUNTZEN)
            .env("PG_BIN", tool("pg_dump").parent().unwrap())
            .env("DATABASE_URL", database.to_url_lossy().to_string())
            .env("DATABASE_ROLES_SECRET", secret)
            .env("MASTER_KEYS", cluster::MASTER_KEYS)
            .env("DATA_DIR", self.folder.path())
            .stdin(Stdio::null());
        change(&mut command);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// As the first step of `finish` does.
    async fn migrate(&self, database: &PgConnectOptions) {
        let mut command = Command::new(HUNTZEN);
        command.arg("migrate");
        let done = self.done(command, database, |_| ()).await;
        assert!(done.status.success(), "{}", said(&done));
    }

    /// Runs `tools/backup` with settings of its own.
    async fn run_with(&self, verb: &str, database: &PgConnectOptions, change: impl Fn(&mut Command)) -> Output {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/backup"));
        let (contents, keys) = if verb == "dump" { ("--to", "--keys-to") } else { ("--from", "--keys-from") };
        command.arg(verb);
        if verb != "ledger" {
            command.arg(contents).arg(&self.contents);
        }
        if !matches!(verb, "ledger" | "finish") {
            command.arg(keys).arg(&self.keys);
        }
        if !matches!(verb, "load" | "compare") {
            command.arg("--ledger").arg(&self.ledger);
        }
        self.done(command, database, change).await
    }

    /// What it said; it has to do what it was asked.
    async fn run(&self, verb: &str, database: &PgConnectOptions) -> String {
        let done = self.run_with(verb, database, |_| ()).await;
        assert!(done.status.success(), "{verb}: {}", said(&done));
        said(&done)
    }

    /// What it said; it has to refuse.
    async fn refused(&self, verb: &str, database: &PgConnectOptions) -> String {
        let done = self.run_with(verb, database, |_| ()).await;
        assert_eq!(done.status.code(), Some(1), "{verb}: {}", said(&done));
        said(&done)
    }

    /// What the ledger says.
    fn written(&self) -> String {
        std::fs::read_to_string(&self.ledger).unwrap()
    }
}

/// A ledger as it was written before there was a seal: who, which keys, when.
fn before_the_seal(ledger: &str) -> String {
    let mut before = String::new();
    for line in ledger.lines().filter(|line| !line.contains("\"seal\"")) {
        let it: Value = serde_json::from_str(line).unwrap();
        let [user, keys, at] = ["userId", "keyIds", "erasedAt"].map(|member| &it[member]);
        writeln!(before, "{{\"userId\":{user},\"keyIds\":{keys},\"erasedAt\":{at}}}").unwrap();
    }
    before
}

/// A ledger without an erasure as it was written when the seal said nothing where no month was published.
fn before_it_said_none(app: &TestApp) -> String {
    let place = Place {
        purpose: Purpose::new("privacy.ledger"),
        table: "erasure_ledger",
        column: "digest",
        row: uuid::Uuid::nil(),
        person: None,
        company: None,
    };
    let sealed = app.platform.keyring.seal(&place, &0_i64.to_be_bytes(), &Entropy::system()).unwrap();
    format!("{{\"entries\":0,\"seal\":\"{}\"}}\n", STANDARD.encode(sealed))
}

/// That a month of usage was published.
async fn publish(app: &TestApp, company: CompanyId, month: &str) {
    let published =
        "INSERT INTO app.usage_months (company_id, month, threshold, published_at) VALUES ($1, $2::date, 11, now())";
    sqlx::query(published).bind(company).bind(month).execute(app.db()).await.unwrap();
}

fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

async fn count(database: &PgConnectOptions, query: &'static str) -> i64 {
    let mut conn = PgConnection::connect_with(database).await.unwrap();
    let count = sqlx::query_scalar(query).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    count
}

/// What a superuser does who knows the triggers.
async fn tamper_on(database: &PgConnectOptions, sql: &str) {
    execute(database, &format!("SET session_replication_role = replica; {sql}")).await;
}

async fn execute(database: &PgConnectOptions, sql: &str) {
    let mut conn = PgConnection::connect_with(database).await.unwrap();
    raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// Whether nothing was made in it.
async fn is_empty(database: &PgConnectOptions) -> bool {
    count(database, "SELECT count(*) FROM pg_namespace WHERE nspname IN ('app', 'auth', 'stats', 'apalis', 'migrate')")
        .await
        == 0
}

#[tokio::test]
async fn a_backup_is_restored_erased_again_and_verified_and_the_program_serves_it() {
    let mut it = privacy::life().await;
    let bob = it.app.employee(&it.company).await;
    bob.post("/journal", json!({"body": "olive diary 5522", "mood": 2, "tags": []})).await.expect(201);
    it.app.settle().await;
    let backup = Backup::new();
    let made = backup.run("dump", it.app.options()).await;
    assert!(made.contains("0 erasures"), "{made}");
    assert!(it.app.count("SELECT count(*) FROM app.user_sessions WHERE revoked_at IS NULL").await > 0);

    // life goes on: somebody is erased, somebody else comes
    it.erase().await;
    let carol = it.app.employee(&it.company).await;
    assert!(backup.run("ledger", it.app.options()).await.contains("1 erasures"));

    let restored = cluster::empty_database().await;
    let told = backup.run("restore", &restored).await;
    assert!(told.contains("as many rows in each table"), "{told}");
    assert!(told.contains("1 erased again, 0 erased already, 0 unknown here."), "{told}");
    assert!(told.contains("Everything that was tried opens."), "{told}");
    assert!(told.contains(": whole") && told.contains("READY") && !told.contains("NOT READY"), "{told}");
    // no session of before is valid, nor does anybody know of it who is not told
    assert_eq!(count(&restored, "SELECT count(*) FROM app.user_sessions WHERE revoked_at IS NULL").await, 0);
    for (action, times) in [("backup.restored", 1), ("erasure.replayed", 1), ("erasure.carried_out", 0)] {
        let entries: i64 = {
            let mut conn = PgConnection::connect_with(&restored).await.unwrap();
            let query = sqlx::query_scalar("SELECT count(*) FROM app.audit_logs WHERE action = $1");
            query.bind(action).fetch_one(&mut conn).await.unwrap()
        };
        assert_eq!(entries, times, "{action}");
    }
    // tables, grants, policies and owners are those of a new database, which the sweeps go through
    let new = cluster::fresh_database().await;
    let (is, has_to_be) = (schema(&restored).await, schema(&new).await);
    assert_eq!(but_for(&is, &has_to_be), Vec::<String>::new());
    assert_eq!(but_for(&has_to_be, &is), Vec::<String>::new());
    assert!(
        is.iter().any(|line| line.starts_with("CREATE POLICY ")) && is.iter().any(|line| line.starts_with("GRANT "))
    );
    cluster::drop_database(&new).await;
    // the views are whole, so that the schedule can count anew beside whoever reads
    count(&restored, "SELECT 1::bigint FROM stats.refresh(now(), false)").await;

    let after = TestApp::start_on(restored.clone(), |_| None).await;
    after.clock.advance(it.app.clock.now() - after.clock.now());
    let sign_in = async |user: &User, role: Role| {
        user.at(&after.base).with_token(after.session(user.id, role, user.company_id).await)
    };
    let (dr, bob) = (sign_in(&it.dr, Role::Practitioner).await, sign_in(&bob, Role::Employee).await);
    let hr = sign_in(&it.company.hr, Role::Hr).await;
    assert_eq!(bob.get("/journal").await.expect(200).str("/items/0/body"), "olive diary 5522");
    // the note opens for its author; nothing that was hers does
    assert_eq!(dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    let talk = dr.get(&format!("/conversations/{}/messages", it.session)).await.expect(200);
    assert_eq!(talk.str("/items/0/content"), "erased");
    assert!(!talk.text().contains(MESSAGE));
    let of_hers = "SELECT count(*) FROM app.encryption_keys k JOIN app.users u ON u.id = k.person_id
                   WHERE u.erased_at IS NOT NULL AND k.wrapped IS NOT NULL";
    assert_eq!(after.count(of_hers).await, 0);
    assert_eq!(after.count("SELECT count(*) FROM app.journal_entries").await, 1);
    let month = after.clock.now().format("%Y-%m");
    hr.get(&format!("/reports/usage?from={month}&to={month}")).await.expect(200);
    bob.post("/journal", json!({"body": "And on.", "mood": 4, "tags": []})).await.expect(201);
    after.settle().await;
    // who came after the backup is not there
    assert_eq!(after.count("SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL").await, 1);
    let here: i64 = sqlx::query_scalar("SELECT count(*) FROM app.users WHERE id = ANY ($1)")
        .bind([carol.id, bob.id])
        .fetch_one(after.db())
        .await
        .unwrap();
    assert_eq!(here, 1);
    // the ledger is what it was: the next backup may renew it
    assert!(backup.run("ledger", after.options()).await.contains("1 erasures"));
}

/// What HR can ask of a month.
async fn told(hr: &User, month: NaiveDate) -> Vec<Value> {
    let mut answers = Vec::new();
    for by in ["mode", "department", "specialty,department"] {
        let path = format!("/reports/usage?from={0}&to={0}&by={by}", name(month));
        let it = hr.get(&path).await.expect(200).json["months"][0].clone();
        answers.extend(it["cells"].as_array().unwrap().iter().cloned());
        answers.push(it["totals"].clone());
    }
    answers
}

/// It is counted from what the backup holds: sessions are missing, and somebody may have been erased. The difference to what
/// HR has would be theirs. Payroll is nobody's whose sessions they are.
#[tokio::test]
async fn a_month_that_was_published_after_the_backup_is_not_told_a_second_time() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let (last, before) = (months_ago(&app, 1), months_ago(&app, 2));
    let sales = acme.department("Sales").await;
    acme.hold(sessions(before, "sleep", 0..20, 1)).await;
    acme.hold(Sessions { department: Some(sales), ..sessions(last, "sleep", 0..25, 1) }).await;
    acme.staff(sales, 25..35).await;
    // everything but the last month is published when the backup is made
    app.count("SELECT 1::bigint FROM stats.refresh(now(), true)").await;
    let counted_before = async |at: NaiveDate| {
        let set = "UPDATE app.usage_refreshes SET refreshed_before = least($1::timestamptz, now())";
        sqlx::query(set).bind(at.and_hms_opt(0, 0, 0).unwrap().and_utc()).execute(app.db()).await.unwrap();
    };
    counted_before(months_ago(&app, 0) - Days::new(1)).await;
    while app.count("SELECT stats.publish(100)::bigint").await > 0 {}
    counted_before(NaiveDate::MAX.with_year(9000).unwrap()).await;
    let earlier = told(&acme.company.hr, before).await;
    let backup = Backup::new();
    backup.run("dump", app.options()).await;

    // one more comes to light, and the month is told
    acme.hold(Sessions { department: Some(sales), ..sessions(last, "sleep", 30..31, 1) }).await;
    count_anew(&app).await;
    let first = told(&acme.company.hr, last).await;
    assert!(first.iter().any(|it| it["sessions"] == 26), "{first:?}");
    let paid = app.count("SELECT sum(completed)::bigint FROM app.payroll_lines").await;
    assert_eq!(paid, 46);

    let restored = cluster::empty_database().await;
    let said = backup.run("restore", &restored).await;
    assert!(said.contains("1 months of companies are withheld") && said.contains("Payroll of 1 months"), "{said}");
    let after = TestApp::start_on(restored, |_| None).await;
    count_anew(&after).await;
    let hr = &acme.company.hr;
    let hr = hr.at(&after.base).with_token(after.session(hr.id, Role::Hr, hr.company_id).await);
    let second = told(&hr, last).await;
    assert_eq!(second.len(), first.len());
    assert!(second.iter().all(|it| it["withheld"] == "small_group" && it.get("sessions").is_none()), "{second:?}");
    assert_eq!(told(&hr, before).await, earlier, "what the backup holds is told as it was");
    // payroll of it is what is there, and says that it may have been paid
    assert_eq!(after.count("SELECT sum(completed)::bigint FROM app.payroll_lines").await, 45);
    assert_eq!(after.count("SELECT count(*) FROM app.payroll_sessions").await, 45);
    let staff = after.platform_admin().await;
    let (from, to) = (name(before), name(last));
    let path = format!("/reports/practitioner?practitionerId={}&from={from}&to={to}", acme.practitioner.id);
    let report = staff.get(&path).await.expect(200).json;
    let months = report["months"].as_array().unwrap();
    let paid: Vec<_> =
        months.iter().map(|it| [&it["month"], &it["completed"], &it["published"], &it["restored"]]).collect();
    assert_eq!(json!(paid), json!([[from, 20, true, false], [to, 25, true, true]]));
    // so does the file that is paid by, in the reader's language
    for (language, said) in [("en", ["\"no\"", "\"yes\""]), ("fr", ["\"non\"", "\"oui\""])] {
        let asked = staff.request(Method::POST, "/exports").header("accept-language", language);
        let asked = Answer::of(asked.json(&json!({"kind": "payroll", "from": from, "to": to}))).await.expect(202);
        after.settle().await;
        let file = staff.get(&format!("/exports/{}/download", asked.str("/id"))).await.expect(200).text();
        let marks: Vec<_> = file.lines().skip(1).map(|line| (&line[1..8], line.rsplit(',').next().unwrap())).collect();
        assert_eq!(marks, [(from.as_str(), said[0]), (to.as_str(), said[1])], "{file}");
    }
    // nothing is marked of what is over later
    for pause in [TimeDelta::days(35), TimeDelta::hours(1), TimeDelta::hours(1)] {
        advance(&after, pause).await;
        count_anew(&after).await;
    }
    assert_eq!(after.count("SELECT count(*) FROM app.payroll_months WHERE is_restored").await, 1);
    assert!(after.count("SELECT count(*) FROM app.payroll_months").await > 2);
}

/// A release that published no months told none that could be told a second time. What one after it told, the ledger says.
#[tokio::test]
async fn a_backup_of_a_release_that_published_no_months_loses_none_that_nobody_was_told() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let backup = Backup::new();
    std::fs::create_dir(&backup.contents).unwrap();
    let write = |name: &str, text: &str| std::fs::write(backup.contents.join(name), text).unwrap();
    write("about", "taken\t2026-11-22T04:30:00.000000Z\n");
    write("anchors", "");
    write("rows", "app.companies\tall\t2\n");
    let mut sums = Command::new("sh");
    sums.args(["-c", "sha256sum about anchors rows >SHA256SUMS"]).current_dir(&backup.contents);
    assert!(sums.status().unwrap().success());
    for (told, withheld) in [("none", 0), ("2026-09-01", 2)] {
        if told != "none" {
            publish(&app, company.id, told).await;
        }
        backup.run("ledger", app.options()).await;
        assert!(backup.written().contains(&format!("\"publishedUntil\":\"{told}\"")), "{}", backup.written());
        let restored = oldest().await;
        if told != "none" {
            // the schedule of the ledger meets a database that knows less
            let known = backup.written();
            backup.migrate(&restored).await;
            let said = backup.refused("ledger", &restored).await;
            assert!(said.contains("told until 2026-09-01") && said.contains("finish its restore first"), "{said}");
            assert_eq!(backup.written(), known);
        }
        let said = backup.run("finish", &restored).await;
        assert!(said.contains(&format!("{withheld} months of companies are withheld")), "{said}");
        let after = TestApp::start_on(restored, |_| None).await;
        count_anew(&after).await;
        // two sessions of September, of each company one
        let months = "SELECT count(*) FROM app.usage_months WHERE month = '2026-09-01'";
        assert_eq!(after.count(months).await, 2);
        assert!(after.count("SELECT count(*) FROM app.usage_months").await > 2, "October is published");
        let paid = "SELECT sum(l.completed)::bigint FROM app.payroll_lines l WHERE l.month = '2026-09-01' AND stats.is_restored(l.month)";
        assert_eq!(after.count(paid).await, 2);
        // finished, it is a database like any other
        backup.run("ledger", after.options()).await;
        assert!(backup.written().contains("\"publishedUntil\":\"20"), "{}", backup.written());
        std::fs::remove_file(&backup.ledger).unwrap();
    }
    // one that does not say, or whose seal is not looked at: any month may have been told
    std::fs::write(&backup.ledger, before_it_said_none(&app)).unwrap();
    let saying = backup.written();
    for flag in [None, Some("--unsealed")] {
        let restored = oldest().await;
        let done = backup.run_with("finish", &restored, |command| _ = command.args(flag)).await;
        assert!(done.status.success(), "{}", said(&done));
        let withheld = count(&restored, "SELECT count(*) FROM app.usage_months").await;
        assert!(said(&done).contains(&format!("{withheld} months of companies are withheld")), "{}", said(&done));
        let over = "SELECT count(DISTINCT company_id) FROM app.usage_months WHERE month >= '2026-10-01'";
        assert_eq!(count(&restored, over).await, 2);
        cluster::drop_database(&restored).await;
    }
    assert_eq!(backup.written(), saying);
    // the next one says it
    backup.run("ledger", app.options()).await;
    assert!(backup.written().contains("\"publishedUntil\":\"2026-09-01\""), "{}", backup.written());
}

/// Nobody could make its ledger say as much as it said: no company of then is in the backup.
#[tokio::test]
async fn a_database_that_was_restored_goes_on_from_a_ledger_of_companies_that_it_never_knew() {
    let app = TestApp::start().await;
    let backup = Backup::new();
    backup.run("dump", app.options()).await;
    let company = app.company("Acme").await;
    publish(&app, company.id, "2026-09-01").await;
    backup.run("ledger", app.options()).await;
    let (known, restored) = (backup.written(), cluster::empty_database().await);
    backup.run("load", &restored).await;
    let said = backup.refused("ledger", &restored).await;
    assert!(said.contains("told until 2026-09-01") && said.contains("until no month here"), "{said}");
    assert_eq!(backup.written(), known);
    assert!(backup.run("finish", &restored).await.contains(" 0 months of companies are withheld"));
    assert_eq!(count(&restored, "SELECT count(*) FROM app.usage_months").await, 0);
    backup.run("ledger", &restored).await;
    cluster::drop_database(&restored).await;
}

#[tokio::test]
async fn a_ledger_of_before_the_seal_is_gone_on_from_and_is_replayed_where_that_is_said() {
    let mut it = privacy::life().await;
    it.app.settle().await;
    let backup = Backup::new();
    backup.run("dump", it.app.options()).await;
    it.erase().await;
    backup.run("ledger", it.app.options()).await;
    let (sealed, old) = (backup.written(), before_the_seal(&backup.written()));
    assert!(old.lines().count() == 1 && old.contains(&it.alice.id.to_string()), "{old}");
    // after the upgrade it is written anew, by the schedule and with a dump
    std::fs::write(&backup.ledger, &old).unwrap();
    assert!(backup.run("ledger", it.app.options()).await.contains("1 erasures"));
    assert_eq!(backup.written().lines().next(), sealed.lines().next());
    std::fs::write(&backup.ledger, &old).unwrap();
    let next = Backup { ledger: backup.ledger.clone(), ..Backup::new() };
    assert!(next.run("dump", it.app.options()).await.contains("1 erasures"));
    assert_eq!(backup.written().lines().next(), sealed.lines().next());

    // a restore is refused without a word, and takes it with one
    std::fs::write(&backup.ledger, &old).unwrap();
    let restored = cluster::empty_database().await;
    backup.run("load", &restored).await;
    let told = backup.refused("ledger", &restored).await;
    assert!(told.contains("1 erasures") && told.contains("replay them first"), "{told}");
    let told = backup.refused("finish", &restored).await;
    assert!(told.contains("nothing was erased: ") && told.contains("--unsealed"), "{told}");
    let done = backup.run_with("finish", &restored, |command| _ = command.arg("--unsealed")).await;
    let told = said(&done);
    assert!(done.status.success() && told.contains("1 erased again") && told.contains("READY"), "{told}");
    assert!(backup.run("ledger", &restored).await.contains("1 erasures"));
    assert_eq!(backup.written().lines().next(), sealed.lines().next());
    // what writes a ledger, or reads none, has no such word
    let done = backup.run_with("ledger", &restored, |command| _ = command.arg("--unsealed")).await;
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    cluster::drop_database(&restored).await;
}

#[tokio::test]
async fn an_erasure_that_was_taken_back_after_the_backup_does_not_come_back_with_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob, carol) =
        (app.employee(&company).await, app.employee(&company).await, app.employee(&company).await);
    for user in [&alice, &bob] {
        user.post("/privacy/erasure", privacy::proof()).await.expect(202);
    }
    app.settle().await;
    // both asked six days ago; and nobody had used the third account for long
    let mut conn = app.db().acquire().await.unwrap();
    sqlx::raw_sql("SET session_replication_role = replica").execute(&mut *conn).await.unwrap();
    sqlx::query(
        "UPDATE app.privacy_requests SET created_at = now() - interval '6 days', due_at = now() + interval '1 day'",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO app.privacy_requests (id, user_id, kind, status, created_at, due_at, asked_by)
         VALUES (gen_random_uuid(), $1, 'erasure', 'waiting', now() - interval '29 days', now() + interval '1 day', 'platform')",
    )
    .bind(carol.id)
    .execute(&mut *conn)
    .await
    .unwrap();
    sqlx::raw_sql("RESET session_replication_role").execute(&mut *conn).await.unwrap();
    drop(conn);
    let backup = Backup::new();
    backup.run("dump", app.options()).await;
    alice.delete("/privacy/erasure").await.expect(204);
    app.settle().await;

    let restored = cluster::empty_database().await;
    backup.run("restore", &restored).await;
    let after = TestApp::start_on(restored, |_| None).await;
    let sign_in = async |user: &User| {
        user.at(&after.base).with_token(after.session(user.id, Role::Employee, user.company_id).await)
    };
    // when it was due then, nobody is erased; each was told until when they can still take it back
    after.clock.advance(TimeDelta::days(2));
    privacy::sweep(&after).await;
    assert_eq!(after.count("SELECT count(*) FROM app.erasure_ledger").await, 0);
    for user in [&alice, &bob] {
        let told = after.mails_to(&user.email);
        assert!(told.iter().any(|mail| mail.subject == "Your account is to be erased"), "{told:?}");
        let again = sign_in(user).await.get("/privacy/erasure").await.expect(200);
        let left = crate::consultations::instant(&again.str("/dueAt")) - after.clock.now();
        assert_eq!((again.str("/status"), left.num_days()), ("waiting".into(), 4));
    }
    // and read of nothing that they did not do
    for user in [&alice, &bob] {
        let list = sign_in(user).await.get("/notifications").await.expect(200).text();
        assert!(list.contains("erasure_asked") && !list.contains("erasure_withdrawn"), "{list}");
    }
    sign_in(&alice).await.delete("/privacy/erasure").await.expect(204);
    after.clock.advance(TimeDelta::days(6));
    privacy::sweep(&after).await;
    let erased: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT user_id FROM app.erasure_ledger").fetch_all(after.db()).await.unwrap();
    assert_eq!(erased, [bob.id.0]);
    // who was not seen for long has all of their time again, and keeps the account by coming back
    assert!(!after.mails_to(&carol.email).is_empty());
    after.clock.advance(TimeDelta::days(21));
    privacy::sweep(&after).await;
    sign_in(&carol).await.get("/me").await.expect(200);
    after.clock.advance(TimeDelta::days(3));
    privacy::sweep(&after).await;
    assert_eq!(after.count("SELECT count(*) FROM app.erasure_ledger").await, 1);
}

/// Of the tables there is what there was when the backup was made; who asked since knows until when, and would wait in vain.
#[tokio::test]
async fn an_erasure_that_was_asked_for_after_the_backup_is_not_forgotten_with_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob, carol) =
        (app.employee(&company).await, app.employee(&company).await, app.employee(&company).await);
    // who took it back before is not asked again, nor who has it from before
    let asks = async |user: &User| user.post("/privacy/erasure", privacy::proof()).await.expect(202).str("/id");
    for user in [&bob, &carol] {
        asks(user).await;
    }
    bob.delete("/privacy/erasure").await.expect(204);
    // one did not come for years, and the platform asked
    let mut erin = app.employee(&company).await;
    sqlx::query(
        "INSERT INTO app.privacy_requests (id, user_id, kind, status, created_at, due_at, asked_by)
         VALUES (gen_random_uuid(), $1, 'erasure', 'waiting', $2 - interval '20 days', $2 + interval '10 days', 'platform')",
    )
    .bind(erin.id)
    .bind(app.clock.now())
    .execute(app.db())
    .await
    .unwrap();
    app.settle().await;
    let backup = Backup::new();
    backup.run("dump", app.options()).await;
    let asked = asks(&alice).await;
    carol.delete("/privacy/erasure").await.expect(204);
    let (again, dave) = (asks(&carol).await, app.employee(&company).await);
    let new = asks(&dave).await;
    // the log-in ends what the platform asked for, and what is asked then is theirs
    erin = erin.with_token(app.session(erin.id, Role::Employee, erin.company_id).await);
    let own = asks(&erin).await;
    app.settle().await;
    backup.run("ledger", app.options()).await;
    let written = std::fs::read_to_string(format!("{}.waiting", backup.ledger.display())).unwrap();
    let parts: Vec<Vec<&str>> = written.lines().map(|line| line.split('\t').collect()).collect();
    let requests: Vec<_> = parts.iter().map(|line| line[0]).collect();
    assert_eq!(requests, [asked.as_str(), &again, &new, &own], "in their order, and nobody else's");
    for line in &parts {
        assert!(line.len() == 3 && line[..2].iter().all(|id| id.parse::<uuid::Uuid>().is_ok()), "{written}");
        assert!(line[2].starts_with("20"), "{written}");
    }

    let restored = cluster::empty_database().await;
    backup.run("load", &restored).await;
    // the schedule of the ledger does not write over it what it lacks
    let told = backup.refused("ledger", &restored).await;
    assert!(told.contains("2 requests of") && told.contains("finish its restore first"), "{told}");
    let told = backup.run("finish", &restored).await;
    assert!(told.contains("2 erasures that were asked for after the backup are asked for anew"), "{told}");
    let told = backup.run("finish", &restored).await;
    assert!(told.contains("0 erasures that were asked for after the backup"), "{told}");
    backup.run("ledger", &restored).await;
    let after = TestApp::start_on(restored, |_| None).await;
    after.settle().await;
    // erin's as well: the log-in to look ends nothing of hers
    for user in [&alice, &carol, &erin] {
        let told = after.mails_to(&user.email);
        assert!(told.iter().any(|mail| mail.subject == "Your account is to be erased"), "{told:?}");
        let user = user.at(&after.base).with_token(after.session(user.id, Role::Employee, user.company_id).await);
        let waits = user.get("/privacy/erasure").await.expect(200);
        let left = crate::consultations::instant(&waits.str("/dueAt")) - after.clock.now();
        assert_eq!((waits.str("/status"), left.num_days()), ("waiting".into(), 6));
        let list = user.get("/notifications").await.expect(200).text();
        assert!(list.contains("erasure_asked"), "{list}");
        if user.id == erin.id {
            assert!(!list.contains("erasure_withdrawn"), "{list}");
        }
    }
    let waiting = "SELECT count(*) FROM app.privacy_requests WHERE status = 'waiting' AND asked_by = 'person'";
    assert_eq!(after.count(waiting).await, 3);
    after.clock.advance(TimeDelta::days(8));
    privacy::sweep(&after).await;
    let mut erased: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT user_id FROM app.erasure_ledger").fetch_all(after.db()).await.unwrap();
    let mut all = [alice.id.0, carol.id.0, erin.id.0];
    erased.sort();
    all.sort();
    assert_eq!(erased, all);
}

/// Who waits and who was erased are read one after the other: whoever is erased in between stands in one of the two.
#[tokio::test]
async fn an_erasure_while_the_ledger_is_written_is_not_lost_between_its_two_files() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let asked = alice.post("/privacy/erasure", privacy::proof()).await.expect(202).str("/id");
    app.settle().await;
    let backup = Backup::new();
    // the program, and once it has told the ledger, an erasure
    let program = backup.folder.path().join("program");
    let script = format!(
        "#!/bin/sh
'{}' \"$@\" || exit
exec \"$PG_BIN/psql\" --quiet --set=ON_ERROR_STOP=1 >/dev/null --command=\"
    UPDATE app.privacy_requests SET status = 'begun', receipt = '{{}}';
    SELECT set_config('app.user_id', user_id::text, false), app.carry_out_erasure(id, now()) FROM app.privacy_requests\"
",
        env!("CARGO_BIN_EXE_huntzen")
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let done = backup.run_with("ledger", app.options(), |command| _ = command.env("HUNTZEN", &program)).await;
    assert!(done.status.success() && said(&done).contains("0 erasures"), "{}", said(&done));
    assert_eq!(app.count("SELECT count(*) FROM app.erasure_ledger").await, 1);
    let waiting = || std::fs::read_to_string(format!("{}.waiting", backup.ledger.display())).unwrap();
    assert!(waiting().starts_with(&format!("{asked}\t{}\t", alice.id.0)), "{}", waiting());
    // the next one has the line, and whoever stands in both is not missed
    assert!(backup.run("ledger", app.options()).await.contains("1 erasures"));
    assert_eq!(waiting(), "");
}

#[tokio::test]
async fn what_was_changed_is_not_loaded_and_nothing_is_loaded_into_what_is_not_empty() {
    let app = TestApp::start().await;
    five(&app).await;
    let backup = Backup::new();
    backup.run("dump", app.options()).await;
    let target = cluster::empty_database().await;
    let files = ["contents/contents.dump", "contents/rows", "contents/anchors", "contents/about", "keys/keys.dump"];
    for file in files {
        let path = backup.folder.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let told = backup.refused("load", &target).await;
        assert!(told.contains("is not what was written"), "{file}: {told}");
        std::fs::remove_file(&path).unwrap();
        backup.refused("load", &target).await;
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(is_empty(&target).await);
    // a dump is not made over another, nor a backup read where there is none
    assert!(backup.refused("dump", app.options()).await.contains("is there already"));
    assert!(Backup::new().refused("load", &target).await.contains("holds no backup"));
    // keys of before the contents: some would be missing
    let later = Backup::new();
    later.run("dump", app.options()).await;
    let mixed = Backup { contents: later.contents.clone(), keys: backup.keys.clone(), ..Backup::new() };
    assert!(mixed.refused("load", &target).await.contains("are older than"));
    // where something is, whatever it is
    let told = backup.refused("load", app.options()).await;
    assert!(told.contains("is not empty (apalis"), "{told}");
    execute(&target, "CREATE TABLE public.mine ()").await;
    let told = backup.refused("load", &target).await;
    assert!(told.contains("is not empty (public.mine)"), "{told}");
    assert!(is_empty(&target).await);
    // without a ledger nothing begins
    std::fs::remove_file(&backup.ledger).unwrap();
    assert!(backup.refused("restore", &target).await.contains("without the ledger"));
    // nor as somebody who would see a part of the rows
    let role =
        huntzen::platform::db::role_options(app.options(), huntzen::platform::db::DbRole::Hr, &app.platform.config);
    assert!(Backup::new().refused("dump", &role).await.contains("superuser"));
    cluster::drop_database(&target).await;
}

#[tokio::test]
async fn what_is_missing_or_broken_in_a_restored_database_is_told() {
    let app = TestApp::start().await;
    let (company, _) = five(&app).await;
    app.employee(&company).await;
    let backup = Backup::new();
    backup.run("dump", app.options()).await;
    let target = cluster::empty_database().await;
    backup.run("load", &target).await;
    assert!(backup.run("compare", &target).await.contains("as many rows"));
    tamper_on(&target, "DELETE FROM app.employees").await;
    let told = backup.refused("compare", &target).await;
    assert!(told.contains(&format!("app.employees, company {}: 1 rows in the backup, 0 here", company.id)), "{told}");
    assert!(!told.contains("app.users"), "{told}");

    // a ledger that knows of more than this database is not replaced by less
    let own = std::fs::read_to_string(&backup.ledger).unwrap();
    let line =
        format!("{{\"userId\":\"{}\",\"keyIds\":[],\"erasedAt\":\"2026-01-01T00:00:00Z\"}}\n", uuid::Uuid::new_v4());
    std::fs::write(&backup.ledger, &line).unwrap();
    let told = backup.refused("ledger", &target).await;
    assert!(told.contains("1 erasures") && told.contains("replay them first"), "{told}");
    assert_eq!(std::fs::read_to_string(&backup.ledger).unwrap(), line);

    // other keys under the same name
    let other = "test:7zNYMgTBFFSPgDnAaKQIBrSgH5i4/Jrw95nRhw9P8V8=";
    let done = backup.run_with("finish", &target, |command| _ = command.env("MASTER_KEYS", other)).await;
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("MASTER_KEYS are not those of this database"), "{}", said(&done));
    // nor is a ledger replayed that is not what was written
    let told = backup.refused("finish", &target).await;
    assert!(told.contains("nothing was erased: ") && told.contains("could not be replayed"), "{told}");
    std::fs::write(&backup.ledger, &own).unwrap();
    // an entry that is not what it was
    let first = "(SELECT id FROM app.audit_logs WHERE company_id IS NOT NULL ORDER BY id LIMIT 1)";
    tamper_on(&target, &format!("UPDATE app.audit_logs SET action = 'employee.created' WHERE id = {first}")).await;
    let told = backup.refused("finish", &target).await;
    assert!(told.contains(": changed at ") && told.contains("NOT READY: the audit log"), "{told}");
    // as it was again; and the end of the chain is cut off
    let of_company = "chain <> '00000000-0000-0000-0000-000000000000'";
    let last = format!("sequence = (SELECT max(sequence) FROM app.audit_chain WHERE {of_company}) AND {of_company}");
    tamper_on(
        &target,
        &format!(
            "UPDATE app.audit_logs SET action = 'employee.updated' WHERE id = {first};
             DELETE FROM app.audit_logs WHERE id = (SELECT entry_id FROM app.audit_chain WHERE {last});
             DELETE FROM app.audit_chain WHERE {last}"
        ),
    )
    .await;
    let told = backup.refused("finish", &target).await;
    assert!(!told.contains(": changed at ") && told.contains("NOT READY: the audit log"), "{told}");
    assert!(told.contains(": truncated at ") || told.contains(": removed at "), "{told}");
    cluster::drop_database(&target).await;
}

#[tokio::test]
async fn a_dump_and_its_counts_are_of_one_moment_and_no_process_shows_a_password() {
    let app = TestApp::start().await;
    let backup = Backup::new();
    // programs that note what they are asked, and do it
    let bin = backup.folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let asked = backup.folder.path().join("asked");
    for name in ["psql", "pg_dump", "pg_restore"] {
        let script = format!(
            "#!/bin/sh\nprintf '%s ' {name} \"$@\" >> '{}'\nexec '{}' \"$@\"\n",
            asked.display(),
            tool(name).display()
        );
        std::fs::write(bin.join(name), script).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let db = app.db().clone();
    let writing = tokio::spawn(async move {
        loop {
            sqlx::query("INSERT INTO app.companies (id, name, contract_starts_on, contract_ends_on, sessions_per_employee, seats)
                         SELECT gen_random_uuid(), 'Newcomer', '2026-01-01', '2027-01-01', 1, 1 FROM generate_series(1, 20)")
                .execute(&db)
                .await
                .unwrap();
        }
    });
    let done = backup.run_with("dump", app.options(), |command| _ = command.env("PG_BIN", &bin)).await;
    writing.abort();
    assert!(done.status.success(), "{}", said(&done));
    let target = cluster::empty_database().await;
    let done = backup.run_with("load", &target, |command| _ = command.env("PG_BIN", &bin)).await;
    assert!(done.status.success(), "{}", said(&done));
    let (then, now) = (
        count(&target, "SELECT count(*) FROM app.companies").await,
        app.count("SELECT count(*) FROM app.companies").await,
    );
    assert!(then < now, "nothing was written beside the dump: {then}, {now}");

    let asked = std::fs::read_to_string(asked).unwrap();
    assert!(asked.contains("pg_dump ") && asked.contains("pg_restore ") && asked.contains("--role=huntzen_backup"));
    let url = app.options().to_url_lossy();
    let password = url.password().expect("the test cluster asks for a password");
    assert!(!asked.contains(password), "{asked}");
    // for nobody but their owner
    for file in ["contents/contents.dump", "keys/keys.dump", "erasures.jsonl"] {
        let mode = std::fs::metadata(backup.folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
    cluster::drop_database(&target).await;
}
