//! A person's copy of their data.

use std::io::{Cursor, Read};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::domain::privacy::{CollectCopies, SweepCopies};
use zip::ZipArchive;

use super::*;
use crate::support::s3::S3;

pub struct Opened(ZipArchive<Cursor<Vec<u8>>>);

impl Opened {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(ZipArchive::new(Cursor::new(bytes)).unwrap())
    }

    pub fn names(&self) -> Vec<String> {
        self.0.file_names().map(|name| name.unwrap().into_owned()).collect()
    }

    pub fn bytes(&mut self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.by_name(name).unwrap_or_else(|error| panic!("{name}: {error}")).read_to_end(&mut bytes).unwrap();
        bytes
    }

    pub fn text(&mut self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    pub fn rows(&mut self, section: &str) -> Vec<Value> {
        serde_json::from_slice(&self.bytes(&format!("data/{section}.json"))).unwrap()
    }
}

pub async fn ask(user: &User) -> Answer {
    Answer::of(user.request(Method::POST, "/privacy/exports").header("accept-language", "fr")).await
}

async fn made(app: &TestApp, user: &User) -> String {
    let id = ask(user).await.expect(202).str("/id");
    app.settle().await;
    id
}

pub async fn fetched(app: &TestApp, user: &User) -> Opened {
    let id = made(app, user).await;
    Opened::new(user.get(&format!("/privacy/exports/{id}/download")).await.expect(200).bytes)
}

#[tokio::test]
async fn a_copy_holds_everything_of_its_person_in_their_language_and_nothing_of_others() {
    let mut it = life().await;
    // somebody else, with a life of their own
    let bob = it.app.employee(&it.company).await;
    bob.post("/journal", json!({"body": "magenta secret of bob", "mood": 2})).await.expect(201);
    let id = made(&it.app, &it.alice).await;
    let status = it.alice.get(&format!("/privacy/exports/{id}")).await.expect(200);
    assert_eq!((status.str("/status"), &status.json["percent"]), ("ready".into(), &json!(100)));
    let answer = it.alice.get(&format!("/privacy/exports/{id}/download")).await.expect(200);
    for (header, value) in [
        ("content-type", "application/zip"),
        ("cache-control", "private, no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(answer.header(header), value);
    }
    assert!(answer.header("content-disposition").starts_with("attachment; filename=\"huntzen-"));
    let mut copy = Opened::new(answer.bytes.clone());

    assert_eq!(copy.rows("account")[0]["email"], it.alice.email);
    assert_eq!(copy.rows("directory_entry")[0]["last_name"], "Silva");
    assert_eq!(copy.rows("journal")[0]["body"], DIARY);
    assert_eq!(copy.rows("journal")[0]["mood"], 4);
    let messages = copy.rows("messages");
    assert_eq!((&messages[0]["body"], &messages[0]["from"]), (&json!(MESSAGE), &json!("me")));
    assert_eq!((&messages[1]["body"], &messages[1]["from"]), (&json!("An answer."), &json!("practitioner")));
    assert_eq!(copy.rows("consultation_reasons")[0]["text"], REASON);
    assert_eq!(copy.rows("consultations")[0]["status"], "completed");
    assert!(copy.rows("consultation_events").iter().any(|event| event["kind"] == "STARTED"));
    assert!(copy.rows("access_log").iter().any(|entry| entry["action"] == "note.created"));
    assert!(copy.rows("own_actions").iter().any(|entry| entry["action"] == "consultation.booked"));
    assert!(
        !copy.rows("sessions").is_empty() && !copy.rows("notifications").is_empty() && !copy.rows("mails").is_empty()
    );
    let file = copy.names().into_iter().find(|name| name.ends_with(PAPER)).unwrap();
    assert_eq!(copy.bytes(&file), pdf(300));
    // the readable side, in French and in her zone
    let page = copy.text("pages/journal.html");
    assert!(page.contains(DIARY) && page.contains("<html lang=\"fr\">") && page.contains("Humeur"), "{page}");
    let index = copy.text("index.html");
    assert!(index.contains("pages/messages.html") && index.contains("Vos messages"), "{index}");
    for name in copy.names() {
        let text = String::from_utf8_lossy(&copy.bytes(&name)).into_owned();
        assert!(!text.contains(NOTE) && !text.contains("magenta") && !text.contains("argon2"), "{name}");
        assert!(!text.contains(&bob.id.to_string()), "{name}");
    }
    // announced without a word of what is in it
    let mail = it.app.mails_to(&it.alice.email).pop().unwrap();
    assert!(mail.subject.contains("export"), "{}", mail.subject);
    // nor a link to a page that is not there
    assert!(!mail.text.as_deref().unwrap().contains("://"), "{mail:?}");
    assert!(it.alice.get("/notifications").await.expect(200).text().contains("privacy_export_ready"));
    let trail = it.alice.get("/audit-logs?limit=100").await.expect(200).text();
    assert!(trail.contains("privacy_copy.asked") && trail.contains("privacy_copy.fetched"), "{trail}");
    // nobody else fetches it, and where it is kept it says nothing
    for user in [&bob, &it.dr, &it.company.hr, &it.company.admin, &it.app.platform_admin().await] {
        user.get(&format!("/privacy/exports/{id}")).await.refused(404, "not_found");
        user.get(&format!("/privacy/exports/{id}/download")).await.refused(404, "not_found");
    }
    let object: String =
        sqlx::query_scalar("SELECT object_key FROM app.privacy_requests").fetch_one(it.app.db()).await.unwrap();
    let stored = std::fs::read(it.app.platform.config.data_dir.join("files").join(&object)).unwrap();
    assert!(!stored.windows(2).any(|two| two == b"PK") || !stored.windows(11).any(|it| it == b"account.jso"));
    // in a week it is gone
    it.days_later(8).await;
    it.alice.get(&format!("/privacy/exports/{id}/download")).await.refused(410, "copy_expired");
    it.app.enqueue(&CollectCopies {}).await;
    it.app.settle().await;
    assert!(!it.app.platform.config.data_dir.join("files").join(&object).exists());
    assert_eq!(it.alice.get(&format!("/privacy/exports/{id}")).await.expect(200).str("/status"), "expired");
    assert_eq!(
        it.app
            .count("SELECT count(*) FROM app.privacy_requests WHERE sealed_key IS NOT NULL OR object_key IS NOT NULL")
            .await,
        0
    );
    let left = "SELECT count(*) FROM app.encryption_keys WHERE purpose = 'copy' AND wrapped IS NOT NULL";
    assert_eq!(it.app.count(left).await, 0);
}

#[tokio::test]
async fn a_backup_without_the_keys_of_contents_opens_no_copy_and_erasure_destroys_its_key() {
    let mut it = life().await;
    drop(fetched(&it.app, &it.alice).await);
    let id: Uuid = sqlx::query_scalar("SELECT id FROM app.privacy_requests").fetch_one(it.app.db()).await.unwrap();
    let path = format!("/privacy/exports/{id}/download");
    it.alice.get(&path).await.expect(200);
    // as where only the rest was restored
    sqlx::raw_sql(
        "CREATE TABLE kept AS TABLE app.encryption_keys;
         SET session_replication_role = replica; DELETE FROM app.encryption_keys; RESET session_replication_role",
    )
    .execute(it.app.db())
    .await
    .unwrap();
    it.alice.get(&path).await.refused(410, "copy_expired");
    // and their keys afterwards: also of people whom the contents do not know yet, or any more
    sqlx::raw_sql(
        "UPDATE kept SET person_id = gen_random_uuid() WHERE purpose = 'chat';
         UPDATE kept SET keeper_id = gen_random_uuid() WHERE purpose = 'note';
         INSERT INTO app.encryption_keys SELECT * FROM kept; DROP TABLE kept",
    )
    .execute(it.app.db())
    .await
    .unwrap();
    it.alice.get(&path).await.expect(200);
    it.erase().await;
    let left = "SELECT count(*) FROM app.encryption_keys WHERE purpose = 'copy' AND wrapped IS NOT NULL";
    assert_eq!(it.app.count(left).await, 0);
}

#[tokio::test]
async fn private_entries_are_in_the_copy_as_they_came_with_the_wraps_that_open_them() {
    let it = life().await;
    let key = Uuid::from_u128(7);
    let wrap = |head: &[u8]| STANDARD.encode([head, &[8; 16], key.as_bytes(), &[9; 60]].concat());
    let hard = [&[1, 1][..], &65_536_u32.to_be_bytes(), &3_u32.to_be_bytes(), &[1]].concat();
    let wraps =
        json!({"keyId": key, "byPassphrase": wrap(&hard), "byRecoveryCode": wrap(&[1, 2]), "password": PASSWORD});
    Answer::of(it.alice.request(Method::PUT, "/journal/keys").header("if-match", "\"0\"").json(&wraps))
        .await
        .expect(200);
    let sealed = STANDARD.encode([&[2][..], key.as_bytes(), &[4; 16], &[0, 0, 0, 1], &[3; 12], &[5; 272]].concat());
    let entry = json!({"body": sealed, "date": "2026-01-05", "sealed": true});
    it.alice.post("/journal", entry).await.expect(201);
    let mut copy = fetched(&it.app, &it.alice).await;
    let private = copy.rows("journal").into_iter().find(|it| it["private"] == true).unwrap();
    assert_eq!((&private["sealed"], private.get("body")), (&json!(sealed), None));
    let kept = &copy.rows("journal_keys")[0];
    assert_eq!((&kept["by_passphrase"], &kept["by_recovery_code"]), (&wraps["byPassphrase"], &wraps["byRecoveryCode"]));
    assert!(copy.text("pages/journal.html").contains("phrase secrète"));
}

#[tokio::test]
async fn a_practitioners_copy_holds_what_is_theirs_and_no_word_of_their_clients() {
    let it = life().await;
    let mut copy = fetched(&it.app, &it.dr).await;
    assert_eq!(copy.rows("practitioner")[0]["display_name"], "Dr Test");
    assert_eq!(copy.rows("availability").len(), 7);
    assert_eq!(copy.rows("consultations").len(), 1);
    let messages = copy.rows("messages");
    assert_eq!(messages.iter().map(|it| it["body"].clone()).collect::<Vec<_>>(), [json!("An answer.")]);
    for name in copy.names() {
        let text = String::from_utf8_lossy(&copy.bytes(&name)).into_owned();
        for foreign in [NOTE, MESSAGE, REASON, DIARY, PAPER] {
            assert!(!text.contains(foreign), "{name} holds {foreign}");
        }
    }
    // everybody has a copy of their own
    for user in [it.company.hr.clone(), it.company.admin.clone(), it.app.platform_admin().await] {
        let mut copy = fetched(&it.app, &user).await;
        assert_eq!(copy.rows("account")[0]["email"], user.email);
        assert!(!copy.names().iter().any(|name| name.contains("journal") || name.contains("consultations")));
    }
}

#[tokio::test]
async fn one_copy_is_made_at_a_time_and_three_in_a_day() {
    let it = life().await;
    let first = ask(&it.alice).await.expect(202);
    let same = ask(&it.alice).await.expect(202);
    assert_eq!(first.str("/id"), same.str("/id"));
    assert_eq!(first.str("/status"), "pending");
    it.alice.get(&format!("/privacy/exports/{}/download", first.str("/id"))).await.refused(409, "copy_not_ready");
    it.app.settle().await;
    let keyed = || {
        let request = it.alice.request(Method::POST, "/privacy/exports").header("idempotency-key", "one-copy");
        Answer::of(request)
    };
    let second = keyed().await.expect(202);
    it.app.settle().await;
    assert_eq!(keyed().await.expect(202).str("/id"), second.str("/id"));
    made(&it.app, &it.alice).await;
    ask(&it.alice).await.refused(429, "too_many_copies");
    let listed = it.alice.get("/privacy/exports?limit=2").await.expect(200);
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 2);
    let next = it.alice.get(&format!("/privacy/exports?cursor={}", listed.str("/nextCursor"))).await.expect(200);
    assert_eq!(next.json["items"][0]["id"], first.json["id"]);
}

#[tokio::test]
async fn an_erasure_stops_the_copy_that_is_being_made_and_takes_the_one_that_is_ready() {
    let mut it = life().await;
    let ready = made(&it.app, &it.alice).await;
    it.alice.post("/privacy/erasure", proof()).await.expect(202);
    it.app.settle().await;
    it.days_later(6).await;
    // a worker is at it: another one carries the erasure out meanwhile
    let id: Uuid = ask(&it.alice).await.expect(202).str("/id").parse().unwrap();
    sqlx::query("DELETE FROM apalis.jobs WHERE convert_from(job, 'UTF8') LIKE '%make_copy%'")
        .execute(it.app.db())
        .await
        .unwrap();
    let mut worker = it.app.as_role(huntzen::platform::db::DbRole::Worker, it.alice.id).await;
    let object = format!("privacy/ab/{}", "0".repeat(32));
    sqlx::query("SELECT * FROM app.begin_export($1, $2)").bind(id).bind(&object).execute(&mut worker).await.unwrap();
    let mut file = it.app.platform.storage.create(&object);
    file.write(b"half of it").await.unwrap();
    file.finish().await.unwrap();
    it.days_later(2).await;
    sweep(&it.app).await;
    assert_eq!(it.app.count("SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL").await, 1);
    let goes_on: bool = sqlx::query_scalar("SELECT app.note_export($1, $2, 3, 9)")
        .bind(id)
        .bind(&object)
        .fetch_one(&mut worker)
        .await
        .unwrap();
    assert!(!goes_on);
    let finished: bool = sqlx::query_scalar(
        "SELECT app.finish_export($1, $2, 9, decode(repeat('00', 100), 'hex'), decode(repeat('00', 78), 'hex'), now())",
    )
    .bind(id)
    .bind(&object)
    .fetch_one(&mut worker)
    .await
    .unwrap();
    assert!(!finished);
    // one that is taken up only now finds nobody
    it.app.enqueue(&CollectCopies {}).await;
    it.app.settle().await;
    assert!(!it.app.platform.config.data_dir.join("files").join(&object).exists());
    let stopped: Vec<String> = sqlx::query_scalar("SELECT status FROM app.privacy_requests WHERE kind = 'export'")
        .fetch_all(it.app.db())
        .await
        .unwrap();
    assert!(stopped.iter().all(|status| status == "stopped" || status == "expired"), "{stopped:?} {ready}");
    // an object that no request knows goes in time
    let orphan = format!("privacy/cd/{}", "1".repeat(32));
    let mut file = it.app.platform.storage.create(&orphan);
    file.write(b"left").await.unwrap();
    file.finish().await.unwrap();
    it.app.clock.advance(TimeDelta::days(2));
    it.app.enqueue(&SweepCopies {}).await;
    it.app.settle().await;
    assert!(!it.app.platform.config.data_dir.join("files").join(&orphan).exists());
}

#[tokio::test]
async fn a_copy_of_an_account_that_is_erased_or_suspended_is_not_made() {
    let mut it = life().await;
    let token = it.alice.token.clone();
    it.erase().await;
    ask(&it.alice.with_token(token)).await.expect(401);
    // asked for before, taken up afterwards
    let bob = it.app.employee(&it.company).await;
    let id = ask(&bob).await.expect(202).str("/id");
    sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1")
        .bind(bob.id)
        .execute(it.app.db())
        .await
        .unwrap();
    // where it was taken up a moment before, this attempt or the next one stops it
    let mut status = String::new();
    for _ in 0..4 {
        it.app.settle().await;
        status = sqlx::query_scalar("SELECT status FROM app.privacy_requests WHERE id = $1::uuid")
            .bind(id.parse::<Uuid>().unwrap())
            .fetch_one(it.app.db())
            .await
            .unwrap();
        if status == "stopped" {
            break;
        }
        it.app.clock.advance(TimeDelta::hours(1));
    }
    assert_eq!(status, "stopped");
    assert_eq!(
        it.app
            .count("SELECT count(*) FROM app.privacy_requests WHERE object_key IS NOT NULL AND status = 'ready'")
            .await,
        0
    );
}

#[tokio::test]
async fn reviews_are_in_the_copy_of_their_author_with_their_words_whatever_became_of_them() {
    let it = life().await;
    let staff = it.app.platform_admin().await;
    let review = format!("/consultations/{}/review", it.session);
    it.alice.post(&review, json!({"rating": 4, "text": "teal review 5521"})).await.expect(201);
    for (status, reason) in [("pending", Value::Null), ("rejected", json!("health_details"))] {
        if status == "rejected" {
            let waiting = crate::reviews::waiting(&staff).await;
            crate::reviews::decide(&staff, &waiting[0], "reject", json!({"reason": reason})).await.expect(200);
        }
        let mut copy = fetched(&it.app, &it.alice).await;
        let rows = copy.rows("reviews");
        assert_eq!(rows.len(), 1);
        assert_eq!((&rows[0]["body"], &rows[0]["rating"]), (&json!("teal review 5521"), &json!(4)));
        assert_eq!((&rows[0]["status"], &rows[0]["rejected_for"]), (&json!(status), &reason));
        assert_eq!(rows[0]["consultation_id"], it.session);
        let page = copy.text("pages/reviews.html");
        assert!(page.contains("teal review 5521") && page.contains("Étoiles"), "{page}");
    }
    // of their author alone
    let mut copy = fetched(&it.app, &it.dr).await;
    for name in copy.names() {
        assert!(!String::from_utf8_lossy(&copy.bytes(&name)).contains("teal review"), "{name}");
    }
}

#[tokio::test]
async fn a_file_that_does_not_open_to_its_end_is_said_to_and_keeps_nothing_else_back() {
    let it = life().await;
    let damaged = bring(&it.alice, pdf(150_000)).await.expect(201).str("/id");
    let lost = bring(&it.alice, pdf(200)).await.expect(201).str("/id");
    let whole = bring(&it.alice, pdf(70_000)).await.expect(201).str("/id");
    let path_of = async |id: &str| {
        let key: String = sqlx::query_scalar("SELECT object_key FROM app.files WHERE id = $1::uuid")
            .bind(id)
            .fetch_one(it.app.db())
            .await
            .unwrap();
        it.app.platform.config.data_dir.join("files").join(key)
    };
    // a byte of a later piece
    let path = path_of(&damaged).await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    std::fs::remove_file(path_of(&lost).await).unwrap();
    let mut copy = fetched(&it.app, &it.alice).await;
    let facts = copy.rows("files");
    let state = |id: &str| facts.iter().find(|it| it["id"] == id).unwrap()["state"].clone();
    assert_eq!(facts.len(), 4, "{facts:?}");
    assert_eq!([state(&damaged), state(&lost), state(&whole)], ["file_damaged", "file_damaged", "whole"]);
    assert_eq!(copy.bytes(&format!("files/{whole}-{PAPER}")), pdf(70_000));
    assert!(pdf(150_000).starts_with(&copy.bytes(&format!("files/{damaged}-{PAPER}"))));
    assert_eq!(copy.rows("journal")[0]["body"], DIARY);
}

/// Actions of somebody's, of which no two are alike: so many, as of long ago.
async fn act(app: &TestApp, user: &User, count: usize) {
    let mut tx = app.db().begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query(
        "INSERT INTO app.audit_logs (id, at, actor_role, actor_id, action, object_type, object_id, company_id, outcome)
         SELECT gen_random_uuid(), now() - interval '1 day' + n * interval '1 microsecond', 'employee', $1, 'file.read', 'file',
                gen_random_uuid(), $3, 'success'
         FROM generate_series(1, $2) n",
    )
    .bind(user.id)
    .bind(i32::try_from(count).unwrap())
    .bind(user.company_id)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

// making it small keeps a thread busy
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transaction_is_open_while_the_storage_takes_its_time() {
    let s3 = S3::start();
    let url = s3.url();
    let app = TestApp::start_with(|name| (name == "STORAGE_URL").then(|| url.clone())).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    // more than a part of an object, after all is made as small as it gets
    let many = 110_000;
    act(&app, &alice, many).await;
    s3.sleep();
    let id = ask(&alice).await.expect(202).str("/id");
    let looked = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while !s3.is_asked() {
            looks.tick().await;
        }
        let open: i64 = app
            .count(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = 'huntzen_employee' AND xact_start IS NOT NULL",
            )
            .await;
        s3.wake();
        open
    };
    let ((), open) = tokio::join!(app.settle(), looked);
    assert_eq!(open, 0);
    let bytes = alice.get(&format!("/privacy/exports/{id}/download")).await.expect(200).bytes;
    assert!(bytes.len() > 5 << 20, "{}", bytes.len());
    // all of them, each once, in their order
    let mut rows = Opened::new(bytes).rows("own_actions");
    rows.retain(|row| row["action"] == "file.read");
    let ids: std::collections::HashSet<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), ids.len()), (many, many));
    assert!(rows.is_sorted_by_key(|row| row["at"].as_str().unwrap().to_owned()));
}

/// What becomes of somebody while the storage takes the first of their copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Erased,
    Suspended,
}

/// Asks for a copy, and ends the account of its person while the storage takes the first of it.
async fn end_while_it_is_stored(actions: usize, ending: Ending) {
    let s3 = S3::start();
    let url = s3.url();
    let app = TestApp::start_with(|name| (name == "STORAGE_URL").then(|| url.clone())).await;
    let company = app.company("Acme").await;
    let mut alice = app.employee(&company).await;
    alice.post("/journal", json!({"body": DIARY, "mood": 4, "tags": []})).await.expect(201);
    let is_large = actions > 0;
    if is_large {
        // of a small one nothing is asked of the storage but to take it
        bring(&alice, pdf(300)).await.expect(201);
    }
    if ending == Ending::Erased {
        alice.post("/privacy/erasure", proof()).await.expect(202);
    }
    app.settle().await;
    app.clock.advance(TimeDelta::days(8));
    alice = alice.with_token(app.session(alice.id, Role::Employee, alice.company_id).await);
    act(&app, &alice, actions).await;
    s3.sleep();
    let id: Uuid = ask(&alice).await.expect(202).str("/id").parse().unwrap();
    let ended = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while !s3.is_asked() {
            looks.tick().await;
        }
        match ending {
            Ending::Erased => {
                app.enqueue(&SweepErasures {}).await;
                while app.count("SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL").await == 0 {
                    looks.tick().await;
                }
            }
            Ending::Suspended => {
                let suspend = sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1").bind(alice.id);
                suspend.execute(app.db()).await.unwrap();
            }
        }
        // until here it was being made
        assert!(s3.is_asked());
        s3.wake();
    };
    let ended = tokio::time::timeout(Duration::from_mins(2), ended);
    let ((), ended) = tokio::join!(app.settle(), ended);
    ended.expect("who ends an account waits for nobody's copy");
    let status: String = sqlx::query_scalar("SELECT status FROM app.privacy_requests WHERE id = $1")
        .bind(id)
        .fetch_one(app.db())
        .await
        .unwrap();
    assert_eq!(status, "stopped");
    let keys = match ending {
        Ending::Erased => "SELECT count(*) FROM app.encryption_keys WHERE wrapped IS NOT NULL",
        Ending::Suspended => "SELECT count(*) FROM app.encryption_keys WHERE purpose = 'copy'",
    };
    assert_eq!(app.count(keys).await, 0);
    // a small one was there, whole; of a large one the first parts
    assert_eq!(s3.put_below("privacy").await, usize::from(!is_large));
    // nothing of it is left
    let gone = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while s3.uploads() > 0 || !s3.objects_below("privacy").is_empty() {
            looks.tick().await;
        }
    };
    let left = || (s3.uploads(), s3.objects_below("privacy").len());
    assert!(tokio::time::timeout(Duration::from_secs(30), gone).await.is_ok(), "{:?}", left());
    // nor is anybody told that it is ready
    let mails = app.mails_to(&alice.email);
    assert!(!mails.iter().any(|it| it.subject.contains("export") || it.subject.contains("copy")), "{mails:?}");
    app.enqueue(&CollectCopies {}).await;
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.privacy_requests WHERE object_key IS NOT NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_half_stored_when_its_account_is_erased_is_called_off() {
    // more than a part of an object
    end_while_it_is_stored(110_000, Ending::Erased).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_stored_as_its_account_is_erased_is_taken_away() {
    end_while_it_is_stored(0, Ending::Erased).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_stored_as_its_account_is_suspended_is_taken_away() {
    end_while_it_is_stored(0, Ending::Suspended).await;
}
